"""Which commands change the chip, its supplies, latches or settings. Sends nothing.

For the journal registers and memory do not count: they can be read back and written again without
harm, except for the registers that act when they are written.
"""

import json
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
_OWNED: Final = frozenset(
    register(name).address
    for name in (
        *("READ_ADDRESS", "MASK_KIND", "MASK_ADDRESS", "SAMPLE_ADDRESS", "SAMPLE_STRIDE"),
        *("BATCH_FIRST", "BATCH_COUNT", "RESULT_ADDRESS", "RESULT_FORMAT"),
        *("TARGET_MODE", "TARGET_ADDRESS", "LAYERS"),
    )
)
"""Registers that calls of the chip own: each sets those that it relies on."""
_MODE: Final = register("MODE")
_ARRAY_SELECT: Final = _MODE.field("array1").mask
_HARMLESS: Final = READ_ONLY_OPCODES | {Opcode.WRITE_MEM, Opcode.ABORT}
_WORD: Final = struct.Struct(">I")


def changes_chip(transactions: Iterable[Transaction]) -> bool:
    """Whether a command must never be executed twice or lost: pulses, supplies, latches, ...

    What is not known here counts as a change.
    """
    return any(_changes_chip(transaction) for transaction in transactions)


def leaves_traces(transactions: Iterable[Transaction]) -> bool:
    """Whether a command changes the chip, or a register that a user sets."""
    return any(_changes_chip(one) or _changes_register(one) for one in transactions)


def _changes_register(transaction: Transaction) -> bool:
    opcode, address, data, _ = transaction
    if opcode != Opcode.WRITE_REG or len(data) < 8:
        return False
    if address == _MODE.address and len(data) == 8:
        return bool(_WORD.unpack_from(data)[0] & ~_ARRAY_SELECT)
    return any(at not in _OWNED for at in range(address, address + len(data) - 4, 4))


def _only_asks(request: bytes) -> bool:
    """Whether a request to an emulated board changes nothing but memory."""
    try:
        asked = json.loads(request)
    except ValueError:
        return False
    return isinstance(asked, dict) and asked.keys() == {"formed"}


def _changes_chip(transaction: Transaction) -> bool:
    opcode, address, data, _ = transaction
    if opcode in _HARMLESS:
        return False
    if opcode == Opcode.WRITE_REG:
        # the mask comes before the words
        return any(address <= acting < address + len(data) - 4 for acting in _ACTING)
    if opcode == Opcode.EMULATOR:
        return not _only_asks(data)
    if opcode == Opcode.START and len(data) == 4:
        return bool(_WORD.unpack(data)[0] & _PULSING)
    return True
