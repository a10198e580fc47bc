"""The vectors of frames and messages, run against both descriptions of them."""

import json
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any

import pytest
from scapy.packet import Packet, Raw
from tests.contract.vectors.files import FOLDER, files

from starlab_host.capture import layers
from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.errors import FrameError, PayloadError, TransactionError, UnknownVersion
from starlab_spec.wire.frames import Frame, FrameType, Nak
from starlab_spec.wire.receiving import Assembler
from starlab_spec.wire.transactions import Opcode, Status

Vector = dict[str, Any]

DECODERS: dict[str, Callable[[bytes], Any]] = {
    "ANNOUNCE": codec.decode_json,
    "HELLO": codec.decode_hello,
    "HELLO_ACK": codec.decode_hello_ack,
    "ACK": codec.decode_ack,
    "STATUS": codec.decode_status,
    "RESET": codec.decode_nak,
    "EVENT": codec.decode_event,
    "NAK": codec.decode_nak,
}
ENCODERS: dict[str, Callable[[Any], bytes]] = {
    "HELLO": codec.encode_hello,
    "ACK": codec.encode_ack,
    "STATUS": codec.encode_status,
    "RESET": codec.encode_nak,
    "EVENT": codec.encode_event,
    "NAK": codec.encode_nak,
}
"""JSON may be written in several ways: what carries an identity is not built again."""


def load(name: str) -> list[Vector]:
    vectors: list[Vector] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return vectors


def each(name: str, *verdicts: str) -> pytest.MarkDecorator:
    """Runs a test with every vector of a file, or those of some verdicts."""
    vectors = [v for v in load(name) if not verdicts or v["verdict"] in verdicts]
    return pytest.mark.parametrize("vector", vectors, ids=[v["name"] for v in vectors])


def named(value: object) -> object:
    """A value of the codec as a vector writes it."""
    return value.name if isinstance(value, IntEnum) else value


def meaning(kind: str, value: Any, names: Iterable[str]) -> dict[str, Any]:
    """A payload of the codec as a vector writes it."""
    if kind == "ANNOUNCE":
        return {"identity": value}
    fields = {name: named(getattr(value, name)) for name in names}
    if kind == "ACK":
        fields["bitmap"] = f"{value.bitmap:032x}"
    if isinstance(value, Nak):
        fields["status"] = Status(value.status).name
    return fields


def test_the_files_are_what_the_generator_writes() -> None:
    for name, text in files().items():
        written = (FOLDER / name).read_text(encoding="utf-8")
        assert written == text, "out of date: run `python -m tests.contract.vectors`"


def test_names_are_unique_and_every_type_status_and_verdict_occurs() -> None:
    for name in files():
        names = [vector["name"] for vector in load(name)]
        assert len(set(names)) == len(names)
    frames = load("frames.json")
    good = [vector for vector in frames if vector["verdict"] == "good"]
    assert {v["header"]["type"] for v in good} == {kind.name for kind in FrameType}
    assert {v["verdict"] for v in frames} == {"good", "payload"} | {
        defect.name.lower() for defect in layers.Defect
    }
    asked = {t["opcode"] for v in load("commands.json") for t in v["transactions"] or ()}
    assert asked == {opcode.name for opcode in Opcode}
    answered = {r["status"] for v in load("replies.json") for r in v["results"] or ()}
    assert answered == {status.name for status in Status}


@each("frames.json", "good")
def test_the_codec_reads_and_builds_a_good_frame(vector: Vector) -> None:
    datagram = bytes.fromhex(vector["datagram"])
    frame = codec.decode_frame(datagram)
    kind = FrameType(frame.type).name
    header = {**frame._asdict(), "type": kind}
    payload = header.pop("payload")
    assert header == vector["header"]
    assert datagram.startswith(codec.encode_frame(frame))
    if isinstance(vector["payload"], str):
        assert payload.hex() == vector["payload"]
        return
    value = DECODERS[kind](payload)
    assert meaning(kind, value, vector["payload"]) == vector["payload"]
    if kind in ENCODERS:
        assert ENCODERS[kind](value) == payload


@each("frames.json", "good")
def test_the_layers_read_and_build_a_good_frame(vector: Vector) -> None:
    datagram = bytes.fromhex(vector["datagram"])
    assert layers.defect(datagram) is None
    frame = layers.Frame(datagram)
    assert bytes(frame) == datagram
    header = vector["header"]
    assert layers.TYPES[frame.type] == header["type"]
    assert (frame.fragment_index, frame.fragment_count) == (header["fragment"], header["fragments"])
    for name in ("flags", "session", "boot", "sequence", "acknowledged", "message"):
        assert int(getattr(frame, name)) == header[name]
    if isinstance(vector["payload"], dict):
        body = frame.payload
        for name, value in vector["payload"].items():
            assert seen(body, name) == value


def seen(body: Packet, name: str) -> object:
    """A field of a layer as a vector writes it."""
    value = getattr(body, name)
    if name == "identity":
        return json.loads(value)
    if name == "bitmap":
        return f"{value:032x}"
    if name in ("status", "state", "kind"):
        return body.sprintf(f"%{name}%")
    return value.decode() if isinstance(value, bytes) else int(value)


@each("frames.json", "length", "magic", "crc")
def test_what_is_no_frame_is_dropped(vector: Vector) -> None:
    datagram = bytes.fromhex(vector["datagram"])
    with pytest.raises(FrameError) as caught:
        codec.decode_frame(datagram)
    assert not isinstance(caught.value, UnknownVersion)
    defect = layers.defect(datagram)
    assert defect is not None
    assert defect.name.lower() == vector["verdict"]


@each("frames.json", "version")
def test_another_version_is_told_from_damage(vector: Vector) -> None:
    datagram = bytes.fromhex(vector["datagram"])
    with pytest.raises(UnknownVersion):
        codec.decode_frame(datagram)
    assert layers.defect(datagram) is layers.Defect.VERSION


@each("frames.json", "payload")
def test_a_sound_frame_with_a_bad_payload_is_refused(vector: Vector) -> None:
    datagram = bytes.fromhex(vector["datagram"])
    assert layers.defect(datagram) is None
    frame = codec.decode_frame(datagram)
    with pytest.raises(PayloadError):
        DECODERS[FrameType(frame.type).name](frame.payload)


@each("commands.json")
def test_transactions_are_read_and_built(vector: Vector) -> None:
    payload = bytes.fromhex(vector["payload"])
    if vector["transactions"] is None:
        with pytest.raises(TransactionError):
            tr.decode_transactions(payload)
        return
    read = tr.decode_transactions(payload)
    assert [
        {"opcode": named(opcode), "flags": flags, "address": address, "data": data.hex()}
        for opcode, address, data, flags in read
    ] == vector["transactions"]
    assert tr.encode_transactions(read) == payload
    items = layers.Command(payload).items
    assert b"".join(bytes(item) for item in items) == payload
    assert [
        {
            "opcode": item.sprintf("%opcode%"),
            "flags": int(item.flags),
            "address": item.address,
            "data": item.data.hex(),
        }
        for item in items
    ] == vector["transactions"]


@each("replies.json")
def test_results_are_read_and_built(vector: Vector) -> None:
    payload = bytes.fromhex(vector["payload"])
    if vector["results"] is None:
        with pytest.raises(TransactionError):
            tr.decode_results(payload)
        return
    read = tr.decode_results(payload)
    assert [
        {"opcode": named(opcode), "status": named(status), "address": address, "data": data.hex()}
        for opcode, status, address, data in read
    ] == vector["results"]
    assert tr.encode_results(read) == payload
    items = layers.Reply(payload).items
    assert b"".join(bytes(item) for item in items) == payload
    assert [
        {
            "opcode": item.sprintf("%opcode%"),
            "status": item.sprintf("%status%"),
            "address": item.address,
            "data": item.data.hex(),
        }
        for item in items
    ] == vector["results"]


@each("fragments.json")
def test_fragments_are_put_together(vector: Vector) -> None:
    assembler, messages = Assembler(capacity=1), []
    parts: dict[int, bytes] = {}
    for datagram in vector["datagrams"]:
        frame: Frame = codec.decode_frame(bytes.fromhex(datagram))
        layer = layers.Frame(bytes.fromhex(datagram))
        if layer.fragment_index < layer.fragment_count == 3:
            parts[layer.fragment_index] = layer[Raw].load
        try:
            message = assembler.add(frame)
        except PayloadError:
            continue
        if message is not None:
            messages.append(message.hex())
    assert messages == ([] if vector["message"] is None else [vector["message"]])
    if len(parts) == 3:
        assert b"".join(parts[index] for index in range(3)).hex() == vector["message"]
