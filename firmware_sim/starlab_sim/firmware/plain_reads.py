"""The one-word register reads that a command begins with, at a third of the price. Changes nothing.

Hundreds of them may be in one frame. Whatever is out of the ordinary is left to the board.
"""

from collections.abc import Sequence
from typing import Final

from starlab_sim.firmware.identity import FIRST_COUNTER
from starlab_sim.firmware.register_file import RegisterFile, pack_words
from starlab_spec.wire.transactions import Opcode, Result, Status, Transaction

MOST: Final = 1000
"""Reads at once at most: far below the board's limit on result data, which is asked only then."""

_READ_REG: Final = int(Opcode.READ_REG)
_OK: Final = int(Status.OK)
_ONE: Final = pack_words([1])
_PLAIN: Final = frozenset(range(0, FIRST_COUNTER, 4))
"""Addresses of words that need not be brought up to date before they are read."""


def plain_reads(registers: RegisterFile, transactions: Sequence[Transaction]) -> list[Result]:
    """Results of the plain reads among the first transactions, up to the first that is none."""
    content = registers.read(0, FIRST_COUNTER // 4)
    results: list[Result] = []
    for opcode, address, data, flags in transactions[:MOST]:
        if opcode != _READ_REG or data != _ONE or flags or address not in _PLAIN:
            break
        # as the class itself makes it, at half the price
        fields = (opcode, _OK, address, content[address : address + 4])
        results.append(tuple.__new__(Result, fields))
    return results
