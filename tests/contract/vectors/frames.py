"""Vectors of single frames: every type, every payload, and every way to be wrong."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.contract.vectors import wire_bytes as wb

Vector = dict[str, Any]

SESSION: Mapping[str, Any] = {"session": 0x1A2B3C4D, "boot": 0x600DB007}
IDENTITY = {"serial": "VECTOR-1", "protocol": "1.0"}
IDENTITY_BYTES = json.dumps(IDENTITY).encode()
STATES = ("IDLE", "EXECUTING", "SAFE", "FAULT")
EVENTS = {"PROGRESS": 1, "FAULT": 2, "ENTERED_SAFE": 3}


def good(
    name: str, kind: str, payload: bytes = b"", meaning: Mapping[str, Any] = {}, **fields: Any
) -> Vector:
    """A frame that is accepted; `meaning` says what its payload is."""
    return {
        "name": name,
        "verdict": "good",
        "datagram": wb.frame(kind, payload, **fields).hex(),
        "header": {
            **{"type": kind, "flags": 0, "session": 0, "boot": 0, "sequence": 0},
            **{"acknowledged": 0, "message": 0, "fragment": 0, "fragments": 1, **fields},
        },
        "payload": dict(meaning) or payload.hex(),
    }


def bad(name: str, verdict: str, datagram: bytes) -> Vector:
    """A datagram that is dropped, and why."""
    return {"name": name, "verdict": verdict, "datagram": datagram.hex()}


def frame_vectors() -> list[Vector]:
    """All of them."""
    return [*_empty(), *_handshake(), *_reports(), *_messages(), *_damaged(), *_bad_payloads()]


def _empty() -> Iterator[Vector]:
    yield good("DISCOVER, which belongs to no session", "DISCOVER", message=77)
    yield good("STATUS_REQUEST", "STATUS_REQUEST", message=5, sequence=9, **SESSION)
    yield good("RESET by a host", "RESET", **SESSION)
    yield good("BYE", "BYE", sequence=3, acknowledged=4, **SESSION)
    all_ones: Mapping[str, Any] = dict.fromkeys(
        ("session", "boot", "sequence", "acknowledged", "message"), 2**32 - 1
    )
    yield good("every number of the header at its greatest", "BYE", flags=0x3F, **all_ones)
    yield good("flags that have no name are ignored", "BYE", flags=0xFFC0, **SESSION)
    padded = good("padding of a short Ethernet frame is ignored", "BYE", **SESSION)
    yield {**padded, "datagram": padded["datagram"].ljust(2 * 46, "0")}
    for number, (flag, text) in enumerate(
        [
            (wb.ACK_NOW, "ACK_NOW"),
            (wb.LAST, "LAST"),
            (wb.READ_ONLY, "READ_ONLY"),
            (wb.REPLAYED, "REPLAYED"),
            (wb.BUSY, "BUSY"),
            (wb.DRY_RUN, "DRY_RUN"),
        ]
    ):
        yield good(f"flag {text}", "COMMAND", b"", flags=flag, message=number, **SESSION)


def _handshake() -> Iterator[Vector]:
    yield good("ANNOUNCE", "ANNOUNCE", IDENTITY_BYTES, {"identity": IDENTITY}, boot=0x600DB007)
    for name in ("", "Labor Süd, µ-Bank", "n" * 255):
        yield good(
            f"HELLO of a client with a name of {len(name.encode())} bytes",
            "HELLO",
            wb.hello(epoch=7, features=2, resume=0x1A2B3C4D, name=name.encode()),
            {
                "minimum_version": 0x10,
                "maximum_version": 0x10,
                "window": 32,
                "payload_bytes": 1408,
                "features": 2,
                "lease_epoch": 7,
                "resume_session": 0x1A2B3C4D,
                "client_name": name,
            },
            message=0xCAFE,
        )
    yield good(
        "HELLO_ACK",
        "HELLO_ACK",
        wb.hello_ack(
            SESSION["session"],
            SESSION["boot"],
            window=16,
            payload=1024,
            features=2,
            upcoming=12,
            pulses=1 << 40,
            identity=IDENTITY_BYTES,
        ),
        {
            "session_id": SESSION["session"],
            "boot_id": SESSION["boot"],
            "version": 0x10,
            "window": 16,
            "payload_bytes": 1024,
            "features": 2,
            "next_message_id": 12,
            "lifetime_pulses": 1 << 40,
            "identity": IDENTITY,
        },
        message=0xCAFE,
        **SESSION,
    )
    yield good(
        "RESET by a board says why",
        "RESET",
        wb.nak(6, b"message 3 was another command before"),
        {"status": "ID_REUSED", "detail": "message 3 was another command before"},
        **SESSION,
    )
    for number, name in enumerate(wb.STATUSES):
        detail = f"refused: {name}"
        yield good(
            f"NAK {name}",
            "NAK",
            wb.nak(number, detail.encode()),
            {"status": name, "detail": detail},
            **SESSION,
        )


def _reports() -> Iterator[Vector]:
    for text, bitmap in (
        ("nothing beyond", bytes(16)),
        ("the next but one", b"\x80" + bytes(15)),
        ("the 128th beyond", bytes(15) + b"\x01"),
        ("beyond: 1, 3 and 9", b"\xa0\x80" + bytes(14)),
        ("all 128 beyond", b"\xff" * 16),
    ):
        yield good(
            f"ACK, {text}",
            "ACK",
            wb.ack(0xFFFFFFF0, bitmap, 24, 1500),
            {"cumulative": 0xFFFFFFF0, "bitmap": bitmap.hex(), "credit": 24, "delay_us": 1500},
            acknowledged=0xFFFFFFF0,
            **SESSION,
        )
    for number, state in enumerate(STATES):
        yield good(
            f"STATUS {state}",
            "STATUS",
            wb.status(9, 8 if state == "EXECUTING" else 0, 123_456_789_012, 0x11, number),
            {
                "next_message_id": 9,
                "executing_message_id": 8 if state == "EXECUTING" else 0,
                "lifetime_pulses": 123_456_789_012,
                "faults": 0x11,
                "state": state,
            },
            **SESSION,
        )
    for (kind, number), text in zip(
        EVENTS.items(), ("", "over current", "Stille: 3 s"), strict=True
    ):
        yield good(
            f"EVENT {kind}",
            "EVENT",
            wb.event(number, 500, 60_000, text.encode()),
            {"kind": kind, "done": 500, "total": 60_000, "text": text},
            message=4,
            **SESSION,
        )


def _messages() -> Iterator[Vector]:
    write = wb.item(wb.OPCODES["WRITE_REG"], address=0x18, data=wb.words(0xFFFFFFFF, 7))
    done = wb.item(wb.OPCODES["WRITE_REG"], address=0x18)
    yield good("COMMAND in one fragment", "COMMAND", write, flags=wb.LAST, message=1, **SESSION)
    yield good("REPLY in one fragment", "REPLY", done, flags=wb.LAST, message=1, **SESSION)
    whole = bytes(range(256)) * 5 + bytes(128)
    yield good(
        "a fragment with the longest payload",
        "COMMAND",
        whole,
        sequence=0xFFFFFFFF,
        message=2,
        fragment=1,
        fragments=3,
        **SESSION,
    )


def _damaged() -> Iterator[Vector]:
    whole = wb.frame("COMMAND", b"abcdefgh", message=1, **SESSION)
    body = whole[:-4]
    yield bad("nothing", "length", b"")
    yield bad("a frame without its CRC", "length", wb.frame("BYE")[:-4])
    yield bad("a frame without its last byte", "length", whole[:-1])
    yield bad("a length field beyond the datagram", "length", wb.sealed(wb.header(5, 9) + bytes(8)))
    yield bad("a length field of 65535", "length", wb.sealed(wb.header(5, 0xFFFF) + bytes(8)))
    yield bad("the letters TS", "magic", wb.sealed(wb.header(15, 0, magic=0x5453)))
    yield bad("zeros", "magic", bytes(64))
    for name, at in (("type", 3), ("message id", 27), ("payload", 35), ("CRC", 43)):
        flipped = bytearray(whole)
        flipped[at] ^= 0x10
        yield bad(f"a bit flipped in the {name}", "crc", bytes(flipped))
    yield bad("a length field too short", "crc", wb.sealed(wb.header(5, 4) + b"abcdefgh"))
    yield bad("the CRC least significant byte first", "crc", body + whole[:-5:-1])
    yield bad("the CRC of the payload alone", "crc", body + wb.sealed(b"abcdefgh")[-4:])
    yield bad("the CRC inverted", "crc", body + bytes(byte ^ 0xFF for byte in whole[-4:]))
    for version in (0x20, 0x11, 0x00):
        yield bad(
            f"version {version >> 4}.{version & 15}",
            "version",
            wb.sealed(wb.header(15, 0, version=version, message=3, **SESSION)),
        )


def _bad_payloads() -> Iterator[Vector]:
    for name, kind, payload in (
        ("ANNOUNCE that is no JSON", "ANNOUNCE", b"{"),
        ("ANNOUNCE that is no object", "ANNOUNCE", b"[1]"),
        ("HELLO too short", "HELLO", wb.hello()[:-1]),
        ("HELLO whose name is cut off", "HELLO", wb.hello(name=b"host")[:-1]),
        ("HELLO whose name is not UTF-8", "HELLO", wb.hello(name=b"\xff\xfe")),
        ("HELLO_ACK too short", "HELLO_ACK", wb.hello_ack(1, 2)[:29]),
        ("HELLO_ACK whose identity is cut off", "HELLO_ACK", wb.hello_ack(1, 2)[:-1]),
        ("HELLO_ACK whose identity is no JSON", "HELLO_ACK", wb.hello_ack(1, 2, identity=b"{]")),
        ("ACK too short", "ACK", wb.ack(1)[:-1]),
        ("STATUS too short", "STATUS", wb.status(1, 0, 0, 0, 0)[:-1]),
        ("STATUS of a state that is none", "STATUS", wb.status(1, 0, 0, 0, 4)),
        ("EVENT too short", "EVENT", wb.event(1, 0, 0, b"")[:-1]),
        ("EVENT of a kind that is none", "EVENT", wb.event(4, 0, 0, b"")),
        ("EVENT whose text is not UTF-8", "EVENT", wb.event(1, 0, 0, b"\x80")),
        ("NAK too short", "NAK", wb.nak(1, b"")[:-1]),
        ("NAK whose detail is cut off", "NAK", wb.nak(1, b"why")[:-1]),
    ):
        yield bad(name, "payload", wb.frame(kind, payload, **SESSION))
