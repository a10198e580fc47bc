"""The field table against the codec, and the dissector's text made from it."""

from collections.abc import Iterable, Mapping
from enum import IntEnum, IntFlag
from typing import Any

import pytest

from starlab_spec.registers import REGISTERS
from starlab_spec.wire import codec, fields
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.dissector.dissector import dissector
from starlab_spec.wire.fields import Named, Shape, WireField
from starlab_spec.wire.frames import (
    FRAME_OVERHEAD_BYTES,
    HEADER_BYTES,
    Acknowledgement,
    BoardState,
    BoardStatus,
    Event,
    EventKind,
    Feature,
    Frame,
    FrameFlag,
    FrameType,
    Hello,
    HelloAck,
    Nak,
)


def read(layout: Iterable[WireField], data: bytes) -> dict[str, Any]:
    """Field values by name, read by the table alone; zeros are checked and left out."""
    values: dict[str, Any] = {}
    for field in layout:
        size = field.size_bytes
        if size is None:
            size = values.pop(f"{field.name}_length", len(data))
        part, data = data[:size], data[size:]
        assert len(part) == size
        if field.shape is Shape.ZERO:
            assert not any(part)
        elif field.shape in (Shape.NUMBER, Shape.HEX, Shape.CHOICE, Shape.BITS):
            values[field.name] = int.from_bytes(part, "big")
        else:
            values[field.name] = part
    assert data == b""
    return values


def test_a_header_reads_by_the_table_as_it_was_written() -> None:
    frame = Frame(FrameType.REPLY, FrameFlag.LAST, 0x11111111, 0x22222222, 3, 4, 5, 6, 7, b"abc")
    datagram = codec.encode_frame(frame)
    assert len(datagram) == FRAME_OVERHEAD_BYTES + 3
    assert read(fields.HEADER, datagram[:HEADER_BYTES]) == {
        "magic": 0x5354,
        "version": 0x10,
        "type": 6,
        "flags": 2,
        "length": 3,
        "session": 0x11111111,
        "boot": 0x22222222,
        "sequence": 3,
        "acknowledged": 4,
        "message": 5,
        "fragment": 6,
        "fragments": 7,
    }


@pytest.mark.parametrize(
    ("kind", "payload", "values"),
    [
        (FrameType.ANNOUNCE, codec.encode_json({"a": 1}), {"identity": b'{"a":1}'}),
        (
            FrameType.HELLO,
            codec.encode_hello(Hello(0x10, 0x21, 3, 4, 2, 5, 6, "host")),
            {
                "minimum_version": 0x10,
                "maximum_version": 0x21,
                "window": 3,
                "payload_bytes": 4,
                "features": 2,
                "lease_epoch": 5,
                "resume_session": 6,
                "client_name": b"host",
            },
        ),
        (
            FrameType.HELLO_ACK,
            codec.encode_hello_ack(HelloAck(1, 2, 0x10, 3, 4, 2, 5, 1 << 40, {"b": 2})),
            {
                "session_id": 1,
                "boot_id": 2,
                "version": 0x10,
                "window": 3,
                "payload_bytes": 4,
                "features": 2,
                "next_message_id": 5,
                "lifetime_pulses": 1 << 40,
                "identity": b'{"b":2}',
            },
        ),
        (
            FrameType.ACK,
            codec.encode_ack(Acknowledgement(7, 1 << 127, 8, 9)),
            {"cumulative": 7, "bitmap": b"\x80" + bytes(15), "credit": 8, "delay_us": 9},
        ),
        (
            FrameType.STATUS,
            codec.encode_status(BoardStatus(3, 2, 1 << 33, 0x80, BoardState.FAULT)),
            {
                "next_message_id": 3,
                "executing_message_id": 2,
                "lifetime_pulses": 1 << 33,
                "faults": 0x80,
                "state": 3,
            },
        ),
        (
            FrameType.EVENT,
            codec.encode_event(Event(EventKind.PROGRESS, 3, 10, "learning")),
            {"kind": 1, "done": 3, "total": 10, "text": b"learning"},
        ),
        (FrameType.NAK, codec.encode_nak(Nak(8, "lease")), {"status": 8, "detail": b"lease"}),
        (FrameType.RESET, codec.encode_nak(Nak(6, "id")), {"status": 6, "detail": b"id"}),
    ],
)
def test_a_payload_reads_by_the_table_as_it_was_written(
    kind: FrameType, payload: bytes, values: Mapping[str, Any]
) -> None:
    assert read(fields.PAYLOADS[kind], payload) == values


@pytest.mark.parametrize(
    ("transaction", "values"),
    [
        (tr.read_registers(0x38, 5), {"count": 5}),
        (tr.write_registers(0x38, [7], mask=0xFF), {"mask": 0xFF, "words": b"\0\0\0\7"}),
        (tr.read_memory(0, 9), {"count": 9}),
        (tr.write_memory(0, b"xyz"), {"content": b"xyz"}),
        (tr.get_supply(3), {}),
        (tr.set_supply(3, 98), {"code": 98}),
        (tr.start(1 << 18), {"operation": 1 << 18}),
        (tr.abort(), {}),
        (tr.identify(), {}),
        (tr.emulator({"seed": 1}), {"request": b'{"seed":1}'}),
    ],
)
def test_a_transaction_reads_by_the_table_as_it_was_written(
    transaction: tr.Transaction, values: Mapping[str, Any]
) -> None:
    encoded = tr.encode_transactions([transaction])
    head, data = encoded[:12], encoded[12 : 12 + len(transaction.data)]
    assert read(fields.TRANSACTION, head) == {
        "opcode": transaction.opcode,
        "flags": transaction.flags,
        "length": len(data),
        "address": transaction.address,
    }
    layout = next(o for o in fields.OPCODES if o.opcode == transaction.opcode)
    assert read(layout.request, data) == values


def test_a_supply_reading_reads_by_the_table_as_by_the_parser() -> None:
    data = bytes.fromhex("00000062 00027100 00000003")
    layout = next(o for o in fields.OPCODES if o.opcode == tr.Opcode.GET_SUPPLY)
    assert read(layout.result, data) == {"code": 98, "measured": 160_000, "state": 3}
    reading = tr.supply_reading(tr.Result(tr.Opcode.GET_SUPPLY, tr.Status.OK, 0, data))
    assert reading == tr.SupplyReading(98, 160_000, settled=True, fault=True)


def test_a_result_head_reads_by_the_table_as_it_was_written() -> None:
    encoded = tr.encode_results([tr.Result(tr.Opcode.START, tr.Status.ABORTED, 4)])
    values = {"opcode": 0x30, "status": 13, "length": 0, "address": 4}
    assert read(fields.RESULT, encoded) == values


@pytest.mark.parametrize(
    ("named", "members"),
    [
        (fields.TYPES, FrameType),
        (fields.FLAGS, FrameFlag),
        (fields.FEATURES, Feature),
        (fields.STATUSES, tr.Status),
        (fields.STATES, BoardState),
        (fields.EVENT_KINDS, EventKind),
        (fields.TRANSACTION[0].named, tr.Opcode),
    ],
)
def test_every_number_that_has_a_name_has_a_sentence(
    named: tuple[Named, ...], members: type[IntEnum] | type[IntFlag]
) -> None:
    assert [(n.value, n.name) for n in named] == [(int(m), m.name) for m in members]
    assert all(n.meaning.endswith((".", "?")) for n in named)


def test_names_are_unique_within_a_layout_and_meanings_are_sentences() -> None:
    layouts = [fields.HEADER, fields.TRANSACTION, fields.RESULT, *fields.PAYLOADS.values()]
    for opcode in fields.OPCODES:
        layouts += [opcode.request, opcode.result]
    for layout in layouts:
        names = [field.name for field in layout]
        assert len(set(names)) == len(names)
        assert all(field.meaning.endswith(".") for field in layout)
        # only the last field may be as long as the rest
        assert all(field.size_bytes is not None for field in layout[:-1])


def test_the_dissector_knows_every_type_opcode_and_register() -> None:
    text = dissector()
    for kind in FrameType:
        assert f'{{{kind.value}, "{kind.name}", ' in text
    for opcode in tr.Opcode:
        assert f'name = "{opcode.name}"' in text
    for register in REGISTERS:
        assert f'= "{register.name}",' in text
    assert max(len(line) for line in text.splitlines()) <= 100
