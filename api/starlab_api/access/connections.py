"""Connections of clients: bounded in number, time and bytes. Knows no call but the emergency stop.

A client that stops in the middle of a request, or never begins one, keeps its connection for some
seconds; one more client always gets in, as the connection that has waited longest has to go.
"""

import asyncio
import logging
import resource
from collections import deque
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Final

from httptools import HttpParserError
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from starlab_api.boards.stopping import is_stop
from starlab_api.problems import (
    ApiProblem,
    HeadTooLarge,
    Malformed,
    ServerBusy,
    TooSlow,
    problem_of,
    problem_response,
)
from starlab_api.settings import ConnectionLimits

_log: Final = logging.getLogger(__name__)
_CHUNK_OVERHEAD: Final = 8
"""Bytes that a byte of a body may take on the way: one for each chunk is the worst."""
_DESCRIPTORS: Final = 4096
"""As many are asked for; most systems give 1,024 unasked."""
_OWN_DESCRIPTORS: Final = 128
"""Boards, journals, files, the event loop."""
_ROUNDS: Final = 4
"""Turns of the event loop from accepting a connection to having closed another one for it."""


def fitting(limits: ConnectionLimits, descriptors: int) -> ConnectionLimits:
    """Limits with fewer connections, where a process may not open as many."""
    accepted = min(limits.accepted, max(1, descriptors // 32))
    places = descriptors - min(_OWN_DESCRIPTORS, descriptors // 2) - _ROUNDS * accepted
    if places >= limits.calls + limits.waiting:
        return limits
    waiting = max(1, places // 3)
    return replace(limits, calls=max(1, places - waiting), waiting=waiting, accepted=accepted)


def more_descriptors() -> int:
    """Let this process open more files and sockets, as far as it may; gives how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return _DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


class _Phase(Enum):
    """Where a connection is with its request."""

    HEAD = auto()
    """Waiting for one, or in the middle of its headers."""
    BODY = auto()
    """In the middle of its body."""
    CALL = auto()
    """It is whole, and not yet answered."""
    REFUSED = auto()
    """Answered before it was whole; what still comes is dropped."""


class Connections:
    """All connections of one server. For one event loop alone."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._all: dict[Connection, None] = {}
        self._waiting: dict[Connection, None] = {}
        self._bodies: dict[Connection, None] = {}
        self._turn: asyncio.TimerHandle | None = None

    def protocol(self, **arguments: Any) -> "Connection":
        """A new connection, as uvicorn wants it."""
        return Connection(self, **arguments)

    @property
    def calls(self) -> int:
        """Connections that have sent their headers and not got their answer."""
        return len(self._all) - len(self._waiting)

    def enter(self, connection: "Connection") -> None:
        """A new connection waits for its first request; another one goes if there is no room."""
        self._all[connection] = None
        self.moved(connection, _Phase.HEAD)
        if len(self._all) > self.limits.calls + self.limits.waiting:
            _log.warning("too many connections: the one that has waited longest was closed")
            others = self._waiting if len(self._waiting) > 1 else self._bodies or self._waiting
            next(iter(others)).abort()
        if self._turn is None:
            self._wait_for_turn(asyncio.get_running_loop())

    def moved(self, connection: "Connection", phase: _Phase) -> None:
        """A connection has come to another phase: it is the youngest of those that are there."""
        for phases, members in (
            ((_Phase.HEAD, _Phase.REFUSED), self._waiting),
            ((_Phase.BODY,), self._bodies),
        ):
            members.pop(connection, None)
            if phase in phases and connection in self._all:
                members[connection] = None

    def leave(self, connection: "Connection") -> None:
        """A connection is closed."""
        for members in (self._all, self._waiting, self._bodies):
            members.pop(connection, None)

    def _wait_for_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turn = loop.call_later(self.limits.turn_s, self._look, loop, loop.time())

    def _look(self, loop: asyncio.AbstractEventLoop, before_s: float) -> None:
        # time in which this very process stood still is nobody's but its own
        elapsed_s = min(loop.time() - before_s, 2 * self.limits.turn_s)
        for connection in list(self._all):
            connection.look(elapsed_s)
        self._turn = None
        if self._all:
            self._wait_for_turn(loop)


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tell the application of a call that its client has gone."""
    cycle.disconnected = True
    cycle.message_event.set()


class Connection(HttpToolsProtocol):
    """uvicorn's connection, with limits."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._connections = connections
        self._limits = connections.limits
        self._serve = self.app
        self._phase = _Phase.HEAD
        self._waited_s = 0.0
        self._why: ApiProblem | None = None
        self._later: ApiProblem | None = None
        self._unanswered: deque[RequestResponseCycle] = deque()
        self._in_body = self._ended_here = False
        self._fields = self._field_bytes = self._other_bytes = self._body_bytes = 0
        self._body_here = 0
        self._buffered = 0
        self._stalled_s = 0.0

    def abort(self) -> None:
        """Close it at once, whatever is under way."""
        self._connections.leave(self)
        self.transport.abort()

    def look(self, elapsed_s: float) -> None:
        """Some time has passed: end what took too long."""
        buffered = self.transport.get_write_buffer_size()
        stalls = 0 < buffered == self._buffered
        self._stalled_s = self._stalled_s + elapsed_s if stalls else 0.0
        self._buffered = buffered
        if self._stalled_s > self._limits.answer_s:
            self.abort()
            return
        if self._phase is _Phase.CALL or self.flow.read_paused or buffered:
            return  # it is not the client that is waited for
        self._waited_s += elapsed_s
        if self._phase is _Phase.REFUSED:
            if self._waited_s > self._limits.linger_s:
                self.abort()
        elif self._phase is _Phase.HEAD:
            if self._waited_s > self._limits.head_s and not self._other_bytes:
                self.abort()  # it has asked for nothing
            elif self._waited_s > self._limits.head_s:
                self._refuse(TooSlow("headers", self._limits.head_s))
        else:
            limit_s = self._limits.body_s + self._body_bytes / self._limits.body_bytes_per_s
            if self._waited_s > limit_s:
                self._refuse(TooSlow("body", limit_s))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Find a place."""
        super().connection_made(transport)
        self._connections.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back; each call hears that its client has gone, not the newest alone."""
        self._connections.leave(self)
        for cycle in self._unanswered:
            _disconnect(cycle)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, as long as they lead somewhere."""
        if self._phase is _Phase.REFUSED or self._later is not None:
            return
        self._ended_here, self._body_here = False, 0
        super().data_received(data)
        if self._ended_here:
            return
        self._other_bytes += len(data) - self._body_here
        if self._other_bytes > self._limits.head_bytes + _CHUNK_OVERHEAD * self._body_bytes:
            self._refuse(HeadTooLarge("bytes", self._limits.head_bytes))

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if len(self._unanswered) >= self._limits.ahead:
            self._why = ServerBusy(f"{self._limits.ahead} calls of this connection are under way")
            raise self._why
        self._fields = self._field_bytes = self._other_bytes = self._body_bytes = 0
        self._body_here = 0

    def on_url(self, url: bytes) -> None:
        """Part of the address is there."""
        self._count(0, len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header is there."""
        self._count(1, len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The headers are there: the request finds a place among the calls, or is refused."""
        self._in_body = True
        self._move()
        path = self.url.partition(b"?")[0].decode("latin-1")
        has_place = self._connections.calls <= self._limits.calls
        has_place = has_place or is_stop(self.parser.get_method().decode("ascii"), path)
        self.app = self._serve if has_place else self._refuse_call
        try:
            super().on_headers_complete()
        except (HttpParserError, UnicodeError):  # its address is none, and so is the call
            self._in_body = False
            self._move()
            raise
        self._unanswered.append(self.cycle)
        if self.pipeline:  # who does not read does not hear either that a client leaves
            self.flow.resume_reading()

    def on_body(self, body: bytes) -> None:
        """Part of the body is there."""
        self._body_bytes += len(body)
        self._body_here += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body, self._ended_here = False, True
        self._move()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is out, maybe before the request was whole."""
        self._unanswered.popleft()
        self._move()
        super().on_response_complete()
        if self._later is not None and not self._unanswered:
            why, self._later = self._later, None
            self._refuse(why)

    def shutdown(self) -> None:
        """The server ends: calls may go on for a while, but what is not yet whole is none."""
        if self._phase is _Phase.BODY:
            self._refuse(ServerBusy("the server is ending"))
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or too much of it."""
        self._refuse(self._why or Malformed(msg))

    def _count(self, fields: int, size: int) -> None:
        self._fields += fields
        self._field_bytes += size
        if self._fields > self._limits.head_fields:
            self._why = HeadTooLarge("headers", self._limits.head_fields)
        elif self._field_bytes > self._limits.head_bytes:
            self._why = HeadTooLarge("bytes", self._limits.head_bytes)
        if self._why is not None:  # the parser ends, and uvicorn calls send_400_response
            raise self._why

    def _move(self, *, refused: bool = False) -> None:
        before = self._phase
        if refused or before is _Phase.REFUSED:
            self._phase = _Phase.REFUSED
        elif self._in_body:
            self._phase = _Phase.BODY
        else:
            self._phase = _Phase.CALL if self._unanswered else _Phase.HEAD
        if self._phase is not before:
            self._waited_s = 0.0
            self._connections.moved(self, self._phase)
            if self._phase is _Phase.HEAD:
                self._other_bytes = 0

    def _refuse(self, why: ApiProblem) -> None:
        """Say why, and let the client read it.

        A connection that is closed on what the client still sends would take the answer along.
        Calls that came before on this connection are answered first.
        """
        if self._phase is _Phase.REFUSED or self._later is not None:
            return
        if len(self._unanswered) > self._in_body:  # else the client took it for theirs
            self._later = why
            if self._in_body:
                self.pipeline.popleft()  # it was never begun
                self._unanswered.pop()
                self._in_body = False
                self._move()
            return
        if self._in_body:  # an application that waits for the rest hears that it is over
            self.cycle.waiting_for_100_continue = False
            _disconnect(self.cycle)
        has_begun = self._phase is _Phase.BODY and self.cycle.response_started
        self._move(refused=True)
        if has_begun or self.transport.is_closing():
            self.transport.close()
            return
        if not isinstance(why, Malformed):  # uvicorn has said so
            _log.warning("refused a request: %s", why)
        response = problem_response(problem_of(why), {"Connection": "close"})
        lines = [f"HTTP/1.1 {response.status_code} {problem_of(why).title}".encode()]
        lines += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.write_eof()

    async def _refuse_call(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = problem_of(ServerBusy(f"{self._limits.calls} calls are under way"))
        response = problem_response(problem, {"Connection": "close", "Retry-After": "1"})
        await response(scope, receive, send)
