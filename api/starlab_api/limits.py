"""Refuses request bodies that are too large, before they are read whole. Looks into none."""

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlab_api.problems import BodyTooLarge, problem_of, problem_response
from starlab_contract import NPY_TYPE, NPZ_TYPE, SNAPSHOT_TYPE

_BULK = (NPY_TYPE, NPZ_TYPE, SNAPSHOT_TYPE)


class BodyLimit:
    """ASGI middleware: bounds the bytes of a request's body by its media type."""

    def __init__(self, app: ASGIApp, *, bulk_bytes: int, other_bytes: int) -> None:
        self._app = app
        self._bulk_bytes = bulk_bytes
        self._other_bytes = other_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, within its limit."""
        if scope["type"] != "http" or scope["method"] == "GET":
            await self._app(scope, receive, send)
            return
        headers = Request(scope).headers
        bulk = headers.get("content-type", "").startswith(_BULK)
        limit = self._bulk_bytes if bulk else self._other_bytes
        announced = headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            problem = problem_of(BodyTooLarge(int(announced), limit))
            await problem_response(problem, {"Connection": "close"})(scope, receive, send)
            return
        received = 0

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise BodyTooLarge(received, limit)
            return message

        await self._app(scope, bounded, send)
