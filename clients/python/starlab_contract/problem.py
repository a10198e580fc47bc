"""What went wrong, as `application/problem+json` (RFC 9457). Raises nothing."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from starlab_contract.base import ReplyBody

PROBLEM_TYPE = "application/problem+json"


class ProblemKind(StrEnum):
    """Values of a problem's `type`: what a program may branch on."""

    ABORTED = "aborted"
    """409: an abort or an emergency stop ended the operation; what was done is stated."""
    ANSWER_NOT_KEPT = "answer-not-kept"
    """409: the call with this key was executed once; its answer was too large to keep."""
    BOARD_AWAY = "board-away"
    """503: the board does not answer; nothing was executed: `nothing_done`."""
    BOARD_BUSY = "board-busy"
    """409: another call holds the board; nothing was executed."""
    BOARD_MISBEHAVES = "board-misbehaves"
    """502: what the board answered cannot be; nothing that changes the chip was asked of it."""
    BOARD_REFUSED = "board-refused"
    """409: the board will not do it, for another reason than those below."""
    BODY_TOO_LARGE = "body-too-large"
    """413: more bytes than the server takes."""
    FAULT_LATCHED = "fault-latched"
    """409: a hardware fault or an emergency stop is latched; `detail` names it."""
    FOREIGN_HOST = "foreign-host"
    """403: `Host` is none that this server serves; `header`, `value`, `allowed` say which."""
    FOREIGN_ORIGIN = "foreign-origin"
    """403: a web page that is not the server's own sent it; `header`, `value`, `allowed`."""
    HEAD_TOO_LARGE = "head-too-large"
    """431: too many headers, or too large ones, the address included."""
    IDEMPOTENCY_KEY_IN_USE = "idempotency-key-in-use"
    """409: the first call with this key is still running."""
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    """422: this key came with another body before."""
    INSUFFICIENT_STORAGE = "insufficient-storage"
    """507: the server's disk is full or does not allow it; nothing half-written is left."""
    INTERNAL = "internal-error"
    """500: a defect of the server."""
    INVALID = "invalid-input"
    """422: a field is missing, unknown, or of another kind or shape; see `field`, `errors`."""
    LIMIT_EXCEEDED = "limit-exceeded"
    """422: a value outside its limits; see `value`, `limit`, `unit` and `channel` or `field`."""
    LINK_LOST = "link-lost"
    """504: the board stopped answering; no command is in doubt."""
    MALFORMED = "malformed-request"
    """400: what came is no HTTP."""
    METHOD_NOT_ALLOWED = "method-not-allowed"
    """405: the address exists, but not for this method."""
    NOT_ACCEPTABLE = "not-acceptable"
    """406: none of the media types in `Accept` can be given."""
    NOT_FORMED = "not-formed"
    """409: the array's cells are virgin; form it first."""
    NOT_FOUND = "not-found"
    """404: no such address, board, array or register."""
    NOT_READY = "not-ready"
    """409: a supply is off or has not settled."""
    OUTCOME_UNKNOWN = "outcome-unknown"
    """502: it is not known whether the commands listed in `commands` were executed."""
    SERVER_BUSY = "server-busy"
    """503: as many calls or bytes are under way as the server takes; nothing was executed."""
    TOO_SLOW = "too-slow"
    """408: headers or body did not come in time; nothing was executed."""
    STOP_UNCONFIRMED = "stop-unconfirmed"
    """504: the board has not confirmed an emergency stop; the server goes on trying."""
    UNSUPPORTED = "unsupported"
    """409: this board cannot do that; for example, emulator commands on a real board."""
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    """415: a body of another media type than the call takes."""


class FieldError(ReplyBody):
    """One field of the request that is wrong."""

    field: str
    """Its path: `settings.th`, `VBLset.mv`."""
    message: str
    """What is wrong with it."""


class Problem(BaseModel):
    """An error reply. Members beyond these depend on the case."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    type: str
    """One of ProblemKind; a client treats an unknown one by its status."""
    title: str
    """The same in words."""
    status: int
    """The HTTP status."""
    detail: str
    """What was asked, what was wrong with it, the limit and the unit."""
    board: str | None = None
    """Which board, where one is concerned."""
    field: str | None = None
    """Which field of the request, where one is to blame."""
    channel: str | None = None
    """Which supply."""
    value: float | str | None = None
    """What was asked."""
    limit: float | None = None
    """The limit that it crosses."""
    unit: str | None = None
    """Unit of value and limit."""
    errors: list[FieldError] | None = None
    """Every field that is wrong, where there are several."""
    commands: list[str] | None = None
    """Commands in doubt (outcome-unknown)."""
    header: str | None = None
    """Which header of the request, where one is to blame."""
    allowed: list[str] | None = None
    """What that header may say."""
    done: int | None = None
    """How much the call had surely done before the error, in `done_unit`; it stays done."""
    done_unit: str | None = None
    """What `done` counts: `samples`, `pulses` on all cells together, or `supplies`."""
    pulses: int | None = None
    """Pulses that the call had surely given, on all cells together."""
    nothing_done: bool | None = None
    """True: surely no pulse was given, and no setting or supply changed. The call may be tried
    again under the same Idempotency-Key."""
