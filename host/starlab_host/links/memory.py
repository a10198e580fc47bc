"""A board in the same process at the end of a bad network, for tests. Opens no socket.

The board executes inside `receive`, on the thread that waits; nothing runs by itself.
"""

import heapq
import random
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from errno import EBUSY
from typing import Final, Protocol, Self
from urllib.parse import parse_qsl, urlsplit

from starlab_host.links.base import LONGEST_DATAGRAM_BYTES
from starlab_spec.wire.frames import DEFAULT_WINDOW, MAX_PAYLOAD_BYTES, SILENCE_S
from starlab_spec.wire.responder.execution import BoardFacts, EnterSafe, Execution
from starlab_spec.wire.responder.responder import Responder
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
    longest_bytes: int = LONGEST_DATAGRAM_BYTES
    """Longer ones disappear."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class MemoryAddress:
    """A board of this process: ``memory:name``, and what its network does: ``?loss=0.01&seed=3``.

    There is no list of boards behind the caller's back: whoever opens such an address gives them.
    """

    FORM = "memory:name"

    name: str
    board: ExecutingBoard
    network: MemoryNetwork

    @classmethod
    def parse(cls, url: str, boards: Mapping[str, ExecutingBoard]) -> Self:
        """The address of a URL, with its board out of those given.

        Raises:
            ValueError: The URL has another form, or no board has that name.
        """
        parts = urlsplit(url)
        kinds = {name: type(default) for name, default in asdict(MemoryNetwork()).items()}
        try:
            options = {name: kinds[name](text) for name, text in parse_qsl(parts.query)}
        except (KeyError, ValueError):
            known = ", ".join(kinds)
            raise ValueError(f"board address {url!r}: a network has numbers {known}") from None
        if parts.path not in boards:
            known = ", ".join(boards) or "none"
            raise ValueError(f"board address {url!r}: boards of this process are {known}")
        return cls(parts.path, boards[parts.path], MemoryNetwork(**options))

    def __str__(self) -> str:
        """The URL, without what its network does."""
        return f"memory:{self.name}"

    def open(self) -> "MemoryLink":
        """As `MemoryLink`, on the system's clock."""
        return MemoryLink(self.board, clock=time.monotonic, network=self.network)


class MemoryLink:
    """A link to a board in this process: one at a time, until it is closed.

    Args:
        board: What executes the commands.
        clock: The time in seconds.
        network: What the network does.
        silence_s: As of the responder.
        payload_bytes: As of any link.

    Attributes:
        cut: While true, the network loses everything.
        responder: The board's side of the protocol, to look at.

    Raises:
        OSError: EBUSY: another link to this board is open.
    """

    window = DEFAULT_WINDOW

    def __init__(
        self,
        board: ExecutingBoard,
        *,
        clock: Callable[[], float],
        network: MemoryNetwork | None = None,
        silence_s: float = SILENCE_S,
        payload_bytes: int = MAX_PAYLOAD_BYTES,
    ) -> None:
        _claim(board, self)
        self.payload_bytes = payload_bytes
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
        """Let another link have the board."""
        with _CLAIMING:
            if _claimed(self._board) is self:
                del _CLAIMS[self._board]

    def _carry(self, datagram: bytes, way: list[tuple[int, bytes]]) -> None:
        network, rng = self._network, self._rng
        if len(datagram) > network.longest_bytes:
            return
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


_CLAIMING: Final = threading.Lock()
_CLAIMS: Final[weakref.WeakKeyDictionary[ExecutingBoard, weakref.ref[MemoryLink]]] = (
    weakref.WeakKeyDictionary()
)
"""The open link of each board: what the system keeps for the devices of all processes."""


def _claimed(board: ExecutingBoard) -> MemoryLink | None:
    claim = _CLAIMS.get(board)
    return None if claim is None else claim()


def _claim(board: ExecutingBoard, link: MemoryLink) -> None:
    with _CLAIMING:
        if _claimed(board) is not None:
            raise OSError(EBUSY, "in use by another link of this process")
        _CLAIMS[board] = weakref.ref(link)
