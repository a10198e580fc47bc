"""Frames on a line that only carries bytes: COBS, with a zero behind each frame. Reads no line.

Consistent Overhead Byte Stuffing: S. Cheshire and M. Baker, IEEE/ACM Transactions on Networking 7
(1999) 159-172. A packet is cut behind each of its zeros; each piece, without its zero, follows a
code byte that is one more than its length. So no zero is left, and the zero behind a packet is
unmistakable: whatever noise a line adds, the next packet is found again.
"""

from typing import Final

from starlab_spec.wire.errors import FrameError
from starlab_spec.wire.frames import FRAME_OVERHEAD_BYTES, JUMBO_PAYLOAD_BYTES

DELIMITER: Final = b"\0"
_LONGEST: Final = 254
"""Bytes of the longest piece; its code 255 says that no zero was cut off behind it."""


def encode(packet: bytes) -> bytes:
    """The packet without zeros, for a delimiter to follow: one byte longer, and one in 254."""
    encoded = bytearray()
    for piece in packet.split(b"\0"):
        at = 0
        while len(piece) - at >= _LONGEST:
            encoded.append(_LONGEST + 1)
            encoded += piece[at : at + _LONGEST]
            at += _LONGEST
        encoded.append(len(piece) - at + 1)
        encoded += piece[at:]
    return bytes(encoded)


def decode(encoded: bytes) -> bytes:
    """The packet of which `encode` made this.

    Encoders that leave out the empty piece behind a last piece of 254 bytes are understood too.

    Raises:
        FrameError: No packet is encoded like this.
    """
    packet = bytearray()
    at, end = 0, len(encoded)
    while at < end:
        code = encoded[at]
        following = at + code
        if not code or following > end:
            raise FrameError(f"code {code} of COBS in front of {end - at - 1} bytes")
        packet += encoded[at + 1 : following]
        at = following
        if code <= _LONGEST and at < end:
            packet.append(0)
    return bytes(packet)


MAX_ENCODED_BYTES: Final = len(encode(b"\1" * (FRAME_OVERHEAD_BYTES + JUMBO_PAYLOAD_BYTES)))
"""Length of the longest frame in this encoding, without its delimiter."""


class Deframer:
    """Finds the frames in a stream of bytes, however it is cut up.

    Keeps no more than the longest frame: what is longer, or cannot be decoded, is passed over to
    its delimiter.

    Attributes:
        dropped: Stretches between two delimiters that were no packet.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self._begun = bytearray()
        self._too_long = False

    def feed(self, received: bytes) -> list[bytes]:
        """Take in bytes of the line; returns the packets that they complete."""
        packets = []
        *ends, beginning = received.split(DELIMITER)
        for end in ends:
            self._append(end)
            if self._too_long:
                self.dropped += 1
            elif self._begun:
                try:
                    packets.append(decode(bytes(self._begun)))
                except FrameError:
                    self.dropped += 1
            self._begun.clear()
            self._too_long = False
        self._append(beginning)
        return packets

    def _append(self, part: bytes) -> None:
        if len(self._begun) + len(part) > MAX_ENCODED_BYTES:
            self._too_long = True
        if not self._too_long:
            self._begun += part
