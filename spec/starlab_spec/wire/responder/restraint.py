"""How much a board says, and to whom: little to addresses that may be somebody else's victims.

Who forges his address has a board send to it. So an address that has not shown that it hears, by a
frame of a session that was granted to it, gets at most three times the bytes that came from there
(as in RFC 9000, section 8). Sends nothing.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Final, Generic, TypeVar

from starlab_spec.wire.codec import encode_frame, encode_json
from starlab_spec.wire.frames import (
    FRAME_OVERHEAD_BYTES,
    JUMBO_PAYLOAD_BYTES,
    Frame,
    FrameType,
)
from starlab_spec.wire.responder.bounds import Recent

Peer = TypeVar("Peer", bound=Hashable)
"""Where a host is, in whatever form the link has."""
AMPLIFICATION: Final = 3
"""Bytes said for each byte that came."""
_REMEMBERED: Final = 256
"""Addresses whose bytes are counted; one that is forgotten begins with nothing."""
_FIRST: Final = ("serial", "in_use", "emulated", "geometry", "firmware", "protocol")
"""What a short identity tells, by falling importance; the boot id is in the frame's header."""


class Voice(Generic[Peer]):
    """What a board has to say, as far as it may.

    Attributes:
        trusted: The address that has shown that it hears; None: none has.
    """

    def __init__(self) -> None:
        self.trusted: Peer | None = None
        self._left: Recent[Peer, int] = Recent(_REMEMBERED)
        self._out: list[tuple[Peer, bytes]] = []

    def came(self, peer: Peer, size: int) -> None:
        """So many bytes came from there."""
        self._left.put(peer, (self._left.get(peer) or 0) + AMPLIFICATION * size)

    def room(self, peer: Peer) -> int:
        """How long a payload may be that is sent there."""
        if peer == self.trusted:
            return JUMBO_PAYLOAD_BYTES
        return (self._left.get(peer) or 0) - FRAME_OVERHEAD_BYTES

    def say(self, peer: Peer, datagram: bytes) -> None:
        """Send a datagram, unless it is too much for who is there."""
        if peer != self.trusted:
            left = (self._left.get(peer) or 0) - len(datagram)
            if left < 0:
                return
            self._left.put(peer, left)
        self._out.append((peer, datagram))

    def take(self) -> list[tuple[Peer, bytes]]:
        """What is to be sent now, and where to."""
        out, self._out = self._out, []
        return out


def announce(frame: Frame, boot_id: int, identity: Mapping[str, Any], room_bytes: int) -> bytes:
    """The answer to a DISCOVER: as much of the identity as fits, and as long as the question."""
    length = min(len(frame.payload), JUMBO_PAYLOAD_BYTES)
    payload = encode_json(fitting(identity, room_bytes)).ljust(length)
    return encode_frame(
        Frame(FrameType.ANNOUNCE, boot=boot_id, message=frame.message, payload=payload)
    )


def fitting(identity: Mapping[str, Any], room_bytes: int) -> Mapping[str, Any]:
    """An identity, or as much of it as fits: at least the serial number, never the boot id.

    Args:
        identity: All of it.
        room_bytes: For its JSON.
    """
    if len(encode_json(identity)) <= room_bytes:
        return identity
    short: dict[str, Any] = {}
    for name in _FIRST:
        if name in identity:
            longer = {**short, name: identity[name]}
            if not short or len(encode_json(longer)) <= room_bytes:
                short = longer
    return short


def cut_to(text: str, room_bytes: int) -> str:
    """As much of a text as fits in so many bytes of UTF-8."""
    return text.encode()[: max(room_bytes, 0)].decode(errors="ignore")
