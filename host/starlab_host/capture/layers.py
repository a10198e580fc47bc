"""The frames of the wire protocol as scapy layers: a second description, made from its text.

Shares no line and no table with :mod:`starlab_spec.wire`, so that tests can hold one against the
other. Never imported by anything that drives or serves a board: scapy is slow to load.

Built the scapy way, lengths and CRC by themselves: ``Frame(session=7) / Hello(client_name=b"me")``.
A datagram is read, good or not, by ``Frame(datagram)``; `defect` says whether it is good.
"""

import struct
import zlib
from enum import Enum
from typing import ClassVar, Final

from scapy.fields import (
    AnyField,
    BitField,
    ByteEnumField,
    ByteField,
    FieldLenField,
    FlagsField,
    IntField,
    LongField,
    PacketListField,
    PadField,
    ShortField,
    StrField,
    StrFixedLenField,
    StrLenField,
    XByteField,
    XIntField,
    XShortField,
)
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw, bind_bottom_up, bind_layers

PORT: Final = 5716
ETHERTYPE: Final = 0x88B5
HEADER_BYTES: Final = 32
CRC_BYTES: Final = 4

TYPES: Final = {
    1: "DISCOVER",
    2: "ANNOUNCE",
    3: "HELLO",
    4: "HELLO_ACK",
    5: "COMMAND",
    6: "REPLY",
    8: "ACK",
    9: "STATUS_REQUEST",
    10: "STATUS",
    12: "RESET",
    13: "NAK",
    14: "EVENT",
    15: "BYE",
}
FLAGS: Final = ["ACK_NOW", "LAST", "READ_ONLY", "REPLAYED", "BUSY", "DRY_RUN"]
FEATURES: Final = ["JUMBO", "NEVER_SAFE"]
OPCODES: Final = {
    0x01: "READ_REG",
    0x02: "WRITE_REG",
    0x10: "READ_MEM",
    0x11: "WRITE_MEM",
    0x20: "GET_SUPPLY",
    0x21: "SET_SUPPLY",
    0x30: "START",
    0x31: "ABORT",
    0x40: "IDENTIFY",
    0x7F: "EMULATOR",
}
STATUSES: Final = {
    0: "OK",
    1: "BAD_REQUEST",
    2: "RANGE",
    3: "UNSUPPORTED",
    4: "BUSY",
    5: "IN_PROGRESS",
    6: "ID_REUSED",
    7: "TOO_OLD",
    8: "FENCED",
    9: "INTERLOCK",
    10: "COMPLIANCE",
    11: "HARDWARE_FAULT",
    12: "NOT_READY",
    13: "ABORTED",
    14: "OUTCOME_UNKNOWN",
}
STATES: Final = {0: "IDLE", 1: "EXECUTING", 2: "SAFE", 3: "FAULT"}
EVENTS: Final = {1: "PROGRESS", 2: "FAULT", 3: "ENTERED_SAFE"}


class Defect(Enum):
    """Why a datagram is dropped."""

    LENGTH = "shorter than its length field, or than a frame can be"
    MAGIC = "does not begin with ST"
    CRC = "the CRC is wrong"
    VERSION = "well-formed, but of another version"


def defect(datagram: bytes) -> Defect | None:
    """Why a receiver drops a datagram; None for a good frame."""
    if len(datagram) < HEADER_BYTES + CRC_BYTES:
        return Defect.LENGTH
    if datagram[:2] != b"ST":
        return Defect.MAGIC
    checked = HEADER_BYTES + int.from_bytes(datagram[6:8], "big")
    trailer = datagram[checked : checked + CRC_BYTES]
    if len(trailer) < CRC_BYTES:
        return Defect.LENGTH
    if zlib.crc32(datagram[:checked]) != int.from_bytes(trailer, "big"):
        return Defect.CRC
    return Defect.VERSION if datagram[2] != 0x10 else None


class _TrailerField(XIntField):
    """The CRC, which stands behind the payload."""

    def addfield(self, pkt: Packet, s: bytes, val: int | None) -> bytes:
        return s  # Frame.post_build puts it behind the payload

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, int]:
        trailer = s[pkt.length : pkt.length + CRC_BYTES]
        return s[: pkt.length] + s[pkt.length + CRC_BYTES :], int.from_bytes(trailer, "big")


class Frame(Packet):
    """Header and CRC around a payload. What stands behind the CRC is padding."""

    name = "starlab"
    fields_desc: ClassVar[list[AnyField]] = [
        XShortField("magic", 0x5354),
        XByteField("version", 0x10),
        ByteEnumField("type", 9, TYPES),
        FlagsField("flags", 0, 16, FLAGS),
        ShortField("length", None),
        XIntField("session", 0),
        XIntField("boot", 0),
        IntField("sequence", 0),
        IntField("acknowledged", 0),
        IntField("message", 0),
        ShortField("fragment_index", 0),
        ShortField("fragment_count", 1),
        _TrailerField("crc", None),
    ]

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Fill in length and CRC, unless they were given."""
        if self.length is None:
            pkt = pkt[:6] + struct.pack(">H", len(pay)) + pkt[8:]
        crc = zlib.crc32(pkt + pay) if self.crc is None else self.crc
        return pkt + pay + struct.pack(">I", crc)

    def post_dissect(self, s: bytes) -> bytes:
        """Forget the bytes that scapy would keep: they end where the CRC was cut out."""
        self.raw_packet_cache = None
        return s

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes | None]:
        """Payload, and what a network added to it."""
        return s[: self.length], s[self.length :]

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """One fragment of several can only be read together with the others."""
        return Raw if self.fragment_count != 1 else super().guess_payload_class(payload)


class Announce(Packet):
    """Who a board is."""

    name = "starlab ANNOUNCE"
    fields_desc: ClassVar[list[AnyField]] = [StrField("identity", b"{}")]


class Hello(Packet):
    """What a host asks for."""

    name = "starlab HELLO"
    fields_desc: ClassVar[list[AnyField]] = [
        XByteField("minimum_version", 0x10),
        XByteField("maximum_version", 0x10),
        ShortField("window", 32),
        ShortField("payload_bytes", 1408),
        FlagsField("features", 0, 16, FEATURES),
        IntField("lease_epoch", 0),
        XIntField("resume_session", 0),
        FieldLenField("name_length", None, length_of="client_name", fmt="B"),
        StrLenField("client_name", b"", length_from=lambda pkt: pkt.name_length),
    ]


class HelloAck(Packet):
    """What a board grants."""

    name = "starlab HELLO_ACK"
    fields_desc: ClassVar[list[AnyField]] = [
        XIntField("session_id", 0),
        XIntField("boot_id", 0),
        XByteField("version", 0x10),
        ByteField("reserved", 0),
        ShortField("window", 32),
        ShortField("payload_bytes", 1408),
        FlagsField("features", 0, 16, FEATURES),
        IntField("next_message_id", 1),
        LongField("lifetime_pulses", 0),
        FieldLenField("identity_length", None, length_of="identity", fmt="!H"),
        StrLenField("identity", b"{}", length_from=lambda pkt: pkt.identity_length),
    ]


class Ack(Packet):
    """Which frames have arrived."""

    name = "starlab ACK"
    fields_desc: ClassVar[list[AnyField]] = [
        IntField("cumulative", 0),
        BitField("bitmap", 0, 128),
        ShortField("credit", 32),
        ShortField("delay_us", 0),
    ]


class Status(Packet):
    """How the board is."""

    name = "starlab STATUS"
    fields_desc: ClassVar[list[AnyField]] = [
        IntField("next_message_id", 1),
        IntField("executing_message_id", 0),
        LongField("lifetime_pulses", 0),
        XIntField("faults", 0),
        ByteEnumField("state", 0, STATES),
        StrFixedLenField("reserved", bytes(3), 3),
    ]


class Event(Packet):
    """News of a command or of the board."""

    name = "starlab EVENT"
    fields_desc: ClassVar[list[AnyField]] = [
        ByteEnumField("kind", 1, EVENTS),
        StrFixedLenField("reserved", bytes(3), 3),
        IntField("done", 0),
        IntField("total", 0),
        StrField("text", b""),
    ]


class Nak(Packet):
    """Why a frame or a handshake is refused."""

    name = "starlab NAK"
    fields_desc: ClassVar[list[AnyField]] = [
        ByteEnumField("status", 1, STATUSES),
        ByteField("reserved", 0),
        FieldLenField("detail_length", None, length_of="detail", fmt="!H"),
        StrLenField("detail", b"", length_from=lambda pkt: pkt.detail_length),
    ]


class _Item(Packet):
    """One of several in a message: what follows is the next one, not a payload."""

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes | None]:
        """All that is left belongs to the items that follow."""
        return b"", s


def _data() -> list[AnyField]:
    return [
        FieldLenField("length", None, length_of="data", fmt="!I"),
        XIntField("address", 0),
        PadField(StrLenField("data", b"", length_from=lambda pkt: pkt.length), 4),
    ]


class Transaction(_Item):
    """One step of a command."""

    name = "transaction"
    fields_desc: ClassVar[list[AnyField]] = [
        ByteEnumField("opcode", 0x40, OPCODES),
        FlagsField("flags", 0, 8, ["SAME_ADDRESS"]),
        ShortField("reserved", 0),
        *_data(),
    ]


class Result(_Item):
    """How one step of a command ended."""

    name = "result"
    fields_desc: ClassVar[list[AnyField]] = [
        ByteEnumField("opcode", 0x40, OPCODES),
        ByteEnumField("status", 0, STATUSES),
        ShortField("reserved", 0),
        *_data(),
    ]


class Command(Packet):
    """A whole command."""

    name = "starlab COMMAND"
    fields_desc: ClassVar[list[AnyField]] = [PacketListField("items", [], Transaction)]


class Reply(Packet):
    """A whole reply."""

    name = "starlab REPLY"
    fields_desc: ClassVar[list[AnyField]] = [PacketListField("items", [], Result)]


PAYLOADS: Final = {
    2: Announce,
    3: Hello,
    4: HelloAck,
    5: Command,
    6: Reply,
    8: Ack,
    10: Status,
    12: Nak,
    13: Nak,
    14: Event,
}
"""Payload layer by frame type; the other types carry nothing. A board's RESET says why, as NAK."""

for _type, _layer in PAYLOADS.items():
    bind_layers(Frame, _layer, type=_type)  # the last of two types is the one built by itself
bind_bottom_up(UDP, Frame, dport=PORT)
bind_bottom_up(UDP, Frame, sport=PORT)
bind_layers(UDP, Frame, dport=PORT)
bind_layers(Ether, Frame, type=ETHERTYPE)
