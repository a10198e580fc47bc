"""What can go wrong between a caller and a board. Decides nothing about retrying.

    StarlabHostError
    ├── LinkError              the way to the board failed: it was surely not executed
    │   ├── BoardAway          nobody answers there
    │   ├── HandshakeRefused   the board does not want a session: status and its own words
    │   │   └── InUse          another process has the line to the board: which
    │   ├── LinkLost           an open session's board does not answer any more
    │   ├── BoardMisbehaves    it answers what no board may: field, value, limit
    │   └── SessionEnded       closed, fenced by a newer lease, or the board restarted
    ├── OutcomeUnknown         commands that may or may not have been executed: read back
    ├── BoardRefused           the board answered a command with a refusal
    │   ├── Interlock          a safe limit of the board: name, value, limit
    │   ├── HardwareFault      a fault or emergency stop is latched
    │   ├── NotReady           a rail is off or not settled
    │   ├── Compliance         a generator's current limit tripped: a fault is latched
    │   └── Aborted            stopped on request at a safe point
    ├── StopUnconfirmed        an emergency stop that the board has not confirmed
    ├── NotFormed              cells that were never formed cannot do that
    ├── CalibrationError       a calibration is malformed, or makes no sense
    ├── StorageFailed          a file cannot be written; nothing of it is left
    └── JournalError           a command could not be written down, and was not sent
        └── JournalFull        since there is no room, or the disk does not take it

    starlab_spec.SpecError
    └── BadArgument            an argument that is no number, no multiple, empty, ...

The last branch, with the other errors of :mod:`starlab_spec.errors`, is the caller's fault: it is
raised before anything is sent.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from starlab_spec import SpecError
from starlab_spec.safe_area import DRIVING_RAIL
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire.transactions import Result, Status


class StarlabHostError(Exception):
    """Root of everything that this package raises, but for bad arguments."""


class LinkError(StarlabHostError):
    """The way to the board failed. What was asked was surely not executed."""


class BoardAway(LinkError):
    """Nobody answers at the board's address."""


class HandshakeRefused(LinkError):
    """The board does not want a session on these terms.

    Attributes:
        status: What kind of refusal: BUSY, FENCED, RANGE, UNSUPPORTED, OUTCOME_UNKNOWN.
        detail: The board's own words: parameter, value, limit.
    """

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        name = status.name if isinstance(status, Status) else f"status {status}"
        super().__init__(f"the board refused the session: {detail} ({name})")


class InUse(HandshakeRefused):
    """Another process of this machine has the line to the board; the board was not asked."""

    def __init__(self, url: str, detail: str) -> None:
        super().__init__(Status.BUSY, detail)
        self.args = (f"{url} is {detail}",)


class LinkLost(LinkError):
    """The board of an open session does not answer any more. The session is over."""


class BoardMisbehaves(LinkError):
    """What a board says cannot be: the message names the field, its value and what is allowed.

    Nothing that could change the chip was asked of it, or that was surely not executed; else it is
    `OutcomeUnknown`.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"the board breaks the protocol: {problem}")


class SessionEnded(LinkError):
    """The session is over: closed, fenced by a newer lease, or gone with the board's restart.

    Attributes:
        status: The board's word, where it gave one: FENCED, OUTCOME_UNKNOWN, ...; else OK.
    """

    def __init__(self, message: str, status: int = Status.OK) -> None:
        self.status = status
        super().__init__(message)


class OutcomeUnknown(StarlabHostError):
    """Commands were sent and may or may not have been executed. They are never sent again.

    Attributes:
        commands: Message id and description of each command in doubt.
        pulses: Pulses of these commands that were surely given.
    """

    def __init__(
        self, message: str, commands: Sequence[tuple[int, str]], *, pulses: int = 0
    ) -> None:
        self.commands = tuple(commands)
        self.pulses = pulses
        super().__init__(message)


class StopUnconfirmed(StarlabHostError):
    """An emergency stop was asked for, and the board has not confirmed it: look at the board."""


class BoardRefused(StarlabHostError):
    """The board did not execute a command, and says why.

    Attributes:
        status: What kind of refusal.
        message: The board's own words.
        opcode: The transaction that was refused; those before it were executed.
        done: Samples of the same call that were finished before; they stay done. The one after
            them has had no pulse, but where a current limit tripped: then the message tells.
    """

    def __init__(self, status: int, message: str, *, opcode: int = 0, done: int = 0) -> None:
        self.status = status
        self.message = message
        self.opcode = opcode
        self.done = done
        name = status.name if isinstance(status, Status) else f"status {status}"
        super().__init__(f"the board refused: {message} ({name})" if message else name)


_RAILS: Final = {kind.name: rail for kind, rail in DRIVING_RAIL.items()}
_CHANNELS: Final = frozenset(channel.name for channel in SUPPLIES)
_LIMIT: Final = re.compile(
    r"(?P<name>.+?) (?P<value>-?\d\S*)(?: (?P<unit>\S+))?"
    r"(?: (?P<place>(?:on|in) .+?))? is (?:above|below|not within)"
    r" the (?P<limit>-?\d\S*)(?: \S+)? limit"
)


def _number(text: str) -> float:
    """What a board gives as a number; not a number where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


class Interlock(BoardRefused):
    """A limit that the board itself enforces.

    Attributes:
        name: The limited quantity, such as a supply; empty where the board names none.
        value: What was asked, in ``unit``.
        limit: What is allowed, in ``unit``.
        unit: Unit of both.
        channel: The supply that it is about, or that would drive the pulses; empty for none.
    """

    def __init__(self, status: int, message: str, *, opcode: int = 0, done: int = 0) -> None:
        super().__init__(status, message, opcode=opcode, done=done)
        match = _LIMIT.match(message)
        self.name = match["name"] if match else ""
        self.value = _number(match["value"]) if match else math.nan
        self.limit = _number(match["limit"]) if match else math.nan
        self.unit = (match["unit"] or "") if match else ""
        first = self.name.partition(" ")[0]
        self.channel = _RAILS.get(first, first if first in _CHANNELS else "")


class HardwareFault(BoardRefused):
    """A fault or an emergency stop is latched; all drivers are off until it is cleared."""


class Compliance(BoardRefused):
    """A generator's current limit tripped: which one, its current and the limit. It is latched.

    What would have drawn the current was not done; what came before it was, and the message says
    how much that is: rows, or samples and the pulses of the sample in which it happened.
    """


class NotReady(BoardRefused):
    """A supply that the operation needs is off or has not settled."""


class Aborted(BoardRefused):
    """The operation was stopped on request, or because the drivers went off."""


class NotFormed(StarlabHostError):
    """The cells that an operation needs were never formed.

    Attributes:
        array: 1 or 2.
        unformed: How many of the cells seem virgin.
        cells: Out of how many.
    """

    def __init__(self, array: int, unformed: int, cells: int) -> None:
        self.array = array
        self.unformed = unformed
        self.cells = cells
        super().__init__(f"array {array} is not formed: {unformed} of {cells} cells seem virgin")


class JournalError(StarlabHostError):
    """The journal is in use by another process, is none, or cannot be written: nothing was sent."""


class JournalFull(JournalError):
    """The disk does not take what is to be written down: it is full, or fails. Nothing was sent."""


class StorageFailed(StarlabHostError):
    """A file cannot be written or removed: the disk is full, or does not allow it.

    What was there before still is, and nothing half-written beside it.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: {error.strerror or error}")


class CalibrationError(StarlabHostError):
    """A calibration is malformed, or says what no generator does."""


class BadArgument(SpecError):
    """An argument that no board could take, whatever its limits.

    Attributes:
        name: The argument.
    """

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"{name} {problem}")


_REFUSALS: Final[dict[int, type[BoardRefused]]] = {
    Status.INTERLOCK: Interlock,
    Status.HARDWARE_FAULT: HardwareFault,
    Status.NOT_READY: NotReady,
    Status.COMPLIANCE: Compliance,
    Status.ABORTED: Aborted,
}


def refusal_of(result: Result) -> BoardRefused:
    """The error for a result whose status is not OK."""
    kind = _REFUSALS.get(result.status, BoardRefused)
    return kind(result.status, result.message, opcode=result.opcode)
