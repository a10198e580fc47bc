"""Four ways to teach an output layer of differential cells, in float: the published comparison.

`stellar1` and `stellar2` follow the rules of `starlab_spec.stellar`, without output activation and
with C1 = 0; `bp-with-verify` and `bp-without-verify` turn a gradient into pulses. Knows no
converter, no supply and no file; what a pulse does to a cell it is told as a table.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.compiled import compiled
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.geometry import (
    MINUS,
    PLUS,
    CONDUCTANCE_MAX_uS,
    CONDUCTANCE_MIN_uS,
    MID_WINDOW_uS,
    WINDOW_uS,
)
from starlab_spec.operations import PulseKind

Floats = NDArray[np.float64]
SET: Final = int(PulseKind.SET)
RESET: Final = int(PulseKind.RESET)
WEIGHT_PER_uS: Final = 0.9975 / WINDOW_uS
"""Weight of array 2 per uS of G+ - G- [C]."""


class Way(StrEnum):
    """How an error becomes pulses, by the published names."""

    STELLAR1 = "stellar1"
    """One phase, SET or RESET, per sample: cyclic."""
    STELLAR2 = "stellar2"
    """SET and RESET for each sample: non-cyclic."""
    BP_WITH_VERIFY = "bp-with-verify"
    """A gradient, written cell by cell with reads in between."""
    BP_WITHOUT_VERIFY = "bp-without-verify"
    """A gradient, written with as many pulses as it is expected to need, unread."""


class Device(NamedTuple):
    """What pulses do to a cell: tables over its conductance, as of the device models."""

    mean_uS: Floats
    """Mean steps, at least 0, shape (2, bins): SET from the bottom, RESET from the top."""
    std_uS: Floats
    """Their standard deviations, same shape."""

    @classmethod
    def of(
        cls,
        set_mean_uS: tuple[float, ...],
        reset_mean_uS: tuple[float, ...],
        set_std_uS: tuple[float, ...] | None = None,
        reset_std_uS: tuple[float, ...] | None = None,
    ) -> Self:
        """A device of these tables; without deviations its pulses are exact."""
        still = (0.0,) * len(set_mean_uS)
        return cls(
            np.array((set_mean_uS, reset_mean_uS)),
            np.array((set_std_uS or still, reset_std_uS or still)),
        )

    @property
    def nominal_uS(self) -> float:
        """Mean step of all bins, SET and RESET: what a controller expects of a pulse [O]."""
        return float(self.mean_uS.mean())


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the published comparison, on the float scale."""

    threshold: float = 6.0
    """Th of the output error; STELLAR only [P: swept 0..8]."""
    target_on: float = 10.0
    """Target of the labelled class [C]."""
    target_off: float = 0.0
    """Target of the others [C]."""
    learning_rate: float = 5e-3
    """Weight change per error and activity; BP only [C]."""
    tolerance_uS: float = 0.3
    """A cell that is to change by no more is left as it is, and one that is within it counts as
    written; BP only [O: what READ is fine enough for; the published one is not stated]."""
    pulses_max: int = 50
    """Most pulses on a cell for one update; BP only [C]."""

    def __post_init__(self) -> None:
        """Refuse what teaches nothing or never ends."""
        for name in ("threshold", "learning_rate", "tolerance_uS"):
            if not getattr(self, name) >= 0:
                raise LimitExceeded(name, getattr(self, name), 0)
        if self.pulses_max < 1:
            raise LimitExceeded("pulses_max", self.pulses_max, 1, "pulses")


def cells_of(weights: Floats) -> Floats:
    """Cells of some weights: G+ = 11 uS, G- = 11 uS - w, clipped to the window [C].

    Args:
        weights: On the float scale, (inputs, outputs).

    Returns:
        uS, shape (2, inputs, outputs).
    """
    plus = np.full(weights.shape, MID_WINDOW_uS)
    cells = np.stack((plus, MID_WINDOW_uS - weights / WEIGHT_PER_uS))
    return cells.clip(CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS)


class OutputLayer:
    """An output layer of cells that learns from hidden activities.

    Attributes:
        cells_uS: Conductances, (2, inputs, outputs).
        way: How it learns.
        device: What pulses do.
        settings: Thresholds, targets and rates.
        pulses: Pulses since it was made, (2,): SET and RESET.
        reads: Reads of single cells since it was made: those that verify.
        phase: Phase of the next sample, 0 for SET.
    """

    def __init__(
        self, cells_uS: Floats, way: Way, device: Device, settings: Settings, *, seed: int = 0
    ) -> None:
        """Make a layer; the cells are copied.

        Args:
            cells_uS: Shape (2, inputs, outputs), within the window.
            way: How it learns.
            device: What pulses do.
            settings: Thresholds, targets and rates.
            seed: Of the noise of pulses, if the device has any.

        Raises:
            ShapeError: Cells of another shape.
        """
        if cells_uS.ndim != 3 or cells_uS.shape[0] != 2:
            raise ShapeError("cells", f"have shape {cells_uS.shape}, expected (2, inputs, outputs)")
        self.cells_uS = np.array(cells_uS, np.float64, order="C")
        self.way = way
        self.device = device
        self.settings = settings
        self.pulses = np.zeros(2, np.int64)
        self.reads = 0
        self.phase = SET
        self._rng = np.random.Generator(np.random.PCG64(seed))
        self._noisy = bool(device.std_uS.any())

    def outputs(self, hidden: Floats) -> Floats:
        """``Z = W2' Y1`` on the float scale: (n, inputs) to (n, outputs)."""
        weights = (self.cells_uS[PLUS] - self.cells_uS[MINUS]) * WEIGHT_PER_uS
        outputs: Floats = hidden @ weights
        return outputs

    def accuracy(self, hidden: Floats, labels: NDArray[np.integer]) -> float:
        """Share of samples whose greatest output is that of their class."""
        return float((self.outputs(hidden).argmax(axis=1) == labels).mean())

    def learn(
        self, hidden: Floats, labels: NDArray[np.integer], order: NDArray[np.integer]
    ) -> None:
        """One update for each of some samples.

        Args:
            hidden: Hidden activities, at least 0, (n, inputs).
            labels: Classes, (n,).
            order: Which samples, in which order.

        Raises:
            ShapeError: Samples that do not fit the cells or each other.
            LimitExceeded: A label that is no class, an order beyond the samples.
        """
        _, inputs, classes = self.cells_uS.shape
        if hidden.shape != (len(labels), inputs):
            raise ShapeError("hidden", f"has shape {hidden.shape}, expected (n, {inputs})")
        for name, values, count in (("label", labels, classes), ("order", order, len(labels))):
            for value in values[(values < 0) | (values >= count)]:
                raise LimitExceeded(name, int(value), 0 if value < 0 else count - 1)
        hidden = np.ascontiguousarray(hidden, np.float64)
        classes_of = np.ascontiguousarray(labels, np.int64)
        which = np.ascontiguousarray(order, np.int64)
        setting = self.settings
        targets = (setting.target_off, setting.target_on)
        if self.way in (Way.STELLAR1, Way.STELLAR2):
            self.phase = _stellar(
                self.cells_uS,
                hidden,
                classes_of,
                which,
                targets,
                setting.threshold,
                self.way is Way.STELLAR1,
                self.phase,
                self.device,
                self._noisy,
                self._rng,
                self.pulses,
            )
            return
        self.reads += _back_propagation(
            self.cells_uS,
            hidden,
            classes_of,
            which,
            targets,
            setting.learning_rate / WEIGHT_PER_uS,
            self.way is Way.BP_WITH_VERIFY,
            setting.tolerance_uS,
            self.device.nominal_uS,
            setting.pulses_max,
            self.device,
            self._noisy,
            self._rng,
            self.pulses,
        )


@compiled
def _pulse(
    g: float,
    kind: int,
    device: Device,
    noisy: bool,
    rng: np.random.Generator,
) -> float:
    """Conductance after one pulse: ten equal bins, SET from the bottom, RESET from the top [C]."""
    bins = device.mean_uS.shape[1]
    depth = g - CONDUCTANCE_MIN_uS if kind == SET else CONDUCTANCE_MAX_uS - g
    entry = min(max(int(depth * (bins / WINDOW_uS)), 0), bins - 1)
    step = device.mean_uS[kind, entry]
    if noisy:
        step += device.std_uS[kind, entry] * rng.standard_normal()
    g = g + step if kind == SET else g - step
    return min(max(g, CONDUCTANCE_MIN_uS), CONDUCTANCE_MAX_uS)


@compiled
def _multiply(cells: Floats, y1: Floats, rows: NDArray[np.int64], z: Floats) -> int:
    """``z = W2' y1``; lists the rows with ``y1 > 0`` and returns how many."""
    found = 0
    z[:] = 0.0
    for j in range(y1.shape[0]):
        if y1[j] > 0.0:
            rows[found] = j
            found += 1
            for k in range(z.shape[0]):
                z[k] += y1[j] * ((cells[PLUS, j, k] - cells[MINUS, j, k]) * WEIGHT_PER_uS)
    return found


@compiled
def _stellar(
    cells: Floats,
    hidden: Floats,
    labels: NDArray[np.int64],
    order: NDArray[np.int64],
    targets: tuple[float, float],
    threshold: float,
    cyclic: bool,
    phase: int,
    device: Device,
    noisy: bool,
    rng: np.random.Generator,
    pulses: NDArray[np.int64],
) -> int:
    """Sign- and threshold-based updates; returns the phase after them."""
    classes = cells.shape[2]
    z = np.empty(classes)
    rows = np.empty(cells.shape[1], np.int64)
    for s in order:
        on = _multiply(cells, hidden[s], rows, z)
        for k in range(classes):
            error = targets[1 if k == labels[s] else 0] - z[k]
            rising = error > 0.0
            if abs(error) < threshold or error == 0.0:
                continue
            for kind in (SET, RESET):
                if cyclic and kind != phase:
                    continue
                plane = PLUS if rising == (kind == SET) else MINUS
                for index in range(on):
                    j = rows[index]
                    cells[plane, j, k] = _pulse(cells[plane, j, k], kind, device, noisy, rng)
                pulses[kind] += on
        if cyclic:
            phase = 1 - phase
    return phase


@compiled
def _back_propagation(
    cells: Floats,
    hidden: Floats,
    labels: NDArray[np.int64],
    order: NDArray[np.int64],
    targets: tuple[float, float],
    rate_uS: float,
    verify: bool,
    tolerance_uS: float,
    nominal_uS: float,
    pulses_max: int,
    device: Device,
    noisy: bool,
    rng: np.random.Generator,
    pulses: NDArray[np.int64],
) -> int:
    """Gradient steps, half on either cell; returns the reads of single cells.

    A weight is to change by ``rate * error * activity``, its "+" cell by half of that and its "-"
    cell by minus half [O]; no more than the tolerance is left undone. Without verify a cell gets as
    many pulses as that is nominal steps, to the nearest one. With verify it is read and pulsed
    until it is within the tolerance.
    """
    classes = cells.shape[2]
    z = np.empty(classes)
    rows = np.empty(cells.shape[1], np.int64)
    reads = 0
    for s in order:
        on = _multiply(cells, hidden[s], rows, z)
        for k in range(classes):
            error = targets[1 if k == labels[s] else 0] - z[k]
            for index in range(on):
                j = rows[index]
                half_uS = 0.5 * rate_uS * error * hidden[s, j]
                for plane in (PLUS, MINUS):
                    change_uS = half_uS if plane == PLUS else -half_uS
                    g = cells[plane, j, k]
                    if verify:
                        wanted = min(max(g + change_uS, CONDUCTANCE_MIN_uS), CONDUCTANCE_MAX_uS)
                        reads += 1
                        for _ in range(pulses_max):
                            if abs(wanted - g) <= tolerance_uS:
                                break
                            kind = SET if wanted > g else RESET
                            g = _pulse(g, kind, device, noisy, rng)
                            pulses[kind] += 1
                            reads += 1
                    else:
                        kind = SET if change_uS > 0.0 else RESET
                        count = 0
                        if abs(change_uS) > tolerance_uS:
                            count = min(int(abs(change_uS) / nominal_uS + 0.5), pulses_max)
                        for _ in range(count):
                            g = _pulse(g, kind, device, noisy, rng)
                        pulses[kind] += count
                    cells[plane, j, k] = g
    return reads
