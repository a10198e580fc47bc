"""A host played by hand against the board's side of the protocol, on a table without a network."""

import random
from collections.abc import Iterator

from tests.spec.wire_world import CountingBoard

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import BoardStatus, Frame, FrameFlag, FrameType, Hello, HelloAck
from starlab_spec.wire.responder.execution import EnterSafe, Execution
from starlab_spec.wire.responder.responder import Responder
from starlab_spec.wire.transactions import Result, Status, Transaction

LAST = int(FrameFlag.LAST)
PLAIN = Hello()


class Host:
    """A host that is played by hand against a board that executes at once, or when told."""

    def __init__(self, board: "Table", name: str = "host") -> None:
        self.table = board
        self.name = name
        self.session = self.boot = self.sequence = self.acknowledged = 0

    def send(self, kind: FrameType, payload: bytes = b"", **fields: int) -> list[Frame]:
        """Send a frame; returns what the board sends to this host."""
        own = {
            "session": self.session,
            "boot": self.boot,
            "sequence": self.sequence,
            "acknowledged": self.acknowledged,
        }
        frame = Frame(kind, payload=payload, **(own | fields))
        return self.table.deliver(codec.encode_frame(frame), self.name)

    def hello(self, wish: Hello = PLAIN, nonce: int = 0) -> Frame:
        """Say HELLO; returns the one answer."""
        answers = self.send(
            FrameType.HELLO,
            codec.encode_hello(wish),
            session=0,
            boot=0,
            sequence=0,
            acknowledged=0,
            message=nonce,
        )
        (answer,) = (frame for frame in answers if frame.type != FrameType.RESET)
        return answer

    def open(self, wish: Hello = PLAIN, nonce: int = 0) -> HelloAck:
        """Open a session."""
        answer = self.hello(wish, nonce)
        assert answer.type == FrameType.HELLO_ACK
        granted = codec.decode_hello_ack(answer.payload)
        self.session, self.boot = granted.session_id, granted.boot_id
        self.sequence, self.acknowledged = 0, answer.sequence
        return granted

    def command(
        self, message: int, *transactions: Transaction, flags: int = 0, raw: bytes | None = None
    ) -> list[Frame]:
        """Send a command of one frame under a new sequence number."""
        payload = tr.encode_transactions(transactions) if raw is None else raw
        answers = self.send(FrameType.COMMAND, payload, message=message, flags=LAST | flags)
        self.sequence += 1
        return answers

    def acknowledge(self, answers: list[Frame]) -> None:
        """Confirm the frames with a sequence number among some answers, by the next header."""
        for frame in answers:
            if frame.type in (FrameType.REPLY, FrameType.EVENT):
                self.acknowledged = max(self.acknowledged, frame.sequence + 1)

    def status(self) -> BoardStatus:
        """Ask for the status."""
        (answer,) = (f for f in self.send(FrameType.STATUS_REQUEST) if f.type == FrameType.STATUS)
        return codec.decode_status(answer.payload)


class Table:
    """A responder, its board, and the time."""

    def __init__(self, *shared: str) -> None:
        """Set it; several hosts speak from the addresses that are named."""
        self.now = 0.0
        self.board = CountingBoard()
        self.responder: Responder[str] = Responder(
            self.board, rng=random.Random(1), is_shared=lambda name: name in shared
        )
        self.slow = False
        """Whether commands execute only when `finish` is called."""
        self.running: Execution | None = None
        self.out: list[tuple[str, Frame]] = []

    def deliver(self, datagram: bytes, name: str = "host") -> list[Frame]:
        """Give the board a datagram; returns its answers to that host."""
        self.responder.receive(datagram, name, self.now)
        return self.turn(name)

    def turn(self, name: str = "host") -> list[Frame]:
        """Let the board work; returns its answers to that host, others are kept in `out`."""
        while (work := self.responder.take_work()) is not None:
            if isinstance(work, EnterSafe):
                self.board.is_safe = True
                self.board.safe_reasons.append(work.reason)
            elif self.slow:
                self.running = work
            else:
                self._complete(work)
        sent = [(to, codec.decode_frame(d)) for to, d in self.responder.datagrams(self.now)]
        self.out += sent
        return [frame for to, frame in sent if to == name]

    def finish(self) -> list[Frame]:
        """End what runs."""
        assert self.running is not None
        work, self.running = self.running, None
        self._complete(work)
        return self.turn()

    def _complete(self, work: Execution) -> None:
        results = self.board.execute(work.transactions, dry_run=work.dry_run)
        if work.aborted:
            results = [Result(work.transactions[0].opcode, Status.ABORTED, 0, b"stopped")]
        self.responder.complete(work, results, self.now)

    def wait(self, seconds: float) -> list[Frame]:
        """Let time pass, with everything that becomes due on the way."""
        end = self.now + seconds
        answers: list[Frame] = []
        while True:
            due = self.responder.deadline()
            if due is None or due > end:
                self.now = end
                return answers
            self.now = max(due, self.now)
            self.responder.expire(self.now)
            answers.extend(self.turn())


def replies(frames: list[Frame]) -> Iterator[tuple[int, int, int]]:
    """Message id, status of the first result and flags of the REPLY frames among some frames."""
    for frame in frames:
        if frame.type == FrameType.REPLY:
            yield frame.message, tr.decode_results(frame.payload)[0].status, frame.flags


def refusal(frames: list[Frame]) -> tuple[int, str]:
    """Status and detail of the only NAK among some frames."""
    (nak,) = (frame for frame in frames if frame.type == FrameType.NAK)
    decoded = codec.decode_nak(nak.payload)
    return decoded.status, decoded.detail


def say(answers: list[Frame]) -> list[tuple[int, str]]:
    """Message ids and statuses by name, of the replies among some frames."""
    return [(message, Status(status).name) for message, status, _ in replies(answers)]
