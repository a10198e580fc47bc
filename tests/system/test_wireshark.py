"""The Wireshark dissector at work: tshark reads captures made here, field by field."""

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from starlab_host.capture import Captured, PcapWriter
from starlab_host.capture.layers import (
    Ack,
    Announce,
    Command,
    Event,
    Frame,
    Hello,
    HelloAck,
    Nak,
    Reply,
    Result,
    Status,
    Transaction,
)

TSHARK = shutil.which("tshark")
SPEC = Path(__file__).parents[2] / "spec"
SCRIPT = SPEC / "starlab.lua"
VECTORS = SPEC / "vectors" / "frames.json"

pytestmark = pytest.mark.skipif(
    TSHARK is None, reason="tshark is not installed: it is the Debian package tshark"
)

Row = dict[str, str]
Read = Callable[..., list[Row]]


def tshark(capture: Path, *fields: str) -> list[Row]:
    """What tshark finds in each frame; several values of one field with a ``|`` between."""
    assert TSHARK is not None
    columns = ["_ws.col.Info", "_ws.expert.message", "_ws.lua.error", *fields]
    command = [TSHARK, "-X", f"lua_script:{SCRIPT}", "-r", str(capture), "-T", "fields"]
    command += ["-E", "separator=/t", "-E", "aggregator=|"]
    for column in columns:
        command += ["-e", column]
    # no plugin or preference of the person who runs this
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "WIRESHARK_CONFIG_DIR": str(capture.parent)}
    run = subprocess.run(
        command, capture_output=True, encoding="utf-8", check=True, timeout=50, env=environment
    )
    assert "Lua" not in run.stderr
    rows = [dict(zip(columns, line.split("\t"), strict=True)) for line in run.stdout.splitlines()]
    assert [row.pop("_ws.lua.error") for row in rows] == [""] * len(rows)
    return rows


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads datagrams, written down as a link writes them."""

    def read_datagrams(datagrams: list[Frame | bytes], *fields: str) -> list[Row]:
        capture = tmp_path / "link.pcap"
        with capture.open("wb") as file:
            writer = PcapWriter(file)
            for number, datagram in enumerate(datagrams):
                writer.write(Captured(1e9 + number, number % 2 == 0, bytes(datagram)))
        return tshark(capture, *fields)

    return read_datagrams


def frame(number: int, **fields: Any) -> Frame:
    return Frame(session=0x1234, boot=0x77, message=number, flags="LAST", **fields)


def test_every_payload_is_taken_apart(read: Read) -> None:
    identity = json.dumps({"serial": "SIM-7"}).encode()
    rows = read(
        [
            Frame(type="DISCOVER"),
            Frame() / Announce(identity=identity),
            Frame() / Hello(client_name="Prüfstand".encode(), features="NEVER_SAFE", lease_epoch=4),
            Frame() / HelloAck(session_id=0x1234, lifetime_pulses=1 << 40, identity=identity),
            Frame() / Ack(cumulative=5, bitmap=1 << 127, credit=30, delay_us=120),
            Frame() / Status(next_message_id=9, faults=0x11, state="SAFE"),
            Frame() / Event(kind="PROGRESS", done=3, total=10, text=b"learning"),
            Frame() / Nak(status="FENCED", detail=b"lease epoch 3 is older"),
        ],
        "starlab.type",
        "starlab.crc.status",
        "starlab.announce.identity",
        "starlab.hello.client_name",
        "starlab.hello.features.never_safe",
        "starlab.hello.lease_epoch",
        "starlab.hello_ack.session_id",
        "starlab.hello_ack.lifetime_pulses",
        "starlab.hello_ack.identity",
        "starlab.ack.cumulative",
        "starlab.ack.bitmap",
        "starlab.ack.delay_us",
        "starlab.status.next_message_id",
        "starlab.status.faults",
        "starlab.status.state",
        "starlab.event.total",
        "starlab.event.text",
        "starlab.nak.status",
        "starlab.nak.detail",
    )
    found = [
        {name.removeprefix("starlab."): value for name, value in row.items() if value}
        for row in rows
    ]
    text = identity.decode()
    assert [row.pop("type") for row in found] == ["1", "2", "3", "4", "8", "10", "14", "13"]
    assert [row.pop("crc.status") for row in found] == ["1"] * 8
    assert [row.pop("_ws.col.Info") for row in found] == [
        "DISCOVER",
        "ANNOUNCE",
        "HELLO NEVER_SAFE",
        "HELLO_ACK",
        "ACK",
        "STATUS SAFE",
        "EVENT PROGRESS",
        "NAK FENCED",
    ]
    assert found == [
        {},
        {"announce.identity": text},
        {
            "hello.client_name": "Prüfstand",
            "hello.features.never_safe": "1",
            "hello.lease_epoch": "4",
        },
        {
            "hello_ack.session_id": "0x00001234",
            "hello_ack.lifetime_pulses": "1099511627776",
            "hello_ack.identity": text,
        },
        {"ack.cumulative": "5", "ack.bitmap": "80" + 30 * "0", "ack.delay_us": "120"},
        {"status.next_message_id": "9", "status.faults": "0x00000011", "status.state": "2"},
        {"event.total": "10", "event.text": "learning"},
        {"nak.status": "8", "nak.detail": "lease epoch 3 is older"},
    ]


def test_transactions_and_results_are_read_with_the_names_of_registers_and_supplies(
    read: Read,
) -> None:
    command = Command(
        items=[
            Transaction(
                opcode="WRITE_REG", address=0x18, data=struct.pack(">3I", 0xFF, 0x11, 0x22)
            ),
            Transaction(opcode="READ_REG", address=0x38, flags=1, data=struct.pack(">I", 2)),
            Transaction(opcode="SET_SUPPLY", address=6, data=struct.pack(">I", 80)),
            Transaction(opcode="START", data=struct.pack(">I", 1 << 18)),
            Transaction(opcode=0x66, address=1, data=b"?"),
        ]
    )
    reply = Reply(
        items=[
            Result(opcode="WRITE_REG", address=0x18),
            Result(opcode="READ_REG", address=0x38, data=struct.pack(">2I", 7, 7)),
            Result(
                opcode="SET_SUPPLY",
                status="INTERLOCK",
                address=6,
                data=b"VBLset 3300 mV is above the 2600 mV limit",
            ),
        ]
    )
    asked, answered = read(
        [frame(3) / command, frame(3) / reply],
        "starlab.message",
        "starlab.flags.last",
        "starlab.register",
        "starlab.supply",
        "starlab.write_reg.mask",
        "starlab.write_reg.words",
        "starlab.read_reg.count",
        "starlab.read_reg.words",
        "starlab.set_supply.code",
        "starlab.start.operation.set",
        "starlab.data",
        "starlab.result.status",
        "starlab.refusal",
    )
    assert asked == {
        "_ws.col.Info": (
            "COMMAND #3 LAST: WRITE_REG ROW, READ_REG OPERATION, SET_SUPPLY VBLset, "
            "START SET, 1 more"
        ),
        "_ws.expert.message": "",
        "starlab.message": "3",
        "starlab.flags.last": "1",
        "starlab.register": "ROW|OPERATION",
        "starlab.supply": "VBLset",
        "starlab.write_reg.mask": "0x000000ff",
        "starlab.write_reg.words": "0x00000011|0x00000022",
        "starlab.read_reg.count": "2",
        "starlab.read_reg.words": "",
        "starlab.set_supply.code": "80",
        "starlab.start.operation.set": "1",
        "starlab.data": "3f",
        "starlab.result.status": "",
        "starlab.refusal": "",
    }
    assert answered["_ws.col.Info"] == (
        "REPLY #3 LAST: WRITE_REG ROW, READ_REG OPERATION, SET_SUPPLY VBLset INTERLOCK"
    )
    assert answered["_ws.expert.message"] == "INTERLOCK"
    assert answered["starlab.read_reg.words"] == "0x00000007|0x00000007"
    assert answered["starlab.result.status"] == "0|0|9"
    assert answered["starlab.refusal"] == "VBLset 3300 mV is above the 2600 mV limit"


def test_a_fragmented_command_is_shown_whole_where_it_is_complete(read: Read) -> None:
    content = bytes(range(256)) * 12
    whole = bytes(Command(items=[Transaction(opcode="WRITE_MEM", address=0x1000, data=content)]))
    parts = [whole[at : at + 1408] for at in range(0, len(whole), 1408)]
    fragments = [
        frame(5, type="COMMAND", fragment_index=index, fragment_count=len(parts))
        / Raw(parts[index])
        for index in (0, 2, 0, 1)
    ]
    rows = read(fragments, "starlab.write_mem.content", "starlab.fragment_data")
    assert [row["_ws.col.Info"] for row in rows] == [
        "COMMAND #5 [1/3] LAST",
        "COMMAND #5 [3/3] LAST",
        "COMMAND #5 [1/3] LAST",
        "COMMAND #5 [2/3] LAST: WRITE_MEM 0x1000",
    ]
    assert [row["starlab.write_mem.content"] for row in rows] == ["", "", "", content.hex()]
    assert [row["starlab.fragment_data"] for row in rows] == [
        parts[index].hex() for index in (0, 2, 0, 1)
    ]


def test_damage_is_marked_and_not_interpreted(read: Read) -> None:
    good = bytes(frame(1) / Command(items=[Transaction(opcode="ABORT")]))
    flipped = good[:40] + bytes([good[40] ^ 1]) + good[41:]
    cut = bytes(frame(2, type="COMMAND") / Raw(good[32:40]))
    beyond = bytes(frame(3, type="COMMAND", fragment_index=2, fragment_count=2) / Raw(b"x"))
    rows = read(
        [good, flipped, cut, beyond, good[:30], b"ST" + bytes(60)],
        "starlab.crc.status",
        "starlab.transaction.opcode",
    )
    assert [(r["starlab.crc.status"], r["starlab.transaction.opcode"]) for r in rows] == [
        ("1", "49"),
        ("0", ""),
        ("1", ""),
        ("1", ""),
        ("", ""),
        ("0", ""),
    ]
    assert [row["_ws.expert.message"] for row in rows[:4]] == [
        "",
        "The CRC does not match",
        "item 0 is cut off",
        "there is no such fragment",
    ]


def test_the_conformance_vectors_are_judged_as_they_should_be(read: Read) -> None:
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    judgement = {"length": "", "magic": "", "crc": "0"}
    rows = read([bytes.fromhex(v["datagram"]) for v in vectors], "starlab.crc.status")
    assert [
        (v["name"], row["starlab.crc.status"]) for v, row in zip(vectors, rows, strict=True)
    ] == [(v["name"], judgement.get(v["verdict"], "1")) for v in vectors]


def test_frames_are_found_on_raw_ethernet_and_on_any_port(tmp_path: Path) -> None:
    ether: dict[str, Any] = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
    ip = IP(src="192.0.2.1", dst="192.0.2.2")
    bye = bytes(frame(0, type="BYE"))
    capture = tmp_path / "mixed.pcap"
    packets = [
        Ether(**ether, type=0x88B5) / Raw(bye.ljust(46, b"\0")),
        Ether(**ether) / ip / UDP(sport=40001, dport=40002) / Raw(bye),
        Ether(**ether) / ip / UDP(sport=40001, dport=40002) / Raw(b"something else entirely"),
    ]
    wrpcap(str(capture), packets)
    rows = tshark(capture, "starlab.session", "starlab.crc.status")
    assert [(row["starlab.session"], row["starlab.crc.status"]) for row in rows] == [
        ("0x00001234", "1"),
        ("0x00001234", "1"),
        ("", ""),
    ]
