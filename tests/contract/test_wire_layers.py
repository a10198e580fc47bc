"""Two descriptions of the frames that share no line: the codec, and the scapy layers.

What one of them builds the other must read, for every type and payload.
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from scapy.packet import Packet, Padding, Raw

from starlab_host.capture import layers
from starlab_spec.wire import codec, frames
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.errors import FrameError, UnknownVersion

Header = dict[str, Any]

u8, u16, u32, u64, u128 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 32, 64, 128))
names = st.text(max_size=60)
objects = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4)
headers = st.fixed_dictionaries(
    {
        "flags": st.integers(0, 63),
        "session": u32,
        "boot": u32,
        "sequence": u32,
        "acknowledged": u32,
        "message": u32,
    }
)
items = st.lists(
    st.tuples(u8, u8, u32, st.binary(max_size=20)), min_size=1, max_size=5
)  # opcode, flags or status, address, data

HELLO_BYTES = bytes.fromhex(
    "53541003 0000 0015 00000000 00000000 00000000 00000000 00000009 0000 0001"  # header
    "10 10 0020 0580 0002 00000007 0000abcd 04 686f7374"  # versions, window, ..., "host"
    "0a403d9c"  # CRC, by the polynomial, bit for bit
)


def crc_by_polynomial(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_the_layers_build_the_documented_bytes() -> None:
    hello = layers.Hello(
        client_name=b"host", features="NEVER_SAFE", lease_epoch=7, resume_session=0xABCD
    )
    assert bytes(layers.Frame(message=9) / hello) == HELLO_BYTES
    assert int.from_bytes(HELLO_BYTES[-4:], "big") == crc_by_polynomial(HELLO_BYTES[:-4])


def test_the_two_descriptions_name_everything_alike() -> None:
    assert layers.TYPES == {int(kind): kind.name for kind in frames.FrameType}
    assert [flag.name for flag in frames.FrameFlag] == layers.FLAGS
    assert [feature.name for feature in frames.Feature] == layers.FEATURES
    assert layers.OPCODES == {int(opcode): opcode.name for opcode in tr.Opcode}
    assert layers.STATUSES == {int(status): status.name for status in tr.Status}
    assert layers.STATES == {int(state): state.name for state in frames.BoardState}
    assert layers.EVENTS == {int(kind): kind.name for kind in frames.EventKind}
    assert (layers.PORT, layers.ETHERTYPE) == (frames.UDP_PORT, frames.ETHERTYPE)


@given(u8, headers, u16, u16, st.binary(max_size=300), st.binary(max_size=20))
def test_a_frame_of_the_layers_reads_alike_by_the_codec(
    kind: int, header: Header, fragment: int, fragments: int, payload: bytes, padding: bytes
) -> None:
    built = layers.Frame(
        type=kind, fragment_index=fragment, fragment_count=fragments, **header
    ) / Raw(payload)
    frame = codec.decode_frame(bytes(built) + padding)
    assert frame == frames.Frame(
        kind, fragment=fragment, fragments=fragments, payload=payload, **header
    )


@given(u8, headers, u16, st.integers(2, 0xFFFF), st.binary(max_size=300), st.binary(max_size=20))
def test_a_frame_of_the_codec_reads_alike_by_the_layers(
    kind: int, header: Header, fragment: int, fragments: int, payload: bytes, padding: bytes
) -> None:
    frame = frames.Frame(kind, fragment=fragment, fragments=fragments, payload=payload, **header)
    datagram = codec.encode_frame(frame) + padding
    assert layers.defect(datagram) is None
    read = layers.Frame(datagram)
    assert bytes(read) == datagram
    assert (read.type, read.fragment_index, read.fragment_count) == (kind, fragment, fragments)
    assert {name: int(getattr(read, name)) for name in header} == header
    assert (read[Raw].load if payload else b"") == payload
    assert (read[Padding].load if padding else b"") == padding


@given(headers, names.filter(lambda name: len(name.encode()) < 256), u8, u8, u16, u16, u16, u32)
def test_hello_reads_alike_both_ways(
    header: Header,
    name: str,
    oldest: int,
    newest: int,
    window: int,
    payload: int,
    features: int,
    epoch: int,
) -> None:
    value = frames.Hello(oldest, newest, window, payload, features, epoch, 5, name)
    layer = layers.Hello(
        minimum_version=oldest,
        maximum_version=newest,
        window=window,
        payload_bytes=payload,
        features=features,
        lease_epoch=epoch,
        resume_session=5,
        client_name=name.encode(),
    )
    same(frames.FrameType.HELLO, header, codec.encode_hello(value), layer)


@given(headers, u32, u32, u16, u16, u16, u32, u64, objects)
def test_hello_ack_reads_alike_both_ways(
    header: Header,
    session: int,
    boot: int,
    window: int,
    payload: int,
    features: int,
    upcoming: int,
    pulses: int,
    identity: dict[str, object],
) -> None:
    value = frames.HelloAck(
        session, boot, 0x10, window, payload, features, upcoming, pulses, identity
    )
    layer = layers.HelloAck(
        session_id=session,
        boot_id=boot,
        window=window,
        payload_bytes=payload,
        features=features,
        next_message_id=upcoming,
        lifetime_pulses=pulses,
        identity=codec.encode_json(identity),
    )
    same(frames.FrameType.HELLO_ACK, header, codec.encode_hello_ack(value), layer)


@given(headers, u32, u128, u16, u16)
def test_ack_reads_alike_both_ways(
    header: Header, cumulative: int, bitmap: int, credit: int, delay_us: int
) -> None:
    value = frames.Acknowledgement(cumulative, bitmap, credit, delay_us)
    layer = layers.Ack(cumulative=cumulative, bitmap=bitmap, credit=credit, delay_us=delay_us)
    same(frames.FrameType.ACK, header, codec.encode_ack(value), layer)


@given(headers, u32, u32, u64, u32, st.sampled_from(frames.BoardState))
def test_status_reads_alike_both_ways(
    header: Header,
    upcoming: int,
    executing: int,
    pulses: int,
    faults: int,
    state: frames.BoardState,
) -> None:
    value = frames.BoardStatus(upcoming, executing, pulses, faults, state)
    layer = layers.Status(
        next_message_id=upcoming,
        executing_message_id=executing,
        lifetime_pulses=pulses,
        faults=faults,
        state=state.name,
    )
    same(frames.FrameType.STATUS, header, codec.encode_status(value), layer)


@given(headers, st.sampled_from(frames.EventKind), u32, u32, names)
def test_event_reads_alike_both_ways(
    header: Header, kind: frames.EventKind, done: int, total: int, text: str
) -> None:
    value = frames.Event(kind, done, total, text)
    layer = layers.Event(kind=kind.name, done=done, total=total, text=text.encode())
    same(frames.FrameType.EVENT, header, codec.encode_event(value), layer)


@given(headers, u8, names)
def test_nak_reads_alike_both_ways(header: Header, status: int, detail: str) -> None:
    value = frames.Nak(status, detail)
    layer = layers.Nak(status=status, detail=detail.encode())
    same(frames.FrameType.NAK, header, codec.encode_nak(value), layer)


@given(headers, objects)
def test_announce_reads_alike_both_ways(header: Header, identity: dict[str, object]) -> None:
    payload = codec.encode_json(identity)
    assert json.loads(payload) == identity
    same(frames.FrameType.ANNOUNCE, header, payload, layers.Announce(identity=payload))


@given(headers, items)
def test_commands_read_alike_both_ways(
    header: Header, parts: list[tuple[int, int, int, bytes]]
) -> None:
    values = [
        tr.Transaction(opcode, address, data, flags) for opcode, flags, address, data in parts
    ]
    layer = layers.Command(
        items=[
            layers.Transaction(opcode=opcode, flags=flags, address=address, data=data)
            for opcode, flags, address, data in parts
        ]
    )
    assert tr.decode_transactions(bytes(layer)) == values
    same(frames.FrameType.COMMAND, header, tr.encode_transactions(values), layer)


@given(headers, items)
def test_replies_read_alike_both_ways(
    header: Header, parts: list[tuple[int, int, int, bytes]]
) -> None:
    values = [tr.Result(opcode, status, address, data) for opcode, status, address, data in parts]
    layer = layers.Reply(
        items=[
            layers.Result(opcode=opcode, status=status, address=address, data=data)
            for opcode, status, address, data in parts
        ]
    )
    assert tr.decode_results(bytes(layer)) == values
    same(frames.FrameType.REPLY, header, tr.encode_results(values), layer)


@given(st.binary(max_size=120) | st.binary(max_size=120).map(lambda tail: HELLO_BYTES[:33] + tail))
def test_noise_is_judged_alike(noise: bytes) -> None:
    try:
        codec.decode_frame(noise)
    except UnknownVersion:
        assert layers.defect(noise) is layers.Defect.VERSION
    except FrameError:
        assert layers.defect(noise) not in (None, layers.Defect.VERSION)
    else:
        assert layers.defect(noise) is None


def same(kind: frames.FrameType, header: Header, payload: bytes, layer: Packet) -> None:
    """Both build the same datagram, and the layers read out of it what they were made of."""
    datagram = codec.encode_frame(frames.Frame(kind, payload=payload, **header))
    assert bytes(layers.Frame(**header) / layer) == datagram
    read = layers.Frame(datagram)
    assert bytes(read) == datagram
    body = read[type(layer)]
    for name, value in layer.fields.items():
        if name == "items":
            assert [bytes(item) for item in body.items] == [bytes(item) for item in value]
        else:
            assert getattr(body, name) == value
