"""Every error as `application/problem+json` (RFC 9457). Decides nothing else.

    ApiProblem
    ├── InvalidInput            a field is wrong: 422
    ├── NotFound                no such address, board, array, register: 404
    ├── NotCalibrated           the supplies of a board were never measured: 404
    ├── NotAcceptable           none of the media types asked for can be given: 406
    ├── UnsupportedMediaType    a body of another media type than the call takes: 415
    ├── Malformed               no HTTP that the server understands: 400
    ├── HeadTooLarge            too many headers, or too large ones: 431
    ├── TooSlow                 headers or body did not come in time: 408
    ├── ServerBusy              as many calls or bytes are under way as the server takes: 503
    ├── ForeignHost             the request is for a host that is not this server: 403
    ├── ForeignOrigin           the request comes from somebody else's web page: 403
    ├── BodyTooLarge            more bytes than the server takes: 413
    ├── NotStopped              an emergency stop that the board has not confirmed: 504
    ├── BoardBusy               another call holds the board: 409
    ├── KeyInUse, KeyReused     Idempotency-Key: still running, 409; with another body, 422
    ├── AnswerNotKept           Idempotency-Key: executed, its answer was too large to keep: 409

Errors of host and data sheet are looked up in :mod:`starlab_api.problem_kinds`.
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from starlab_api.problem_kinds import TITLES, kind_of
from starlab_contract import PROBLEM_TYPE, FieldError, Problem, ProblemKind
from starlab_host import Done, so_far
from starlab_host.errors import (
    BadArgument,
    BoardRefused,
    HandshakeRefused,
    Interlock,
    JournalError,
    OutcomeUnknown,
    StarlabHostError,
    StorageFailed,
)
from starlab_spec import LimitExceeded, ShapeError, SnapshotError, SpecError, UnknownName
from starlab_spec.foreign_text import shown_text
from starlab_spec.supplies import SUPPLIES


class ApiProblem(Exception):
    """An error that the server itself found.

    Attributes:
        kind: What a program may branch on.
        members: Further members of the problem document.
    """

    def __init__(self, kind: ProblemKind, detail: str, **members: object) -> None:
        super().__init__(detail)
        self.kind = kind
        self.members = members


class InvalidInput(ApiProblem):
    """A field of the request is wrong."""

    def __init__(self, field: str, message: str) -> None:
        name = shown(field)
        super().__init__(ProblemKind.INVALID, f"{name} {message}", field=name)


class NotFound(ApiProblem):
    """Something that the request names does not exist."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        detail = f"unknown {kind} {shown(name)!r}; known: {', '.join(known)}"
        super().__init__(ProblemKind.NOT_FOUND, detail, value=name)


class NotCalibrated(ApiProblem):
    """The supplies of a board have not been calibrated."""

    def __init__(self, board: str) -> None:
        detail = f"the supplies of {board} have not been calibrated: POST .../calibration does it"
        super().__init__(ProblemKind.NOT_FOUND, detail)


class NotAcceptable(ApiProblem):
    """The caller takes none of the media types that there are."""

    def __init__(self, asked: str, offered: Iterable[str]) -> None:
        detail = f"Accept: {shown(asked)!r} is none of {', '.join(offered)}"
        super().__init__(ProblemKind.NOT_ACCEPTABLE, detail)


class UnsupportedMediaType(ApiProblem):
    """The body's media type is none that the call takes."""

    def __init__(self, given: str, taken: Iterable[str]) -> None:
        what = f"Content-Type {shown(given)!r}" if given else "a body without Content-Type"
        super().__init__(
            ProblemKind.UNSUPPORTED_MEDIA_TYPE, f"{what} is none of {', '.join(taken)}"
        )


class Malformed(ApiProblem):
    """What came is no HTTP."""

    def __init__(self, why: str) -> None:
        super().__init__(ProblemKind.MALFORMED, why)


class HeadTooLarge(ApiProblem):
    """A request has too many headers, or too large ones."""

    def __init__(self, unit: str, limit: int) -> None:
        detail = f"address and headers are above the {limit} {unit} limit"
        super().__init__(ProblemKind.HEAD_TOO_LARGE, detail, limit=limit, unit=unit)


class TooSlow(ApiProblem):
    """A request did not come in time; nothing was executed."""

    def __init__(self, what: str, limit_s: float) -> None:
        detail = f"the {what} of the request did not come within {limit_s:g} s"
        super().__init__(ProblemKind.TOO_SLOW, detail, limit=limit_s, unit="s")


class ServerBusy(ApiProblem):
    """The server has as much to do as it takes; nothing was executed."""

    def __init__(self, why: str) -> None:
        super().__init__(ProblemKind.SERVER_BUSY, f"{why}; nothing was executed, try again")


class ForeignHost(ApiProblem):
    """The request is for a host that is not this server."""

    def __init__(self, given: str, allowed: Sequence[str]) -> None:
        what = f"Host {shown(given)!r}" if given else "a request without Host"
        detail = f"{what} is none of {', '.join(allowed)}; --allowed-hosts adds to them"
        super().__init__(
            ProblemKind.FOREIGN_HOST, detail, header="Host", value=given, allowed=allowed
        )


class ForeignOrigin(ApiProblem):
    """The request comes from somebody else's web page."""

    def __init__(self, header: str, given: str, allowed: Sequence[str]) -> None:
        what = f"{header} {shown(given)!r} is none of {', '.join(allowed)}"
        detail = f"{what}; --allowed-origins adds pages"
        super().__init__(
            ProblemKind.FOREIGN_ORIGIN, detail, header=header, value=given, allowed=allowed
        )


class BodyTooLarge(ApiProblem):
    """The body has more bytes than the server takes."""

    def __init__(self, size: int, limit: int) -> None:
        detail = f"a body of {size} bytes is above the {limit} bytes limit"
        super().__init__(ProblemKind.BODY_TOO_LARGE, detail, value=size, limit=limit, unit="bytes")


class NotStopped(ApiProblem):
    """The board has not confirmed an emergency stop."""

    def __init__(self, detail: str) -> None:
        super().__init__(ProblemKind.STOP_UNCONFIRMED, detail, faults=[], confirmed=False)


class BoardBusy(ApiProblem):
    """Another call holds the board."""

    def __init__(self, waited_s: float) -> None:
        detail = f"another call still held the board after {waited_s:g} s; nothing was executed"
        super().__init__(ProblemKind.BOARD_BUSY, detail, nothing_done=True)


class KeyInUse(ApiProblem):
    """The first call with this Idempotency-Key has no answer yet."""

    def __init__(self, key: str) -> None:
        detail = f"the first call with Idempotency-Key {shown(key)!r} is still running"
        super().__init__(ProblemKind.IDEMPOTENCY_KEY_IN_USE, detail)


class AnswerNotKept(ApiProblem):
    """The call of this Idempotency-Key was executed, and its answer is not there any more."""

    def __init__(self, key: str) -> None:
        detail = (
            f"the call with Idempotency-Key {shown(key)!r} was executed and answered once; "
            "there was no room to keep its answer, and nothing was executed now"
        )
        super().__init__(ProblemKind.ANSWER_NOT_KEPT, detail)


class KeyReused(ApiProblem):
    """The Idempotency-Key belongs to another call."""

    def __init__(self, key: str) -> None:
        detail = f"Idempotency-Key {shown(key)!r} came with another call or body before"
        super().__init__(ProblemKind.IDEMPOTENCY_KEY_REUSED, detail)


_OF_STATUS: Final[Mapping[int, ProblemKind]] = {
    HTTPStatus.NOT_FOUND: ProblemKind.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: ProblemKind.METHOD_NOT_ALLOWED,
}
"""What Starlette's router raises."""
_BEFORE_ANYTHING: Final = frozenset(
    {ProblemKind.BOARD_AWAY, ProblemKind.BOARD_BUSY, ProblemKind.NOT_FORMED}
)
"""They say that nothing was done, and a later try may escape them."""
_PASSING: Final = (JournalError, StorageFailed, HandshakeRefused)
"""Errors that a later try may escape: disks that were full, another host that had the board."""
_IN_THE_MIDDLE: Final = frozenset(
    {ProblemKind.ABORTED, ProblemKind.LINK_LOST, ProblemKind.OUTCOME_UNKNOWN}
)
"""They leave open what was done before, unless it is told."""
_CHANNELS: Final = frozenset(channel.name for channel in SUPPLIES)
_SHOWN_CHARACTERS: Final = 80
"""What is shown of a text of the caller's."""
_DETAIL_CHARACTERS: Final = 2000
_FLOAT_MAX: Final = sys.float_info.max
_ERRORS_MAX: Final = 20
"""Most wrong fields that an answer lists."""


def shown(text: str, most: int = _SHOWN_CHARACTERS) -> str:
    """A text of the caller's as an answer may hold it: not too long, UTF-8, and a single line."""
    clean = text if text.isascii() else text.encode("utf-8", "replace").decode()
    return shown_text(clean, most)


def problem_of(error: Exception, board: str | None = None) -> Problem:
    """The problem document for an error.

    Args:
        error: Of this package, of the host or of the data sheet; anything else is a defect of
            the server, of which the document tells nothing.
        board: The board that it concerns.
    """
    done = so_far(error)
    if isinstance(error, ApiProblem):
        told = _done_members(error, error.kind, done)
        return _problem(error.kind, str(error), board=board, **{**told, **error.members})
    kind = kind_of(error)
    is_known = kind is not ProblemKind.INTERNAL or isinstance(error, StarlabHostError)
    detail = str(error) if is_known else "see the server's log"
    if done is not None and done.changed:
        if kind is ProblemKind.BOARD_AWAY:  # which says that nothing was done
            kind = ProblemKind.LINK_LOST
        detail += f"; before that: {done}"
    told = {**_members_of(error), **_done_members(error, kind, done)}
    return _problem(kind, detail, board=board, **told)


def _done_members(error: Exception, kind: ProblemKind, done: Done | None) -> dict[str, object]:
    """What the document says of that which was done before the error."""
    if done is None:  # no board was at work when a file of the server's own could not be written
        passes = kind in _BEFORE_ANYTHING or isinstance(error, StorageFailed)
        return {"nothing_done": True} if passes else {}
    amount, unit = done.amount
    if done.changed or amount or kind in _IN_THE_MIDDLE:
        return {"done": amount, "done_unit": unit, "pulses": done.pulses}
    passes = kind in _BEFORE_ANYTHING or isinstance(error, _PASSING)
    return {"nothing_done": True} if passes else {}


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A problem document as a reply."""
    content = problem.model_dump_json(exclude_none=True)
    return Response(content, problem.status, headers, media_type=PROBLEM_TYPE)


def install(app: FastAPI) -> None:
    """Let an application answer every error with a problem document."""
    for kind in (ApiProblem, StarlabHostError, SpecError, Exception):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)


def invalid_fields(errors: Sequence[Mapping[str, Any]]) -> ApiProblem:
    """The error for what pydantic found.

    Args:
        errors: As ``ValidationError.errors()`` gives them; locations relative to the body.
    """
    found = [_field_error(error) for error in errors[:_ERRORS_MAX]]
    detail = "; ".join(f"{error.field}: {error.message}" for error in found)
    if len(errors) > len(found):
        detail += f"; and {len(errors) - len(found)} more"
    members: dict[str, object] = {"field": found[0].field, "errors": found}
    first = errors[0]
    limits = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt"}
    if first["type"] in limits:
        members |= {"value": first["input"], "limit": first["ctx"][limits[first["type"]]]}
    return ApiProblem(ProblemKind.INVALID, detail, **members)


def _members_of(error: Exception) -> dict[str, object]:
    if isinstance(error, LimitExceeded | Interlock):
        name = error.name.split(" ")[0]
        channel = getattr(error, "channel", "") or (name if name in _CHANNELS else None)
        where = {"channel": channel, "field": None if name == channel else error.name}
        return {"value": error.value, "limit": error.limit, "unit": error.unit or None, **where}
    if isinstance(error, UnknownName):
        is_key = error.kind in ("supply", "setting")
        return {"field": error.name if is_key else error.kind, "value": error.name}
    if isinstance(error, ShapeError | BadArgument):
        return {"field": error.name}
    if isinstance(error, SnapshotError):
        return {"field": "snapshot"}
    if isinstance(error, OutcomeUnknown):
        return {"commands": [f"message {number}: {what}" for number, what in error.commands]}
    if isinstance(error, BoardRefused) and error.done:
        return {"done": error.done}
    return {}


def _problem(kind: ProblemKind, detail: str, **members: object) -> Problem:
    status, title = TITLES[kind]
    for name in ("value", "limit", "field", "channel"):
        members[name] = _member(members.get(name))
    detail = shown(detail, _DETAIL_CHARACTERS)
    document = {"type": kind, "title": title, "status": status, "detail": detail, **members}
    return Problem.model_validate(document)


def _member(value: object) -> object:
    """A member of a problem document: what JSON cannot hold is left out, or given as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and abs(value) > _FLOAT_MAX:
        return shown(str(value))
    return shown(value) if isinstance(value, str) else value


def _field_error(error: Mapping[str, Any]) -> FieldError:
    path = ".".join(str(part) for part in error["loc"]) or "body"
    message = shown(error["msg"].removeprefix("Value error, "), 200)
    return FieldError(field=shown(path), message=message[:1].lower() + message[1:])


def _on_error(request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error, request.path_params.get("board_id")))


def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    # FastAPI puts "body", "query" or "path" before the field's own path
    errors = [{**found, "loc": found["loc"][1:]} for found in error.errors()]
    return _on_error(request, invalid_fields(errors))


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    if error.status_code == HTTPStatus.BAD_REQUEST:
        # FastAPI's word for a JSON body that it could not read, for whatever reason
        cause = error.__cause__
        unread = InvalidInput("body", "is not JSON")
        return _on_error(request, cause if isinstance(cause, ApiProblem) else unread)
    kind = _OF_STATUS[error.status_code]
    detail = f"{request.method} {request.url.path}: {TITLES[kind][1].lower()}"
    return problem_response(_problem(kind, detail), error.headers)
