"""Frames and their payloads as bytes, and back. Keeps no state and knows no order of frames.

Every function either returns a value or raises a `WireError`; none accepts a frame in part.
"""

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlab_spec.wire.errors import DamagedFrame, FrameError, PayloadError, UnknownVersion
from starlab_spec.wire.frames import (
    CRC_BYTES,
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    HEADER_FIELDS,
    JUMBO_PAYLOAD_BYTES,
    MAGIC,
    VERSION,
    Acknowledgement,
    BoardState,
    BoardStatus,
    Event,
    EventKind,
    Frame,
    FrameFlag,
    Hello,
    HelloAck,
    Nak,
)

_HEADER: Final = struct.Struct(
    ">" + "".join({1: "B", 2: "H", 4: "I"}[f.size_bytes] for f in HEADER_FIELDS)
)
_HELLO: Final = struct.Struct(">BBHHHIIB")
_HELLO_ACK: Final = struct.Struct(">IIBxHHHIQH")
_ACK: Final = struct.Struct(">I16sHH")
_STATUS: Final = struct.Struct(">IIQIB3x")
_EVENT: Final = struct.Struct(">B3xII")
_NAK: Final = struct.Struct(">BxH")
_LAST: Final = int(FrameFlag.LAST)
_JSON_DEPTH: Final = 32
_SHOWN: Final = 20
"""Characters that a message shows of a number."""


def encode_frame(frame: Frame) -> bytes:
    """The frame as the bytes of one datagram.

    Raises:
        FrameError: The payload is longer than 8896 bytes, or a field does not fit its width.
    """
    payload = frame.payload
    if len(payload) > JUMBO_PAYLOAD_BYTES:
        raise FrameError(f"payload of {len(payload)} bytes is above the 8896-byte limit")
    try:
        header = _HEADER.pack(MAGIC, VERSION, frame.type, frame.flags, len(payload), *frame[2:9])
    except struct.error as error:
        raise FrameError(f"a header field does not fit: {error}") from None
    body = header + payload
    return body + zlib.crc32(body).to_bytes(4, "big")


def encode_fragments(
    message: memoryview,
    head: Frame,
    *,
    sequence: int,
    acknowledged: int,
    first: int,
    count: int,
    payload_bytes: int,
) -> list[bytes]:
    """Some fragments of one message as frames with consecutive sequence numbers.

    Args:
        message: The whole message.
        head: Type, flags, session, boot, message id and number of fragments for all of them.
        sequence: Sequence number of the first one.
        acknowledged: Acknowledgement for all of them.
        first: Index of the first fragment wanted.
        count: Number of fragments wanted.
        payload_bytes: Bytes of message in each fragment but the last of the message.

    Returns:
        `count` datagrams; the last fragment of the message carries LAST.
    """
    pack, crc32 = _HEADER.pack, zlib.crc32
    kind, flags, session, boot, _, _, number, _, fragments, _ = head
    last = fragments - 1
    frames = []
    for index in range(first, first + count):
        part = message[index * payload_bytes : (index + 1) * payload_bytes]
        header = pack(
            MAGIC,
            VERSION,
            kind,
            flags | _LAST if index == last else flags,
            len(part),
            session,
            boot,
            sequence,
            acknowledged,
            number,
            index,
            fragments,
        )
        crc = crc32(part, crc32(header))
        frames.append(b"".join((header, part, crc.to_bytes(4, "big"))))
        sequence = (sequence + 1) & 0xFFFFFFFF
    return frames


def with_flags(datagram: bytes, flags: int) -> bytes:
    """A frame that `encode_frame` made, with more flag bits set."""
    head = bytearray(datagram[:-CRC_BYTES])
    head[4] |= flags >> 8
    head[5] |= flags & 0xFF
    return bytes(head) + zlib.crc32(head).to_bytes(4, "big")


def decode_frame(datagram: bytes) -> Frame:
    """The frame in a datagram.

    The length field is authoritative: bytes behind the CRC (Ethernet padding) are ignored.

    Raises:
        UnknownVersion: A well-formed frame, but of another version than 1.0.
        FrameError: Anything else that is not a frame.
    """
    size = len(datagram)
    if size < FRAME_OVERHEAD_BYTES:
        raise FrameError(f"{size} bytes are below the {FRAME_OVERHEAD_BYTES} bytes of a frame")
    fields = _HEADER.unpack_from(datagram)
    magic, version, kind, flags, length, session, boot, sequence, acked, message, part, parts = (
        fields
    )
    end = HEADER_BYTES + length
    if magic != MAGIC:
        raise FrameError(f"magic 0x{magic:04X} is not 0x{MAGIC:04X}")
    if end + CRC_BYTES > size:
        raise FrameError(f"a payload of {length} bytes does not fit in a datagram of {size} bytes")
    if zlib.crc32(datagram[:end]) != int.from_bytes(datagram[end : end + CRC_BYTES], "big"):
        raise DamagedFrame("the CRC does not match")
    if version != VERSION:
        raise UnknownVersion(version)
    payload = datagram[HEADER_BYTES:end]
    return Frame(kind, flags, session, boot, sequence, acked, message, part, parts, payload)


def header_of(datagram: bytes) -> Frame:
    """The header fields of a datagram at least as long as a header; nothing is checked.

    To answer a frame of an unknown version in terms that its sender can match.
    """
    _, _, kind, flags, _, *fields = _HEADER.unpack_from(datagram)
    return Frame(kind, flags, *fields)


def encode_hello(hello: Hello) -> bytes:
    """HELLO payload."""
    name = hello.client_name.encode()
    if len(name) > 255:
        raise PayloadError(f"client name of {len(name)} bytes is above the 255-byte limit")
    return (
        _pack(
            _HELLO,
            hello.minimum_version,
            hello.maximum_version,
            hello.window,
            hello.payload_bytes,
            hello.features,
            hello.lease_epoch,
            hello.resume_session,
            len(name),
        )
        + name
    )


def decode_hello(payload: bytes) -> Hello:
    """HELLO payload back as a value; raises `PayloadError`."""
    oldest, newest, window, size, features, epoch, resume, length = _unpack(
        _HELLO, payload, "HELLO"
    )
    name = _text(payload, _HELLO.size, length, "client name")
    return Hello(oldest, newest, window, size, features, epoch, resume, name)


def encode_hello_ack(answer: HelloAck) -> bytes:
    """HELLO_ACK payload."""
    identity = encode_json(answer.identity)
    return (
        _pack(
            _HELLO_ACK,
            answer.session_id,
            answer.boot_id,
            answer.version,
            answer.window,
            answer.payload_bytes,
            answer.features,
            answer.next_message_id,
            answer.lifetime_pulses,
            len(identity),
        )
        + identity
    )


def decode_hello_ack(payload: bytes) -> HelloAck:
    """HELLO_ACK payload back as a value; raises `PayloadError`."""
    session, boot, version, window, size, features, upcoming, pulses, length = _unpack(
        _HELLO_ACK, payload, "HELLO_ACK"
    )
    start = _HELLO_ACK.size
    if len(payload) < start + length:
        raise PayloadError(f"HELLO_ACK identity of {length} bytes is cut off")
    identity = decode_json(payload[start : start + length])
    return HelloAck(session, boot, version, window, size, features, upcoming, pulses, identity)


def encode_ack(ack: Acknowledgement) -> bytes:
    """ACK payload."""
    return _pack(_ACK, ack.cumulative, ack.bitmap.to_bytes(16, "big"), ack.credit, ack.delay_us)


def decode_ack(payload: bytes) -> Acknowledgement:
    """ACK payload back as a value; raises `PayloadError`."""
    cumulative, bitmap, credit, delay_us = _unpack(_ACK, payload, "ACK")
    return Acknowledgement(cumulative, int.from_bytes(bitmap, "big"), credit, delay_us)


def encode_status(status: BoardStatus) -> bytes:
    """STATUS payload."""
    return _pack(
        _STATUS,
        status.next_message_id,
        status.executing_message_id,
        status.lifetime_pulses,
        status.faults,
        status.state,
    )


def decode_status(payload: bytes) -> BoardStatus:
    """STATUS payload back as a value; raises `PayloadError`."""
    upcoming, executing, pulses, faults, state = _unpack(_STATUS, payload, "STATUS")
    try:
        return BoardStatus(upcoming, executing, pulses, faults, BoardState(state))
    except ValueError:
        raise PayloadError(f"STATUS of unknown state {state}") from None


def encode_event(event: Event) -> bytes:
    """EVENT payload."""
    return _pack(_EVENT, event.kind, event.done, event.total) + event.text.encode()


def decode_event(payload: bytes) -> Event:
    """EVENT payload back as a value; raises `PayloadError`."""
    kind, done, total = _unpack(_EVENT, payload, "EVENT")
    text = _text(payload, _EVENT.size, len(payload) - _EVENT.size, "EVENT text")
    try:
        return Event(EventKind(kind), done, total, text)
    except ValueError:
        raise PayloadError(f"EVENT of unknown kind {kind}") from None


def encode_nak(nak: Nak) -> bytes:
    """NAK payload."""
    detail = nak.detail.encode()
    return _pack(_NAK, nak.status, len(detail)) + detail


def decode_nak(payload: bytes) -> Nak:
    """NAK payload back as a value; raises `PayloadError`."""
    status, length = _unpack(_NAK, payload, "NAK")
    return Nak(status, _text(payload, _NAK.size, length, "NAK detail"))


def encode_json(value: Mapping[str, Any]) -> bytes:
    """A JSON object as compact UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def decode_json(data: bytes) -> dict[str, Any]:
    """A JSON object out of UTF-8, with finite numbers and whole characters.

    Raises:
        PayloadError: It is none, or is nested more than 32 deep.
    """
    try:
        value = json.loads(data, parse_constant=_finite, parse_float=_finite)
        if _depth(value) > _JSON_DEPTH:
            raise ValueError(f"nested deeper than the {_JSON_DEPTH} limit")
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"not JSON in UTF-8: {error}") from None
    if not isinstance(value, dict):
        raise PayloadError("a JSON object was expected")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:_SHOWN]} is no finite number")
    return number


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return 0
    return 1 + max(map(_depth, value), default=0)


def _pack(layout: struct.Struct, *values: Any) -> bytes:
    try:
        return layout.pack(*values)
    except struct.error as error:
        raise PayloadError(f"a field does not fit: {error}") from None


def _unpack(layout: struct.Struct, payload: bytes, name: str) -> Sequence[Any]:
    if len(payload) < layout.size:
        raise PayloadError(f"{name} of {len(payload)} bytes is below {layout.size} bytes")
    return layout.unpack_from(payload)


def _text(payload: bytes, start: int, length: int, name: str) -> str:
    if len(payload) < start + length:
        raise PayloadError(f"{name} of {length} bytes is cut off")
    try:
        return payload[start : start + length].decode()
    except UnicodeDecodeError:
        raise PayloadError(f"{name} is not UTF-8") from None
