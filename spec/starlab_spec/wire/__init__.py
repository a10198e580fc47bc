"""The wire protocol without a wire: frames, commands, and both roles as state machines.

Bytes and the time in, bytes, events and the next deadline out. Opens no socket, reads no clock.
"""

from starlab_spec.wire.codec import decode_frame, encode_frame
from starlab_spec.wire.errors import (
    FrameError,
    PayloadError,
    TransactionError,
    UnknownVersion,
    WireError,
)
from starlab_spec.wire.frames import (
    UDP_PORT,
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
from starlab_spec.wire.transactions import Opcode, Result, Status, SupplyReading, Transaction

__all__ = [
    "UDP_PORT",
    "Acknowledgement",
    "BoardState",
    "BoardStatus",
    "Event",
    "EventKind",
    "Feature",
    "Frame",
    "FrameError",
    "FrameFlag",
    "FrameType",
    "Hello",
    "HelloAck",
    "Nak",
    "Opcode",
    "PayloadError",
    "Result",
    "Status",
    "SupplyReading",
    "Transaction",
    "TransactionError",
    "UnknownVersion",
    "WireError",
    "decode_frame",
    "encode_frame",
]
