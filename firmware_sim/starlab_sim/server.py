"""The emulated board on a UDP port: sockets and threads only. Knows no frame and no register.

One thread has the socket and the protocol; commands that take long run on a second one, so that
status and abort are served meanwhile.
"""

import contextlib
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Final, Protocol

from starlab_sim.network_faults import FaultySocket, Network
from starlab_spec.wire.execution import BoardFacts, EnterSafe, Execution
from starlab_spec.wire.responder import Responder
from starlab_spec.wire.transactions import Result, Transaction

PROGRESS_INTERVAL_S: Final = 0.1
"""A command reports its progress so often at most."""
_BUFFER_BYTES: Final = 4 << 20
_DATAGRAM_BYTES: Final = 9216
_SHORTEST_WAIT_S: Final = 0.0005
_LONGEST_WAIT_S: Final = 0.25
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a server that listens everywhere finds itself."""


class ServedBoard(BoardFacts, Protocol):
    """What the server needs of a board."""

    def takes_long(self, transactions: Sequence[Transaction]) -> bool:
        """Whether a command may run for more than some milliseconds."""

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        dry_run: bool,
        aborted: Callable[[], bool],
        progress: Callable[[int, int, str], None],
    ) -> list[Result]:
        """Execute a command. Whatever it holds, nothing is raised; no results: its power failed."""

    def enter_safe(self, reason: str) -> None:
        """Drivers off; may be called while a command executes."""


_Address = tuple[str | int, ...]
"""As the socket module gives it, of either address family."""


class UdpServer:
    """Serves one board on one UDP socket, which is bound at once.

    Args:
        board: What executes the commands.
        host: Address to listen on.
        port: Port to listen on; 0 for any free one.
        rng: For session ids and jitter.
        network: What happens to datagrams on the way.

    Raises:
        OSError: The address cannot be bound.
    """

    def __init__(
        self,
        board: ServedBoard,
        host: str,
        port: int,
        *,
        rng: random.Random,
        network: Network | None = None,
    ) -> None:
        network = Network(time.monotonic) if network is None else network
        self._board = board
        self._clock = network.clock
        self._responder: Responder[_Address] = Responder(board, rng=rng)
        self._socket = _bound(host, port)
        self._datagrams = FaultySocket(self._socket, network)
        self._waker = socket.socket(self._socket.family, socket.SOCK_DGRAM)
        self._stopping = False
        self._timeout_s = 0.0
        self._long: SimpleQueue[Execution | None] = SimpleQueue()
        self._messages: deque[Callable[[float], None]] = deque()
        """What the worker has for the thread of the protocol."""

    @property
    def url(self) -> str:
        """Where the board listens, as a host takes it."""
        host, port = self._socket.getsockname()[:2]
        return f"udp://[{host}]:{port}" if ":" in host else f"udp://{host}:{port}"

    def stop(self) -> None:
        """Let `serve` return soon. May be called from any thread and from a signal handler."""
        self._stopping = True
        self._wake()

    def serve(self) -> None:
        """Serve until `stop` is called; closes the socket at the end."""
        worker = threading.Thread(target=self._work_long, name="starlab-worker", daemon=True)
        worker.start()
        try:
            while not self._stopping:
                self._serve_once()
        finally:
            self._responder.shut_down(self._clock())
            self._act()
            self._long.put(None)
            worker.join()
            self._socket.close()
            self._waker.close()

    def _serve_once(self) -> None:
        responder = self._responder
        deadline = responder.deadline()
        arrived = self._receive(_LONGEST_WAIT_S if deadline is None else deadline - self._clock())
        while self._messages:
            self._messages.popleft()(self._clock())
        now = self._clock()
        if arrived is not None:
            responder.receive(*arrived, now)
        if deadline is not None and now >= deadline:
            responder.expire(now)
        self._act()

    def _receive(self, wait_s: float) -> tuple[bytes, _Address] | None:
        """The next datagram and where it is from; None if none came, at the latest after that."""
        wait_s = min(max(wait_s, _SHORTEST_WAIT_S), _LONGEST_WAIT_S)
        # a timeout too short costs a look around, setting it anew costs every datagram
        if wait_s < self._timeout_s or not self._timeout_s:
            self._set_timeout(wait_s)
        try:
            return self._datagrams.recvfrom(_DATAGRAM_BYTES)
        except OSError:
            self._set_timeout(wait_s)
            return None

    def _set_timeout(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._datagrams.settimeout(timeout_s)

    def _act(self) -> None:
        """Execute what is to be executed, and send what is to be sent."""
        responder, board = self._responder, self._board
        while (work := responder.take_work()) is not None:
            if isinstance(work, EnterSafe):
                board.enter_safe(work.reason)
            elif board.takes_long(work.transactions):
                self._long.put(work)
            else:
                responder.complete(work, self._execute(work, _no_progress), self._clock())
        for address, datagram in responder.datagrams(self._clock()):
            with contextlib.suppress(OSError):
                self._datagrams.sendto(datagram, address)

    def _execute(self, work: Execution, progress: Callable[[int, int, str], None]) -> list[Result]:
        return self._board.execute(
            work.transactions,
            dry_run=work.dry_run,
            aborted=lambda: work.aborted,
            progress=progress,
        )

    # ---- the other thread

    def _work_long(self) -> None:
        """Execute long commands, one after the other."""
        while (work := self._long.get()) is not None:
            results = self._execute(work, self._reporter(work))
            self._tell(partial(self._responder.complete, work, results))

    def _reporter(self, work: Execution) -> Callable[[int, int, str], None]:
        """A progress callback that reports at intervals only."""
        reported_at = self._clock()

        def report(done: int, total: int, text: str) -> None:
            nonlocal reported_at
            now = self._clock()
            if now - reported_at >= PROGRESS_INTERVAL_S:
                reported_at = now
                self._tell(lambda _: self._responder.report_progress(work, done, total, text))

        return report

    def _tell(self, message: Callable[[float], None]) -> None:
        self._messages.append(message)
        self._wake()

    def _wake(self) -> None:
        """Let the thread of the protocol look around: by a datagram that is no frame."""
        with contextlib.suppress(OSError):
            host, *rest = self._socket.getsockname()
            here = _LOOPBACK.get(host, host)
            self._waker.sendto(b"", (here, *rest))


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _no_progress(done: int, total: int, text: str) -> None:
    """A command that is over within milliseconds has none."""
