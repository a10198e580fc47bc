"""The frames as bytes: literal bytes derived by hand, round trips, and hostile input."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_spec.wire import codec
from starlab_spec.wire.errors import FrameError, PayloadError, UnknownVersion, WireError
from starlab_spec.wire.frames import (
    HEADER_BYTES,
    HEADER_FIELDS,
    Acknowledgement,
    BoardState,
    BoardStatus,
    Event,
    EventKind,
    Frame,
    FrameFlag,
    FrameType,
    Hello,
    HelloAck,
    Nak,
)


def sealed(body: bytes) -> bytes:
    """A CRC behind a header and payload, by the polynomial of IEEE 802.3."""
    return body + struct.pack(">I", zlib.crc32(body))


COMMAND_BYTES = sealed(
    bytes.fromhex(
        "5354"  # magic
        "10"  # version 1.0
        "05"  # COMMAND
        "0006"  # LAST, READ_ONLY
        "0004"  # payload length
        "11223344"  # session
        "55667788"  # boot
        "00000007"  # sequence
        "00000009"  # acknowledged
        "0000000b"  # message
        "00020003"  # fragment 2 of 3
        "deadbeef"
    )
)
COMMAND = Frame(
    FrameType.COMMAND,
    FrameFlag.LAST | FrameFlag.READ_ONLY,
    session=0x11223344,
    boot=0x55667788,
    sequence=7,
    acknowledged=9,
    message=11,
    fragment=2,
    fragments=3,
    payload=b"\xde\xad\xbe\xef",
)

u8, u16, u32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32))
frames = st.builds(
    Frame,
    type=u8,
    flags=u16,
    session=u32,
    boot=u32,
    sequence=u32,
    acknowledged=u32,
    message=u32,
    fragment=u16,
    fragments=u16,
    payload=st.binary(max_size=1408),
)


def test_a_command_has_the_documented_bytes() -> None:
    assert codec.encode_frame(COMMAND) == COMMAND_BYTES
    assert codec.decode_frame(COMMAND_BYTES) == COMMAND


def test_the_crc_is_the_bitwise_one_of_ieee_802_3() -> None:
    body = bytes.fromhex("53541001") + bytes(26) + bytes.fromhex("0001")
    crc = 0xFFFFFFFF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    assert crc == 0x063C4B79
    assert codec.encode_frame(Frame(FrameType.DISCOVER)) == body + crc.to_bytes(4, "big")


def test_the_field_table_covers_the_header_without_gap_or_overlap() -> None:
    offset = 0
    for field in HEADER_FIELDS:
        assert field.offset == offset
        offset += field.size_bytes
    assert offset == HEADER_BYTES


@given(frames)
def test_every_frame_survives_the_round_trip(frame: Frame) -> None:
    assert codec.decode_frame(codec.encode_frame(frame)) == frame


@given(frames, st.binary(max_size=64))
def test_ethernet_padding_is_ignored(frame: Frame, padding: bytes) -> None:
    assert codec.decode_frame(codec.encode_frame(frame) + padding) == frame


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_not_crashed_on(noise: bytes) -> None:
    with pytest.raises(FrameError):
        codec.decode_frame(noise)


@given(frames, st.data())
def test_one_flipped_bit_is_always_noticed(frame: Frame, data: st.DataObject) -> None:
    damaged = bytearray(codec.encode_frame(frame))
    bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(FrameError):
        codec.decode_frame(bytes(damaged))


@given(frames, st.data())
def test_a_frame_cut_short_is_refused(frame: Frame, data: st.DataObject) -> None:
    whole = codec.encode_frame(frame)
    with pytest.raises(FrameError):
        codec.decode_frame(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_another_version_is_told_from_damage() -> None:
    body = bytearray(COMMAND_BYTES[:-4])
    body[2] = 0x21
    with pytest.raises(UnknownVersion, match=r"^frame of version 2\.1; 1\.0 is spoken here$"):
        codec.decode_frame(sealed(bytes(body)))
    body[2] = 0x10
    body[0] = 0x54
    with pytest.raises(FrameError, match=r"^magic 0x5454 is not 0x5354$"):
        codec.decode_frame(sealed(bytes(body)))


def test_a_payload_above_the_largest_frame_is_refused() -> None:
    with pytest.raises(FrameError, match=r"^payload of 8897 bytes is above the 8896-byte limit$"):
        codec.encode_frame(Frame(FrameType.COMMAND, payload=bytes(8897)))


def test_a_field_too_wide_for_the_header_is_refused() -> None:
    with pytest.raises(FrameError, match=r"^a header field does not fit"):
        codec.encode_frame(Frame(FrameType.COMMAND, session=1 << 32))


@given(st.binary(min_size=1, max_size=700), st.integers(1, 64), u32)
def test_fragments_are_the_frames_that_the_frame_encoder_makes(
    message: bytes, payload_bytes: int, sequence: int
) -> None:
    count = -(-len(message) // payload_bytes)
    head = Frame(
        FrameType.COMMAND, FrameFlag.READ_ONLY, session=1, boot=2, message=5, fragments=count
    )
    expected = [
        codec.encode_frame(
            head._replace(
                flags=FrameFlag.READ_ONLY | (FrameFlag.LAST if index == count - 1 else 0),
                sequence=(sequence + index) % (1 << 32),
                acknowledged=4,
                fragment=index,
                payload=message[index * payload_bytes : (index + 1) * payload_bytes],
            )
        )
        for index in range(count)
    ]
    made = codec.encode_fragments(
        memoryview(message),
        head,
        sequence=sequence,
        acknowledged=4,
        first=0,
        count=count,
        payload_bytes=payload_bytes,
    )
    assert made == expected
    tail = codec.encode_fragments(
        memoryview(message),
        head,
        sequence=(sequence + count - 1) % (1 << 32),
        acknowledged=4,
        first=count - 1,
        count=1,
        payload_bytes=payload_bytes,
    )
    assert tail == expected[-1:]


@given(frames, u16)
def test_flags_can_be_added_to_a_made_frame(frame: Frame, flags: int) -> None:
    assert codec.decode_frame(codec.with_flags(codec.encode_frame(frame), flags)) == frame._replace(
        flags=frame.flags | flags
    )


HELLO = Hello(0x10, 0x11, 64, 1408, 2, lease_epoch=5, resume_session=0xA, client_name="bench ü")
HELLO_BYTES = bytes.fromhex("10 11 0040 0580 0002 00000005 0000000a 08") + "bench ü".encode()
HELLO_ACK = HelloAck(0xA, 0xB, 0x10, 32, 1408, 2, 3, 2**40, {"serial": "S1"})
HELLO_ACK_BYTES = (
    bytes.fromhex("0000000a 0000000b 10 00 0020 0580 0002 00000003 0000010000000000 000f")
    + b'{"serial":"S1"}'
)
ACK = Acknowledgement(cumulative=100, bitmap=1 << 127 | 1 << (127 - 9), credit=32, delay_us=250)
ACK_BYTES = bytes.fromhex("00000064 8040") + bytes(14) + bytes.fromhex("0020 00fa")
STATUS = BoardStatus(3, 2, 2**33, 4, BoardState.EXECUTING)
STATUS_BYTES = bytes.fromhex("00000003 00000002 0000000200000000 00000004 01 000000")
EVENT = Event(EventKind.PROGRESS, 10, 784, "row")
EVENT_BYTES = bytes.fromhex("01 000000 0000000a 00000310") + b"row"
NAK = Nak(8, "older")
NAK_BYTES = bytes.fromhex("08 00 0005") + b"older"


def test_the_payloads_have_the_documented_bytes() -> None:
    assert codec.encode_hello(HELLO) == HELLO_BYTES
    assert codec.decode_hello(HELLO_BYTES) == HELLO
    assert codec.encode_hello_ack(HELLO_ACK) == HELLO_ACK_BYTES
    assert codec.decode_hello_ack(HELLO_ACK_BYTES) == HELLO_ACK
    assert codec.encode_ack(ACK) == ACK_BYTES
    assert codec.decode_ack(ACK_BYTES) == ACK
    assert codec.encode_status(STATUS) == STATUS_BYTES
    assert codec.decode_status(STATUS_BYTES) == STATUS
    assert codec.encode_event(EVENT) == EVENT_BYTES
    assert codec.decode_event(EVENT_BYTES) == EVENT
    assert codec.encode_nak(NAK) == NAK_BYTES
    assert codec.decode_nak(NAK_BYTES) == NAK


@pytest.mark.parametrize(
    ("decode", "whole"),
    [
        (codec.decode_hello, HELLO_BYTES),
        (codec.decode_hello_ack, HELLO_ACK_BYTES),
        (codec.decode_ack, ACK_BYTES),
        (codec.decode_status, STATUS_BYTES),
        (codec.decode_nak, NAK_BYTES),
    ],
)
def test_a_payload_cut_short_anywhere_is_refused(decode: object, whole: bytes) -> None:
    assert callable(decode)
    for length in range(len(whole)):
        with pytest.raises(PayloadError):
            decode(whole[:length])


@pytest.mark.parametrize(
    "decode",
    [
        codec.decode_hello,
        codec.decode_hello_ack,
        codec.decode_ack,
        codec.decode_status,
        codec.decode_event,
        codec.decode_nak,
        codec.decode_json,
    ],
)
@given(noise=st.binary(max_size=80))
def test_noise_in_a_payload_is_decoded_or_refused_never_crashed_on(
    decode: object, noise: bytes
) -> None:
    assert callable(decode)
    try:
        decode(noise)
    except WireError:
        pass


def test_unknown_states_and_kinds_are_refused_by_value() -> None:
    with pytest.raises(PayloadError, match=r"^STATUS of unknown state 9$"):
        codec.decode_status(STATUS_BYTES[:20] + b"\x09\0\0\0")
    with pytest.raises(PayloadError, match=r"^EVENT of unknown kind 9$"):
        codec.decode_event(b"\x09" + EVENT_BYTES[1:])


def test_deeply_nested_json_is_refused() -> None:
    with pytest.raises(PayloadError, match=r"^not JSON"):
        codec.decode_json(b"[" * 100_000)
    with pytest.raises(PayloadError, match=r"^a JSON object was expected$"):
        codec.decode_json(b"[1]")


def test_values_that_do_not_fit_their_field_are_refused() -> None:
    with pytest.raises(
        PayloadError, match=r"^client name of 256 bytes is above the 255-byte limit"
    ):
        codec.encode_hello(Hello(client_name="x" * 256))
    with pytest.raises(PayloadError, match=r"^a field does not fit"):
        codec.encode_hello(Hello(window=1 << 16))
