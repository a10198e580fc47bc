"""The vocabulary of the wire protocol: frame types, flags, the header's field table, payloads.

Never encodes, sends or waits: that is the work of the codec, the state machines and the links.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any, Final, NamedTuple

MAGIC: Final = 0x5354
"""The first two bytes of every frame: "ST"."""
VERSION: Final = 0x10
"""The version spoken here: major in the high nibble, minor in the low one."""
UDP_PORT: Final = 5716
"""Default port of a board."""
ETHERTYPE: Final = 0x88B5
"""EtherType of the same frames on raw Ethernet (IEEE local experimental)."""

HEADER_BYTES: Final = 32
CRC_BYTES: Final = 4
FRAME_OVERHEAD_BYTES: Final = HEADER_BYTES + CRC_BYTES
MAX_PAYLOAD_BYTES: Final = 1408
"""Payload of a 1472-byte datagram with room to spare."""
JUMBO_PAYLOAD_BYTES: Final = 8896
"""Payload where both sides announce jumbo frames and a probe of that size came back."""
MIN_PAYLOAD_BYTES: Final = 32
"""The smallest payload size that a board agrees to: an ACK and a STATUS fit into it [O]."""
HELLO_ACK_BYTES: Final = 30
"""Payload of a HELLO_ACK without its identity."""
NAK_BYTES: Final = 4
"""Payload of a NAK without its detail."""
FIRST_CHALLENGE: Final = 1 << 31
"""Message ids of a STATUS from here on: of no request, but to be repeated by the host in one."""
MAX_MESSAGE_BYTES: Final = 16 << 20
"""The longest command or reply that is assembled; longer transfers are split by the host [O]."""

MAX_FRAGMENTS: Final = -(-MAX_MESSAGE_BYTES // MAX_PAYLOAD_BYTES)
"""Fragments of one message at most, whatever the payload size."""


def longest_message_bytes(payload_bytes: int) -> int:
    """Length of the longest message in frames with payloads of at most that size."""
    return min(MAX_MESSAGE_BYTES, MAX_FRAGMENTS * payload_bytes)


DEFAULT_WINDOW: Final = 32
MAX_WINDOW: Final = 128
"""Frames in flight at most: the length of the acknowledgement bitmap."""
SILENCE_S: Final = 3.0
"""A board that hears nothing of its session for so long goes to SAFE."""
KEEPALIVE_S: Final = 1.0
"""An idle host asks for the status so often."""


class FrameType(IntEnum):
    """What a frame is."""

    DISCOVER = 1
    ANNOUNCE = 2
    HELLO = 3
    HELLO_ACK = 4
    COMMAND = 5
    REPLY = 6
    ACK = 8
    STATUS_REQUEST = 9
    STATUS = 10
    RESET = 12
    NAK = 13
    EVENT = 14
    BYE = 15


class FrameFlag(IntFlag):
    """Bits of the header's flags field."""

    ACK_NOW = 1 << 0
    """The sender waits for an acknowledgement of this frame."""
    LAST = 1 << 1
    """The last fragment of its message."""
    READ_ONLY = 1 << 2
    """The command changes nothing and may be repeated freely."""
    REPLAYED = 1 << 3
    """The reply comes out of the reply cache: nothing was executed again."""
    BUSY = 1 << 4
    """Not executed for want of room: the same command may be sent again."""
    DRY_RUN = 1 << 5
    """Check the command against every limit, execute nothing."""


class Feature(IntFlag):
    """Bits of the features field of HELLO and HELLO_ACK."""

    JUMBO = 1 << 0
    """Payloads of 8896 bytes, after a probe."""
    NEVER_SAFE = 1 << 1
    """Silence of this session does not put the board into SAFE: a person at a bare console."""


class BoardState(IntEnum):
    """What a board says of itself in STATUS."""

    IDLE = 0
    EXECUTING = 1
    SAFE = 2
    """Drivers off, rails low, pulses refused until the supplies are set again."""
    FAULT = 3


class EventKind(IntEnum):
    """What an EVENT frame reports."""

    PROGRESS = 1
    FAULT = 2
    ENTERED_SAFE = 3


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One field of the frame header."""

    name: str
    """Name, as in `Frame` where the frame keeps it."""
    offset: int
    """Byte offset in the frame."""
    size_bytes: int
    """1, 2 or 4; big-endian."""
    meaning: str
    """One sentence for the documentation and the dissector."""


HEADER_FIELDS: Final = (
    HeaderField("magic", 0, 2, "0x5354, the letters ST."),
    HeaderField("version", 2, 1, "Major version in the high nibble, minor in the low one."),
    HeaderField("type", 3, 1, "Frame type."),
    HeaderField("flags", 4, 2, "ACK_NOW, LAST, READ_ONLY, REPLAYED, BUSY, DRY_RUN."),
    HeaderField("length", 6, 2, "Payload length in bytes."),
    HeaderField("session", 8, 4, "Session id; 0 in DISCOVER, ANNOUNCE and HELLO."),
    HeaderField("boot", 12, 4, "Boot id of the board; 0 where not yet known."),
    HeaderField("sequence", 16, 4, "Sequence number of this frame in its direction; wraps."),
    HeaderField("acknowledged", 20, 4, "Next sequence number expected from the peer."),
    HeaderField("message", 24, 4, "Message id that the frame belongs to."),
    HeaderField("fragment", 28, 2, "Index of this fragment of the message."),
    HeaderField("fragments", 30, 2, "Number of fragments of the message."),
)
"""The header, once: codec, documentation and dissector are made from this table."""


class Frame(NamedTuple):
    """One frame, without magic, version, length and CRC, which the codec writes and checks.

    A named tuple, not a dataclass: one is made for every frame received, and this is the cheap way.
    """

    type: int
    """A `FrameType`; a number that is none is kept as it came."""
    flags: int = 0
    """`FrameFlag` bits."""
    session: int = 0
    boot: int = 0
    sequence: int = 0
    acknowledged: int = 0
    message: int = 0
    fragment: int = 0
    fragments: int = 1
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Hello:
    """Payload of HELLO: what a host wants of a session."""

    minimum_version: int = VERSION
    """Oldest version that the host speaks, as in the header."""
    maximum_version: int = VERSION
    """Newest version that the host speaks."""
    window: int = DEFAULT_WINDOW
    """Frames in flight wanted, 1..128; a board may choose fewer."""
    payload_bytes: int = MAX_PAYLOAD_BYTES
    """Largest payload wanted; a board may choose less."""
    features: int = 0
    """`Feature` bits."""
    lease_epoch: int = 0
    """Fencing token: an epoch older than the newest that the board has seen is refused."""
    resume_session: int = 0
    """Session to take up again; 0 for a new one."""
    client_name: str = ""
    """Who this is, for people; at most 255 bytes of UTF-8."""


@dataclass(frozen=True, slots=True)
class HelloAck:
    """Payload of HELLO_ACK: what the board grants."""

    session_id: int
    """Never 0."""
    boot_id: int
    version: int = VERSION
    window: int = DEFAULT_WINDOW
    """Frames in flight, either way."""
    payload_bytes: int = MAX_PAYLOAD_BYTES
    """Largest payload, either way."""
    features: int = 0
    """`Feature` bits granted."""
    next_message_id: int = 1
    """The message that the board will execute next; all before it were executed."""
    lifetime_pulses: int = 0
    """Programming pulses applied to the chip, ever."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """Serial, firmware, geometry and so on."""


class Acknowledgement(NamedTuple):
    """Payload of ACK: which frames have arrived. A named tuple, like `Frame`."""

    cumulative: int
    """Next sequence number expected: all before it have arrived."""
    bitmap: int = 0
    """128 bits; the most significant is sequence `cumulative` + 1, the next + 2, and so on."""
    credit: int = DEFAULT_WINDOW
    """Frames from `cumulative` on that the receiver has room for."""
    delay_us: int = 0
    """Time from the newest frame's arrival to this acknowledgement; at most 65535."""


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """Payload of STATUS: how the board is, whatever it executes."""

    next_message_id: int
    """The message that the board will execute next; all before it were executed."""
    executing_message_id: int = 0
    """The message being executed; 0 for none."""
    lifetime_pulses: int = 0
    faults: int = 0
    """Fault latches; 0 for none."""
    state: BoardState = BoardState.IDLE


@dataclass(frozen=True, slots=True)
class Event:
    """Payload of EVENT: news of a command in execution, or of the board."""

    kind: EventKind
    done: int = 0
    total: int = 0
    """0 where the amount is not known."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Nak:
    """Payload of NAK: why a frame or a handshake is refused."""

    status: int
    """A `Status` of `starlab_spec.wire.transactions`."""
    detail: str = ""
    """For people: what was asked, the limit, the unit."""
