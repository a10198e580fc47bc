"""Frames as bytes by `struct` and `zlib` alone, so that vectors owe nothing to what they test."""

import struct
import zlib

TYPES = {
    "DISCOVER": 1,
    "ANNOUNCE": 2,
    "HELLO": 3,
    "HELLO_ACK": 4,
    "COMMAND": 5,
    "REPLY": 6,
    "ACK": 8,
    "STATUS_REQUEST": 9,
    "STATUS": 10,
    "RESET": 12,
    "NAK": 13,
    "EVENT": 14,
    "BYE": 15,
}
ACK_NOW, LAST, READ_ONLY, REPLAYED, BUSY, DRY_RUN = 1, 2, 4, 8, 16, 32
OPCODES = {
    "READ_REG": 0x01,
    "WRITE_REG": 0x02,
    "READ_MEM": 0x10,
    "WRITE_MEM": 0x11,
    "GET_SUPPLY": 0x20,
    "SET_SUPPLY": 0x21,
    "START": 0x30,
    "ABORT": 0x31,
    "IDENTIFY": 0x40,
    "EMULATOR": 0x7F,
}
STATUSES = (
    "OK BAD_REQUEST RANGE UNSUPPORTED BUSY IN_PROGRESS ID_REUSED TOO_OLD FENCED INTERLOCK "
    "COMPLIANCE HARDWARE_FAULT NOT_READY ABORTED OUTCOME_UNKNOWN"
).split()


def header(
    kind: int,
    length: int,
    *,
    magic: int = 0x5354,
    version: int = 0x10,
    flags: int = 0,
    session: int = 0,
    boot: int = 0,
    sequence: int = 0,
    acknowledged: int = 0,
    message: int = 0,
    fragment: int = 0,
    fragments: int = 1,
) -> bytes:
    """The 32 bytes of a header."""
    numbers = (session, boot, sequence, acknowledged, message, fragment, fragments)
    return struct.pack(">HBBHHIIIIIHH", magic, version, kind, flags, length, *numbers)


def sealed(body: bytes) -> bytes:
    """Header and payload with their CRC behind them."""
    return body + struct.pack(">I", zlib.crc32(body))


def frame(kind: str, payload: bytes = b"", **fields: int) -> bytes:
    """A good frame."""
    return sealed(header(TYPES[kind], len(payload), **fields) + payload)


def hello(
    *,
    oldest: int = 0x10,
    newest: int = 0x10,
    window: int = 32,
    payload: int = 1408,
    features: int = 0,
    epoch: int = 0,
    resume: int = 0,
    name: bytes = b"",
) -> bytes:
    """Payload of HELLO."""
    numbers = (oldest, newest, window, payload, features, epoch, resume, len(name))
    return struct.pack(">BBHHHIIB", *numbers) + name


def hello_ack(
    session: int,
    boot: int,
    *,
    version: int = 0x10,
    window: int = 32,
    payload: int = 1408,
    features: int = 0,
    upcoming: int = 1,
    pulses: int = 0,
    identity: bytes = b"{}",
) -> bytes:
    """Payload of HELLO_ACK."""
    numbers = (window, payload, features, upcoming, pulses, len(identity))
    return struct.pack(">IIBBHHHIQH", session, boot, version, 0, *numbers) + identity


def ack(cumulative: int, bitmap: bytes = bytes(16), credit: int = 32, delay_us: int = 0) -> bytes:
    """Payload of ACK."""
    return struct.pack(">I16sHH", cumulative, bitmap, credit, delay_us)


def status(upcoming: int, executing: int, pulses: int, faults: int, state: int) -> bytes:
    """Payload of STATUS."""
    return struct.pack(">IIQIBBH", upcoming, executing, pulses, faults, state, 0, 0)


def event(kind: int, done: int, total: int, text: bytes) -> bytes:
    """Payload of EVENT."""
    return struct.pack(">BBHII", kind, 0, 0, done, total) + text


def nak(number: int, detail: bytes) -> bytes:
    """Payload of NAK."""
    return struct.pack(">BBH", number, 0, len(detail)) + detail


def item(opcode: int, second: int = 0, address: int = 0, data: bytes = b"") -> bytes:
    """A transaction (second: its flags) or a result (second: its status)."""
    padding = bytes(-len(data) % 4)
    return struct.pack(">BBHII", opcode, second, 0, len(data), address) + data + padding


def words(*values: int) -> bytes:
    """32-bit words."""
    return struct.pack(f">{len(values)}I", *values)
