"""Finds boards: asks into networks who is there, and lists who answers. Connects to none."""

import contextlib
import re
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from starlab_host.errors import BoardAway
from starlab_host.links import EthernetAddress, UdpAddress
from starlab_host.links.base import LONGEST_DATAGRAM_BYTES
from starlab_host.links.ethernet import BROADCAST, packet_address, packet_socket, receive_packet
from starlab_host.links.interfaces import interfaces
from starlab_spec.foreign_text import shown_text
from starlab_spec.wire import Frame, FrameType, WireError, decode_frame, encode_frame
from starlab_spec.wire.codec import decode_json

DEFAULT_WAIT_S: Final = 1.0
_QUESTIONS: Final = tuple(
    encode_frame(Frame(FrameType.DISCOVER, payload=bytes(padding))) for padding in (0, 480)
)
"""Asked one after the other, as a datagram may be lost; a board says little where little came from,
and all to the second."""
_ETHERNET: Final = re.compile(r"eth://(?P<interface>[^/?#\s]{1,15})")
_ANY_NETWORK: Final = ("127.0.0.1", "255.255.255.255")
"""Where to ask on a system whose networks are not known."""


@dataclass(frozen=True, slots=True)
class FoundBoard:
    """A board that has answered."""

    urls: tuple[str, ...]
    """Where it is reached from here, the quickest way first."""
    identity: Mapping[str, Any]
    """What it says about itself: serial, firmware, geometry, whether it is in use."""


def discover(
    addresses: Sequence[str] = (),
    *,
    also: Sequence[str] = (),
    wait_s: float = DEFAULT_WAIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> list[FoundBoard]:
    """Ask who is there, and gather answers for a time.

    Boards on serial lines are not looked for: whatever else is on a line would be disturbed.

    Args:
        addresses: Where to ask: ``udp://host[:port]``, of one board or of all on a network (its
            broadcast address), or ``eth://interface``. By default everywhere: on every IPv4 network
            of this machine, at the usual port, and on every Ethernet if that is permitted.
        also: Where to ask besides, if everywhere is asked; to an address of these there need not
            be a way.
        wait_s: How long.
        clock: The time in seconds; never set back.

    Returns:
        The boards in the order in which they answered, each once, by whatever ways it did.

    Raises:
        ValueError: An address has another form.
        BoardAway: There is no way to an address that was given.
    """
    asked = addresses or [*_everywhere(), *also]
    makers = {address: _maker(address) for address in asked}
    callers: list[_Caller] = []
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for address, make in makers.items():
            try:
                caller = stack.enter_context(contextlib.closing(make()))
            except OSError as error:
                if addresses:
                    raise BoardAway(f"there is no way to {address}: {error.strerror}") from error
            else:
                callers.append(caller)
                selector.register(caller, selectors.EVENT_READ, caller.listen)
        return _gather(callers, selector, wait_s, clock)


class _Caller(Protocol):
    """A socket that reaches all boards of some network."""

    def fileno(self) -> int:
        """For a selector."""

    def call(self, datagram: bytes) -> None:
        """Send to all; OSError where there is no way now."""

    def listen(self) -> tuple[str, bytes]:
        """What has come, and the URL of where it is from; OSError if nothing has."""

    def close(self) -> None:
        """Close the socket."""


class _UdpCaller:
    def __init__(self, host: str, port: int) -> None:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[
            0
        ]
        self._target: tuple[Any, ...] = target
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.setblocking(False)
        self.fileno = self._socket.fileno
        self.close = self._socket.close

    def call(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, self._target)

    def listen(self) -> tuple[str, bytes]:
        datagram, (host, port, *_) = self._socket.recvfrom(LONGEST_DATAGRAM_BYTES)
        return str(UdpAddress(host, port)), datagram


class _EthernetCaller:
    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._socket = packet_socket(interface)
        self._socket.setblocking(False)
        self.fileno = self._socket.fileno
        self.close = self._socket.close

    def call(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, packet_address(self._interface, BROADCAST))

    def listen(self) -> tuple[str, bytes]:
        packet = receive_packet(self._socket)
        if packet is None:
            raise BlockingIOError
        return str(EthernetAddress(self._interface, packet[1])), packet[0]


def _everywhere() -> list[str]:
    """Where boards may be, as far as this machine's networks are known."""
    known = interfaces()
    hosts = [host for each in known for host in (each.ipv4, each.broadcast) if host is not None]
    return [
        *(f"udp://{host}" for host in hosts or _ANY_NETWORK),
        *(f"eth://{each.name}" for each in known if each.mac is not None),
    ]


def _maker(address: str) -> Callable[[], _Caller]:
    """What opens a caller for an address.

    Raises:
        ValueError: The address has another form.
    """
    ethernet = _ETHERNET.fullmatch(address)
    if ethernet is not None:
        return partial(_EthernetCaller, ethernet["interface"])
    if not address.startswith("udp:"):
        raise ValueError(
            f"address {address!r} to look for boards is of none of the forms "
            f"{UdpAddress.FORM}, eth://interface"
        )
    udp = UdpAddress.parse(address)
    return partial(_UdpCaller, udp.host, udp.port)


def _gather(
    callers: Sequence[_Caller],
    selector: selectors.BaseSelector,
    wait_s: float,
    clock: Callable[[], float],
) -> list[FoundBoard]:
    """Ask, and listen; the selector knows what reads each caller."""
    found: dict[tuple[str, int], FoundBoard] = {}
    for question in _QUESTIONS:
        for caller in callers:
            with contextlib.suppress(OSError):  # no way to there now
                caller.call(question)
        end = clock() + wait_s / len(_QUESTIONS)
        while (left_s := end - clock()) > 0:
            for key, _ in selector.select(left_s):
                with contextlib.suppress(OSError, WireError):
                    _note(found, *key.data())
    return list(found.values())


def _note(found: dict[tuple[str, int], FoundBoard], url: str, datagram: bytes) -> None:
    """Take in an answer.

    Raises:
        WireError: It is none.
    """
    frame = decode_frame(datagram)
    if frame.type != FrameType.ANNOUNCE:
        return
    told = decode_json(frame.payload)
    identity = {
        shown_text(name): shown_text(value) if isinstance(value, str) else value
        for name, value in told.items()
    }
    board = (str(identity.get("serial")), frame.boot)
    known = found.get(board)
    ways = () if known is None else known.urls
    if known is not None and len(known.identity) > len(identity):
        identity = dict(known.identity)
    found[board] = FoundBoard(ways if url in ways else (*ways, url), identity)
