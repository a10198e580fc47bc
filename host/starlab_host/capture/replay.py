"""A capture given once more to an emulated board, and where its replies differ. Writes no file.

The commands are sent one after the other in sessions of their own, so that session, boot and
message ids are the new ones; what a board says of these ids is not compared. Silence, aborts and
whatever else depends on the time are not repeated as they were.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from starlab_host.capture.conversation import Conversation, Exchange
from starlab_host.errors import OutcomeUnknown, SessionEnded, StarlabHostError
from starlab_host.session.session import Session
from starlab_spec.registers import register
from starlab_spec.wire import FrameFlag, Opcode, Result, Status, Transaction, WireError
from starlab_spec.wire.codec import decode_json
from starlab_spec.wire.transactions import (
    SAME_ADDRESS,
    decode_results,
    decode_transactions,
    describe,
)

_BOOT_ID: Final = register("BOOT_ID").address
_OF_THIS_START: Final = ("boot_id", "boots", "in_use")
"""What a board's identity says of its start rather than of the board."""
_WORD_BYTES: Final = 4


class NotEmulated(StarlabHostError):
    """The board has a real chip, which a replay would program."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first reply that is not the captured one."""

    session_id: int
    """Of the capture."""
    message_id: int
    command: str
    """In a few words."""
    field: str
    """What differs."""
    expected: str
    """As captured."""
    got: str

    def __str__(self) -> str:
        """As a person reads it."""
        return (
            f"session 0x{self.session_id:08X}, message {self.message_id} ({self.command}): "
            f"{self.field}: expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it."""

    sessions: int
    commands: int
    """Commands that were executed again."""
    left_out: int
    """Commands that were not, as the capture holds no reply to them."""
    divergence: Divergence | None


def replay(talks: Iterable[Conversation], open_session: Callable[[], Session]) -> Replay:
    """Execute the commands of a capture once more, up to the first reply that differs.

    Args:
        talks: What was captured.
        open_session: A session with an emulated board in the state in which the capture began.

    Raises:
        NotEmulated: The board is a real one; nothing was executed.
        LinkError: The board is away, or was lost.
    """
    sessions = commands = left_out = 0
    for talk in talks:
        sessions += 1
        left_out += len(talk.unanswered)
        with open_session() as session:
            if session.identity.get("emulated") is not True:
                raise NotEmulated("a capture is replayed on emulated boards only")
            for exchange in talk.exchanges:
                divergence = _again(session, talk.session_id, exchange)
                commands += 1
                if divergence is not None:
                    return Replay(sessions, commands, left_out, divergence)
    return Replay(sessions, commands, left_out, None)


def _again(session: Session, session_id: int, exchange: Exchange) -> Divergence | None:
    """Execute a command; how its reply differs."""
    transactions: Sequence[Transaction] = ()
    try:
        transactions = decode_transactions(exchange.request)
        expected = decode_results(exchange.reply)
        got = session.execute(
            transactions,
            read_only=bool(exchange.flags & FrameFlag.READ_ONLY),
            dry_run=bool(exchange.flags & FrameFlag.DRY_RUN),
        )
        difference = compare(transactions, expected, got)
    except WireError as error:
        difference = ("frame", "a message that can be read", str(error))
    except (OutcomeUnknown, SessionEnded) as error:
        difference = ("reply", f"{len(expected)} results", str(error))
    if difference is None:
        return None
    return Divergence(session_id, exchange.message_id, describe(transactions), *difference)


def compare(
    transactions: Sequence[Transaction], expected: Sequence[Result], got: Sequence[Result]
) -> tuple[str, str, str] | None:
    """The first difference of two replies: field, expected, got; None if they say the same."""
    for number, (one, other) in enumerate(zip(expected, got, strict=False), 1):
        where = f"result {number}"
        if one.opcode != other.opcode:
            return f"{where}, opcode", f"0x{one.opcode:02X}", f"0x{other.opcode:02X}"
        if one.status != other.status:
            return f"{where}, status", _status(one), _status(other)
        if one.address != other.address:
            return f"{where}, address", f"0x{one.address:X}", f"0x{other.address:X}"
        difference = _data(transactions[number - 1], one, other)
        if difference is not None:
            field, *values = difference
            return f"{where}, {field}", values[0], values[1]
    if len(expected) != len(got):
        return "number of results", str(len(expected)), str(len(got))
    return None


def _status(result: Result) -> str:
    status = result.status
    name = status.name if isinstance(status, Status) else str(status)
    return f"{name} ({result.message})" if result.message else name


def _data(asked: Transaction, one: Result, other: Result) -> tuple[str, str, str] | None:
    if one.status != Status.OK:
        return None if one.data == other.data else ("message", one.message, other.message)
    if one.opcode == Opcode.IDENTIFY:
        return _identity(decode_json(one.data), decode_json(other.data))
    if len(one.data) != len(other.data):
        return "length in bytes", str(len(one.data)), str(len(other.data))
    of_registers = one.opcode == Opcode.READ_REG
    step = 0 if asked.flags & SAME_ADDRESS else _WORD_BYTES
    for at in range(0, len(one.data), _WORD_BYTES):
        words = one.data[at : at + _WORD_BYTES], other.data[at : at + _WORD_BYTES]
        address = asked.address + at // _WORD_BYTES * step
        if words[0] != words[1] and not (of_registers and address == _BOOT_ID):
            field = f"register 0x{address:X}" if of_registers else f"byte {at}"
            return field, f"0x{words[0].hex().upper()}", f"0x{words[1].hex().upper()}"
    return None


def _identity(one: dict[str, object], other: dict[str, object]) -> tuple[str, str, str] | None:
    for name in (name for name in one | other if name not in _OF_THIS_START):
        if one.get(name) != other.get(name):
            return f"identity, {name}", str(one.get(name)), str(other.get(name))
    return None
