"""A board in the same process at the end of a bad network, for tests. Opens no socket.

The board executes inside `receive`, on the thread that waits; nothing runs by itself.
"""

import heapq
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from starlab_spec.wire.execution import BoardFacts, EnterSafe, Execution
from starlab_spec.wire.frames import SILENCE_S
from starlab_spec.wire.responder import Responder
from starlab_spec.wire.transactions import Result, Transaction

_HOST: Final = "host"


class ExecutingBoard(BoardFacts, Protocol):
    """A board that can be driven in this process."""

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        dry_run: bool,
        aborted: Callable[[], bool],
        progress: Callable[[int, int, str], None],
    ) -> list[Result]:
        """Execute a command."""

    def enter_safe(self, reason: str) -> None:
        """Drivers off."""


@dataclass(frozen=True, slots=True)
class MemoryNetwork:
    """What happens to datagrams, each way."""

    loss: float = 0.0
    """Probability that a datagram disappears."""
    duplication: float = 0.0
    """Probability that it comes twice."""
    reordering: float = 0.0
    """Probability that it lets later ones overtake."""
    seed: int = 0


class MemoryLink:
    """A link to a board in this process.

    Args:
        board: What executes the commands.
        clock: The time in seconds.
        network: What the network does.
        silence_s: As of the responder.

    Attributes:
        cut: While true, the network loses everything.
        responder: The board's side of the protocol, to look at.
    """

    def __init__(
        self,
        board: ExecutingBoard,
        *,
        clock: Callable[[], float],
        network: MemoryNetwork | None = None,
        silence_s: float = SILENCE_S,
    ) -> None:
        self.cut = False
        self._board = board
        self._clock = clock
        self._network = MemoryNetwork() if network is None else network
        self._rng = random.Random(self._network.seed)
        self.responder: Responder[str] = Responder(
            board, rng=random.Random(self._network.seed + 1), silence_s=silence_s
        )
        self._changed = threading.Condition()
        self._to_board: list[tuple[int, bytes]] = []
        self._to_host: list[tuple[int, bytes]] = []
        self._order = 0

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Put datagrams on their way to the board."""
        with self._changed:
            for datagram in datagrams:
                self._carry(datagram, self._to_board)
            self._changed.notify_all()

    def receive(self, timeout_s: float) -> bytes | None:
        """Let the board work, then the next datagram from it."""
        end = self._clock() + timeout_s
        while True:
            self._serve()
            with self._changed:
                if self._to_host:
                    return heapq.heappop(self._to_host)[1]
                now = self._clock()
                if now >= end:
                    return None
                due = self.responder.deadline()
                if not self._to_board:
                    self._changed.wait(max(min(end if due is None else due, end) - now, 0.0))

    def close(self) -> None:
        """Nothing is held open."""

    def _carry(self, datagram: bytes, way: list[tuple[int, bytes]]) -> None:
        network, rng = self._network, self._rng
        for _ in range(1 + (rng.random() < network.duplication)):
            if self.cut or rng.random() < network.loss:
                continue
            self._order += 1
            late = 3 if rng.random() < network.reordering else 0
            heapq.heappush(way, (self._order + late, datagram))

    def _serve(self) -> None:
        """Take in what has come, execute what is due, and send the answers."""
        self._take_in()
        responder = self.responder
        while (work := responder.take_work()) is not None:
            if isinstance(work, EnterSafe):
                self._board.enter_safe(work.reason)
            else:
                results = self._execute(work)
                responder.complete(work, results, self._clock())
        self._send_back()

    def _take_in(self) -> None:
        with self._changed:
            arrived, self._to_board = sorted(self._to_board), []
        now = self._clock()
        for _, datagram in arrived:
            self.responder.receive(datagram, _HOST, now)
        self.responder.expire(now)

    def _send_back(self) -> None:
        with self._changed:
            for _, datagram in self.responder.datagrams(self._clock()):
                self._carry(datagram, self._to_host)

    def _execute(self, work: Execution) -> list[Result]:
        def aborted() -> bool:
            self._take_in()
            self._send_back()
            return work.aborted

        def progress(done: int, total: int, text: str) -> None:
            self.responder.report_progress(work, done, total, text)

        return self._board.execute(
            work.transactions, dry_run=work.dry_run, aborted=aborted, progress=progress
        )
