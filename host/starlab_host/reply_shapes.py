"""What the reply to a command looks like, as far as the command tells. Decodes no value."""

from collections.abc import Mapping, Sequence
from typing import Final

from starlab_spec.wire.requester import Requester
from starlab_spec.wire.transactions import Opcode, Transaction

_HEAD_BYTES: Final = 12
"""Opcode, status, reserved, length and address of a result."""
_READING_BYTES: Final = 12
_WORD_BYTES: Final = 4
_NOTHING: Final = frozenset({Opcode.WRITE_REG, Opcode.WRITE_MEM, Opcode.ABORT})
_SUPPLY: Final = frozenset({Opcode.GET_SUPPLY, Opcode.SET_SUPPLY})


def data_bytes(transaction: Transaction) -> int | None:
    """Length of the data of a good result; None where the transaction alone does not tell."""
    opcode, _, data, _ = transaction
    if opcode in _NOTHING:
        return 0
    if opcode in _SUPPLY:
        return _READING_BYTES
    if opcode == Opcode.READ_MEM:
        return int.from_bytes(data, "big")
    if opcode == Opcode.READ_REG:
        return _WORD_BYTES * int.from_bytes(data, "big")
    return None


def message_bytes(requester: Requester, asked: Mapping[int, Sequence[Transaction]]) -> int | None:
    """Length of the message that keeps the oldest command waiting; None if it is not known.

    Args:
        requester: The session's state machine.
        asked: What each outstanding command asks.
    """
    command = next(iter(requester.outstanding.values()), None)
    if command is None:
        return None
    if not command.delivered:
        return len(command.payload)
    sizes = [data_bytes(transaction) for transaction in asked.get(command.message_id, ())]
    known = [_HEAD_BYTES + size + -size % _WORD_BYTES for size in sizes if size is not None]
    return sum(known) if sizes and len(known) == len(sizes) else None
