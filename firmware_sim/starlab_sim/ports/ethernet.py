"""Raw Ethernet at the emulated board: Linux only, with the capability CAP_NET_RAW.

Knows no more of a frame than its type: to a broadcast only DISCOVER is for the board.
"""

import contextlib
import os
import socket
import struct
import sys
from collections.abc import Hashable, Sequence
from errno import EADDRINUSE, ENODEV, EPERM, EPROTONOSUPPORT
from pathlib import Path
from typing import Final

from starlab_sim.ports.base import LONGEST_DATAGRAM_BYTES, is_discover
from starlab_spec.wire.frames import ETHERTYPE

_TO_US: Final = 0
_TO_ALL: Final = 1
"""PACKET_HOST and PACKET_BROADCAST of linux/if_packet.h: what an interface took a packet for."""
_SOL_PACKET: Final = 263
_PACKET_AUXDATA: Final = 8
_AUXDATA: Final = struct.Struct("=IIIHHHH")
"""struct tpacket_auxdata: status, lengths and offsets, VLAN tag, its type."""
_VLAN_VALID: Final = 1 << 4
_VLAN_NUMBER: Final = 0xFFF
_GROUP: Final = 0x01
"""Of the first byte of a hardware address: that of several stations, which none sends from."""


class EthernetPort:
    """A packet socket on an interface, which listens at once.

    It takes what is addressed to the interface, and of what is addressed to all DISCOVER alone;
    whatever else a promiscuous interface, a hub or a trunk brings is for others. What names a group
    or nobody as its sender is dropped: the answer would go to all. One board listens on an
    interface: two would answer from one address.

    Args:
        interface: Of this machine.

    Raises:
        OSError: There is no such interface, raw Ethernet is not permitted here, or another
            emulated board listens there.
    """

    shared = True

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
            self._claim = _claim(interface)
        except OSError:
            self._socket.close()
            raise
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
            self._socket.bind((interface, ETHERTYPE))
        except OSError:
            self.close()
            raise
        self._interface = interface
        mac: bytes = self._socket.getsockname()[4]
        self.url = f"eth://{interface}/{mac.hex(':')}"
        self.fileno = self._socket.fileno

    def receive(self) -> Sequence[tuple[bytes, Hashable]]:
        """The next datagram, if it is for the board."""
        datagram, beside, _, (_, _, kind, _, sender) = self._socket.recvmsg(
            LONGEST_DATAGRAM_BYTES, socket.CMSG_SPACE(_AUXDATA.size)
        )
        for_all = kind == _TO_ALL and is_discover(datagram)
        if (kind == _TO_US or for_all) and not _vlan(beside) and _is_station(sender):
            return ((datagram, sender),)
        return ()

    def send(self, datagram: bytes, address: Hashable) -> None:
        """Send a datagram."""
        self._socket.sendto(datagram, (self._interface, ETHERTYPE, 0, 0, address))

    def close(self) -> None:
        """Close it."""
        self._socket.close()
        self._claim.close()


def _is_station(address: bytes) -> bool:
    """Whether a hardware address can be that of one station, and so of a sender."""
    return any(address) and not address[0] & _GROUP


def _vlan(beside: Sequence[tuple[int, int, bytes]]) -> int:
    """Number of the virtual network that a packet is tagged with; 0 for none."""
    for level, kind, data in beside:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA) and len(data) >= _AUXDATA.size:
            status, _, _, _, _, tag, _ = _AUXDATA.unpack_from(data)
            return tag & _VLAN_NUMBER if status & _VLAN_VALID else 0
    return 0


def _claim(interface: str) -> socket.socket:
    """What shows that an emulated board listens on an interface; gone with the process.

    Raises:
        OSError: Another one does.
    """
    name = f"\0starlab-chip {interface}"  # beside the files, in the interface's own namespace
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        claim.bind(name)
        claim.listen(1)
    except OSError as error:
        claim.close()
        if error.errno != EADDRINUSE:
            raise
        raise OSError(EADDRINUSE, f"in use by {_holder(name)}") from None
    return claim


def _holder(name: str) -> str:
    """The process that has claimed a name."""
    pid = 0
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.setblocking(False)
        asked.connect(name)
        pid, _, _ = struct.unpack("3i", asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    command = ""
    with contextlib.suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    words = command.replace("\0", " ").strip()[:60]
    return f"process {pid} ({words})" if words else "another emulated board"
