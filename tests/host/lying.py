"""Boards that lie: frames of the emulated board with one field changed, sealed with a good CRC."""

import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from tests.host.link_bench import Clock, PatientLink

from starlab_host.links import MemoryLink
from starlab_spec.wire.fields import HEADER, PAYLOADS, RESULT, WireField
from starlab_spec.wire.frames import CRC_BYTES, HEADER_BYTES, FrameType

Change = Callable[[bytes], bytes]
"""From a datagram of the board to another one."""


@dataclass(frozen=True)
class Lie:
    """One field of all frames of one type set to one value.

    Attributes:
        kind: Of the frames.
        field: For people.
        offset: First byte, in the datagram.
        size: Bytes.
        value: As big-endian bytes.
    """

    kind: FrameType
    field: str
    offset: int
    size: int
    value: int

    def __str__(self) -> str:
        return f"{self.kind.name} {self.field} {self.value:#x}"

    def __call__(self, datagram: bytes) -> bytes:
        end = self.offset + self.size
        if datagram[3] != self.kind or end > len(datagram) - CRC_BYTES:
            return datagram
        new = self.value.to_bytes(self.size, "big")
        return sealed(datagram[: self.offset] + new + datagram[end:-CRC_BYTES])


def sealed(body: bytes) -> bytes:
    """Header and payload with their CRC."""
    return body + zlib.crc32(body).to_bytes(CRC_BYTES, "big")


def with_payload(datagram: bytes, payload: bytes) -> bytes:
    """A frame with another payload."""
    head = bytearray(datagram[:HEADER_BYTES])
    head[6:8] = len(payload).to_bytes(2, "big")
    return sealed(bytes(head) + payload)


def lies(kind: FrameType) -> Iterator[Lie]:
    """Every field of the frames of one type, with values at the ends and in the middle."""
    yield from _in(kind, HEADER, 0, skip={"magic", "version", "type", "length"})
    yield from _in(kind, PAYLOADS.get(kind, ()), HEADER_BYTES)
    if kind is FrameType.REPLY:
        yield from _in(kind, RESULT, HEADER_BYTES)
        for offset in range(12, 28, 4):
            for value in (0, 1, 0x80, 0xFFFFFFFF):
                yield Lie(kind, f"byte {offset}", HEADER_BYTES + offset, 4, value)


def _in(
    kind: FrameType, fields: tuple[WireField, ...], offset: int, skip: Collection[str] = ()
) -> Iterator[Lie]:
    for field in fields:
        size = field.size_bytes or 4
        if field.name not in skip:
            for value in (0, 1, 7, 1 << 8 * size - 1, (1 << 8 * size) - 1):
                if value < 1 << 8 * size:
                    yield Lie(kind, field.name, offset, size, value)
        offset += size


class LyingLink(PatientLink):
    """What the board sends, changed on its way."""

    def __init__(self, link: MemoryLink, clock: Clock, change: Change) -> None:
        super().__init__(link, clock)
        self.change = change

    def receive(self, timeout_s: float) -> bytes | None:
        datagram = super().receive(timeout_s)
        return None if datagram is None else self.change(datagram)
