"""Frames as UDP datagrams to one board. Knows nothing of what is in them."""

import contextlib
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from starlab_host.links.base import LONGEST_DATAGRAM_BYTES, Outlet, payload_within, window_for
from starlab_spec.wire import UDP_PORT
from starlab_spec.wire.frames import FRAME_OVERHEAD_BYTES, MAX_PAYLOAD_BYTES

RECEIVE_BUFFER_BYTES: Final = 4 << 20
"""Asked of the system, which may give less: room for several windows of datagrams."""
PROMPT_S: Final = 150e-6
"""A board that answers within this is waited for awake: to be woken takes a third of it [O]."""

_NEVER_FRAGMENT: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, 10),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 23),
}
"""Linux: level and option IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, which the socket module lacks."""
_DO: Final = 2
"""IP_PMTUDISC_DO: a datagram that is too long is refused, and the way's limit remembered."""
_PATH_MTU: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, 14, 20 + 8),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 24, 40 + 8),
}
"""Linux: level and option IP_MTU, IPV6_MTU; bytes of the IP and UDP headers."""


@dataclass(frozen=True, slots=True)
class UdpAddress:
    """A board on a network: ``udp://host`` or ``udp://host:port``."""

    FORM = "udp://host[:port]"

    host: str
    port: int = UDP_PORT

    @classmethod
    def parse(cls, url: str) -> Self:
        """The address of a URL.

        Raises:
            ValueError: The URL has another form.
        """
        parts = urlsplit(url)
        if not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError(f"board address {url!r} is not of the form {cls.FORM}")
        return cls(parts.hostname, UDP_PORT if parts.port is None else parts.port)

    def __str__(self) -> str:
        """The URL."""
        return f"udp://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def open(self) -> "UdpLink":
        """As `UdpLink`."""
        return UdpLink(self.host, self.port)


class UdpLink:
    """A connected UDP socket.

    Args:
        host: Name or address of the board.
        port: Its port.

    Raises:
        OSError: The name is unknown or there is no way to the address.
    """

    def __init__(self, host: str, port: int = UDP_PORT) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[
            0
        ]
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            self._socket.connect(address)
            self.payload_bytes = payload_within(_unfragmented_bytes(self._socket))
            self.window = window_for(self.payload_bytes)
        except OSError:
            self._socket.close()
            raise
        self._timeout_s: float | None = None
        self._prompt = False
        """Whether the board's last datagram came within `PROMPT_S`."""

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send datagrams; nobody listening there is a loss like any other."""
        with contextlib.suppress(OSError):
            for datagram in datagrams:
                self._socket.send(datagram)

    def receive(self, timeout_s: float) -> bytes | None:
        """The next datagram; None if none came in that time or less, or nobody listens there."""
        if self._prompt and timeout_s > 0:
            datagram = self._look_out()
            if datagram is not None:
                return datagram
        began = time.perf_counter()
        datagram = self._wait(timeout_s)
        self._prompt = datagram is not None and time.perf_counter() - began < PROMPT_S
        return datagram

    def _look_out(self) -> bytes | None:
        """Look for a datagram again and again for a moment."""
        receive, now = self._socket.recv, time.perf_counter
        end = now() + PROMPT_S
        try:
            if self._timeout_s != 0.0:
                self._set_timeout(0.0)
            while now() < end:
                with contextlib.suppress(BlockingIOError):
                    return receive(LONGEST_DATAGRAM_BYTES)
        except OSError:
            pass
        return None

    def _wait(self, timeout_s: float) -> bytes | None:
        """Sleep until a datagram comes."""
        try:
            # a timeout too short costs a look around, setting it anew costs every datagram
            if not self._timeout_s or timeout_s < self._timeout_s:
                self._set_timeout(timeout_s)
            return self._socket.recv(LONGEST_DATAGRAM_BYTES)
        except OSError:
            self._timeout_s = None
            return None

    def _set_timeout(self, timeout_s: float) -> None:
        self._socket.settimeout(timeout_s)
        self._timeout_s = timeout_s

    @property
    def outlet(self) -> Outlet:
        """Where another process can send as this one does."""
        return Outlet(self._socket.fileno())

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _unfragmented_bytes(connected: socket.socket) -> int:
    """Longest datagram that the way is known to take in one piece, which it is now made to do.

    Where the system does not tell, that of a usual Ethernet.
    """
    if sys.platform != "linux":
        return FRAME_OVERHEAD_BYTES + MAX_PAYLOAD_BYTES
    connected.setsockopt(*_NEVER_FRAGMENT[connected.family], _DO)
    level, option, header_bytes = _PATH_MTU[connected.family]
    return connected.getsockopt(level, option) - header_bytes
