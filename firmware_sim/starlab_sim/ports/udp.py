"""A UDP socket of the emulated board. Knows no frame."""

import contextlib
import socket
from collections.abc import Sequence
from typing import Any, Final

from starlab_sim.ports.base import LONGEST_DATAGRAM_BYTES

_BUFFER_BYTES: Final = 4 << 20
"""Asked of the system, which may give less."""
_NEVER_FRAGMENT: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, 10, 2),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 23, 2),
}
"""Linux: IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, set to IP_PMTUDISC_DO."""


class UdpPort:
    """A UDP socket, which is bound at once.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.

    Raises:
        OSError: The address cannot be bound.
    """

    def __init__(self, host: str, port: int) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            with contextlib.suppress(OSError):  # another system than Linux
                self._socket.setsockopt(*_NEVER_FRAGMENT[self._socket.family])
            self._socket.setblocking(False)
            self._socket.bind(address)
        except OSError:
            self._socket.close()
            raise
        self.fileno = self._socket.fileno
        self.close = self._socket.close

    @property
    def url(self) -> str:
        """Where it listens, as a host takes it."""
        host, port = self._socket.getsockname()[:2]
        return f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"

    def receive(self) -> Sequence[tuple[bytes, Any]]:
        """The next datagram."""
        return (self._socket.recvfrom(LONGEST_DATAGRAM_BYTES),)

    def send(self, datagram: bytes, address: Any) -> None:
        """Send a datagram."""
        self._socket.sendto(datagram, address)
