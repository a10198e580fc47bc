"""Which problem an error of host or data sheet is, and what each problem is called. Sends none."""

from collections.abc import Mapping
from typing import Final

from starlab_contract import ProblemKind
from starlab_host.errors import (
    Aborted,
    BoardMisbehaves,
    BoardRefused,
    CalibrationError,
    Compliance,
    HandshakeRefused,
    HardwareFault,
    Interlock,
    JournalError,
    JournalFull,
    LinkError,
    LinkLost,
    NotFormed,
    NotReady,
    OutcomeUnknown,
    StarlabHostError,
    StorageFailed,
)
from starlab_spec import LimitExceeded, SpecError
from starlab_spec.wire.transactions import Status

TITLES: Final[Mapping[ProblemKind, tuple[int, str]]] = {
    ProblemKind.ABORTED: (409, "The operation was aborted"),
    ProblemKind.ANSWER_NOT_KEPT: (409, "It was executed, and its answer is not kept"),
    ProblemKind.BOARD_AWAY: (503, "The board does not answer"),
    ProblemKind.BOARD_BUSY: (409, "Another call holds the board"),
    ProblemKind.BOARD_MISBEHAVES: (502, "The board breaks the protocol"),
    ProblemKind.BOARD_REFUSED: (409, "The board refused"),
    ProblemKind.BODY_TOO_LARGE: (413, "The body is too large"),
    ProblemKind.FAULT_LATCHED: (409, "A fault or an emergency stop is latched"),
    ProblemKind.FOREIGN_HOST: (403, "This server is not the host that was asked for"),
    ProblemKind.FOREIGN_ORIGIN: (403, "Web pages of others are not served"),
    ProblemKind.HEAD_TOO_LARGE: (431, "The headers are too large"),
    ProblemKind.IDEMPOTENCY_KEY_IN_USE: (409, "The first call with this key is still running"),
    ProblemKind.IDEMPOTENCY_KEY_REUSED: (422, "The key came with another call before"),
    ProblemKind.INSUFFICIENT_STORAGE: (507, "The server's disk does not take it"),
    ProblemKind.INTERNAL: (500, "The server failed"),
    ProblemKind.INVALID: (422, "The request makes no sense"),
    ProblemKind.LIMIT_EXCEEDED: (422, "A value is outside its limits"),
    ProblemKind.LINK_LOST: (504, "The link to the board was lost"),
    ProblemKind.MALFORMED: (400, "This is no HTTP request"),
    ProblemKind.METHOD_NOT_ALLOWED: (405, "This address does not take that method"),
    ProblemKind.NOT_ACCEPTABLE: (406, "None of the media types asked for can be given"),
    ProblemKind.NOT_FORMED: (409, "The array is not formed"),
    ProblemKind.NOT_FOUND: (404, "There is no such thing"),
    ProblemKind.NOT_READY: (409, "A supply is off or has not settled"),
    ProblemKind.OUTCOME_UNKNOWN: (502, "It is not known what was executed"),
    ProblemKind.SERVER_BUSY: (503, "The server has too much to do"),
    ProblemKind.TOO_SLOW: (408, "The request did not come in time"),
    ProblemKind.STOP_UNCONFIRMED: (504, "The board has not confirmed that it is stopped"),
    ProblemKind.UNSUPPORTED: (409, "The board cannot do that"),
    ProblemKind.UNSUPPORTED_MEDIA_TYPE: (415, "The body's media type is not taken here"),
}
"""HTTP status and title."""
_KINDS: Final[Mapping[type[Exception], ProblemKind]] = {
    StarlabHostError: ProblemKind.BOARD_REFUSED,
    LinkError: ProblemKind.BOARD_AWAY,
    BoardMisbehaves: ProblemKind.BOARD_MISBEHAVES,
    HandshakeRefused: ProblemKind.BOARD_REFUSED,
    LinkLost: ProblemKind.LINK_LOST,
    OutcomeUnknown: ProblemKind.OUTCOME_UNKNOWN,
    NotReady: ProblemKind.NOT_READY,
    Interlock: ProblemKind.LIMIT_EXCEEDED,
    HardwareFault: ProblemKind.FAULT_LATCHED,
    Compliance: ProblemKind.FAULT_LATCHED,
    CalibrationError: ProblemKind.INTERNAL,
    Aborted: ProblemKind.ABORTED,
    NotFormed: ProblemKind.NOT_FORMED,
    JournalError: ProblemKind.INTERNAL,
    JournalFull: ProblemKind.INSUFFICIENT_STORAGE,
    StorageFailed: ProblemKind.INSUFFICIENT_STORAGE,
    SpecError: ProblemKind.INVALID,
    LimitExceeded: ProblemKind.LIMIT_EXCEEDED,
}
_OF_REFUSAL: Final[Mapping[int, ProblemKind]] = {
    Status.BAD_REQUEST: ProblemKind.INVALID,
    Status.RANGE: ProblemKind.INVALID,
    Status.UNSUPPORTED: ProblemKind.UNSUPPORTED,
}


def kind_of(error: Exception) -> ProblemKind:
    """The kind of an error; INTERNAL where it is none of those."""
    if isinstance(error, BoardRefused) and error.status in _OF_REFUSAL:
        return _OF_REFUSAL[error.status]
    for ancestor in type(error).__mro__:
        if ancestor in _KINDS:
            return _KINDS[ancestor]
    return ProblemKind.INTERNAL
