"""The authors' protocol at the end of a TCP socket, on a thread of its own. Knows no register.

One client at a time: further ones are connected by the system and wait for their turn, unanswered.
While a session of our own protocol is open, clients are turned away: the connection is closed.

The reply to a start and the message of the finished operation must reach the client's two receive
calls apart, however late it makes the first one. Between two machines a pause separates them, as
on the authors' board the duration of the operation does. Within one machine, where a busy processor
can hold the client up for longer than any pause, TCP's urgent mark separates them: no receive call
crosses it, and the marked byte itself is taken out of the stream by the receiving system.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from starlab_sim.authors.front import Front, FrontedBoard
from starlab_sim.errors import PowerFailed
from starlab_spec.authors import OutOfStep, Request, RequestParser

PAUSE_S: Final = 0.002
"""Least time from the reply to a start to the message of the operation, between machines [O]."""
QUIET_S: Final = 0.1
"""Silence after which a memory write that is shorter than it says is complete [O]."""
KNOWN_QUIET_S: Final = 0.001
"""The same where a write of that shape has been complete before on this connection [O]."""

_LOG: Final = logging.getLogger("starlab_sim.authors")
_LOOK_UP_S: Final = 0.25
"""The thread looks so often whether it is to end."""
_SEND_TIMEOUT_S: Final = 10.0
"""A client that takes nothing for so long is gone."""
_WAITING_MAX: Final = 16
_RECEIVE_BYTES: Final = 65536
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
"""A client whose machine is gone is noticed after 11 s, where the system has these options."""


class Owner(Protocol):
    """Who decides who has the board."""

    def hold(self, who: str) -> str | None:
        """Have the board for somebody, until `release`; else who has it."""

    def release(self) -> None:
        """Give it back."""


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.

    Raises:
        OSError: The address cannot be bound.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_WAITING_MAX)
    except OSError:
        listening.close()
        raise
    return listening


class AuthorsServer:
    """Serves one board.

    Args:
        board: What executes.
        listening: Its socket, of `listener`; closed at the end.
        owner: Asked for the board before a client is served.
    """

    def __init__(self, board: FrontedBoard, listening: socket.socket, *, owner: Owner) -> None:
        self._listener = listening
        self._listener.settimeout(_LOOK_UP_S)
        self._board = board
        self._owner = owner
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="authors", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, as a host takes it."""
        host, port = self._listener.getsockname()[:2]
        return f"authors-tcp://[{host}]:{port}" if ":" in host else f"authors-tcp://{host}:{port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """End it, a running operation at its next safe point."""
        self._stopping = True
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._stopping:
            try:
                client, address = self._listener.accept()
            except OSError:
                continue
            with client:
                self._admit(client, f"{address[0]}:{address[1]}")

    def _admit(self, client: socket.socket, name: str) -> None:
        holder = self._owner.hold(f"a program of the chip's authors at {name}")
        if holder is not None:
            _LOG.warning("%s turned away: the board is in use by %s", name, holder)
            return
        try:
            with contextlib.suppress(OSError):  # it is gone
                _Connection(client, self._board, lambda: self._stopping).serve()
        except OutOfStep as error:
            _LOG.warning("%s disconnected: %s", name, error)
        except PowerFailed:
            _LOG.warning("%s disconnected: the board's power failed", name)
        except Exception as error:  # a defect must not end the thread: the next client is served
            self._board.break_down(error)
        finally:
            self._owner.release()


class _Connection:
    """One client, served until it goes."""

    def __init__(
        self, client: socket.socket, board: FrontedBoard, stopping: Callable[[], bool]
    ) -> None:
        self._client = client
        self._stopping = stopping
        self._front = Front(board, stopping)
        self._parser = RequestParser()
        self._short_writes: set[tuple[int, int]] = set()
        """Length field and bytes of memory writes that were shorter than they said."""
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if hasattr(socket, option):
                client.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        self._is_near = client.getpeername()[0] == client.getsockname()[0]

    def serve(self) -> None:
        """Serve until the client closes, or the server stops.

        Raises:
            OutOfStep: The client sends what begins no request.
            PowerFailed: The board's power did.
            OSError: The connection broke.
        """
        while not self._stopping():
            writing = self._parser.writing
            self._client.settimeout(self._patience_s(writing))
            try:
                data = self._client.recv(_RECEIVE_BYTES)
            except TimeoutError:
                if writing is not None:
                    self._short_writes.add(writing)
                    self._do(self._parser.end_write())
                continue
            if not data:
                return
            self._parser.feed(data)
            while (request := self._parser.next_request()) is not None:
                self._do(request)

    def _patience_s(self, writing: tuple[int, int] | None) -> float:
        if writing is None:
            return _LOOK_UP_S
        return KNOWN_QUIET_S if writing in self._short_writes else QUIET_S

    def _do(self, request: Request) -> None:
        answer = self._front.answer(request)
        if answer.reply is not None:
            self._send(answer.reply)
        if answer.starts:
            earliest = time.monotonic() + PAUSE_S
            message = self._front.run()
            if not (self._is_near and self._mark()):
                time.sleep(max(earliest - time.monotonic(), 0.0))
            self._send(message)

    def _mark(self) -> bool:
        """Set TCP's urgent mark behind what was sent; whether the system does that."""
        try:
            return self._client.send(b"\0", socket.MSG_OOB) == 1
        except (OSError, AttributeError):
            return False

    def _send(self, message: bytes) -> None:
        self._client.settimeout(_SEND_TIMEOUT_S)
        self._client.sendall(message)
