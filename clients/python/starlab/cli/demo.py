"""``demo``: a chip learns MNIST from scratch, on a server of its own. Touches no board but that."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import Progress
from rich.table import Table

from starlab.board import Board
from starlab.cli.ending import ExitCode
from starlab.cli.local_server import local_server
from starlab.cli.picture import LearningRecord, draw
from starlab.cli.processes import Effects, given
from starlab.cli.terminal import BoardId, Json, Terminal, only_board, reporting, table
from starlab.client import Client
from starlab.datasets import Digits, mnist
from starlab.energy_report import Work, energy_report
from starlab.learning import learn, prepare
from starlab.results import Evaluation
from starlab_contract import ArrayPulses, Counters

BATCH: Final = 1000
CHECKPOINT_DIGITS: Final = 5000
"""Between two looks at the test digits; before the first of them, after each batch."""
CHECKPOINT_TESTS: Final = 2000
"""Test digits of such a look; the last one takes all."""
KINDS: Final = ("set", "reset", "form")


@dataclass(frozen=True, slots=True)
class Learned:
    """What learning gave, batch by batch."""

    seen: NDArray[np.int64]
    """Shape (batches,): digits learned so far."""
    running: NDArray[np.float64]
    """Shape (batches,): share that was right before being learned."""
    pulses: NDArray[np.int64]
    """Shape (batches, 2): pulses on arrays 1 and 2."""
    checkpoints: list[tuple[int, float]]
    """Digits learned, accuracy on test digits."""
    took_s: float
    """Wall time of learning alone."""

    @property
    def steps_per_s(self) -> float:
        """Learning steps a second."""
        return float(self.seen[-1] / self.took_s)


def demo(
    epochs: Annotated[int, typer.Option(min=1, max=10, help="Passes through the digits.")] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many training digits.", show_default="all 60,000")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the chip and its weights.")] = 1,
    output: Annotated[
        Path, typer.Option("--output", "-o", file_okay=False, help="Folder for picture and log.")
    ] = Path("demo-output"),
    url: Annotated[
        str | None,
        typer.Option(help="Use this server instead of an own one.", show_default="its own server"),
    ] = None,
    board_id: BoardId = None,
    effects: Effects = None,
    as_json: Json = False,
) -> None:
    """Learn MNIST from scratch on a chip; draw how it went."""
    began = time.monotonic()
    if url is not None and effects is not None:
        raise typer.BadParameter(
            "is for the demo's own chip, not for --url", param_hint="--effects"
        )
    if find_spec("matplotlib") is None:
        Terminal(as_json=as_json).note("The picture needs matplotlib: pip install matplotlib")
        raise typer.Exit(ExitCode.FAILED)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{output}: {error.strerror}", param_hint="--output") from None
    training, test = mnist()
    training = training.head(limit or len(training))
    rng = np.random.default_rng(seed)
    with reporting(as_json) as terminal, ExitStack() as stack:
        progress = stack.enter_context(terminal.progress())
        if url is None:
            starting = progress.add_task("starting", total=1, note="server and emulated chip")
            options = ["--virgin", *given(seed=seed, effects=effects)]
            url = stack.enter_context(local_server(options, output / "server.log"))
            progress.update(starting, completed=1, note="")
        client = stack.enter_context(Client(url))
        chosen = board_id or only_board(client)
        stack.enter_context(terminal.attending(client, chosen))
        board = client.board(chosen)

        start = board.counters()
        preparing = progress.add_task("preparing", total=1, note="")
        prepare(
            board,
            rng=rng,
            trim=effects is not None,
            on_stage=lambda stage: progress.update(preparing, note=stage),
        )
        progress.update(preparing, completed=1, note="")
        before_uS = _conductances_uS(board)
        prepared = board.counters()
        learned = _learn(board, training, test.head(CHECKPOINT_TESTS), epochs, rng, progress)
        end = board.counters()
        evaluation = _evaluate(board, test, progress)
        after_uS = _conductances_uS(board)

        drawing = progress.add_task("drawing", total=1, note="")
        picture = output / "learning.png"
        steps = int(learned.seen[-1])
        record = LearningRecord(
            title=f"MNIST learned on the chip: {100 * evaluation.accuracy:.2f} % of "
            f"{len(test):,} test digits right after {steps:,} learning steps",
            seen=learned.seen,
            running=learned.running,
            pulses=learned.pulses,
            checkpoints=[*learned.checkpoints, (steps, evaluation.accuracy)],
            before_uS=before_uS,
            after_uS=after_uS,
            images=test.images,
            labels=test.labels,
            predicted=evaluation.predicted,
        )
        draw(record, picture)
        progress.advance(drawing)
        progress.stop()

        by_kind = _pulses(start, end)
        by_method = energy_report(Work.between(prepared, end, board.settings()))
        result = {
            "test_accuracy": evaluation.accuracy,
            "train_accuracy": float(learned.running[-10:].mean()),
            "train_steps": steps,
            "steps_per_s": round(learned.steps_per_s, 1),
            "pulses": sum(count for kinds in by_kind.values() for count in kinds.values()),
            "pulses_by_kind": by_kind,
            "learning_pulses": int(learned.pulses.sum()),
            "energy_j": end.energy_j - start.energy_j,
            "learning_energy_j": end.energy_j - prepared.energy_j,
            "published_method": {
                "chip_j": by_method.chip_j,
                "processor_j": by_method.processor_j,
                "ratio": by_method.ratio,
            },
            "emulated_time_s": end.emulated_time_s - start.emulated_time_s,
            "learning_time_s": learned.took_s,
            "wall_time_s": time.monotonic() - began,
            "epochs": epochs,
            "seed": seed,
            "picture": str(picture),
        }
        terminal.say(_summary(result))
        terminal.print_json(result)


def _learn(
    board: Board,
    training: Digits,
    test: Digits,
    epochs: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Learned:
    task = progress.add_task("learning", total=epochs * len(training), note="")
    seen, running, pulses, checkpoints = [], [], [], [(0, _accuracy(board, test))]
    took_s, began = 0.0, time.monotonic()
    steps = learn(board, training.images, training.labels, batch=BATCH, epochs=epochs, rng=rng)
    for step in steps:
        took_s += time.monotonic() - began
        seen.append(step.seen)
        running.append(step.accuracy)
        pulses.append(step.pulses.sum(axis=0))
        is_due = step.seen < CHECKPOINT_DIGITS or step.seen % CHECKPOINT_DIGITS == 0
        if is_due and step.seen < epochs * len(training):
            checkpoints.append((step.seen, _accuracy(board, test)))
        note = f"{step.seen:,} digits, {100 * step.accuracy:.1f} % right"
        progress.update(task, completed=step.seen, note=note)
        began = time.monotonic()
    return Learned(np.array(seen), np.array(running), np.array(pulses), checkpoints, took_s)


def _accuracy(board: Board, digits: Digits) -> float:
    return board.evaluate(digits.images, digits.labels).accuracy


def _evaluate(board: Board, digits: Digits, progress: Progress) -> Evaluation:
    task = progress.add_task("evaluating", total=len(digits), note="")
    evaluation = board.evaluate(digits.images, digits.labels)
    progress.update(task, completed=len(digits), note=f"{100 * evaluation.accuracy:.2f} %")
    return evaluation


def _conductances_uS(board: Board) -> dict[int, NDArray[np.float32]]:
    return {number: array.conductance_uS() for number, array in board.arrays.items()}


def _pulses(start: Counters, end: Counters) -> dict[str, dict[str, int]]:
    """Pulses between two looks at the counters, by array and kind."""

    def between(before: ArrayPulses, after: ArrayPulses) -> dict[str, int]:
        return {kind: getattr(after, kind) - getattr(before, kind) for kind in KINDS}

    return {
        "array1": between(start.pulses.array1, end.pulses.array1),
        "array2": between(start.pulses.array2, end.pulses.array2),
    }


def _published(energy: dict[str, float]) -> str:
    ratio = f"{1e3 * energy['chip_j']:.3g} mJ, a processor {energy['processor_j']:.3g} J"
    return f"{ratio}: 1/{1 / energy['ratio']:,.0f}" if energy["ratio"] else ratio


def _summary(result: dict[str, Any]) -> Table:
    listing = table("A chip has learned MNIST", "", "")
    listing.show_header = False
    pulses = result["pulses_by_kind"]
    for name, value in (
        ("test accuracy, 10,000 digits", f"{100 * result['test_accuracy']:.2f} %"),
        ("last training digits, before being learned", f"{100 * result['train_accuracy']:.2f} %"),
        ("learning steps", f"{result['train_steps']:,}"),
        *(
            (f"{kind.upper()} pulses, array {number}", f"{pulses[f'array{number}'][kind]:,}")
            for number in (1, 2)
            for kind in KINDS
        ),
        ("energy on the chip, all", f"{1e3 * result['energy_j']:.3g} mJ"),
        ("energy on the chip, learning", f"{1e3 * result['learning_energy_j']:.3g} mJ"),
        ("its steps alone, by the published method", _published(result["published_method"])),
        ("time on the chip", f"{result['emulated_time_s']:.3g} s"),
        ("time here, learning", f"{result['learning_time_s']:.1f} s"),
        ("learning steps per second", f"{result['steps_per_s']:,.0f}"),
        ("time here, all", f"{result['wall_time_s']:.1f} s"),
        ("picture", result["picture"]),
    ):
        listing.add_row(name, value)
    return listing
