"""Raw Ethernet at the emulated board: Linux only, with the capability CAP_NET_RAW.

Knows no frame.
"""

import os
import socket
import sys
from collections.abc import Hashable, Sequence
from errno import ENODEV, EPERM, EPROTONOSUPPORT

from starlab_sim.ports.base import LONGEST_DATAGRAM_BYTES
from starlab_spec.wire.frames import ETHERTYPE


class EthernetPort:
    """A packet socket on an interface, which listens at once.

    Args:
        interface: Of this machine.

    Raises:
        OSError: There is no such interface, or raw Ethernet is not permitted here.
    """

    def __init__(self, interface: str) -> None:
        if sys.platform != "linux":
            raise OSError(EPROTONOSUPPORT, "raw Ethernet needs the packet sockets of Linux")
        if interface not in (name for _, name in socket.if_nameindex()):
            raise OSError(ENODEV, os.strerror(ENODEV))
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
        except PermissionError:
            raise PermissionError(EPERM, "raw Ethernet needs the capability CAP_NET_RAW") from None
        try:
            self._socket.setblocking(False)
            self._socket.bind((interface, ETHERTYPE))
        except OSError:
            self._socket.close()
            raise
        self._interface = interface
        mac: bytes = self._socket.getsockname()[4]
        self.url = f"eth://{interface}/{mac.hex(':')}"
        self.fileno = self._socket.fileno
        self.close = self._socket.close

    def receive(self) -> Sequence[tuple[bytes, Hashable]]:
        """The next datagram."""
        datagram, (_, _, _, _, sender) = self._socket.recvfrom(LONGEST_DATAGRAM_BYTES)
        return ((datagram, sender),)

    def send(self, datagram: bytes, address: Hashable) -> None:
        """Send a datagram."""
        self._socket.sendto(datagram, (self._interface, ETHERTYPE, 0, 0, address))
