"""The emulated board at the end of its cables: threads only. Knows no frame and no register.

One thread has the ports and the protocol; commands that take long run on a second one, so that
status and abort are served meanwhile.
"""

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from starlab_sim.ports.base import LONGEST_DATAGRAM_BYTES, Junction, Port, Sender
from starlab_sim.serving.network_faults import FaultySocket, Network
from starlab_spec.wire.responder.execution import BoardFacts, EnterSafe, Execution
from starlab_spec.wire.responder.responder import Responder
from starlab_spec.wire.transactions import Result, Status, Transaction

PROGRESS_INTERVAL_S: Final = 0.1
"""A command reports its progress so often at most."""
_SHORTEST_WAIT_S: Final = 0.0005
_LONGEST_WAIT_S: Final = 0.25
_HOLD_TIMEOUT_S: Final = 5.0


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

    def break_down(self, error: Exception) -> str:
        """Something has failed that must not: drivers off, latched; what to tell the host."""


class BoardServer:
    """Serves one board on all of its ports. There is one session, whatever cable it comes by.

    Args:
        board: What executes the commands.
        ports: Its cables, at least one; closed at the end.
        rng: For session ids and jitter.
        network: What happens to datagrams on the way.
    """

    def __init__(
        self,
        board: ServedBoard,
        ports: Sequence[Port],
        *,
        rng: random.Random,
        network: Network | None = None,
    ) -> None:
        network = Network(time.monotonic) if network is None else network
        self._board = board
        self._clock = network.clock
        self._responder: Responder[Sender] = Responder(
            board, rng=rng, is_shared=lambda sender: sender[0].shared
        )
        self._junction = Junction(ports)
        self._datagrams = FaultySocket(self._junction, network)
        self._stopping = False
        self._long: SimpleQueue[Execution | None] = SimpleQueue()
        self._messages: deque[Callable[[float], None]] = deque()
        """What other threads have for the thread of the protocol."""

    def stop(self) -> None:
        """Let `serve` return soon. May be called from any thread and from a signal handler."""
        self._stopping = True
        self._junction.wake()

    def hold(self, who: str) -> str | None:
        """Keep sessions away until `release`, for somebody beside the protocol; any thread may.

        Returns:
            Who has the board instead; None: it is held.
        """
        answer: SimpleQueue[str | None] = SimpleQueue()

        def ask(now: float) -> None:
            holder = self._responder.hold(who, now)
            self._act()  # whatever a session that is silent leaves to be done
            answer.put(holder)

        self._tell(ask)
        try:
            return answer.get(timeout=_HOLD_TIMEOUT_S)
        except Empty:
            self.release()
            return "a board that is being switched off"

    def release(self) -> None:
        """Allow sessions again; any thread may call it."""

        def let_go(_: float) -> None:
            self._responder.held_by = ""

        self._tell(let_go)

    def serve(self) -> None:
        """Serve until `stop` is called; closes the ports at the end."""
        worker = threading.Thread(target=self._work_long, name="starlab-worker", daemon=True)
        worker.start()
        try:
            while not self._stopping:
                try:
                    self._serve_once()
                except Exception as error:  # a defect: nothing may hang, and nothing run twice
                    self._board.break_down(error)
                    self._responder.shut_down(self._clock())
        finally:
            self._responder.shut_down(self._clock())
            self._act()
            self._long.put(None)
            worker.join()
            self._junction.close()

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

    def _receive(self, wait_s: float) -> tuple[bytes, Sender] | None:
        """The next datagram and where it is from; None if none came, at the latest after that."""
        self._datagrams.settimeout(min(max(wait_s, _SHORTEST_WAIT_S), _LONGEST_WAIT_S))
        try:
            datagram, sender = self._datagrams.recvfrom(LONGEST_DATAGRAM_BYTES)
        except OSError:
            return None
        return None if sender is None else (datagram, sender)

    def _act(self) -> None:
        """Execute what is to be executed, and send what is to be sent."""
        responder, board = self._responder, self._board
        while (work := responder.take_work()) is not None:
            if isinstance(work, EnterSafe):
                board.enter_safe(work.reason)
            elif self._takes_long(work):
                self._long.put(work)
            else:
                responder.complete(work, self._execute(work, _no_progress), self._clock())
        for address, datagram in responder.datagrams(self._clock()):
            with contextlib.suppress(OSError):
                self._datagrams.sendto(datagram, address)

    def _takes_long(self, work: Execution) -> bool:
        try:
            return self._board.takes_long(work.transactions)
        except Exception as error:  # a defect; what is executed beside the protocol harms it least
            self._board.break_down(error)
            return True

    def _execute(self, work: Execution, progress: Callable[[int, int, str], None]) -> list[Result]:
        try:
            return self._board.execute(
                work.transactions,
                dry_run=work.dry_run,
                aborted=lambda: work.aborted,
                progress=progress,
            )
        except Exception as error:  # a defect: without an answer the host would wait for ever
            message = self._board.break_down(error)
            return [work.request.refusal(Status.HARDWARE_FAULT, message)]

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
        self._junction.wake()


def _no_progress(done: int, total: int, text: str) -> None:
    """A command that is over within milliseconds has none."""
