"""Refuses requests that are too large, before they are read whole. Looks into none."""

import re
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlab_api.problems import (
    ApiProblem,
    BodyTooLarge,
    InvalidInput,
    problem_of,
    problem_response,
)
from starlab_contract import NPY_TYPE, NPZ_TYPE, SNAPSHOT_TYPE

_BULK: Final = (NPY_TYPE, NPZ_TYPE, SNAPSHOT_TYPE)
_QUERY_BYTES_MAX: Final = 16 * 1024
"""Most bytes of a query string: all settings and all rows and columns, named one by one, take a
third of it."""
_LENGTH: Final = re.compile("[0-9]{1,18}")


class BodyLimit:
    """ASGI middleware: bounds the bytes of a request's query, and of its body by media type."""

    def __init__(self, app: ASGIApp, *, bulk_bytes: int, other_bytes: int) -> None:
        self._app = app
        self._bulk_bytes = bulk_bytes
        self._other_bytes = other_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, within its limit."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Request(scope).headers
        limit = self._bulk_bytes if _is_bulk(headers) else self._other_bytes
        try:
            _check_announced(scope, headers, limit)
        except ApiProblem as error:
            # the body is left unread, so that the connection cannot be used again
            problem = problem_of(error)
            await problem_response(problem, {"Connection": "close"})(scope, receive, send)
            return
        if scope["method"] != "GET":
            receive = bounded(receive, limit)
        await self._app(scope, receive, send)


def _is_bulk(headers: Mapping[str, str]) -> bool:
    """Whether a body is an array or a file, by its media type."""
    return headers.get("content-type", "").strip().lower().startswith(_BULK)


def bounded(receive: Receive, limit: int) -> Receive:
    """What receives a body, up to a limit in bytes; beyond it raises BodyTooLarge."""
    received = 0

    async def receive_within() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise BodyTooLarge(received, limit)
        return message

    return receive_within


def _check_announced(scope: Scope, headers: Mapping[str, str], limit: int) -> None:
    query = len(scope["query_string"])
    if query > _QUERY_BYTES_MAX:
        problem = f"string of {query} bytes is above the {_QUERY_BYTES_MAX} bytes limit"
        raise InvalidInput("query", problem)
    announced = _LENGTH.fullmatch(headers.get("content-length", ""))
    if announced is not None and int(announced[0]) > limit:
        raise BodyTooLarge(int(announced[0]), limit)
