"""A requester, and a board that says what a test says."""

import random

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import BoardStatus, Frame, FrameFlag, FrameType, Hello, HelloAck
from starlab_spec.wire.requester.events import Ended, Replied, RequesterEvent, RequesterState
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.transactions import Opcode, Result, Status

SESSION, BOOT = 0x5E55, 0xB007
LAST = int(FrameFlag.LAST)
PULSE = tr.encode_transactions([tr.start(1)])
READ = tr.encode_transactions([tr.read_registers(0)])
DONE = tr.encode_results([Result(Opcode.START, Status.OK)])


class BoardByHand:
    """A requester, and a board that says what a test says."""

    def __init__(self, hello: Hello | None = None, *, resumable: bool = True) -> None:
        self.now = 0.0
        self.requester = Requester(hello or Hello(), rng=random.Random(1), resumable=resumable)
        self.sequence = self.acknowledged = 0
        self.events: list[RequesterEvent] = []

    def sent(self) -> list[Frame]:
        """What the host sends now."""
        return [codec.decode_frame(d) for d in self.requester.datagrams(self.now)]

    def kinds(self) -> list[FrameType]:
        """Types of the frames that the host sends now."""
        return [FrameType(frame.type) for frame in self.sent()]

    def say(self, kind: FrameType, payload: bytes = b"", **fields: int) -> None:
        """A frame from the board."""
        own = {
            "session": SESSION,
            "boot": BOOT,
            "sequence": self.sequence,
            "acknowledged": self.acknowledged,
        }
        datagram = codec.encode_frame(Frame(kind, payload=payload, **(own | fields)))
        self.requester.receive(datagram, self.now)
        if kind in (FrameType.REPLY, FrameType.EVENT):
            self.sequence = fields.get("sequence", self.sequence) + 1
        self.events += self.requester.events()

    def reply(self, message: int, payload: bytes = DONE, **fields: int) -> None:
        self.say(FrameType.REPLY, payload, message=message, **({"flags": LAST} | fields))

    def status(self, upcoming: int, executing: int = 0, **fields: int) -> None:
        self.say(FrameType.STATUS, codec.encode_status(BoardStatus(upcoming, executing)), **fields)

    def open(self, window: int = 32) -> None:
        """Let the handshake succeed."""
        self.requester.open(self.now)
        (hello,) = self.sent()
        answer = HelloAck(SESSION, BOOT, window=window)
        payload = codec.encode_hello_ack(answer)
        self.say(FrameType.HELLO_ACK, payload, message=hello.message, sequence=0)

    def wait(self, seconds: float) -> list[Frame]:
        """Let time pass; returns what the host sends on the way."""
        end, frames = self.now + seconds, self.sent()
        while True:
            due = self.requester.deadline()
            if due is None or due > end:
                self.now = end
                return frames
            self.now = max(self.now, due)
            self.requester.expire(self.now)
            frames += self.sent()
            self.events += self.requester.events()

    def end(self) -> Ended:
        """How the session ended."""
        (ended,) = (event for event in self.events if isinstance(event, Ended))
        assert self.requester.state is RequesterState.CLOSED
        return ended


def ids(events: list[RequesterEvent]) -> list[int]:
    return [event.message_id for event in events if isinstance(event, Replied)]
