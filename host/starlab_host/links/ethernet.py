"""Frames in raw Ethernet packets, to a board without an IP address. Knows nothing of them.

Linux only, and only for processes with the capability CAP_NET_RAW.
"""

import contextlib
import re
import socket
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from errno import EPERM, EPROTONOSUPPORT
from typing import Final, Self

from starlab_host.links.base import LONGEST_DATAGRAM_BYTES, Outlet, payload_within, window_for
from starlab_host.links.interfaces import interface
from starlab_spec.wire.frames import ETHERTYPE

BROADCAST: Final = b"\xff" * 6
"""The address of all on an Ethernet."""
_URL: Final = re.compile(
    r"eth://(?P<interface>[^/?#\s]{1,15})/(?P<mac>[0-9a-f]{2}(:[0-9a-f]{2}){5})", re.IGNORECASE
)
_TO_US: Final = 0
"""PACKET_HOST of linux/if_packet.h: addressed to the interface that it came in by."""
_SOL_PACKET: Final = 263
_PACKET_AUXDATA: Final = 8
_AUXDATA: Final = struct.Struct("=IIIHHHH")
"""struct tpacket_auxdata: status, lengths and offsets, VLAN tag, its type."""
_VLAN_VALID: Final = 1 << 4
_VLAN_NUMBER: Final = 0xFFF
_NO_CAPABILITY: Final = (
    "raw Ethernet needs the capability CAP_NET_RAW: run as root, or give it to the interpreter "
    "with `setcap cap_net_raw+ep`"
)


@dataclass(frozen=True, slots=True)
class EthernetAddress:
    """A board on an Ethernet: ``eth://interface/aa:bb:cc:dd:ee:ff``.

    The interface is of this machine, the hardware address is the board's.
    """

    FORM = "eth://interface/aa:bb:cc:dd:ee:ff"

    interface: str
    mac: bytes

    @classmethod
    def parse(cls, url: str) -> Self:
        """The address of a URL.

        Raises:
            ValueError: The URL has another form.
        """
        match = _URL.fullmatch(url)
        if match is None:
            raise ValueError(f"board address {url!r} is not of the form {cls.FORM}")
        return cls(match["interface"], bytes.fromhex(match["mac"].replace(":", "")))

    def __str__(self) -> str:
        """The URL."""
        return f"eth://{self.interface}/{self.mac.hex(':')}"

    def open(self) -> "EthernetLink":
        """As `EthernetLink`."""
        return EthernetLink(self.interface, self.mac)


class EthernetLink:
    """A packet socket, for the frames of one board.

    Args:
        interface_name: Of this machine.
        mac: Hardware address of the board.

    Raises:
        OSError: There is no such interface, or raw Ethernet is not permitted here.
    """

    def __init__(self, interface_name: str, mac: bytes) -> None:
        self.payload_bytes = payload_within(interface(interface_name).mtu_bytes)
        self.window = window_for(self.payload_bytes)
        self._socket = packet_socket(interface_name)
        self._mac = mac
        self._board = packet_address(interface_name, mac)

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send datagrams; an interface that is down loses them."""
        with contextlib.suppress(OSError):
            for datagram in datagrams:
                self._socket.sendto(datagram, self._board)

    def receive(self, timeout_s: float) -> bytes | None:
        """The next datagram of the board; None if none came in that time or less."""
        try:
            self._socket.settimeout(timeout_s)
            packet = receive_packet(self._socket)
        except OSError:
            return None
        return packet[0] if packet is not None and packet[1] == self._mac else None

    @property
    def outlet(self) -> Outlet:
        """Where another process can send as this one does."""
        interface_name, ethertype, _, _, mac = self._board
        return Outlet(self._socket.fileno(), (interface_name, ethertype, mac))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def packet_address(interface_name: str, mac: bytes) -> tuple[str, int, int, int, bytes]:
    """Where a packet goes, as a packet socket takes it."""
    return (interface_name, ETHERTYPE, 0, 0, mac)


def receive_packet(packets: socket.socket) -> tuple[bytes, bytes] | None:
    """What a packet socket has received and the address of its sender; None: it is for others.

    A promiscuous interface, a hub or a trunk brings what is addressed to others, and what is of
    another virtual network.

    Raises:
        OSError: Nothing has come.
    """
    datagram, beside, _, (_, _, kind, _, sender) = packets.recvmsg(
        LONGEST_DATAGRAM_BYTES, socket.CMSG_SPACE(_AUXDATA.size)
    )
    for level, what, data in beside:
        if (level, what) == (_SOL_PACKET, _PACKET_AUXDATA) and len(data) >= _AUXDATA.size:
            status, _, _, _, _, tag, _ = _AUXDATA.unpack_from(data)
            if status & _VLAN_VALID and tag & _VLAN_NUMBER:
                return None
    return (datagram, sender) if kind == _TO_US else None


def packet_socket(interface_name: str) -> socket.socket:
    """A socket for the frames that come in by one interface, without their Ethernet headers.

    Raises:
        OSError: There is no such interface, or raw Ethernet is not permitted here.
    """
    if sys.platform != "linux":
        raise OSError(EPROTONOSUPPORT, "raw Ethernet needs the packet sockets of Linux")
    interface(interface_name)  # a wrong name is told before a missing capability
    try:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    except PermissionError:
        raise PermissionError(EPERM, _NO_CAPABILITY) from None
    try:
        made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        made.bind((interface_name, ETHERTYPE))
    except OSError:
        made.close()
        raise
    return made
