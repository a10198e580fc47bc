"""A second implementation of the wire protocol, from its specification alone. Imports no starlab.

Minimal on purpose: it sends what a test says, acknowledges what it gets, and never resends.
"""

import json
import socket
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

MAGIC, VERSION = 0x5354, 0x10
DISCOVER, ANNOUNCE, HELLO, HELLO_ACK, COMMAND, REPLY = 1, 2, 3, 4, 5, 6
ACK, STATUS_REQUEST, STATUS, RESET, NAK, EVENT, BYE = 8, 9, 10, 12, 13, 14, 15
ACK_NOW, LAST, READ_ONLY, REPLAYED, BUSY, DRY_RUN = 1, 2, 4, 8, 16, 32
OK, BAD_REQUEST, RANGE, UNSUPPORTED, BUSY_STATUS, IN_PROGRESS, ID_REUSED, TOO_OLD = range(8)
FENCED, INTERLOCK, COMPLIANCE, HARDWARE_FAULT, NOT_READY, ABORTED, OUTCOME_UNKNOWN = range(8, 15)
NEVER_SAFE = 2

HEADER = struct.Struct(">HBBHHIIIIIHH")
PAYLOAD_BYTES = 1408


class Frame(NamedTuple):
    """A frame with a good CRC."""

    kind: int
    flags: int
    session: int
    boot: int
    sequence: int
    acknowledged: int
    message: int
    fragment: int
    fragments: int
    payload: bytes


class Result(NamedTuple):
    """Result of one transaction."""

    opcode: int
    status: int
    address: int
    data: bytes

    @property
    def words(self) -> tuple[int, ...]:
        """Data as 32-bit words."""
        return struct.unpack(f">{len(self.data) // 4}I", self.data)


class Reply(NamedTuple):
    """An assembled REPLY."""

    message: int
    flags: int
    results: list[Result]


class Welcome(NamedTuple):
    """A HELLO_ACK."""

    session: int
    boot: int
    version: int
    window: int
    payload: int
    features: int
    next_message: int
    lifetime_pulses: int
    identity: dict[str, Any]


class Status(NamedTuple):
    """A STATUS."""

    next_message: int
    executing: int
    lifetime_pulses: int
    faults: int
    state: int


def encode(
    kind: int,
    payload: bytes = b"",
    *,
    flags: int = 0,
    session: int = 0,
    boot: int = 0,
    sequence: int = 0,
    acknowledged: int = 0,
    message: int = 0,
    fragment: int = 0,
    fragments: int = 1,
    version: int = VERSION,
) -> bytes:
    """A frame as bytes."""
    head = HEADER.pack(
        MAGIC,
        version,
        kind,
        flags,
        len(payload),
        session,
        boot,
        sequence,
        acknowledged,
        message,
        fragment,
        fragments,
    )
    return head + payload + struct.pack(">I", zlib.crc32(head + payload))


def decode(datagram: bytes) -> Frame:
    """A frame from bytes; every check of the specification is an assertion."""
    magic, version, kind, flags, length, *rest = HEADER.unpack_from(datagram)
    assert (magic, version) == (MAGIC, VERSION)
    assert len(datagram) == HEADER.size + length + 4
    body, crc = datagram[:-4], datagram[-4:]
    assert zlib.crc32(body) == int.from_bytes(crc, "big")
    session, boot, sequence, acknowledged, message, fragment, fragments = rest
    return Frame(
        kind,
        flags,
        session,
        boot,
        sequence,
        acknowledged,
        message,
        fragment,
        fragments,
        body[HEADER.size :],
    )


def hello_payload(
    *,
    minimum: int = VERSION,
    maximum: int = VERSION,
    window: int = 32,
    payload: int = PAYLOAD_BYTES,
    features: int = NEVER_SAFE,
    epoch: int = 0,
    resume: int = 0,
    name: str = "black box",
) -> bytes:
    """What a HELLO holds."""
    text = name.encode()
    fixed = (minimum, maximum, window, payload, features, epoch, resume, len(text))
    return struct.pack(">BBHHHIIB", *fixed) + text


def transaction(opcode: int, address: int = 0, data: bytes = b"", flags: int = 0) -> bytes:
    """One transaction of a COMMAND."""
    padding = bytes(-len(data) % 4)
    return struct.pack(">BBHII", opcode, flags, 0, len(data), address) + data + padding


def words(*values: int) -> bytes:
    """32-bit words, big-endian."""
    return struct.pack(f">{len(values)}I", *values)


def read_registers(address: int, count: int = 1, *, fixed: bool = False) -> bytes:
    """READ_REG."""
    return transaction(0x01, address, words(count), int(fixed))


def write_registers(address: int, *values: int, mask: int = 0xFFFFFFFF) -> bytes:
    """WRITE_REG."""
    return transaction(0x02, address, words(mask, *values))


def read_memory(address: int, count: int) -> bytes:
    """READ_MEM."""
    return transaction(0x10, address, words(count))


def write_memory(address: int, data: bytes) -> bytes:
    """WRITE_MEM."""
    return transaction(0x11, address, data)


def get_supply(index: int) -> bytes:
    """GET_SUPPLY."""
    return transaction(0x20, index)


def set_supply(index: int, code: int) -> bytes:
    """SET_SUPPLY."""
    return transaction(0x21, index, words(code))


def start(operation: int) -> bytes:
    """START."""
    return transaction(0x30, 0, words(operation))


def abort() -> bytes:
    """ABORT."""
    return transaction(0x31)


def identify() -> bytes:
    """IDENTIFY."""
    return transaction(0x40)


def emulator(**keys: object) -> bytes:
    """EMULATOR."""
    return transaction(0x7F, 0, json.dumps(keys).encode())


def decode_results(payload: bytes) -> Iterator[Result]:
    """The results of a REPLY."""
    while payload:
        opcode, status, reserved, length, address = struct.unpack_from(">BBHII", payload)
        assert reserved == 0
        yield Result(opcode, status, address, payload[12 : 12 + length])
        payload = payload[12 + length + -length % 4 :]


class WireClient:
    """One UDP socket that speaks to a board; keeps the sequence numbers of one session.

    Attributes:
        session: Session id after `hello`.
        boot: Boot id after `hello`.
        sequence: Next unused sequence number of this side.
        events: EVENT payloads in the order in which they came.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.connect(address)
        self.session = self.boot = self.sequence = 0
        self._received: set[int] = set()
        self._expected = 0
        self._fragments: dict[int, dict[int, Frame]] = {}
        self.events: list[bytes] = []

    def close(self) -> None:
        """Close the socket; says nothing to the board."""
        self._socket.close()

    def send_raw(self, datagram: bytes) -> None:
        """Send any bytes."""
        self._socket.send(datagram)

    def frame(self, kind: int, payload: bytes = b"", **fields: int) -> bytes:
        """A frame of this session."""
        defaults = {
            "session": self.session,
            "boot": self.boot,
            "sequence": self.sequence,
            "acknowledged": self._expected,
        }
        return encode(kind, payload, **(defaults | fields))

    def receive(self, timeout_s: float = 5.0) -> Frame:
        """The next frame; TimeoutError if there is none."""
        self._socket.settimeout(timeout_s)
        return decode(self._socket.recv(65536))

    def receive_kind(self, *kinds: int, timeout_s: float = 5.0) -> Frame:
        """The next frame of one of these kinds; others are passed over."""
        while True:
            frame = self.receive(timeout_s)
            self._note(frame)
            if frame.kind in kinds:
                return frame

    def silence(self, kind: int) -> bool:
        """Whether the board answers a STATUS_REQUEST without a frame of ``kind`` before it."""
        self.send_raw(self.frame(STATUS_REQUEST))
        return self.receive_kind(STATUS, kind).kind == STATUS

    def hello(self, **wishes: Any) -> Welcome:
        """Open a session."""
        self.send_raw(encode(HELLO, hello_payload(**wishes)))
        payload = self.receive_kind(HELLO_ACK).payload
        fixed = struct.Struct(">IIBBHHHIQH")
        session, boot, version, zero, window, size, features, following, lifetime, length = (
            fixed.unpack_from(payload)
        )
        assert zero == 0
        assert len(payload) == fixed.size + length
        self.session, self.boot = session, boot
        self.sequence = self._expected = 0
        self._received.clear()
        self._fragments.clear()
        identity = json.loads(payload[fixed.size :])
        return Welcome(
            session, boot, version, window, size, features, following, lifetime, identity
        )

    def command_frames(self, message: int, *transactions: bytes, flags: int = 0) -> list[bytes]:
        """The frames of a command, under new sequence numbers."""
        body = b"".join(transactions)
        parts = [body[at : at + PAYLOAD_BYTES] for at in range(0, len(body), PAYLOAD_BYTES)]
        frames = []
        for index, part in enumerate(parts):
            last = LAST | ACK_NOW if index == len(parts) - 1 else 0
            frames.append(
                self.frame(
                    COMMAND,
                    part,
                    flags=flags | last,
                    message=message,
                    fragment=index,
                    fragments=len(parts),
                )
            )
            self.sequence = self.sequence + 1 & 0xFFFFFFFF
        return frames

    def command(self, message: int, *transactions: bytes, flags: int = 0) -> Reply:
        """Send a command and wait for its reply."""
        for frame in self.command_frames(message, *transactions, flags=flags):
            self.send_raw(frame)
        return self.reply(message)

    def reply(self, message: int, timeout_s: float = 10.0) -> Reply:
        """Wait for the whole reply to a command."""
        while True:
            frame = self.receive_kind(REPLY, timeout_s=timeout_s)
            parts = self._fragments.get(frame.message, {})
            if frame.message == message and len(parts) == frame.fragments:
                del self._fragments[message]
                ordered = [parts[index] for index in range(frame.fragments)]
                payload = b"".join(part.payload for part in ordered)
                return Reply(message, ordered[-1].flags, list(decode_results(payload)))

    def ask_status(self) -> Status:
        """STATUS of the board."""
        self.send_raw(self.frame(STATUS_REQUEST))
        payload = self.receive_kind(STATUS).payload
        assert payload[-3:] == bytes(3)
        return Status(*struct.unpack(">IIQIB3x", payload))

    def acknowledge(self) -> None:
        """Send an ACK of all that has come."""
        bitmap = bytearray(16)
        for sequence in self._received:
            beyond = sequence - self._expected - 1
            if 0 <= beyond < 128:
                bitmap[beyond // 8] |= 0x80 >> beyond % 8
        payload = struct.pack(">I16sHH", self._expected, bytes(bitmap), 128, 0)
        self.send_raw(self.frame(ACK, payload))

    def _note(self, frame: Frame) -> None:
        if frame.kind not in (REPLY, EVENT):
            return
        self._received.add(frame.sequence)
        while self._expected in self._received:
            self._received.remove(self._expected)
            self._expected += 1
        if frame.kind == EVENT:
            self.events.append(frame.payload)
        else:
            self._fragments.setdefault(frame.message, {})[frame.fragment] = frame
        self.acknowledge()
