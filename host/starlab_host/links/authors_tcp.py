"""The authors' board at the end of a TCP connection: one request, one reply. Knows no operation.

How long most replies are is not published. So a reply is what one receive call gives, as for the
authors' own program, and more only where more is known to come; whatever else has come before the
next request is part of a reply and dropped. The one place where two messages follow each other,
after a start, is cut by the length of the replies to other register writes.
"""

import socket
import time
from dataclasses import dataclass
from select import select
from typing import Final, Self
from urllib.parse import urlsplit

from starlab_host.links.base import Link
from starlab_spec.authors import (
    CHUNK_BYTES,
    HEADER_BYTES,
    REPLY_BYTES_MAX,
    TCP_PORT,
    TCP_READ_MAX,
    Op,
    get_register,
    interrupt_length,
    read_memory,
    reply_word,
    set_register,
    set_supply,
    user_space,
    write_memory,
)
from starlab_spec.registers import register

CONNECT_TIMEOUT_S: Final = 3.0
REPLY_TIMEOUT_S: Final = 5.0
"""A board answers a request at once."""
RESULT_TIMEOUT_S: Final = 60.0
"""An operation on one row or sample takes milliseconds, a range of samples longer [O]."""
REST_TIMEOUT_S: Final = 1.0
"""The rest of a message is behind its beginning by a retransmission at most [O]."""

_START: Final = register("START").address
_START_WORD: Final = register("START").field("start").mask
_INTERRUPT_MAX: Final = 255
_APART_S: Final = 0.002
"""Keeps a request out of the segment of one before it that has no reply [O]."""


class ConnectionGone(Exception):
    """The connection is over, or the board did not answer in time."""


@dataclass(frozen=True, slots=True)
class AuthorsAddress:
    """``authors-tcp://host[:port]``: a board that speaks the authors' protocol."""

    FORM = "authors-tcp://host[:port]"

    host: str
    port: int = TCP_PORT

    @classmethod
    def parse(cls, url: str) -> Self:
        """The address of a URL.

        Raises:
            ValueError: It has another form.
        """
        parts = urlsplit(url)
        if not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"board address {url!r} is not of the form {cls.FORM}")
        return cls(parts.hostname, TCP_PORT if parts.port is None else parts.port)

    def __str__(self) -> str:
        """The URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"authors-tcp://{host}:{self.port}"

    def open(self) -> Link:
        """Refuse: there are no datagrams on this way.

        Raises:
            ValueError: Always.
        """
        raise ValueError(f"{self} carries no frames: a board there is used by connecting to it")

    def connect(self) -> "AuthorsLink":
        """Connect to the board.

        Raises:
            OSError: Nobody listens there.
            ConnectionGone: Who listens there does not answer as the board does.
        """
        return AuthorsLink(socket.create_connection((self.host, self.port), CONNECT_TIMEOUT_S))


class AuthorsLink:
    """A connection to a board; for one thread at a time.

    Args:
        connection: The socket, which belongs to the link from now on.

    Attributes:
        base: User space base address: where the memory addresses of our API begin.
        requests: Requests that may have reached the board so far.

    Every method raises ConnectionGone where the connection is over; it is then of no use any more.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.requests = 0
        self._interrupt_bytes: int | None = None
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self.base = reply_word(self._ask(user_space(), 4))
            self._register_reply_bytes = len(self._ask(set_register(_START, 0)))
        except (OSError, ConnectionGone):
            connection.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def get_register(self, address: int) -> int:
        """A register word."""
        return reply_word(self._ask(get_register(address), 4))

    def set_register(self, address: int, word: int) -> None:
        """Replace a register word."""
        self._ask(set_register(address, word))

    def write_memory(self, address: int, data: bytes) -> None:
        """Write to the board's memory, chunk by chunk."""
        for at in range(0, len(data), CHUNK_BYTES):
            self._ask(write_memory(self.base + address + at, data[at : at + CHUNK_BYTES]))

    def read_memory(self, address: int, count: int) -> bytes:
        """Bytes of the board's memory."""
        parts = []
        for at in range(0, count, TCP_READ_MAX):
            size = min(TCP_READ_MAX, count - at)
            message = self._ask(read_memory(self.base + address + at, size), size)
            parts.append(message[HEADER_BYTES : HEADER_BYTES + size])
        return b"".join(parts)

    def set_supply(self, chip_select: int, register_number: int, code: int, *, is_ua: bool) -> None:
        """Set a supply to a code."""
        op = Op.SET_CURRENT if is_ua else Op.SET_VOLTAGE
        self._ask(set_supply(op, chip_select, register_number, code))

    def run(self, result_bytes: int) -> bytes:
        """Start the operation that register OPERATION names, and wait for its end.

        Args:
            result_bytes: How long its result is.

        Returns:
            Its message: the header and that many bytes, or fewer if no more came.
        """
        self._announce_result(result_bytes)
        self._send(set_register(_START, _START_WORD))
        replied = self._receive(self._register_reply_bytes, REPLY_TIMEOUT_S)
        message = replied[self._register_reply_bytes :]
        if len(message) < HEADER_BYTES:
            message += self._receive(HEADER_BYTES - len(message), RESULT_TIMEOUT_S)
        whole = HEADER_BYTES + result_bytes
        while len(message) < whole and (more := self._receive_rest()):
            message += more
        self._ask(set_register(_START, 0))
        return message[:whole]

    def _announce_result(self, result_bytes: int) -> None:
        count = min(result_bytes, _INTERRUPT_MAX)
        if count != self._interrupt_bytes:
            self._send(interrupt_length(count))
            time.sleep(_APART_S)  # no reply tells that it has been read
            self._interrupt_bytes = count

    def _ask(self, request: bytes, content_bytes: int = 0) -> bytes:
        """Send a request; its reply, which has so many bytes of content at least."""
        self._send(request)
        return self._receive(HEADER_BYTES + content_bytes, REPLY_TIMEOUT_S)

    def _send(self, request: bytes) -> None:
        try:
            while select([self._socket], [], [], 0)[0]:
                if not self._socket.recv(REPLY_BYTES_MAX):
                    raise ConnectionGone("the board has closed the connection")
            self._socket.settimeout(REPLY_TIMEOUT_S)
            self.requests += 1
            self._socket.sendall(request)
        except (OSError, ValueError) as error:
            raise ConnectionGone(f"the connection broke: {error}") from error

    def _receive(self, least: int, timeout_s: float) -> bytes:
        """What has come, as soon as it is so many bytes at least."""
        message = b""
        try:
            self._socket.settimeout(timeout_s)
            while len(message) < least:
                part = self._socket.recv(REPLY_BYTES_MAX)
                if not part:
                    raise ConnectionGone("the board has closed the connection")
                message += part
        except TimeoutError:
            waited = f"the board did not answer within {timeout_s:g} s"
            raise ConnectionGone(waited) from None
        except (OSError, ValueError) as error:
            raise ConnectionGone(f"the connection broke: {error}") from error
        return message

    def _receive_rest(self) -> bytes:
        """What comes of a message whose beginning is there; nothing if nothing does."""
        if not select([self._socket], [], [], REST_TIMEOUT_S)[0]:
            return b""
        return self._receive(1, REST_TIMEOUT_S)
