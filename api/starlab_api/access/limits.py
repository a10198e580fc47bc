"""Refuses requests that are too large, before they are read whole. Looks into none."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlab_api.problems import (
    ApiProblem,
    BodyTooLarge,
    InvalidInput,
    ServerBusy,
    problem_of,
    problem_response,
)
from starlab_contract import NPY_TYPE, NPZ_TYPE, SNAPSHOT_TYPE

_log: Final = logging.getLogger(__name__)
_BULK: Final = (NPY_TYPE, NPZ_TYPE, SNAPSHOT_TYPE)
_QUERY_BYTES_MAX: Final = 16 * 1024
"""Most bytes of a query string: all settings and all rows and columns, named one by one, take a
third of it."""
_LENGTH: Final = re.compile("[0-9]{1,18}")


class BodyLimit:
    """ASGI middleware: bounds the bytes of a request's query and body, and of all bodies together.

    A client that leaves before its body is whole is no error of anybody's, and nothing is done.
    """

    def __init__(self, app: ASGIApp, *, bulk_bytes: int, other_bytes: int, all_bytes: int) -> None:
        self._app = app
        self._bulk_bytes = bulk_bytes
        self._other_bytes = other_bytes
        self._all_bytes = all_bytes
        self._held_bytes = 0

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
        if scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        with self._held(bounded(receive, limit)) as held:
            try:
                await self._app(scope, held, send)
            except ClientDisconnect:
                _log.info("%s %s: its client has left", scope["method"], scope["path"])

    @contextmanager
    def _held(self, receive: Receive) -> Iterator[Receive]:
        """What receives a body that counts among all bodies for as long as its call takes."""
        received = 0

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            self._held_bytes += size
            if self._held_bytes > self._all_bytes:
                raise ServerBusy(f"bodies of {self._held_bytes} bytes are under way")
            return message

        try:
            yield receive_counted
        finally:
            self._held_bytes -= received


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
