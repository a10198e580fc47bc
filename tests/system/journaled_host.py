"""A host that applies a plan of single pulses with a journal, and may be killed at any time.

Started again it goes on: what was executed is not repeated, what was not is sent, what is in doubt
is named. It says what happens as one JSON object a line on standard output.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_host import (
    Aborted,
    Entry,
    EntryState,
    Journal,
    LinkError,
    NotReady,
    OutcomeUnknown,
    connect,
)
from starlab_host.board.commands import select_array, write_field, write_register
from starlab_spec.geometry import array_geometry
from starlab_spec.operations import Operation, PulseKind
from starlab_spec.registers import register
from starlab_spec.wire.transactions import Transaction, start

AWAY: Final = 3
"""Exit code if the board did not answer for too long."""
_PER_STEP: Final = 3
"""Transactions of a step, the last one START, and as many before the first step."""
_RETRY_S: Final = 0.2
_PROGRESS_COMMANDS: Final = 200

Steps = tuple[int, ...]


class Plan:
    """Pulses on single cells: step 0, 1, ... of a seed.

    Args:
        seed: Decides all steps.
        pulses: Number of steps.
        array: 1 or 2.

    Attributes:
        cells: Flat index of each step's cell.
    """

    def __init__(self, seed: int, pulses: int, array: int = 1) -> None:
        self.array = array_geometry(array)
        self.pulses = pulses
        rng = np.random.default_rng(seed)
        self._kinds = rng.integers(0, 2, pulses)
        self.cells = rng.integers(0, self.array.cells, pulses)

    def counts(self, steps: Iterable[int] | None = None) -> NDArray[np.int64]:
        """Pulses of some steps, of all by default: shape (SET and RESET, 2, inputs, outputs)."""
        chosen = np.arange(self.pulses) if steps is None else np.fromiter(steps, np.int64)
        counts = np.zeros((2, self.array.cells), np.int64)
        np.add.at(counts, (self._kinds[chosen], self.cells[chosen]), 1)
        return counts.reshape(2, *self.array.shape)

    def command(self, steps: Sequence[int]) -> list[Transaction]:
        """Some steps as one command of published registers, after what is common to all steps."""
        number = f"NUMBER{self.array.number}"
        transactions = [
            select_array(self.array),
            write_field(number, "set_number", 0),
            write_field(number, "reset_number", 0),
        ]
        for step in steps:
            transactions += self._pulse(step)
        return transactions

    def _pulse(self, step: int) -> list[Transaction]:
        plane, row, column = map(int, np.unravel_index(self.cells[step], self.array.shape))
        kind = Operation[PulseKind(self._kinds[step]).name]
        if self.array.number == 1:
            row_word = register("ROW").pack(block=3 - row // 196, offset=row % 196)
        else:
            # physical columns: even ones "-", odd ones "+"
            row_word, column = row, 2 * column + 1 - plane
        mask = 1 << column
        words = [mask >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)]
        return [
            write_register("CELL", register("CELL").pack(upper=1 - plane, lower=plane)),
            write_register("ROW", row_word, *words),
            start(kind),
        ]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a journal says that its plan is."""

    settled: int
    """Steps that are not to be sent any more, those in doubt among them."""
    in_doubt: Steps


def progress_of(path: Path) -> Progress:
    """The progress in a journal that no process has open."""
    with Journal(path) as journal:
        return _progress(journal)


def run(
    url: str, journal: Journal, plan: Plan, *, batch: int, patience_s: float
) -> Iterator[dict[str, Any]]:
    """Apply what is left of a plan; yields what happens.

    Raises:
        LinkError: The board did not answer for that long.
    """
    heard_at = time.monotonic()
    while _left(journal, plan):
        before, found = journal.session, journal.recovered
        try:
            with connect(url, client_name="journaled host", journal=journal) as board:
                heard_at = time.monotonic()
                resumed = journal.session == before
                yield _connected(journal, board.boot_id, resumed=resumed, found=found)
                for number, steps in enumerate(_batches(_left(journal, plan), batch)):
                    if number % _PROGRESS_COMMANDS == 0:
                        yield {"event": "progress", "settled": _progress(journal).settled}
                    with journal.noted(f"steps {steps[0]}..{steps[-1]}"):
                        board.execute(plan.command(steps))
                    heard_at = time.monotonic()
        except (OutcomeUnknown, NotReady, Aborted):
            continue
        except LinkError:
            if time.monotonic() > heard_at + patience_s:
                raise
            time.sleep(_RETRY_S)
    progress = _progress(journal)
    yield {"event": "finished", "settled": progress.settled, "in_doubt": progress.in_doubt}


def _connected(journal: Journal, boot_id: int, *, resumed: bool, found: object) -> dict[str, Any]:
    fresh = journal.recovered is not found
    recovered = journal.recovered
    groups = {
        "executed": recovered.executed,
        "not_sent": recovered.not_sent,
        "unknown": recovered.unknown,
    }
    steps = {name: _union(steps_of, entries) if fresh else () for name, entries in groups.items()}
    return {"event": "connected", "boot_id": boot_id, "resumed": resumed, **steps}


def _left(journal: Journal, plan: Plan) -> list[int]:
    """Steps to be sent: those of the newest entries that were not, and all after them."""
    entries = journal.newest()
    begun = _union(steps_of, entries)
    spent = set(_union(_spent, entries))
    first_unbegun = max(begun, default=-1) + 1
    return sorted(set(begun) - spent) + list(range(first_unbegun, plan.pulses))


def _progress(journal: Journal) -> Progress:
    entries = journal.newest()
    begun = _union(steps_of, entries)
    open_steps = set(begun) - set(_union(_spent, entries))
    settled = max(begun, default=-1) + 1 - len(open_steps)
    return Progress(settled, _union(steps_of, journal.in_doubt()))


def _union(part: Callable[[Entry], Steps], entries: Iterable[Entry]) -> Steps:
    return tuple(sorted({step for entry in entries for step in part(entry)}))


def steps_of(entry: Entry) -> Steps:
    """The steps of a command."""
    words = entry.note.removeprefix("steps ").split("..")
    return tuple(range(int(words[0]), int(words[1]) + 1)) if entry.note else ()


def _spent(entry: Entry) -> Steps:
    """The steps of a command that must not be sent any more."""
    if entry.state is EntryState.NOT_SENT:
        return ()
    if entry.state is EntryState.REFUSED:
        return steps_of(entry)[: max((entry.executed or 0) // _PER_STEP - 1, 0)]
    return steps_of(entry)


def _batches(steps: Sequence[int], size: int) -> Iterator[Steps]:
    """Runs of successive steps, at most so long."""
    batch: list[int] = []
    for step in steps:
        if batch and (len(batch) == size or step != batch[-1] + 1):
            yield tuple(batch)
            batch = []
        batch.append(step)
    if batch:
        yield tuple(batch)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the plan is done; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", required=True, metavar="URL")
    parser.add_argument("--journal", required=True, type=Path, metavar="FILE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pulses", type=int, default=1000)
    parser.add_argument("--array", type=int, choices=(1, 2), default=1)
    parser.add_argument("--batch", type=int, default=1, help="steps in one command")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds without the board")
    options = parser.parse_args(arguments)
    plan = Plan(options.seed, options.pulses, options.array)
    with Journal(options.journal) as journal:
        try:
            for event in run(
                options.board, journal, plan, batch=options.batch, patience_s=options.patience
            ):
                print(json.dumps(event), flush=True)
        except LinkError as error:
            print(error, file=sys.stderr)
            return AWAY
    return 0


if __name__ == "__main__":
    sys.exit(main())
