"""The network interfaces of this machine, as far as boards may be behind them. Changes nothing.

The standard library tells names alone; the rest is asked of Linux. Elsewhere there are none.
"""

import contextlib
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Final

if sys.platform == "linux":
    import fcntl

_GET_FLAGS: Final = 0x8913
_GET_ADDRESS: Final = 0x8915
_GET_BROADCAST: Final = 0x8919
_GET_MTU: Final = 0x8921
_GET_HARDWARE: Final = 0x8927
"""Requests of linux/sockios.h."""
_UP: Final = 1
_ETHERNET: Final = 1
"""ARPHRD_ETHER."""
_REQUEST: Final = struct.Struct("16s24s")
"""struct ifreq: a name and what is asked."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that is up."""

    name: str
    mtu_bytes: int
    """Longest packet, without the Ethernet header."""
    mac: bytes | None
    """Hardware address, if this is an Ethernet."""
    ipv4: str | None
    """First IPv4 address."""
    broadcast: str | None
    """Address of all on its IPv4 network."""


def interfaces() -> list[Interface]:
    """All interfaces of this machine that are up."""
    if sys.platform != "linux":
        return []
    found = []
    for _, name in socket.if_nameindex():
        with contextlib.suppress(OSError):  # it has just gone
            if _flags(name) & _UP:
                found.append(interface(name))
    return found


def interface(name: str) -> Interface:
    """One interface of this machine.

    Raises:
        OSError: There is none of that name.
    """
    kind, mac = struct.unpack_from("=H6s", _ask(name, _GET_HARDWARE))
    return Interface(
        name,
        mtu_bytes=struct.unpack_from("=i", _ask(name, _GET_MTU))[0],
        mac=mac if kind == _ETHERNET else None,
        ipv4=_ipv4(name, _GET_ADDRESS),
        broadcast=_ipv4(name, _GET_BROADCAST),
    )


def _flags(name: str) -> int:
    flags: int = struct.unpack_from("=H", _ask(name, _GET_FLAGS))[0]
    return flags


def _ipv4(name: str, request: int) -> str | None:
    try:
        address = _ask(name, request)[4:8]
    except OSError:  # none is set
        return None
    return None if address == bytes(4) else socket.inet_ntoa(address)


def _ask(name: str, request: int) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        answer = fcntl.ioctl(asked, request, _REQUEST.pack(name.encode(), b""))
    return answer[16:]
