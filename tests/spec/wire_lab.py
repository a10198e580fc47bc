"""A laboratory: several hosts and boards, each with a clock of its own, on one bad network.

Opens no socket. True time passes in `Lab.run_for`; a clock may run fast, jump ahead, or stand
still while its machine sleeps.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from tests.spec.wire_world import CountingBoard, Network

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Hello
from starlab_spec.wire.requester.events import Ended, Replied, RequesterState
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.responder.execution import EnterSafe
from starlab_spec.wire.responder.responder import Responder
from starlab_spec.wire.transactions import Transaction

INBOX = 256
"""Datagrams that a system keeps for a machine that sleeps."""

_Arrival = tuple[float, int, Callable[[], None]]


@dataclass
class Clock:
    """A clock that nobody sets back."""

    ahead_s: float = 0.0
    rate: float = 1.0

    def time(self, true_s: float) -> float:
        """What it shows."""
        return self.ahead_s + self.rate * true_s

    def when(self, shown_s: float) -> float:
        """The true time at which it will show that, for sure."""
        return (shown_s - self.ahead_s) / self.rate + 1e-9


class BoardMachine:
    """A board."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.clock = Clock()
        self.board = CountingBoard(boot_id=random.Random(seed).randrange(1, 1 << 32))
        self.responder: Responder[str] = Responder(self.board, rng=random.Random(seed + 1))

    @property
    def executed(self) -> list[int]:
        """The operations executed, in order."""
        return [operation for (operation,) in self.board.executed]


class HostMachine:
    """A host with one session, or none yet."""

    def __init__(self, name: str, address: str, hello: Hello, seed: int) -> None:
        self.name = name
        self.address = address
        self.clock = Clock()
        self.asleep = False
        self.inbox: list[bytes] = []
        self.sent: list[bytes] = []
        self.requester = Requester(hello, rng=random.Random(seed))
        self.operations: dict[int, int] = {}
        """By message id: what the command starts."""
        self.replied: set[int] = set()
        """Operations that are known to be executed."""
        self.ended: Ended | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self.requester.state is RequesterState.OPEN

    @property
    def in_doubt(self) -> set[int]:
        """Operations that may have been executed."""
        return {self.operations[command.message_id] for command in self.requester.in_doubt()}


@dataclass
class Lab:
    """All machines and the network between them.

    Attributes:
        boards: By address; what stands behind an address may change.
        echoes: Hosts that hear all that any board says, whomever it is meant for.
    """

    network: Network = field(default_factory=Network)
    seed: int = 0
    boards: dict[str, BoardMachine] = field(default_factory=dict)
    hosts: dict[str, HostMachine] = field(default_factory=dict)
    echoes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.now = 0.0
        self.rng = random.Random(self.seed)
        self._order = itertools.count()
        self._under_way: list[_Arrival] = []

    def add_board(self, address: str) -> BoardMachine:
        """Switch a board on."""
        self.boards[address] = BoardMachine(address, self.rng.getrandbits(32))
        return self.boards[address]

    def add_host(self, name: str, address: str, *, lease_epoch: int = 0) -> HostMachine:
        """A host that says HELLO."""
        hello = Hello(client_name=name, lease_epoch=lease_epoch)
        host = HostMachine(name, address, hello, self.rng.getrandbits(32))
        self.hosts[name] = host
        host.requester.open(host.clock.time(self.now))
        return host

    def open_host(self, name: str, address: str, *, lease_epoch: int = 0) -> HostMachine:
        """A host with a session."""
        host = self.add_host(name, address, lease_epoch=lease_epoch)
        self.run_until(lambda: host.is_open)
        return host

    def start(self, host: HostMachine, *operations: int) -> None:
        """Submit commands that start these operations."""
        for operation in operations:
            self.submit(host, operation, tr.start(operation))

    def submit(self, host: HostMachine, operation: int, *transactions: Transaction) -> None:
        """Submit one command."""
        payload = tr.encode_transactions(transactions)
        number = host.requester.submit(payload, host.clock.time(self.now))
        host.operations[number] = operation

    def run_until(self, done: Callable[[], bool], limit_s: float = 60.0) -> None:
        """Let time pass until something has happened."""
        end = self.now + limit_s
        self._exchange()
        while not done():
            assert self.now < end, "it does not happen"
            self._step(end)

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        self._exchange()
        while self.now < end:
            self._step(end)

    def run_until_settled(self, *hosts: HostMachine) -> None:
        """Until each of these has its replies, or its session is over."""
        self.run_until(lambda: all(h.ended or not h.requester.outstanding for h in hosts))

    def _step(self, end: float) -> None:
        times = [end, *(due for due, _, _ in self._under_way[:1])]
        for machine, due in self._deadlines():
            if due is not None:
                times.append(machine.clock.when(due))
        self.now = max(self.now, min(times))
        while self._under_way and self._under_way[0][0] <= self.now:
            heapq.heappop(self._under_way)[2]()
        for host in self._awake():
            host.requester.expire(host.clock.time(self.now))
        for board in self.boards.values():
            board.responder.expire(board.clock.time(self.now))
        self._exchange()

    def _awake(self) -> list[HostMachine]:
        return [host for host in self.hosts.values() if not host.asleep]

    def _deadlines(self) -> list[tuple[HostMachine | BoardMachine, float | None]]:
        hosts = [(host, host.requester.deadline()) for host in self._awake()]
        return [*hosts, *((board, board.responder.deadline()) for board in self.boards.values())]

    def _exchange(self) -> None:
        for board in self.boards.values():
            self._let_work(board)
        for host in self._awake():
            self._let_speak(host)

    def _let_work(self, machine: BoardMachine) -> None:
        now, board, responder = machine.clock.time(self.now), machine.board, machine.responder
        while (work := responder.take_work()) is not None:
            if isinstance(work, EnterSafe):
                board.is_safe = True
                board.safe_reasons.append(work.reason)
            else:
                results = board.execute(work.transactions, dry_run=work.dry_run)
                responder.complete(work, results, now)
        for peer, datagram in responder.datagrams(now):
            for name in {peer, *self.echoes}:
                self._carry(datagram, partial(self._to_host, name))

    def _let_speak(self, host: HostMachine) -> None:
        now = host.clock.time(self.now)
        inbox, host.inbox = host.inbox, []
        for datagram in inbox:
            host.requester.receive(datagram, now)
        for event in host.requester.events():
            if isinstance(event, Replied):
                host.replied.add(host.operations[event.message_id])
            elif isinstance(event, Ended):
                host.ended = event
        for datagram in host.requester.datagrams(now):
            host.sent.append(datagram)
            self.say(host, datagram)

    def say(self, host: HostMachine, datagram: bytes) -> None:
        """Send a datagram from a host to the board that it knows."""
        self._carry(datagram, partial(self._to_board, host))

    def _to_host(self, name: str, datagram: bytes) -> None:
        host = self.hosts[name]
        if len(host.inbox) < INBOX:
            host.inbox.append(datagram)

    def _to_board(self, host: HostMachine, datagram: bytes) -> None:
        board = self.boards[host.address]
        board.responder.receive(datagram, host.name, board.clock.time(self.now))

    def _carry(self, datagram: bytes, deliver: Callable[[bytes], None]) -> None:
        network, rng = self.network, self.rng
        for _ in range(1 + (rng.random() < network.duplication)):
            if rng.random() >= network.loss:
                due = self.now + network.delay_s + network.jitter_s * rng.random()
                arrival: _Arrival = (due, next(self._order), partial(deliver, datagram))
                heapq.heappush(self._under_way, arrival)
