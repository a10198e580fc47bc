"""Who asks for a call, whether it is still there, and which calls run. Runs none of them."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

from starlab_api.problems import ApiProblem
from starlab_host import Aborted, Work

_log: Final = logging.getLogger(__name__)
_WATCHED_AFTER_S: Final = 0.05
"""A call that is over by then is not worth watching its client [O]."""
_ID_CHARACTERS: Final = 100
"""What is kept of a client's own id of a call."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for one call, and the call's work."""

    work: Work = field(default_factory=Work)
    """What the call does, over all that it asks of its board."""
    client: str | None = None
    """Its address."""
    request_id: str | None = None
    """What it calls the call."""
    receive: Receive | None = None
    """Tells when it has gone; None: what it began runs to its end."""

    @classmethod
    def of(cls, request: Request) -> "Caller":
        """Who has sent a request. One with an Idempotency-Key may ask for the answer later."""
        key = request.headers.get("idempotency-key")
        what = f"{request.method} {request.scope['path']}" + (f" ({key})" if key else "")
        request_id = request.headers.get("x-request-id")
        return cls(
            Work(what),
            None if request.client is None else f"{request.client.host}:{request.client.port}",
            None if request_id is None else request_id[:_ID_CHARACTERS],
            request.receive if key is None else None,
        )

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Within the block the work is asked to stop as soon as the client has gone.

        The request's body has been read before.
        """
        if self.receive is None:
            yield
            return
        watches: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        begin = loop.call_later(
            _WATCHED_AFTER_S, lambda: watches.append(loop.create_task(self._watch()))
        )
        try:
            yield
        finally:
            begin.cancel()
            for watch in watches:
                watch.cancel()

    async def _watch(self) -> None:
        assert self.receive is not None  # noqa: S101 - as `watched` knows
        try:
            while (await self.receive())["type"] != "http.disconnect":
                pass
        except (ApiProblem, ClientDisconnect):
            return  # of a body that the call does not take, and nobody has read
        # on a thread: whoever runs the call may hold what this waits for, for a moment
        threading.Thread(target=self.work.stop.request, daemon=True).start()


CALLER: Final[ContextVar[Caller | None]] = ContextVar("caller", default=None)
"""For whom the server works in this context."""


def caller() -> Caller:
    """For whom the server works in this context; nobody in particular where that is not known."""
    return CALLER.get() or Caller()


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A call that runs no more."""

    caller: Caller
    ended_at: datetime
    how: str
    """How it has ended."""


class RunningCalls:
    """The calls that run on one board. For one event loop alone.

    Attributes:
        last: The last one that had the board for itself; None: there was none.
        last_stopped: The last one whose client had gone, likewise.
    """

    def __init__(self) -> None:
        self._running: dict[Caller, bool] = {}
        self.last: EndedCall | None = None
        self.last_stopped: EndedCall | None = None

    @property
    def current(self) -> Caller | None:
        """The one that has the board for itself, or else the one that has run longest."""
        alone = [one for one, has_board in self._running.items() if has_board]
        return next(iter(alone or self._running), None)

    def add(self, who: Caller, future: "asyncio.Future[Any]", *, has_board: bool) -> None:
        """A call runs until its future is done."""
        self._running[who] = has_board
        future.add_done_callback(lambda ended: self._remove(who, ended))

    def _remove(self, who: Caller, ended: "asyncio.Future[Any]") -> None:
        has_board = self._running.pop(who, False)
        error = None if ended.cancelled() else ended.exception()
        how = "it had come to its end" if error is None else f"{error}"
        if isinstance(error, Aborted):
            # the board speaks of one command, which need not be all that the call did
            whose = "its last command: " if error.opcode else ""
            how = f"stopped: {whose}{error.message}"
        call = EndedCall(who, datetime.now(UTC), how)
        if has_board:
            self.last = call
        if who.work.stop.requested:
            self.last_stopped = call
            _log.warning("%s: its client has gone; %s; %s", who.work.what, how, who.work.done)
