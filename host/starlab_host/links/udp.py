"""Frames as UDP datagrams to one board. Knows nothing of what is in them."""

import contextlib
import socket
from collections.abc import Sequence
from typing import Final

from starlab_spec.wire import UDP_PORT

RECEIVE_BUFFER_BYTES: Final = 4 << 20
"""Asked of the system, which may give less: room for several windows of datagrams."""
_DATAGRAM_BYTES: Final = 9216
"""More than the largest frame."""


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
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket.connect(address)
        self._timeout_s: float | None = None

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send datagrams; nobody listening there is a loss like any other."""
        with contextlib.suppress(OSError):
            for datagram in datagrams:
                self._socket.send(datagram)

    def receive(self, timeout_s: float) -> bytes | None:
        """The next datagram; None if none came in that time or less, or nobody listens there."""
        try:
            # a timeout too short costs a look around, setting it anew costs every datagram
            if self._timeout_s is None or timeout_s < self._timeout_s:
                self._socket.settimeout(timeout_s)
                self._timeout_s = timeout_s
            return self._socket.recv(_DATAGRAM_BYTES)
        except OSError:
            self._timeout_s = None
            return None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
