"""One command under way, and what its transactions carry in words. Executes nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlab_sim.errors import Refused
from starlab_sim.firmware.control import Report
from starlab_sim.firmware.register_file import pack_words
from starlab_sim.firmware.state import PoweredState
from starlab_sim.requests.faults import SUPPLY_FAULTS
from starlab_sim.supplies import Reading
from starlab_spec.errors import LimitExceeded
from starlab_spec.wire.frames import MAX_MESSAGE_BYTES
from starlab_spec.wire.transactions import Opcode, Status, Transaction

REPLY_BYTES_MAX: Final = MAX_MESSAGE_BYTES - (1 << 20)
"""Bytes of registers and memory that one command may ask for: room is left for the heads."""
_READING_SETTLED: Final = 1
_READING_FAULT: Final = 2


@dataclass(slots=True)
class Command:
    """What the transactions of one command share."""

    state: PoweredState
    """What they change: the board's own state, or in a dry run a copy."""
    dry_run: bool
    """Whether they are only checked."""
    aborted: Callable[[], bool]
    """Asked by operations, at every safe point between pulses."""
    report: Report
    """Told by operations how much is done."""
    now_s: float
    """When it began: for all of its transactions, so that none depends on their pace."""
    reply_bytes: int = 0
    """Result data so far."""

    def reserve(self, count: int) -> None:
        """Account for result data before it is made.

        Raises:
            LimitExceeded: There would be too much of it.
        """
        self.reply_bytes += count
        if self.reply_bytes > REPLY_BYTES_MAX:
            raise LimitExceeded("result data", self.reply_bytes, REPLY_BYTES_MAX, "bytes")


def reading_words(state: PoweredState, index: int, reading: Reading | None) -> bytes:
    """How a generator is, as a transaction tells it; off where there is no reading."""
    is_latched = bool(state.faults & SUPPLY_FAULTS)
    is_tripped = state.supplies.is_tripped(index, is_latched=is_latched)
    flags = _READING_FAULT if is_tripped else 0
    if reading is None:
        return pack_words((0, 0, flags))
    flags |= _READING_SETTLED if reading.settled else 0
    return pack_words((reading.code, reading.measured, flags))


def word_of(transaction: Transaction, data: bytes) -> int:
    """The one word that a transaction carries.

    Raises:
        Refused: BAD_REQUEST: it carries more or less.
    """
    if len(data) != 4:
        raise malformed(transaction, f"{len(data)} bytes of data, expected 4")
    return int.from_bytes(data, "big")


def malformed(transaction: Transaction, problem: str) -> Refused:
    """What to raise where a transaction is of another form than its opcode wants."""
    return Refused(Status.BAD_REQUEST, f"{Opcode(transaction.opcode).name} with {problem}")
