"""Boards to test the host with: the real emulated board, reached without a link."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from starlab_host.board import Board
from starlab_host.chip import Chip
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_spec.wire import BoardStatus, Event, EventKind
from starlab_spec.wire.transactions import Result, Transaction


class DirectSession:
    """A session without frames: commands go straight to the board, one after the other."""

    def __init__(self, board: EmulatedBoard) -> None:
        self.board = board
        self.commands: list[list[Transaction]] = []
        self.before_execute: Callable[[], None] = lambda: None
        self.aborted: Callable[[], bool] = lambda: False

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
        on_progress: Callable[[Event], None] | None = None,
    ) -> list[Result]:
        self.before_execute()
        self.commands.append(list(transactions))

        def progress(done: int, total: int, text: str) -> None:
            if on_progress is not None:
                on_progress(Event(EventKind.PROGRESS, done, total, text))

        return self.board.execute(
            transactions, dry_run=dry_run, aborted=self.aborted, progress=progress
        )

    def abort(self) -> None:
        pass

    def status(self) -> BoardStatus:
        return BoardStatus(1, lifetime_pulses=self.board.lifetime_pulses, faults=self.board.faults)

    def close(self) -> None:
        pass


class Bench:
    """A board that is up, its chip, and what is behind them."""

    def __init__(self, specimen: Specimen) -> None:
        self.emulated = EmulatedBoard(specimen, serial="bench", rng=random.Random(1))
        self.session = DirectSession(self.emulated)
        self.board = Board(self.session)
        self.board.bring_up()
        self.chip = Chip(self.board)

    @property
    def pulses(self) -> int:
        """Pulses that the chip has got, behind the board's back."""
        return self.emulated.lifetime_pulses


@pytest.fixture
def bench() -> Bench:
    """A formed chip of nonlinear-3 cells."""
    return Bench(Specimen(seed=3))


@pytest.fixture
def virgin_bench() -> Bench:
    """A virgin chip."""
    return Bench(Specimen(seed=3, virgin=True))
