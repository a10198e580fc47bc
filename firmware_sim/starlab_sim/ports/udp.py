"""A UDP socket of the emulated board.

Knows no more of a frame than its type: to a broadcast only DISCOVER is for the board.
"""

import contextlib
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, Final

from starlab_sim.ports.base import LONGEST_DATAGRAM_BYTES, is_discover

_BUFFER_BYTES: Final = 4 << 20
"""Asked of the system, which may give less."""
_NEVER_FRAGMENT: Final = {
    socket.AF_INET: (socket.IPPROTO_IP, 10, 2),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 23, 2),
}
"""Linux: IP_MTU_DISCOVER and IPV6_MTU_DISCOVER, set to IP_PMTUDISC_DO."""
_ANY: Final = "0.0.0.0"
_IP_PKTINFO: Final = 8
"""Linux: with each datagram, which address it was sent to."""
_PKTINFO: Final = struct.Struct("=I4s4s")
"""struct in_pktinfo: interface, own address there, address that it was sent to."""


class UdpPort:
    """A UDP socket, which is bound at once.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.

    Raises:
        OSError: The address cannot be bound.
    """

    shared = False

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
            # only a socket that is bound to no address of its own hears broadcasts
            self._hears_all = address[0] == _ANY and sys.platform == "linux"
            if self._hears_all:
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
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
        """The next datagram, if it is for the board."""
        if not self._hears_all:
            return (self._socket.recvfrom(LONGEST_DATAGRAM_BYTES),)
        datagram, beside, _, sender = self._socket.recvmsg(
            LONGEST_DATAGRAM_BYTES, socket.CMSG_SPACE(_PKTINFO.size)
        )
        return () if _to_all(beside) and not is_discover(datagram) else ((datagram, sender),)

    def send(self, datagram: bytes, address: Any) -> None:
        """Send a datagram."""
        self._socket.sendto(datagram, address)


def _to_all(beside: Sequence[tuple[int, int, bytes]]) -> bool:
    """Whether a datagram was sent to more than one address."""
    for level, kind, data in beside:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(data) >= _PKTINFO.size:
            _, own, target = _PKTINFO.unpack_from(data)
            return bool(own != target)
    return False
