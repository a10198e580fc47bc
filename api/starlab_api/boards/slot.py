"""A board of the server: connected when needed, lost and found again, one writer at a time.

Repeats no command: a call that loses its board fails, and the next one connects anew. Where the
server has a folder for data, commands that change a chip go through a journal in it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from starlab_api.boards.callers import RunningCalls, caller
from starlab_api.boards.reaching import Reaching
from starlab_api.boards.stopping import StopOutcome, Stopper
from starlab_api.problems import BoardBusy
from starlab_api.settings import ServerSettings
from starlab_host import (
    Aborted,
    Board,
    BoardAway,
    CalibrationStore,
    Chip,
    Entry,
    EntryState,
    Journal,
    LinkError,
    OutcomeUnknown,
    PathMemory,
    Recovery,
    StarlabHostError,
    Work,
    connect,
)
from starlab_host.session.identity import check_identity
from starlab_spec.wire.transactions import Status, identify, json_object

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)
_CLIENT_NAME: Final = "starlab-api"
_WORK_THREADS: Final = 8
"""Calls of one board that may wait for it at once; more queue up."""
_POWER_DOWN_S: Final = 1.0
"""How long the rails may take to go down at the end."""
_RIM_THREADS: Final = 4
"""Threads of one board for its state, which must not queue behind its work."""
_DESK_THREADS: Final = 2
"""Threads of one board that look into its journal."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A board that answers."""

    board: Board
    chip: Chip

    def during(self, work: Work) -> "Connection":
        """The same for one call."""
        board = self.board.during(work)
        return Connection(board, Chip(board))

    @property
    def is_closed(self) -> bool:
        """Whether the session with the board is over."""
        return self.board.is_closed

    def close(self) -> None:
        """End it."""
        self.board.close()


class BoardSlot:
    """One board of the server, whether it answers or not."""

    def __init__(
        self,
        number: int,
        url: str,
        settings: ServerSettings,
        journal: Journal | None,
        calibrations: CalibrationStore,
        *,
        name: str,
    ) -> None:
        self.number = number
        self.url = url
        self.name = name
        """What files about it are called, over restarts of the server."""
        self.calibrations = calibrations
        """What was measured of supplies, by serial number."""
        self.restarts = 0
        """Restarts of the board that were seen."""
        self.identity: Mapping[str, Any] | None = None
        """What the board last said about itself."""
        self.calls = RunningCalls()
        """What runs on it."""
        self._settings = settings
        self._journal = journal
        self._path = PathMemory()
        self._work = ThreadPoolExecutor(_WORK_THREADS, thread_name_prefix=f"board{number}")
        self._rim = ThreadPoolExecutor(_RIM_THREADS, thread_name_prefix=f"rim{number}")
        self._desk = ThreadPoolExecutor(_DESK_THREADS, thread_name_prefix=f"journal{number}")
        self._way = Reaching(self._meet)
        self._stopper = Stopper(
            f"stop{number}",
            reach=self._way.reach,
            noted=lambda call: contextlib.nullcontext() if journal is None else journal.noted(call),
            timeout_s=settings.stop_timeout_s,
        )
        self._writing = asyncio.Lock()

    @property
    def id(self) -> str:
        """`emu0` of an emulated board, `board0` of any other."""
        emulated = self.identity is not None and self.identity["emulated"]
        return f"{'emu' if emulated else 'board'}{self.number}"

    def answers_to(self, board_id: str) -> bool:
        """Whether an id means this board: `board0` always does, `emu0` unless it is a real one."""
        if board_id == f"board{self.number}":
            return True
        real = self.identity is not None and not self.identity["emulated"]
        return board_id == f"emu{self.number}" and not real

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that is not known to be lost."""
        return self._way.connection is not None

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run a call that may share the board with others, on a thread.

        Raises:
            StarlabHostError: What ``function`` raises; LinkError if the board does not answer.
        """
        who = caller()
        with who.work, who.watched():
            await self._reached()
            future = self._submit(self._work, function, who.work)
            self.calls.add(who, future, has_board=False)
            return await asyncio.shield(future)

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run a call that has the board for itself, on a thread.

        Raises:
            BoardBusy: Another such call held the board for too long; nothing was executed.
            StarlabHostError: As :meth:`read`.
        """
        who = caller()
        with who.work, who.watched():
            await self._reached()
            try:
                await asyncio.wait_for(self._writing.acquire(), self._settings.busy_timeout_s)
            except TimeoutError:
                raise BoardBusy(self._settings.busy_timeout_s) from None
            future = self._submit(self._work, function, who.work)
            self.calls.add(who, future, has_board=True)
            # released when the call is over, not when its caller stops waiting for it
            future.add_done_callback(lambda _: self._writing.release())
            return await asyncio.shield(future)

    async def at_once(self, function: Callable[[Connection], T]) -> T:
        """Run a call that must not wait for any other, on a thread of its own.

        Raises:
            StarlabHostError: As :meth:`read`.
        """
        with caller().work:
            await self._reached()
            return await asyncio.shield(self._submit(self._rim, function))

    async def identify(self) -> Mapping[str, Any]:
        """Ask the board anew who it is: an emulated one may have been given another chip.

        Raises:
            StarlabHostError: As :meth:`read`.
        """
        results = await self.read(lambda link: link.board.execute([identify()], read_only=True))
        identity = json_object(results[0])
        check_identity(identity, whole=True)
        self.identity = identity
        return identity

    async def abort(self) -> None:
        """Stop what runs on the board, at its next safe point; nothing where it is away."""
        if self.is_connected:
            with contextlib.suppress(StarlabHostError):
                await self.at_once(lambda link: link.board.abort())

    async def stop(self) -> StopOutcome:
        """Stop the board, drivers off, latched. Waits for the board alone, and not for long."""
        return await self._stopper.stop(caller().work.what)

    @property
    def stop_is_pending(self) -> bool:
        """Whether a stop was asked for that the board has not confirmed."""
        return self._stopper.wanted

    def withdraw_stop(self) -> None:
        """A stop that is pending is wanted no longer."""
        self._stopper.withdraw()

    @property
    def recovered(self) -> Recovery | None:
        """What became of commands in flight when the board was last lost; None: no journal."""
        return None if self._journal is None else self._journal.recovered

    async def in_doubt(self) -> list[Entry]:
        """Commands whose outcome is not known; of a board that is away, those in flight too."""
        journal = self._journal
        if journal is None:
            return []
        doubtful = await self._look_up(journal.in_doubt)
        if not self.is_connected:
            unsettled = await self._look_up(journal.unsettled)
            doubtful += [entry for entry in unsettled if entry.state is EntryState.SENT]
        return doubtful

    async def newest(self, count: int) -> list[Entry]:
        """The commands that were journaled last, in order."""
        if self._journal is None:
            return []
        return await self._look_up(partial(self._journal.newest, count))

    async def acknowledge(self, entries: Sequence[int] | None) -> list[Entry]:
        """Somebody has read back: entries in doubt, by default all of them, are resolved."""
        if self._journal is None:
            return []
        return await self._look_up(partial(self._journal.acknowledge, entries))

    async def _look_up(self, function: Callable[[], T]) -> T:
        """Ask the journal, on a thread that waits for nothing else."""
        return await asyncio.get_running_loop().run_in_executor(self._desk, function)

    async def reconnect(self) -> None:
        """Give up the connection, if there is one, and make a new one.

        Raises:
            LinkError: The board does not answer.
        """
        connection = self._way.connection
        if connection is not None:
            self._way.drop(connection)
        await self.at_once(lambda _: None)

    def close(self) -> None:
        """Power an idle board down, and end the threads. Calls under way fail."""
        self._stopper.close()
        connection = self._way.connection
        if connection is not None and not self._writing.locked():
            self._power_down(connection)
        self._way.close()
        self._work.shutdown(cancel_futures=True)
        self._rim.shutdown(cancel_futures=True)
        self._desk.shutdown(cancel_futures=True)
        if self._journal is not None:
            self._journal.close()

    def _power_down(self, connection: Connection) -> None:
        """Take the rails down in order; of a board that is away or stopped they are off."""

        def power_down() -> None:
            connection.board.status()  # so that nothing is journaled that would stay in doubt
            connection.board.power_down()

        with contextlib.suppress(StarlabHostError, TimeoutError):
            self._rim.submit(power_down).result(_POWER_DOWN_S)

    async def _reached(self) -> None:
        """Wait for the board, beside all pools: those who wait are in nobody's way.

        Raises:
            LinkError: It does not answer.
        """
        if not self.is_connected:
            attempt = asyncio.wrap_future(self._way.reach())
            await asyncio.wait([attempt], timeout=self._settings.connect_timeout_s)
            if not attempt.done():
                attempt.add_done_callback(lambda late: late.cancelled() or late.exception())
                raise self._away()
            attempt.result()

    def _submit(
        self,
        pool: ThreadPoolExecutor,
        function: Callable[[Connection], T],
        work: Work | None = None,
    ) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(pool, self._run, function, work, caller().work.what)

    def _run(self, function: Callable[[Connection], T], work: Work | None, what: str) -> T:
        """Run a call; its commands belong to a work, if there is one."""
        if work is not None and work.stop.requested:
            raise Aborted(Status.ABORTED, "its client had gone before it began")
        connection = self._connected()
        journal = self._journal
        try:
            with contextlib.nullcontext() if journal is None else journal.noted(what):
                return function(connection if work is None else connection.during(work))
        except (LinkError, OutcomeUnknown):
            self._way.drop(connection)
            raise

    def _connected(self) -> Connection:
        connection = self._way.connection
        if connection is not None:
            return connection
        try:
            return self._way.reach().result(self._settings.connect_timeout_s)
        except TimeoutError:
            raise self._away() from None

    def _away(self) -> BoardAway:
        waited_s = self._settings.connect_timeout_s
        return BoardAway(f"nobody answers at {self.url}; waited {waited_s:g} s")

    def _meet(self) -> Connection:
        """Connect; the emergency stop reaches the board as soon as its session is open."""
        found_before = self.recovered
        board = connect(
            self.url,
            client_name=_CLIENT_NAME,
            journal=self._journal,
            capture=self._settings.capture_of(self.number),
            area_of=self._settings.limits.of,
            calibrations=self.calibrations,
            path=self._path,
            opened=self._stopper.meet,
            heartbeat=True,
        )
        self._stopper.meet(board)
        found = self.recovered
        if found is not None and found is not found_before:
            self._log_recovery(found)
        for widened in board.safe_area.widened:
            _log.warning("%s: WIDER SAFE OPERATING AREA: %s", self.url, widened)
        self._note_identity(board)
        return Connection(board, Chip(board))

    def _log_recovery(self, found: Recovery) -> None:
        _log.warning(
            "%s: of the commands in flight when it was lost %d were executed, %d were not sent, "
            "%d are in doubt",
            self.url,
            len(found.executed),
            len(found.not_sent),
            len(found.unknown),
        )

    def _note_identity(self, board: Board) -> None:
        if self.identity is not None and self.identity["boot_id"] != board.boot_id:
            self.restarts += 1
        self.identity = board.identity
