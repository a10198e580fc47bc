"""What board and protocol tell each other: facts, commands as they arrived, work to do.

Decides nothing and executes nothing.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlab_spec.wire.errors import TransactionError
from starlab_spec.wire.frames import BoardState, BoardStatus, FrameFlag
from starlab_spec.wire.transactions import (
    READ_ONLY_OPCODES,
    Opcode,
    Result,
    Status,
    Transaction,
    decode_transactions,
    describe,
)

_READ_ONLY: Final = int(FrameFlag.READ_ONLY)
_DRY_RUN: Final = int(FrameFlag.DRY_RUN)
_ABORT_HEAD: Final = bytes([Opcode.ABORT])


class BoardFacts(Protocol):
    """What the protocol tells a host about the board, apart from executing commands."""

    @property
    def boot_id(self) -> int:
        """New at each start of the board; never 0."""

    @property
    def lifetime_pulses(self) -> int:
        """Programming pulses applied to the chip, ever."""

    @property
    def faults(self) -> int:
        """Fault latches; 0 for none."""

    @property
    def is_safe(self) -> bool:
        """Whether the board is in the state SAFE."""

    def identity(self) -> Mapping[str, Any]:
        """Serial, firmware, geometry and so on."""


class Request:
    """A whole command as it arrived.

    Attributes:
        message_id: Its message id.
        payload: Its transactions, not yet decoded.
        flags: Flag bits of the frame that completed it.
        key: Tells requests under the same message id apart.
    """

    __slots__ = ("flags", "key", "message_id", "payload")

    def __init__(self, message_id: int, payload: bytes, flags: int) -> None:
        self.message_id = message_id
        self.payload = payload
        self.flags = flags
        # a rehearsal and the real thing are two requests, even with the same bytes
        self.key = zlib.crc32(payload) | (flags & _DRY_RUN) << 32

    @property
    def read_only(self) -> bool:
        """Whether it claims to change nothing."""
        return bool(self.flags & _READ_ONLY)

    @property
    def is_abort(self) -> bool:
        """Whether it asks to stop what runs."""
        return self.payload[:1] == _ABORT_HEAD

    def decode(self) -> list[Transaction]:
        """What it asks, in order.

        Raises:
            TransactionError: That cannot be read, or is more than to read in spite of READ_ONLY.
        """
        transactions = decode_transactions(self.payload)
        if self.read_only:
            for transaction in transactions:
                if transaction.opcode not in READ_ONLY_OPCODES:
                    raise TransactionError(
                        f"READ_ONLY with {describe([transaction])}, which is no read"
                    )
        return transactions

    def refusal(self, status: Status, detail: str) -> Result:
        """The result of a command that is not executed: of its first transaction."""
        opcode = self.payload[0] if self.payload else 0
        return Result(opcode, status, int.from_bytes(self.payload[8:12], "big"), detail.encode())


class Execution:
    """A command that the board is to execute now.

    Attributes:
        session_id: Session that it belongs to.
        message_id: Its message id.
        transactions: What to execute.
        dry_run: Check everything, execute nothing.
        aborted: Whether it is to stop at its next safe point; becomes true while it runs.
    """

    __slots__ = (
        "aborted",
        "dry_run",
        "message_id",
        "repeated",
        "request",
        "session_id",
        "transactions",
    )

    def __init__(
        self,
        session_id: int,
        request: Request,
        transactions: list[Transaction],
        *,
        repeated: bool,
    ) -> None:
        self.session_id = session_id
        self.message_id = request.message_id
        self.request = request
        self.transactions = transactions
        self.dry_run = bool(request.flags & _DRY_RUN)
        self.repeated = repeated
        self.aborted = False


@dataclass(frozen=True, slots=True)
class EnterSafe:
    """Work for the board: drivers off, rails low."""

    reason: str


Work = Execution | EnterSafe


def status_of(
    board: BoardFacts, next_message: int, executing_message: int, *, executes: bool
) -> BoardStatus:
    """How a board is.

    Args:
        board: The board.
        next_message: Message id of the session that it executes next.
        executing_message: The one that it executes; 0 for none of this session.
        executes: Whether it executes anything.
    """
    if executes:
        state = BoardState.EXECUTING
    elif board.faults:
        state = BoardState.FAULT
    else:
        state = BoardState.SAFE if board.is_safe else BoardState.IDLE
    return BoardStatus(next_message, executing_message, board.lifetime_pulses, board.faults, state)
