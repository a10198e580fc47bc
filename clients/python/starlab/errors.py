"""What can go wrong on the way to the chip and back. Raises nothing itself.

    StarlabError
    ├── InvalidInput         what was asked makes no sense; nothing was done     (also ValueError)
    │   └── LimitExceeded    a value outside a stated limit: value, limit, channel
    ├── NotFound             no such board, array, supply or register            (also LookupError)
    ├── Refused              server or board will not do it now; nothing was done, but see Conflict
    │   ├── AccessDenied     not allowed to this user
    │   ├── Conflict         not formed, not ready, busy, fault or emergency stop latched
    │   └── Locked           somebody else holds the board
    ├── Aborted              stopped while it ran; the message says what was done
    ├── BoardError           the board or the link to it
    │   ├── BoardAway        nobody answers at the board's address
    │   ├── StopUnconfirmed  the board has not confirmed an emergency stop
    │   ├── LinkLost         the link broke; the last command surely had no effect
    │   └── OutcomeUnknown   the command may or may not have been executed
    ├── ClientClosed         this client was closed before; nothing was sent
    └── ServerError          the server or the way to it
        ├── ServerAway       no server answers at the URL; nothing was sent
        └── ServerFailed     the server broke down, or its answer makes no sense

Every error that the server reported carries the fields of its problem document (RFC 9457): of a
call that ended in the middle, how much was surely done (``done``, ``done_unit``, ``pulses``).
Nothing is ever sent again behind the caller's back.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from starlab_contract import ProblemKind

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class StarlabError(Exception):
    """Root of everything that the SDK raises.

    Attributes:
        problem: The problem document of the server; empty if the error arose in the SDK.
        calls_before: Of a function that makes several calls, those that had changed something
            before the one that failed: they stay done.
    """

    def __init__(self, message: str, problem: Mapping[str, Any] = _NOTHING) -> None:
        super().__init__(message)
        self.problem = problem
        self.calls_before: Sequence[str] = ()

    def __str__(self) -> str:
        """What went wrong, and what had been done before."""
        said = super().__str__()
        if not self.calls_before:
            return said
        return f"{said}; done before that: {', '.join(self.calls_before)}"

    @property
    def status(self) -> int | None:
        """HTTP status of the server's answer, if there was one."""
        return self.problem.get("status")

    @property
    def done(self) -> int:
        """How much the call had surely done before, in :attr:`done_unit`; it stays done."""
        return int(self.problem.get("done", 0))

    @property
    def done_unit(self) -> str | None:
        """What :attr:`done` counts: samples, supplies, or pulses on all cells together."""
        return self.problem.get("done_unit")

    @property
    def pulses(self) -> int:
        """Pulses that the call had surely given, on all cells together."""
        return int(self.problem.get("pulses", 0))

    @property
    def nothing_done(self) -> bool:
        """Whether the server says that surely nothing was done, and no call before did anything."""
        return bool(self.problem.get("nothing_done", False)) and not self.calls_before

    @property
    def board(self) -> str | None:
        """The board that it is about, if the server named one."""
        return self.problem.get("board")


class InvalidInput(StarlabError, ValueError):
    """What was asked makes no sense; nothing was done."""

    @property
    def field(self) -> str | None:
        """The offending field, if the server named one."""
        return self.problem.get("field")


class LimitExceeded(InvalidInput):
    """A value lies outside a stated limit; nothing was done."""

    @property
    def value(self) -> float | None:
        """What was asked."""
        return self.problem.get("value")

    @property
    def limit(self) -> float | None:
        """The limit that it crosses."""
        return self.problem.get("limit")

    @property
    def channel(self) -> str | None:
        """The supply channel whose safe operating area it leaves, if it is about one."""
        return self.problem.get("channel")


class NotFound(StarlabError, LookupError):
    """The server has no such board, array, supply or register."""


class Refused(StarlabError):
    """Server or board will not do it now; nothing was done, but see :class:`Conflict`."""


class AccessDenied(Refused):
    """This user may not do it."""


class Conflict(Refused):
    """Array not formed, board not ready or busy, fault or emergency stop latched.

    Nothing was done, unless that came in the middle of the call: then ``done`` says how much stays
    done. After a trip of a current limit the sample after those is in part: the message tells.
    """


class Locked(Refused):
    """Somebody else holds the board."""


class Aborted(StarlabError):
    """An abort or an emergency stop ended the operation; ``done`` says what was done."""


class BoardError(StarlabError):
    """The board or the link to it."""


class BoardAway(BoardError):
    """Nobody answers at the board's address."""


class StopUnconfirmed(BoardError):
    """The board has not confirmed an emergency stop: look at it. The server goes on trying."""


class LinkLost(BoardError):
    """The link broke; the last command surely had no effect. Those before it: see ``done``."""


class OutcomeUnknown(BoardError):
    """The command may or may not have been executed: look at the chip before going on."""

    @property
    def commands(self) -> list[Any]:
        """The board's commands that are in doubt, as far as the server knows them."""
        return list(self.problem.get("commands", ()))


class ClientClosed(StarlabError):
    """The client was closed before, perhaps by another thread; nothing was sent."""


class ServerError(StarlabError):
    """The server or the way to it."""


class ServerAway(ServerError):
    """No server answers at the URL; nothing was sent."""


class ServerFailed(ServerError):
    """The server broke down, or its answer makes no sense."""


_BY_KIND: Final[Mapping[str, type[StarlabError]]] = {
    ProblemKind.ABORTED: Aborted,
    ProblemKind.LIMIT_EXCEEDED: LimitExceeded,
    ProblemKind.STOP_UNCONFIRMED: StopUnconfirmed,
    ProblemKind.SERVER_BUSY: Refused,
    ProblemKind.TOO_SLOW: ServerFailed,
}
"""Where the status alone does not tell."""

_BY_STATUS: Final[Mapping[int, type[StarlabError]]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    409: Conflict,
    423: Locked,
    429: Refused,
    502: OutcomeUnknown,
    503: BoardAway,
    504: LinkLost,
}


def error_of(status: int, problem: Mapping[str, Any]) -> StarlabError:
    """The error that a problem document means.

    Args:
        status: HTTP status of the answer.
        problem: The document; its ``detail`` becomes the message.
    """
    kind = _BY_KIND.get(str(problem.get("type"))) or _BY_STATUS.get(status)
    if kind is None:
        kind = InvalidInput if 400 <= status < 500 else ServerFailed
    message = problem.get("detail") or problem.get("title") or f"the server answered {status}"
    return kind(str(message), {"status": status, **problem})
