"""An emulated board on the bench, driven by transactions and without any link."""

import random
from collections.abc import Callable

import pytest

from starlab_sim import Board, Specimen
from starlab_spec.registers import register
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire import transactions as wire
from starlab_spec.wire.transactions import Result, Status, Transaction


class Bench:
    """A board and short words for what the tests do with it."""

    def __init__(self, specimen: Specimen) -> None:
        self.board = Board(specimen, serial="EMU-1", rng=random.Random(1))

    def do(self, *transactions: Transaction) -> list[Result]:
        """Execute a command all of which must succeed."""
        results = self.board.execute(transactions)
        assert [result.message for result in results] == [""] * len(transactions)
        return results

    def refusal(
        self,
        *transactions: Transaction,
        dry_run: bool = False,
        aborted: Callable[[], bool] = lambda: False,
    ) -> tuple[Status, str]:
        """Execute a command whose last transaction must fail, and only that."""
        results = self.board.execute(transactions, dry_run=dry_run, aborted=aborted)
        assert len(results) == len(transactions)
        assert all(result.status == Status.OK for result in results[:-1])
        assert results[-1].status != Status.OK
        return Status(results[-1].status), results[-1].message

    def power_up(self) -> None:
        """All 22 supplies at the published settings, in index order."""
        self.do(*(wire.set_supply(c.index, c.default_code) for c in SUPPLIES))

    def write(self, **words: int) -> None:
        """Write whole registers, by name."""
        self.do(*(wire.write_registers(register(n).address, [w]) for n, w in words.items()))

    def read(self, name: str) -> int:
        """The word of a register."""
        return wire.words(self.do(wire.read_registers(register(name).address))[0])[0]

    def counter(self, name: str) -> int:
        """A 64-bit counter."""
        high, low = wire.words(self.do(wire.read_registers(register(f"{name}_HIGH").address, 2))[0])
        return high << 32 | low

    def start(self, operation: int) -> bytes:
        """Run an operation that must succeed."""
        return self.do(wire.start(operation))[0].data

    def select(
        self, array: int, row: int, columns: int, *, upper: bool = True, lower: bool = True
    ) -> None:
        """Select cells by the published registers; ``columns`` is the mask."""
        row_word = (3 - row // 196) | (row % 196) << 2 if array == 1 else row
        mask = [columns >> shift & 0xFFFFFFFF for shift in (0, 32, 64, 96)]
        self.do(
            wire.write_registers(0x2C, [1 if array == 1 else 0], mask=1),
            wire.write_registers(0x18, [row_word]),
            wire.write_registers(0x1C, mask),
            wire.write_registers(0x14, [upper | lower << 8], mask=0x101),
        )


@pytest.fixture
def bench() -> Bench:
    """A formed chip of seed 1 on a board that was just switched on: all supplies off."""
    return Bench(Specimen(seed=1))


@pytest.fixture
def powered(bench: Bench) -> Bench:
    """The same with its supplies up."""
    bench.power_up()
    return bench


@pytest.fixture
def virgin() -> Bench:
    """A virgin chip of seed 1, supplies up."""
    bench = Bench(Specimen(seed=1, virgin=True))
    bench.power_up()
    return bench
