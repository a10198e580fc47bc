"""The picture of a learning run: curve, weight maps, cells and errors. Talks to no board."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab.datasets import unpack
from starlab.writing import write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure
    from matplotlib.typing import RcKeyType

ARRAY_COLORS: Final = {1: "#1b6ca8", 2: "#d1495b"}
INK: Final = "#22303c"
FAINT: Final = "#9aa5b1"
STYLE: Final["dict[RcKeyType, Any]"] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
}
HIDDEN_GRID: Final = 10
"""The 100 hidden units are drawn as a square of 10 x 10 receptive fields."""
IMAGE_SIDE: Final = 28
WINDOW_uS: Final = (2.0, 20.0)
ERRORS_PER_DIGIT: Final = 2


@dataclass(frozen=True, slots=True)
class LearningRecord:
    """What one learning run leaves to be drawn."""

    title: str
    """Headline: what was learned, with what result."""
    seen: NDArray[np.int64]
    """Shape (batches,): digits learned up to the end of each batch."""
    running: NDArray[np.float64]
    """Shape (batches,): share of each batch that was right before it was learned."""
    pulses: NDArray[np.int64]
    """Shape (batches, 2): pulses of each batch on arrays 1 and 2."""
    checkpoints: Sequence[tuple[int, float]]
    """Digits learned, accuracy on test digits; the last one on all of them."""
    before_uS: dict[int, NDArray[np.float32]]
    """Conductance of each array before learning, shape (2, inputs, outputs)."""
    after_uS: dict[int, NDArray[np.float32]]
    """The same after learning."""
    images: NDArray[np.uint8]
    """Shape (n, 98): the test digits, packed."""
    labels: NDArray[np.uint8]
    """Shape (n,): what they are."""
    predicted: NDArray[np.uint8]
    """Shape (n,): what the chip takes them for."""


def draw(record: LearningRecord, path: Path) -> None:
    """Draw a learning run into an image file.

    Args:
        record: What to draw.
        path: Where to; the suffix says the format (png, svg, pdf).

    Raises:
        ImportError: matplotlib is not installed (extra ``plots``).
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.5, 14.0), layout="constrained")
        figure.suptitle(record.title, fontsize=13, fontweight="bold", x=0.01, ha="left")
        rows = figure.subfigures(4, 1, squeeze=False, height_ratios=(1.15, 1.85, 1.0, 0.85))
        curves = rows[0, 0].subplots(1, 2, width_ratios=(1.6, 1))
        _draw_learning_curve(curves[0], record)
        _draw_pulses(curves[1], record)
        _draw_receptive_fields(rows[1, 0], record)
        _draw_second_array(rows[2, 0], record)
        _draw_errors(rows[3, 0], record)
        image = BytesIO()
        figure.savefig(image, format=path.suffix.lstrip(".") or "png")
    write(path, image.getvalue())


def _draw_learning_curve(axes: "Axes", record: LearningRecord) -> None:
    thousands = record.seen / 1000
    axes.plot(thousands, 100 * record.running, color=FAINT, linewidth=1.0)
    axes.plot([], [], color=FAINT, linewidth=1.0, label="training digits, before each is learned")
    seen, accuracy = zip(*record.checkpoints, strict=True)
    x, y = np.array(seen) / 1000, 100 * np.array(accuracy)
    axes.plot(
        x,
        y,
        color=ARRAY_COLORS[1],
        linewidth=1.4,
        marker="o",
        markersize=4,
        clip_on=False,
        label="test digits",
    )
    axes.annotate(
        f"{y[-1]:.2f} %",
        (x[-1], y[-1]),
        xytext=(0, 9),
        textcoords="offset points",
        ha="right",
        fontweight="bold",
        color=ARRAY_COLORS[1],
    )
    axes.set(
        title="Learning curve",
        xlabel="digits learned (thousands)",
        ylabel="accuracy (%)",
        xlim=(0, thousands[-1]),
        ylim=(0, 100),
    )
    axes.grid(axis="y", color="#e3e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="lower right")


def _draw_pulses(axes: "Axes", record: LearningRecord) -> None:
    digits = np.diff(record.seen, prepend=0)
    for number, color in ARRAY_COLORS.items():
        total = record.pulses[:, number - 1].sum()
        axes.plot(
            record.seen / 1000,
            record.pulses[:, number - 1] / digits,
            color=color,
            linewidth=1.2,
            label=f"array {number}: {total / 1e6:.3g} million in all",
        )
    axes.set(
        title="Programming pulses",
        xlabel="digits learned (thousands)",
        ylabel="pulses per digit",
        xlim=(0, record.seen[-1] / 1000),
        ylim=(0, None),
    )
    axes.set_yscale("symlog", linthresh=1)  # a batch without any pulse is drawn at zero
    axes.grid(axis="y", color="#e3e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="best")


def _draw_receptive_fields(figure: "SubFigure", record: LearningRecord) -> None:
    axes = figure.subplots(1, 2)
    maps = [receptive_fields(cells[1]) for cells in (record.before_uS, record.after_uS)]
    scale = _symmetric_scale(maps)
    for when, axis, image in zip(("before", "after"), axes, maps, strict=True):
        drawn = axis.imshow(image, cmap="RdBu_r", vmin=-scale, vmax=scale, interpolation="nearest")
        axis.set_title(f"Array 1 {when} learning: 100 receptive fields of $28 \\times 28$ inputs")
        _no_ticks(axis)
    figure.colorbar(drawn, ax=axes, label="weight $G_+ - G_-$ (µS)", shrink=0.85, aspect=30)


def _draw_second_array(figure: "SubFigure", record: LearningRecord) -> None:
    ((maps, cells),) = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.6, 1))
    axes = maps.subplots(2, 1, sharex=True)
    weights = [(cells[2][0] - cells[2][1]).T for cells in (record.before_uS, record.after_uS)]
    scale = _symmetric_scale(weights)
    for when, axis, image in zip(("before", "after"), axes, weights, strict=True):
        drawn = axis.imshow(
            image, cmap="RdBu_r", vmin=-scale, vmax=scale, aspect="auto", interpolation="nearest"
        )
        axis.set_title(f"Array 2 {when} learning")
        axis.set(ylabel="output (digit)", yticks=range(0, 10, 3))
    axes[-1].set_xlabel("hidden unit")
    maps.colorbar(drawn, ax=axes, label="weight $G_+ - G_-$ (µS)", aspect=20)

    low, high = WINDOW_uS
    bins = np.linspace(low, high, 73)
    histograms = cells.subplots(2, 1, sharex=True)
    for number, axis in zip((1, 2), histograms, strict=True):
        for when, state, style in (
            ("before", record.before_uS, {"color": FAINT, "alpha": 0.55}),
            ("after", record.after_uS, {"color": ARRAY_COLORS[number], "histtype": "step"}),
        ):
            values = np.clip(state[number].ravel(), low, high)
            share = np.full(values.shape, 100 / values.size)
            axis.hist(values, bins=bins, weights=share, label=when, **style)
        axis.set(title=f"Cells of array {number}", ylabel="cells (%)", xlim=(low, high))
        axis.legend(loc="best", handlelength=1.2)
    histograms[-1].set_xlabel("conductance (µS)")


def _draw_errors(figure: "SubFigure", record: LearningRecord) -> None:
    chosen = error_examples(record.labels, record.predicted, ERRORS_PER_DIGIT)
    wrong = int((record.labels != record.predicted).sum())
    figure.suptitle(
        f"Some of the {wrong:,} test digits taken for another (of {len(record.labels):,})",
        fontsize=10,
        fontweight="bold",
        x=0.01,
        ha="left",
    )
    axes = figure.subplots(ERRORS_PER_DIGIT, 10)
    for axis in axes.flat:
        axis.set_axis_off()
    for (row, digit), index in chosen.items():
        axis = axes[row, digit]
        axis.imshow(
            unpack(record.images[index : index + 1]).reshape(IMAGE_SIDE, IMAGE_SIDE),
            cmap="Greys",
            interpolation="nearest",
        )
        axis.set_title(
            f"{digit} taken for {record.predicted[index]}",
            fontsize=7.5,
            fontweight="normal",
            loc="center",
            pad=2,
        )


def receptive_fields(cells_uS: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights of array 1 as one picture: a square of 10 x 10 images, one per hidden unit.

    Args:
        cells_uS: Conductance, shape (2, 784, 100).

    Returns:
        G+ minus G-, shape (289, 289); NaN, drawn empty, between the images.
    """
    weights = (cells_uS[0] - cells_uS[1]).T.reshape(
        HIDDEN_GRID, HIDDEN_GRID, IMAGE_SIDE, IMAGE_SIDE
    )
    padded = np.pad(weights, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=np.nan)
    side = HIDDEN_GRID * (IMAGE_SIDE + 1)
    return padded.transpose(0, 2, 1, 3).reshape(side, side)[:-1, :-1]


def error_examples(
    labels: NDArray[np.uint8], predicted: NDArray[np.uint8], count: int
) -> dict[tuple[int, int], int]:
    """The first wrongly recognised digits of each class.

    Args:
        labels: Shape (n,): what they are.
        predicted: Shape (n,): what the chip takes them for.
        count: At most so many of each class.

    Returns:
        (which of the class, class) -> index; classes without an error are absent.
    """
    wrong = np.flatnonzero(labels != predicted)
    return {
        (row, digit): int(index)
        for digit in range(10)
        for row, index in enumerate(wrong[labels[wrong] == digit][:count])
    }


def _symmetric_scale(maps: Sequence[NDArray[np.float32]]) -> float:
    """A colour scale that shows nearly all weights and is the same on both sides of zero."""
    return float(max(np.nanpercentile(np.abs(image), 99.5) for image in maps)) or 1.0


def _no_ticks(axis: "Axes") -> None:
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)
