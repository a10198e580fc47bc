"""A bare windowed transfer over UDP, to measure ours against: the least that loses nothing.

A fixed window, a CRC-32 in every datagram, selective acknowledgement, resending. Has no session and
executes nothing. `python -m benchmarks.bulk` is the far end: it prints its port and serves whoever
comes first.
"""

import socket
import struct
import time
import zlib
from collections.abc import Callable
from enum import IntEnum
from itertools import takewhile
from typing import Final, NamedTuple

from starlab_host.links.base import Link

WINDOW: Final = 32
ACK_EVERY: Final = 8
TIMEOUT_S: Final = 0.005
"""Silence after which the oldest part in flight, or the request, is sent again."""
LONGEST_DATAGRAM_BYTES: Final = 65536

_HEAD: Final = struct.Struct(">BIII")
OVERHEAD_BYTES: Final = _HEAD.size + 4


class Kind(IntEnum):
    """What a datagram is, and what its two numbers are."""

    DATA = 1
    """Index of the part, number of parts."""
    ACK = 2
    """Next index expected, bits of the ones beyond it that have come."""
    WANT = 3
    """Bytes of a part, bytes of all."""


class Datagram(NamedTuple):
    """One datagram without its CRC."""

    kind: int
    transfer: int
    first: int
    second: int
    content: bytes


def encode(
    kind: int, transfer: int, first: int, second: int, content: bytes | memoryview = b""
) -> bytes:
    """A datagram as bytes."""
    head = _HEAD.pack(kind, transfer, first, second)
    return b"".join((head, content, zlib.crc32(content, zlib.crc32(head)).to_bytes(4, "big")))


def decode(datagram: bytes) -> Datagram | None:
    """A datagram back as a value; none if it is damaged."""
    body = datagram[:-4]
    if len(body) < _HEAD.size or zlib.crc32(body) != int.from_bytes(datagram[-4:], "big"):
        return None
    kind, transfer, first, second = _HEAD.unpack_from(body)
    return Datagram(kind, transfer, first, second, body[_HEAD.size :])


class Sending:
    """The sending end of a transfer."""

    def __init__(self, transfer: int, content: bytes, part_bytes: int) -> None:
        self.transfer = transfer
        self._content = memoryview(content)
        self._part_bytes = part_bytes
        self._count = -(-len(content) // part_bytes)
        self._base = self._next = self._order = 0
        self._in_flight: dict[int, int] = {}
        """Position among all transmissions, by index; in that order."""
        self._out: list[bytes] = []

    @property
    def done(self) -> bool:
        """Whether all of it has arrived."""
        return self._base == self._count

    def take(self) -> list[bytes]:
        """What to send now."""
        while self._next < min(self._count, self._base + WINDOW):
            self._transmit(self._next)
            self._next += 1
        out, self._out = self._out, []
        return out

    def acknowledge(self, expected: int, beyond: int) -> None:
        """Parts have arrived; those sent before the newest of them and still missing are lost."""
        arrived = [*range(self._base, expected)]
        if beyond:
            arrived += [expected + 1 + bit for bit in range(WINDOW) if beyond >> bit & 1]
        newest = max((self._in_flight.pop(index, -1) for index in arrived), default=-1)
        self._base = max(self._base, expected)
        for index, _ in list(takewhile(lambda each: each[1] < newest, self._in_flight.items())):
            self._transmit(index)

    def time_out(self) -> None:
        """Nothing has come for too long: send the oldest part in flight again."""
        if self._in_flight:
            self._transmit(next(iter(self._in_flight)))

    def _transmit(self, index: int) -> None:
        part = self._content[index * self._part_bytes : (index + 1) * self._part_bytes]
        self._out.append(encode(Kind.DATA, self.transfer, index, self._count, part))
        self._in_flight.pop(index, None)
        self._in_flight[index] = self._order
        self._order += 1


class Receiving:
    """The receiving end of a transfer."""

    def __init__(self, transfer: int, count: int) -> None:
        self.transfer = transfer
        self._parts: list[bytes | None] = [None] * count
        self._expected = self._highest = self._pending = 0
        self._at_once = False

    @property
    def done(self) -> bool:
        """Whether all of it is here."""
        return self._expected == len(self._parts)

    @property
    def content(self) -> bytes:
        """All of it."""
        return b"".join(part for part in self._parts if part is not None)

    def add(self, index: int, part: bytes) -> list[bytes]:
        """Take in a part; gives the acknowledgement, if it is time for one."""
        parts, expected = self._parts, self._expected
        gap = self._highest > expected
        self._at_once |= index != expected or gap or index == len(parts) - 1
        parts[index] = part
        self._highest = max(self._highest, index)
        while expected < len(parts) and parts[expected] is not None:
            expected += 1
        self._expected = expected
        self._pending += 1
        if not self._at_once and self._pending < ACK_EVERY:
            return []
        self._pending, self._at_once = 0, False
        ahead = parts[expected + 1 : min(self._highest, expected + WINDOW) + 1]
        beyond = sum(1 << bit for bit, each in enumerate(ahead) if each is not None)
        return [encode(Kind.ACK, self.transfer, expected, beyond)]


class Client:
    """The near end.

    Args:
        link: The way to the far end.
        datagram_bytes: Length of the datagrams.
    """

    def __init__(self, link: Link, datagram_bytes: int) -> None:
        self._link = link
        self._part_bytes = datagram_bytes - OVERHEAD_BYTES
        self._transfer = 0

    def write(self, content: bytes) -> None:
        """Send all of it; returns when it has arrived."""
        self._transfer += 1
        sending = Sending(self._transfer, content, self._part_bytes)
        while not sending.done:
            self._link.send(sending.take())
            heard = self._hear(Kind.ACK, sending.time_out)
            if heard is not None:
                sending.acknowledge(heard.first, heard.second)

    def read(self, size: int) -> bytes:
        """Have so many bytes of what was written last sent back; no more than were written."""
        self._transfer += 1
        request = encode(Kind.WANT, self._transfer, self._part_bytes, size)
        self._link.send([request])
        receiving = Receiving(self._transfer, -(-size // self._part_bytes))
        while not receiving.done:
            heard = self._hear(Kind.DATA, lambda: self._link.send([request]))
            if heard is not None:
                self._link.send(receiving.add(heard.first, heard.content))
        return receiving.content

    def _hear(self, kind: Kind, time_out: Callable[[], None]) -> Datagram | None:
        """The next datagram of this transfer, if one comes in time."""
        end = time.perf_counter() + TIMEOUT_S
        while (left_s := end - time.perf_counter()) > 0:
            datagram = self._link.receive(left_s)
            heard = None if datagram is None else decode(datagram)
            if heard is not None and heard.kind == kind and heard.transfer == self._transfer:
                return heard
        time_out()
        return None


def serve(server: socket.socket) -> None:
    """The far end: keeps what was sent last, and sends it back when asked. Does not return."""
    kept = b""
    sending = Sending(0, kept, 1)
    receiving = Receiving(0, 0)
    while True:
        server.settimeout(None if sending.done else TIMEOUT_S)
        try:
            heard = decode(server.recv(LONGEST_DATAGRAM_BYTES))
        except TimeoutError:
            sending.time_out()
            heard = None
        out: list[bytes] = []
        match heard:
            case Datagram(Kind.DATA, transfer, index, count, part):
                if transfer > receiving.transfer:
                    receiving = Receiving(transfer, count)
                if transfer == receiving.transfer:
                    out = receiving.add(index, part)
                    if receiving.done:
                        kept = receiving.content
            case Datagram(Kind.WANT, transfer, part_bytes, size, _):
                if transfer > sending.transfer:
                    sending = Sending(transfer, kept[:size], part_bytes)
            case Datagram(Kind.ACK, transfer, expected, beyond, _):
                if transfer == sending.transfer:
                    sending.acknowledge(expected, beyond)
        for datagram in out + sending.take():
            server.send(datagram)


def main() -> None:
    """Print a port and serve the first one who sends something to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        server.bind(("127.0.0.1", 0))
        print(server.getsockname()[1], flush=True)
        server.connect(server.recvfrom(1, socket.MSG_PEEK)[1])
        serve(server)


if __name__ == "__main__":
    main()
