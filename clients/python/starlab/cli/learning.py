"""``infer``, ``train`` and ``evaluate``: the whole network on labelled digits. Draws nothing."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
import typer

from starlab.cli.files import Output, load_array, values_or_file
from starlab.cli.terminal import (
    BoardId,
    Json,
    Url,
    connected,
    table,
)
from starlab.datasets import Digits, mnist
from starlab.http import DEFAULT_URL
from starlab.inputs import as_bits, as_labels
from starlab.learning import is_untaught, learn, prepare

MOST_EPOCHS: Final = 10_000
Images = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="Bits, .npy of shape (n, 784), or packed, (n, 98).",
        show_default="MNIST",
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="Classes 0..9, .npy of (n,).", show_default="MNIST"
    ),
]


def infer(
    images: Images = None,
    limit: Annotated[int, typer.Option(min=1, help="So many images at most.")] = 10,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="The codes of the 100 hidden units too, with --json.")
    ] = False,
    output: Output = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Run the network: ten outputs for each image."""
    inputs = mnist()[1].images if images is None else load_array(images, "--images")
    with connected(url, board_id, as_json) as (board, terminal):
        images_sent = np.atleast_2d(inputs)[:limit]
        told: dict[str, Any] = {}
        if hidden:
            outputs, codes = board.infer_with_hidden(images_sent)
            told["hidden"] = codes.tolist()
        else:
            outputs = board.infer(images_sent)
        labels = outputs.argmax(axis=1)
        listing = table("Inference: ten outputs", "image", "label", *map(str, range(10)))
        for index, (label, row) in enumerate(zip(labels, outputs, strict=True)):
            listing.add_row(str(index), str(label), *(str(value) for value in row))
        terminal.say(listing)
        told |= values_or_file("outputs", outputs, output)
        terminal.finish({"labels": labels.tolist(), **told})


def train(
    images: Images = None,
    labels: Labels = None,
    epochs: Annotated[
        int, typer.Option(min=1, max=MOST_EPOCHS, help="Passes through all images.")
    ] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Images sent together.")] = 1000,
    limit: Annotated[int | None, typer.Option(min=1, help="So many images at most.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Shuffle each epoch; left out: keep the order.")
    ] = None,
    from_scratch: Annotated[
        bool | None,
        typer.Option(
            "--from-scratch/--as-it-is",
            help="First form what is virgin, wipe what was learned, write random weights and set "
            "rails and settings that work; or do not.",
            show_default="only a formed chip that has learned nothing is prepared",
        ),
    ] = None,
    trim: Annotated[
        bool,
        typer.Option(
            "--trim",
            help="Where the chip is prepared: calibrate the supplies first, balance the read rails "
            "and level array 1, as generators want that do not give exactly what they are set to.",
        ),
    ] = False,
    layers: Annotated[str, typer.Option(help="Arrays to tune: 1,2 or 2 or 1.")] = "1,2",
    th: Annotated[int | None, typer.Option(help="Th: output error, output codes.")] = None,
    th1_uS: Annotated[
        float | None, typer.Option("--th1-uS", help="Th1: error driven back, uS.")
    ] = None,
    c1: Annotated[
        float | None, typer.Option(help="C1: hidden activity, fraction of the largest, or codes.")
    ] = None,
    c1_relative: Annotated[
        bool | None, typer.Option("--c1-relative/--c1-absolute", help="Meaning of C1.")
    ] = None,
    c2: Annotated[float | None, typer.Option(help="C2: output gate.")] = None,
    output_activation: Annotated[
        Literal["none", "relu", "sigmoid", "tanh"] | None, typer.Option(help="After the outputs.")
    ] = None,
    scheme: Annotated[
        Literal["cyclic", "non-cyclic"] | None, typer.Option(help="Order of SET and RESET.")
    ] = None,
    target_on: Annotated[int | None, typer.Option(help="Target of the right class, codes.")] = None,
    target_off: Annotated[int | None, typer.Option(help="Target of the others, codes.")] = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Learn labelled images, one after the other.

    A chip that learns from scratch follows a tried working point: rails fall and the threshold
    rises as it learns. Otherwise settings left out stay as they are, and learning goes on.
    """
    tuned = _layers(layers)
    changes: dict[str, Any] = {
        name: value
        for name, value in (
            ("th", th),
            ("th1_uS", th1_uS),
            ("c1", c1),
            ("c1_relative", c1_relative),
            ("c2", c2),
            ("output_activation", output_activation),
            ("scheme", scheme),
            ("target_on", target_on),
            ("target_off", target_off),
        )
        if value is not None
    }
    rng = None if seed is None else np.random.default_rng(seed)
    digits = _digits(images, labels, train=True, limit=limit)
    with connected(url, board_id, as_json) as (board, terminal):
        if from_scratch is None:
            from_scratch = tuned == [1, 2] and is_untaught(board)
        if from_scratch:
            if changes:  # what the board refuses, it refuses before the first pulse
                board.change_settings(**changes)
            with terminal.stages("preparing") as on_stage:
                rng = np.random.default_rng(seed or 0)
                prepare(board, rng=rng, trim=trim, on_stage=on_stage)
        with terminal.progress() as progress:
            task = progress.add_task("learning", total=epochs * len(digits), note="")
            correct = np.zeros(epochs, np.int64)
            pulses = np.zeros(2, np.int64)
            began = time.monotonic()
            teach = partial(learn, board) if from_scratch else board.train
            for step in teach(
                digits.images,
                digits.labels,
                batch=batch,
                epochs=epochs,
                rng=rng,
                layers=tuned,
                **changes,
            ):
                correct[step.epoch] += step.correct.sum()
                pulses += step.pulses.sum(axis=0)
                progress.update(task, completed=step.seen, note=f"{100 * step.accuracy:.1f} %")
                terminal.has_done(f"{step.seen:,} images learned, {pulses.sum():,} pulses")
            took_s = time.monotonic() - began
        steps = epochs * len(digits)
        accuracy = correct / len(digits)
        terminal.say(
            f"{steps:,} steps in {took_s:.1f} s; "
            f"{100 * accuracy[-1]:.2f} % of the last epoch right before being learned; "
            f"{pulses[0]:,} pulses on array 1, {pulses[1]:,} on array 2"
        )
        terminal.finish(
            {
                "accuracy": float(accuracy[-1]),
                "accuracy_by_epoch": accuracy.tolist(),
                "train_steps": steps,
                "epochs": epochs,
                "from_scratch": from_scratch,
                "pulses": int(pulses.sum()),
                "pulses_by_array": {"array1": int(pulses[0]), "array2": int(pulses[1])},
                "wall_time_s": took_s,
                "steps_per_s": steps / took_s,
            }
        )


def evaluate(
    images: Images = None,
    labels: Labels = None,
    batch: Annotated[int, typer.Option(min=1, help="Images sent together.")] = 2000,
    limit: Annotated[int | None, typer.Option(min=1, help="So many images at most.")] = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Classify labelled images and count how many are right."""
    digits = _digits(images, labels, train=False, limit=limit)
    with connected(url, board_id, as_json) as (board, terminal):
        correct = 0
        with terminal.progress() as progress:
            task = progress.add_task("evaluating", total=len(digits), note="")
            for first in range(0, len(digits), batch):
                part = slice(first, first + batch)
                correct += board.evaluate(digits.images[part], digits.labels[part]).correct
                seen = min(first + batch, len(digits))
                progress.update(task, completed=seen, note=f"{100 * correct / seen:.2f} %")
                terminal.has_done(f"{correct:,} of {seen:,} images right")
        accuracy = correct / len(digits)
        terminal.say(f"{100 * accuracy:.2f} %: {correct:,} of {len(digits):,} images right")
        terminal.finish({"accuracy": accuracy, "correct": correct, "samples": len(digits)})


def _digits(images: Path | None, labels: Path | None, *, train: bool, limit: int | None) -> Digits:
    if (images is None) != (labels is None):
        raise typer.BadParameter("give both --images and --labels, or neither")
    if images is None or labels is None:
        digits = mnist()[0 if train else 1]
    else:
        packed = as_bits(load_array(images, "--images"))
        classes = as_labels(load_array(labels, "--labels"), len(packed))
        digits = Digits(packed, classes.astype(np.uint8))
    if not len(digits):
        raise typer.BadParameter("there is no image", param_hint="--images")
    return digits.head(limit or len(digits))


def _layers(text: str) -> list[int]:
    if text not in ("1", "2", "1,2"):
        raise typer.BadParameter(f"{text!r}: choose 1,2 or 2 or 1", param_hint="--layers")
    return [int(number) for number in text.split(",")]
