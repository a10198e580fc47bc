"""A host, a board and a bad network between them, all on one simulated clock. Opens no socket."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Hello
from starlab_spec.wire.requester.events import Ended, Opened, Replied, RequesterEvent
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.responder.execution import EnterSafe, Execution
from starlab_spec.wire.responder.responder import Responder
from starlab_spec.wire.transactions import Opcode, Result, Status, Transaction


class CountingBoard:
    """Executes by writing down; memory as one growing text. Takes no time of its own."""

    def __init__(self, boot_id: int = 0xB007) -> None:
        self.boot_id = boot_id
        self.lifetime_pulses = 0
        self.faults = 0
        self.is_safe = False
        self.executed: list[tuple[int, ...]] = []
        self.written: list[bytes] = []
        self.safe_reasons: list[str] = []

    def identity(self) -> dict[str, Any]:
        return {"serial": "TEST-1"}

    def execute(self, transactions: list[Transaction], *, dry_run: bool) -> list[Result]:
        """START counts a pulse, WRITE_MEM is written down, READ_MEM gives that many bytes."""
        results = []
        for opcode, address, data, _ in transactions:
            answer = b""
            if opcode == Opcode.READ_MEM:
                answer = random.Random(address).randbytes(int.from_bytes(data, "big"))
            elif dry_run:
                pass
            elif opcode == Opcode.START:
                self.lifetime_pulses += 1
                self.executed.append((int.from_bytes(data, "big"),))
            elif opcode == Opcode.WRITE_MEM:
                self.written.append(data)
            elif opcode == Opcode.EMULATOR:
                self.boot_id += 1
            results.append(Result(opcode, Status.OK, address, answer))
        return results


@dataclass
class Network:
    """What may happen to a datagram, as probabilities."""

    loss: float = 0.0
    duplication: float = 0.0
    delay_s: float = 0.0001
    jitter_s: float = 0.0
    """Added delay up to this much: datagrams overtake each other."""


@dataclass
class World:
    """Runs both machines against each other until nothing is left to do."""

    network: Network = field(default_factory=Network)
    seed: int = 0
    hello: Hello = field(default_factory=lambda: Hello(client_name="world"))
    execution_s: float = 0.0
    """Time that every command takes to execute."""

    def __post_init__(self) -> None:
        self.now = 0.0
        self.rng = random.Random(self.seed)
        self.board = CountingBoard()
        self.responder: Responder[str] = Responder(self.board, rng=random.Random(self.seed + 1))
        self.requester = Requester(self.hello, rng=random.Random(self.seed + 2))
        self.events: list[RequesterEvent] = []
        self.replies: dict[int, bytes] = {}
        self.ended: Ended | None = None
        self.cut = False
        """Whether the network swallows everything."""
        self.swallows: Callable[[bytes, bool], bool] = lambda datagram, to_board: False
        """Whether the network swallows a datagram, to the board or to the host."""
        self.sent_to_board = 0
        self._order = 0
        self._arrivals: list[tuple[float, int, str, bool, bytes]] = []
        self._address = "host"
        self._running: tuple[float, Execution] | None = None

    def open(self) -> None:
        """Open the session."""
        self.requester.open(self.now)
        self.run_until(lambda: self.requester.answer is not None)
        assert any(isinstance(event, Opened) for event in self.events)

    def submit(
        self, *transactions: Transaction, flags: int = 0, urgent: bool = False, again: int = 0
    ) -> int:
        """Submit a command; returns its message id."""
        payload = tr.encode_transactions(transactions)
        return self.requester.submit(payload, self.now, flags=flags, urgent=urgent, again=again)

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self.now < end:
            self._step(end)

    def run_until(self, done: Any, limit_s: float = 120.0) -> None:
        """Let time pass until something has happened."""
        end = self.now + limit_s
        self._exchange()
        while not done():
            assert self.now < end, "nothing more happened"
            self._step(end)

    def restart_board(self) -> None:
        """Switch the board off and on: its side of the protocol forgets everything."""
        self.board.boot_id += 1
        self._running = None
        self.responder = Responder(self.board, rng=random.Random(self.seed + 3))

    def crash_host(self) -> None:
        """The host forgets everything but its session, which it resumes from another address."""
        assert self.requester.answer is not None
        self._address += "'"
        hello = replace(self.hello, resume_session=self.requester.answer.session_id)
        self.requester = Requester(hello, rng=random.Random(self.seed + 4))
        self.replies = {}
        self.requester.open(self.now)
        self.run_until(lambda: self.requester.answer is not None)

    def run_until_answered(self) -> None:
        """Let time pass until every command has its reply, or the session is over."""
        self.run_until(lambda: not self.requester.outstanding or self.ended)

    def _step(self, end: float) -> None:
        times = [end, self.requester.deadline(), self.responder.deadline()]
        if self._arrivals:
            times.append(self._arrivals[0][0])
        if self._running:
            times.append(self._running[0])
        self.now = max(self.now, min(time for time in times if time is not None))
        while self._arrivals and self._arrivals[0][0] <= self.now:
            _, _, peer, to_board, datagram = heapq.heappop(self._arrivals)
            if to_board:
                self.responder.receive(datagram, peer, self.now)
            elif peer == self._address:
                self.requester.receive(datagram, self.now)
        if self._running and self._running[0] <= self.now:
            self._finish(self._running[1])
        self.requester.expire(self.now)
        self.responder.expire(self.now)
        self._exchange()

    def _exchange(self) -> None:
        for event in self.requester.events():
            self.events.append(event)
            if isinstance(event, Replied):
                assert event.message_id not in self.replies, "two replies to one command"
                self.replies[event.message_id] = event.payload
            elif isinstance(event, Ended):
                self.ended = event
        while (work := self.responder.take_work()) is not None:
            if isinstance(work, EnterSafe):
                self.board.is_safe = True
                self.board.safe_reasons.append(work.reason)
            elif self.execution_s:
                self._running = (self.now + self.execution_s, work)
            else:
                self._finish(work)
        for datagram in self.requester.datagrams(self.now):
            self.sent_to_board += 1
            self._carry(datagram, self._address, to_board=True)
        for peer, datagram in self.responder.datagrams(self.now):
            self._carry(datagram, peer, to_board=False)

    def _finish(self, execution: Execution) -> None:
        self._running = None
        if execution.aborted:
            results = [Result(Opcode.START, Status.ABORTED, 0, b"stopped")]
        else:
            results = self.board.execute(execution.transactions, dry_run=execution.dry_run)
        self.responder.complete(execution, results, self.now)

    def _carry(self, datagram: bytes, peer: str, *, to_board: bool) -> None:
        network, rng = self.network, self.rng
        if self.swallows(datagram, to_board):
            return
        copies = 1 + (rng.random() < network.duplication)
        for _ in range(copies):
            if self.cut or rng.random() < network.loss:
                continue
            delay = network.delay_s + network.jitter_s * rng.random()
            self._order += 1
            arrival = (self.now + delay, self._order, peer, to_board, datagram)
            heapq.heappush(self._arrivals, arrival)
