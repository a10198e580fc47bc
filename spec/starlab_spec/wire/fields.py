"""Every field that travels, once: name, width and meaning, in one table for readers of all kinds.

The documentation's tables and the Wireshark dissector are made from it, and tests hold the codec
to it. Encodes nothing itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from starlab_spec.registers import register
from starlab_spec.wire.frames import (
    HEADER_FIELDS,
    BoardState,
    EventKind,
    Feature,
    FrameFlag,
    FrameType,
)
from starlab_spec.wire.transactions import SAME_ADDRESS, Opcode, Status


class Shape(Enum):
    """How the bytes of a field are to be read."""

    NUMBER = "number"
    HEX = "number, written in hexadecimal"
    CHOICE = "one of its named values"
    BITS = "its named bits"
    WORDS = "32-bit words, as many as fit"
    BYTES = "bytes"
    TEXT = "UTF-8"
    JSON = "a JSON object in UTF-8"
    ZERO = "zero; ignored"


@dataclass(frozen=True, slots=True)
class Named:
    """A value, or a bit mask, that has a name."""

    value: int
    name: str
    meaning: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class WireField:
    """One field of a header, a payload or the data of a transaction; big-endian."""

    name: str
    """Lower-case, unique within its layout."""
    size_bytes: int | None
    """Fixed width; None: as long as the field ``<name>_length`` before it says, else the rest."""
    shape: Shape
    meaning: str
    """One sentence."""
    named: tuple[Named, ...] = ()
    """Values of a CHOICE, masks of BITS."""


class Place(Enum):
    """What the address of a transaction counts."""

    NONE = "-"
    REGISTER = "register"
    MEMORY = "memory"
    SUPPLY = "supply channel"


@dataclass(frozen=True, slots=True)
class OpcodeLayout:
    """One opcode: what its transaction carries and what its result does."""

    opcode: Opcode
    meaning: str
    """One sentence."""
    place: Place
    request: tuple[WireField, ...]
    """The data of the transaction."""
    result: tuple[WireField, ...]
    """The data of its result, if the status is OK; else it is a message in UTF-8."""


def _named(meanings: Mapping[IntEnum, str]) -> tuple[Named, ...]:
    return tuple(Named(int(key), key.name, meaning) for key, meaning in meanings.items())


def _bits(meanings: Iterable[tuple[FrameFlag | Feature, str]]) -> tuple[Named, ...]:
    return tuple(Named(int(bit), bit.name or "", meaning) for bit, meaning in meanings)


TYPES: Final = _named(
    {
        FrameType.DISCOVER: "Is there a board?",
        FrameType.ANNOUNCE: "Here is a board; the answer to DISCOVER.",
        FrameType.HELLO: "A host asks for a session.",
        FrameType.HELLO_ACK: "The board grants a session, on these terms.",
        FrameType.COMMAND: "Transactions to execute; a long message comes in fragments.",
        FrameType.REPLY: "Results of a command that was executed or refused.",
        FrameType.ACK: "These frames have arrived.",
        FrameType.STATUS_REQUEST: "How is the board? Also tells it that the host lives.",
        FrameType.STATUS: "How the board is.",
        FrameType.RESET: "The session ends here and now.",
        FrameType.NAK: "A frame or a handshake is refused.",
        FrameType.EVENT: "News of a command in execution, or of the board.",
        FrameType.BYE: "The session is over; answered by BYE.",
    }
)
"""Frame types."""

SEQUENCED: Final = (FrameType.COMMAND, FrameType.REPLY, FrameType.EVENT)
"""Types that sequence numbers count; the others carry the next unused one, unacknowledged."""

FLAGS: Final = _bits(
    (
        (FrameFlag.ACK_NOW, "The sender waits for an acknowledgement of this frame."),
        (FrameFlag.LAST, "The last fragment of its message."),
        (FrameFlag.READ_ONLY, "The command changes nothing and may be repeated freely."),
        (FrameFlag.REPLAYED, "The reply comes out of the cache: nothing was executed again."),
        (FrameFlag.BUSY, "Not executed for want of room: the same command may be sent again."),
        (FrameFlag.DRY_RUN, "Check the command against every limit, execute nothing."),
    )
)
"""Bits of the header's flags."""

FEATURES: Final = _bits(
    (
        (Feature.JUMBO, "Payloads up to 8896 bytes, after a probe."),
        (Feature.NEVER_SAFE, "Silence of this session does not put the board into SAFE."),
    )
)
"""Bits of the features field."""

STATUSES: Final = _named(
    {
        Status.OK: "Done.",
        Status.BAD_REQUEST: "The request cannot be read, or makes no sense here.",
        Status.RANGE: "A value or an address is outside its limits.",
        Status.UNSUPPORTED: "This board cannot do that.",
        Status.BUSY: "There is no room now; send it again later.",
        Status.IN_PROGRESS: "That command is being executed; its reply will come.",
        Status.ID_REUSED: "The message id belongs to another command; the session ends.",
        Status.TOO_OLD: "Its reply is no longer known; it is not executed again.",
        Status.FENCED: "The lease epoch is older than the newest that the board has seen.",
        Status.INTERLOCK: "A safe limit forbids it: its name, the value asked, the limit.",
        Status.COMPLIANCE: "A current ran into its compliance limit.",
        Status.HARDWARE_FAULT: "A fault is latched; drivers stay off until it is cleared.",
        Status.NOT_READY: "A supply rail is off or has not settled.",
        Status.ABORTED: "Stopped at a safe point, or before it began.",
        Status.OUTCOME_UNKNOWN: "Whether it was executed cannot be known any more.",
    }
)
"""How a transaction ends, or why a frame is refused."""

STATES: Final = _named(
    {
        BoardState.IDLE: "Waits for commands.",
        BoardState.EXECUTING: "Executes a command.",
        BoardState.SAFE: "Drivers off, rails low; pulses are refused until supplies are set again.",
        BoardState.FAULT: "A fault is latched, drivers are off.",
    }
)
"""States of the board."""

EVENT_KINDS: Final = _named(
    {
        EventKind.PROGRESS: "A command in execution has come so far.",
        EventKind.FAULT: "A fault has been latched.",
        EventKind.ENTERED_SAFE: "The board has gone to SAFE.",
    }
)
"""What an EVENT tells."""

_HEADER_SHAPES: Final[Mapping[str, tuple[Shape, tuple[Named, ...]]]] = {
    "magic": (Shape.HEX, ()),
    "version": (Shape.HEX, ()),
    "type": (Shape.CHOICE, TYPES),
    "flags": (Shape.BITS, FLAGS),
    "session": (Shape.HEX, ()),
    "boot": (Shape.HEX, ()),
}
HEADER: Final = tuple(
    WireField(
        field.name,
        field.size_bytes,
        _HEADER_SHAPES.get(field.name, (Shape.NUMBER,))[0],
        field.meaning,
        _HEADER_SHAPES.get(field.name, (Shape.NUMBER, ()))[1],
    )
    for field in HEADER_FIELDS
)
"""The frame header, in order."""


def _number(name: str, size_bytes: int, meaning: str) -> WireField:
    return WireField(name, size_bytes, Shape.NUMBER, meaning)


def _hex(name: str, size_bytes: int, meaning: str) -> WireField:
    return WireField(name, size_bytes, Shape.HEX, meaning)


def _zero(size_bytes: int) -> WireField:
    return WireField("reserved", size_bytes, Shape.ZERO, "Zero.")


def _rest(name: str, shape: Shape, meaning: str) -> WireField:
    return WireField(name, None, shape, meaning)


_NEXT_MESSAGE: Final = _number("next_message_id", 4, "Message id that the board executes next.")
_LIFETIME: Final = _number("lifetime_pulses", 8, "Programming pulses applied to the chip, ever.")
_REFUSAL: Final = (
    WireField("status", 1, Shape.CHOICE, "Why.", STATUSES),
    _zero(1),
    _number("detail_length", 2, "Bytes of the detail."),
    _rest("detail", Shape.TEXT, "What was asked, the limit, the unit; for people."),
)

PAYLOADS: Final[Mapping[FrameType, tuple[WireField, ...]]] = {
    FrameType.DISCOVER: (
        _rest("padding", Shape.BYTES, "Zeros, as many as the ANNOUNCE is to be long; else empty."),
    ),
    FrameType.ANNOUNCE: (
        _rest("identity", Shape.JSON, "Serial, firmware, protocol, boot id, geometry, in use."),
    ),
    FrameType.HELLO: (
        _hex("minimum_version", 1, "Oldest version that the host speaks."),
        _hex("maximum_version", 1, "Newest version that the host speaks."),
        _number("window", 2, "Frames in flight wanted."),
        _number("payload_bytes", 2, "Largest payload wanted."),
        WireField("features", 2, Shape.BITS, "What the host asks for.", FEATURES),
        _number("lease_epoch", 4, "Fencing token: older ones than the newest seen are refused."),
        _hex("resume_session", 4, "Session to take up again; 0 for a new one."),
        _number("client_name_length", 1, "Bytes of the name."),
        _rest("client_name", Shape.TEXT, "Who asks, for people."),
    ),
    FrameType.HELLO_ACK: (
        _hex("session_id", 4, "Session id to use from now on; never 0."),
        _hex("boot_id", 4, "New at each start of the board."),
        _hex("version", 1, "Version chosen."),
        _zero(1),
        _number("window", 2, "Frames in flight at most, either way."),
        _number("payload_bytes", 2, "Largest payload, either way."),
        WireField("features", 2, Shape.BITS, "What is granted.", FEATURES),
        _NEXT_MESSAGE,
        _LIFETIME,
        _number("identity_length", 2, "Bytes of the identity."),
        _rest("identity", Shape.JSON, "As in ANNOUNCE."),
    ),
    FrameType.ACK: (
        _number("cumulative", 4, "Next sequence number expected: all before it have arrived."),
        WireField(
            "bitmap",
            16,
            Shape.BYTES,
            "What has arrived beyond; the most significant bit is `cumulative` + 1.",
        ),
        _number("credit", 2, "Frames from `cumulative` on that there is room for."),
        _number("delay_us", 2, "Microseconds from the newest frame's arrival to this."),
    ),
    FrameType.STATUS: (
        _NEXT_MESSAGE,
        _number("executing_message_id", 4, "Message id in execution; 0 for none."),
        _LIFETIME,
        _hex("faults", 4, "Fault latches; 0 for none."),
        WireField("state", 1, Shape.CHOICE, "What the board is doing.", STATES),
        _zero(3),
    ),
    FrameType.RESET: _REFUSAL,
    FrameType.NAK: _REFUSAL,
    FrameType.EVENT: (
        WireField("kind", 1, Shape.CHOICE, "What has happened.", EVENT_KINDS),
        _zero(3),
        _number("done", 4, "So much is done."),
        _number("total", 4, "Of so much; 0 where that is not known."),
        _rest("text", Shape.TEXT, "For people."),
    ),
}
"""Payload by frame type. COMMAND and REPLY carry transactions and results; others are empty.

RESET has its payload when a board sends it; that of a host is empty.
"""

_WORDS: Final = _rest("words", Shape.WORDS, "The values.")
_CODE: Final = _number("code", 4, "Converter code, 0 .. 255.")
_READING: Final = (
    _CODE,
    _number("measured", 4, "Microvolt of a voltage channel, nanoampere of a current channel."),
    WireField(
        "state",
        4,
        Shape.BITS,
        "How the channel is.",
        (
            Named(1, "SETTLED", "The rail has settled."),
            Named(2, "FAULT", "The channel has a fault."),
        ),
    ),
)

_RUNNABLE: Final = tuple(
    Named(field.mask, field.name.upper(), field.doc) for field in register("OPERATION").fields
)

OPCODES: Final = (
    OpcodeLayout(
        Opcode.READ_REG,
        "Reads consecutive registers, or the same one several times.",
        Place.REGISTER,
        (_number("count", 4, "Words to read."),),
        (_WORDS,),
    ),
    OpcodeLayout(
        Opcode.WRITE_REG,
        "Replaces the bits under the mask in consecutive registers.",
        Place.REGISTER,
        (_hex("mask", 4, "Bits to replace."), _WORDS),
        (),
    ),
    OpcodeLayout(
        Opcode.READ_MEM,
        "Reads memory.",
        Place.MEMORY,
        (_number("count", 4, "Bytes to read."),),
        (_rest("content", Shape.BYTES, "The bytes."),),
    ),
    OpcodeLayout(
        Opcode.WRITE_MEM,
        "Writes memory.",
        Place.MEMORY,
        (_rest("content", Shape.BYTES, "The bytes."),),
        (),
    ),
    OpcodeLayout(Opcode.GET_SUPPLY, "Reads a supply back.", Place.SUPPLY, (), _READING),
    OpcodeLayout(Opcode.SET_SUPPLY, "Sets a supply.", Place.SUPPLY, (_CODE,), _READING),
    OpcodeLayout(
        Opcode.START,
        "Runs an operation and waits for its end.",
        Place.NONE,
        (WireField("operation", 4, Shape.BITS, "A bit of register OPERATION.", _RUNNABLE),),
        (_rest("output", Shape.BYTES, "What the operation returns."),),
    ),
    OpcodeLayout(
        Opcode.ABORT,
        "Stops what runs at its next safe point between pulses; acts out of order.",
        Place.NONE,
        (),
        (),
    ),
    OpcodeLayout(
        Opcode.IDENTIFY,
        "Tells who the board is.",
        Place.NONE,
        (),
        (_rest("identity", Shape.JSON, "As in ANNOUNCE."),),
    ),
    OpcodeLayout(
        Opcode.EMULATOR,
        "What only an emulated board can do: time, faults, seeds, restart.",
        Place.NONE,
        (_rest("request", Shape.JSON, "What to do."),),
        (_rest("answer", Shape.JSON, "What was done."),),
    ),
)
"""All opcodes."""

_OPCODE_NAMES: Final = tuple(Named(o.opcode, o.opcode.name, o.meaning) for o in OPCODES)
_STATUS: Final = WireField("status", 1, Shape.CHOICE, "How it ended.", STATUSES)
_LENGTH: Final = _number("length", 4, "Bytes of data, without the padding to a multiple of 4.")
_ADDRESS: Final = _hex("address", 4, "Byte address, or index of a supply channel.")
_TRANSACTION_FLAGS: Final = (
    Named(SAME_ADDRESS, "SAME_ADDRESS", "Read the same register each time."),
)
TRANSACTION: Final = (
    WireField("opcode", 1, Shape.CHOICE, "What to do.", _OPCODE_NAMES),
    WireField("flags", 1, Shape.BITS, "Zero, but for READ_REG.", _TRANSACTION_FLAGS),
    _zero(2),
    _LENGTH,
    _ADDRESS,
)
"""Head of a transaction; the data follow, padded with zeros to a multiple of 4."""
RESULT: Final = (
    WireField("opcode", 1, Shape.CHOICE, "Opcode of the transaction.", _OPCODE_NAMES),
    _STATUS,
    _zero(2),
    _LENGTH,
    _ADDRESS,
)
"""Head of a result; the data follow, padded likewise."""
