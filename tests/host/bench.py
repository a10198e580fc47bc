"""A bench to test the host on: the real emulated board, reached without a link."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from starlab_host.board.board import Board
from starlab_host.chip.chip import Chip
from starlab_host.session.statistics import LinkStatistics
from starlab_host.session.stopping import STOP, confirmed
from starlab_host.session.waiting import Progress, Stop, Stopped
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_spec.wire import BoardStatus
from starlab_spec.wire.transactions import Result, Transaction


class DirectSession:
    """A session without frames: commands go straight to the board, one after the other."""

    def __init__(self, board: EmulatedBoard) -> None:
        self.board = board
        self.commands: list[list[Transaction]] = []
        self.before_execute: Callable[[Sequence[Transaction]], None] = lambda transactions: None
        self.aborted: Callable[[], bool] = lambda: False
        self.aborts = 0
        self.is_closed = False
        self.statistics = LinkStatistics()

    @property
    def identity(self) -> dict[str, Any]:
        return self.board.identity()

    @property
    def boot_id(self) -> int:
        return self.board.boot_id

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        read_only: bool = False,
        dry_run: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
        stop: Stop | None = None,
    ) -> list[Result]:
        self.before_execute(transactions)
        self.commands.append(list(transactions))

        def progress(done: int, total: int, text: str) -> None:
            if on_progress is not None:
                on_progress(Progress(done, total, text))

        def aborted() -> bool:
            return self.aborted() or (stop is not None and stop.requested)

        return self.board.execute(transactions, dry_run=dry_run, aborted=aborted, progress=progress)

    def abort(self) -> None:
        self.aborts += 1

    def emergency_stop(self, timeout_s: float) -> Stopped:
        return Stopped(confirmed(self.board.execute(STOP.transactions)), 0)

    def status(self) -> BoardStatus:
        return BoardStatus(1, lifetime_pulses=self.board.lifetime_pulses, faults=self.board.faults)

    def close(self) -> None:
        self.is_closed = True


class Bench:
    """A board that is up, its chip, and what is behind them."""

    def __init__(self, specimen: Specimen, *, up: bool = True) -> None:
        self.emulated = EmulatedBoard(specimen, serial="bench", rng=random.Random(1))
        self.session = DirectSession(self.emulated)
        self.board = Board(self.session)
        self.chip = Chip(self.board)
        if up:
            self.board.bring_up()

    @property
    def pulses(self) -> int:
        """Pulses that the chip has got, behind the board's back."""
        return self.emulated.lifetime_pulses


def as_real(bench: Bench) -> Bench:
    """The same board, which says that it is a real one."""
    identity = {**bench.session.board.identity(), "emulated": False}

    class RealSession(type(bench.session)):  # type: ignore[misc]
        @property
        def identity(self) -> dict[str, Any]:
            return identity

    bench.session = RealSession(bench.emulated)
    bench.board = Board(bench.session, sleep=lambda seconds: None)
    bench.chip = Chip(bench.board)
    return bench
