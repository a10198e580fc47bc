"""One call's work on a board: what is done, how far it is, whether it is to stop. Sends nothing.

A call is often many commands. Its commands go through a view of the board that was made for it
(:meth:`starlab_host.Board.during`), so whatever ends it in the middle, it is known what was
done before. :func:`so_far` gives that of any error that leaves ``with work:``.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from starlab_host.board.commands import pulses_applied
from starlab_host.errors import Aborted, OutcomeUnknown, StarlabHostError
from starlab_host.session.chip_changes import changes_chip, leaves_traces
from starlab_host.session.numbered import CommandSession
from starlab_host.session.waiting import Progress, Stop
from starlab_spec.wire.transactions import Result, Status, Transaction

Report = Callable[[int, int], None]
"""Told how much is done, of how much."""

_IN_THE_MIDDLE: Final = frozenset({Status.ABORTED, Status.COMPLIANCE})
"""What a board says of an operation of which it has done a part."""
_CUMULATIVE: Final = frozenset({"samples", "supplies"})
"""Units of progress that stay done; cells within tolerance may leave it again."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a call is."""

    done: int
    total: int
    """0 where the amount is not known."""
    unit: str
    """What is counted: samples, cells, rows, supplies, ..."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a call has surely done, whatever has become of the rest."""

    changed: bool
    """Whether a pulse was given, or a setting or a supply changed."""
    pulses: int
    """Pulses on all cells together."""
    extent: Extent | None
    """How far it had come, in its own unit."""

    @property
    def amount(self) -> tuple[int, str]:
        """How much, and of what: samples or supplies of a call that goes through them, or pulses.

        A call that gives pulses to cells is measured by them: cells may leave the tolerance again.
        """
        if self.extent is not None and self.extent.unit in _CUMULATIVE:
            return self.extent.done, self.extent.unit
        return self.pulses, "pulses"

    def __str__(self) -> str:
        """For people: `1,234 pulses, 5 of 10 samples`."""
        if not (self.changed or self.pulses or self.extent):
            return "nothing"
        parts = [f"{self.pulses:,} pulses"]
        if self.extent is not None:
            total = f" of {self.extent.total:,}" if self.extent.total else ""
            parts.append(f"{self.extent.done:,}{total} {self.extent.unit}")
        return ", ".join(parts)


class Work:
    """One call's work on a board. The call runs on one thread; others may look, or stop it.

    Args:
        what: What was asked, for people.
        clock: Seconds; never set back.

    Attributes:
        what: What was asked.
        stop: Asks it to stop.
        began_at: When it was made, by the clock.
        pulses: Pulses that it has surely given.
        pulses_before: Pulses in the board's life before its first one; None: it has given none.
    """

    def __init__(self, what: str = "", *, clock: Callable[[], float] = time.monotonic) -> None:
        self.what = what
        self.stop = Stop()
        self.began_at = clock()
        self.pulses = 0
        self.pulses_before: int | None = None
        self._clock = clock
        self._changed = False
        self._extent: Extent | None = None
        self._unwinding = False

    def __enter__(self) -> Self:
        """The work itself; an error that leaves the block is told by :func:`so_far`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Note on an error what was done before it."""
        if error is not None:
            setattr(error, _NOTE, self.done)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._clock() - self.began_at

    @property
    def extent(self) -> Extent | None:
        """How far it is; None where that was not told."""
        return self._extent

    @property
    def done(self) -> Done:
        """What it has surely done."""
        return Done(self._changed, self.pulses, self._extent)

    def tell(self, done: int, total: int, unit: str) -> None:
        """Say how far it is."""
        self._extent = Extent(done, total, unit)

    def reporting(self, unit: str, also: Report | None = None) -> Report:
        """A function that says how far it is in a unit, to somebody else as well."""

        def report(done: int, total: int) -> None:
            self.tell(done, total, unit)
            if also is not None:
                also(done, total)

        return report

    @contextmanager
    def putting_back(self) -> Iterator[None]:
        """A block whose commands put things back: they run to their end, stopped or not."""
        before, self._unwinding = self._unwinding, True
        try:
            yield
        finally:
            self._unwinding = before

    def execute(
        self,
        session: CommandSession,
        transactions: Sequence[Transaction],
        *,
        read_only: bool,
        dry_run: bool,
        on_progress: Callable[[Progress], None],
    ) -> list[Result]:
        """Run a command of the call, unless it is to stop, and keep account of what was done.

        What a call still sends once it was stopped or refused runs to its end, as do the commands
        of :meth:`putting_back`.

        Raises:
            Aborted: The call is to stop; nothing was sent.
            StarlabHostError: As :meth:`CommandSession.execute`.
        """
        if self.stop.requested and not self._unwinding:
            raise Aborted(Status.ABORTED, "the call was stopped between two commands")
        changes = not (read_only or dry_run) and changes_chip(transactions)
        if changes and self.pulses_before is None:
            self.pulses_before = session.status().lifetime_pulses
        try:
            results = session.execute(
                transactions,
                read_only=read_only,
                dry_run=dry_run,
                on_progress=on_progress,
                stop=None if self._unwinding else self.stop,
            )
        except OutcomeUnknown as error:
            self._add(error.pulses)
            raise
        if not (read_only or dry_run):
            self._executed(transactions, results)
        if changes and results[-1].status != Status.OK:
            # an operation that was ended in the middle does not say how many pulses it has given
            self._changed = self._changed or results[-1].status in _IN_THE_MIDDLE
            with suppress(StarlabHostError):
                counted = session.status().lifetime_pulses - (self.pulses_before or 0)
                self._add(counted - self.pulses)
        return results

    def _executed(self, transactions: Sequence[Transaction], results: Sequence[Result]) -> None:
        """Take in what became of a command: results up to the first that failed."""
        last = results[-1].status
        complete = len(results) - (last != Status.OK)
        if not self._unwinding:  # what is put back is as it was
            self._changed = self._changed or leaves_traces(transactions[:complete])
        self._unwinding = self._unwinding or last != Status.OK
        self._add(pulses_applied(results))

    def _add(self, pulses: int) -> None:
        self.pulses += max(pulses, 0)
        self._changed = self._changed or pulses > 0


_NOTE: Final = "_starlab_done"


def so_far(error: BaseException) -> Done | None:
    """What a call had surely done when it ended in an error; None where nobody kept account."""
    found = getattr(error, _NOTE, None)
    return found if isinstance(found, Done) else None


def on_the_whole(operations: int, tell: Report, also: Report | None) -> Report:
    """A report on each of some operations as a report on all of them; ``also`` gets it as it is."""
    before = last = 0

    def report(done: int, total: int) -> None:
        nonlocal before, last
        if done < last:
            before += total
        last = done
        tell(before + done, operations * total)
        if also is not None:
            also(done, total)

    return report
