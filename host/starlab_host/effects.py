"""Which commands change the chip, its supplies or the board's latches. Sends nothing.

Registers and memory are not counted: they can be read back and written again without harm, except
for the registers that act when they are written.
"""

import struct
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Final

from starlab_spec.operations import PULSING
from starlab_spec.registers import register
from starlab_spec.wire.transactions import READ_ONLY_OPCODES, Opcode, Transaction

_PULSING: Final = reduce(or_, PULSING)
_ACTING: Final = tuple(register(name).address for name in ("START", "FAULT_SET", "FAULT_CLEAR"))
_HARMLESS: Final = READ_ONLY_OPCODES | {Opcode.WRITE_MEM, Opcode.ABORT}
_WORD: Final = struct.Struct(">I")


def changes_chip(transactions: Iterable[Transaction]) -> bool:
    """Whether a command must never be executed twice or lost: pulses, supplies, latches, ...

    What is not known here counts as a change.
    """
    return any(_changes_chip(transaction) for transaction in transactions)


def _changes_chip(transaction: Transaction) -> bool:
    opcode, address, data, _ = transaction
    if opcode in _HARMLESS:
        return False
    if opcode == Opcode.WRITE_REG:
        # the mask comes before the words
        return any(address <= acting < address + len(data) - 4 for acting in _ACTING)
    if opcode == Opcode.START and len(data) == 4:
        return bool(_WORD.unpack(data)[0] & _PULSING)
    return True
