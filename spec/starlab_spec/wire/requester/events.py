"""What a host learns from its side of a session: commands outstanding, events, how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from starlab_spec.wire.frames import BoardStatus, Event, HelloAck


class RequesterState(Enum):
    """Where a session stands, seen from the host."""

    OPENING = "HELLO sent"
    OPEN = "open"
    CLOSING = "BYE sent"
    CLOSED = "over"


class EndReason(Enum):
    """Why a session is over."""

    CLOSED = "closed by this host"
    UNANSWERED = "the board does not answer"
    SWALLOWED = "the board answers, but some frames do not get through"
    REFUSED = "the board refused the session"
    ENDED_BY_BOARD = "the board ended the session"
    BOARD_RESTARTED = "the board restarted"
    MISBEHAVED = "the board breaks the protocol"


class Step(Enum):
    """What takes a session on."""

    GRANTED = "HELLO_ACK comes"
    CLOSE = "this host closes it"


MOVES: Final[Mapping[RequesterState, Mapping[Step | EndReason, RequesterState]]] = {
    RequesterState.OPENING: {
        Step.GRANTED: RequesterState.OPEN,
        EndReason.REFUSED: RequesterState.CLOSED,
        EndReason.UNANSWERED: RequesterState.CLOSED,
        EndReason.MISBEHAVED: RequesterState.CLOSED,
    },
    RequesterState.OPEN: {
        Step.CLOSE: RequesterState.CLOSING,
        EndReason.ENDED_BY_BOARD: RequesterState.CLOSED,
        EndReason.BOARD_RESTARTED: RequesterState.CLOSED,
        EndReason.UNANSWERED: RequesterState.CLOSED,
        EndReason.SWALLOWED: RequesterState.CLOSED,
        EndReason.MISBEHAVED: RequesterState.CLOSED,
    },
    RequesterState.CLOSING: {
        EndReason.CLOSED: RequesterState.CLOSED,
        EndReason.BOARD_RESTARTED: RequesterState.CLOSED,
    },
    RequesterState.CLOSED: {},
}
"""Where a session goes from each state, and why; there is no other way."""


@dataclass(slots=True)
class Command:
    """A command whose reply has not come. `delivered` and on are changed by the requester."""

    message_id: int
    payload: bytes
    flags: int
    submitted_at: float
    delivered: bool = False
    """Whether the board has acknowledged all of it."""
    askings: int = 0
    """How often its reply was asked for again."""
    asked_at: float = 0.0
    """When it was last asked for, or when it is to be sent again after BUSY."""
    part_came_at: float = 0.0
    """When a part of its reply last came."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The handshake succeeded."""

    answer: HelloAck


class Replied(NamedTuple):
    """A reply came, once for each command. A named tuple, as one is made for every command."""

    message_id: int
    payload: bytes
    """As `starlab_spec.wire.transactions.decode_results` takes it."""
    round_trip_s: float
    """From the submission, execution included."""


@dataclass(frozen=True, slots=True)
class Reported:
    """An EVENT came: of a command, or (message id 0) of the board itself."""

    message_id: int
    event: Event


@dataclass(frozen=True, slots=True)
class StatusCame:
    """A STATUS came."""

    status: BoardStatus
    request: int
    """What `Requester.request_status` returned; 0 from a board that does not repeat it."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over; nothing more will happen in it."""

    reason: EndReason
    status: int
    """The board's word, where it gave one; else `Status.OK`."""
    detail: str
    """What is known, for people."""


RequesterEvent = Opened | Replied | Reported | StatusCame | Ended


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """What a session's frames have gone through so far."""

    round_trip_s: float | None = None
    """Smoothed, of frames; None until measured."""
    frames_sent: int = 0
    """With a sequence number, each counted once."""
    in_flight: int = 0
    """Of these, not yet acknowledged."""
    resent_lost: int = 0
    """Sent again since one sent later was acknowledged."""
    resent_probes: int = 0
    """Sent again since nothing was acknowledged any more for two round trips."""
    resent_timeouts: int = 0
    """Sent again after a retransmission timeout."""
    credit_stalls: int = 0
    """Times that frames had to wait: as many as the board takes were in flight."""
    frames_received: int = 0
    frames_dropped: int = 0
    """Damaged, or not of this session."""
    crc_errors: int = 0
    """Of these, those with a wrong CRC."""
    duplicates: int = 0
    """Received again after they had come."""
    replies_replayed: int = 0
    """Answered out of the board's reply cache."""

    @property
    def frames_resent(self) -> int:
        """Frames sent again, for whatever reason."""
        return self.resent_lost + self.resent_probes + self.resent_timeouts
