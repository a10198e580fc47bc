"""The server's boards: connected when needed, lost and found again, one writer at a time.

Repeats no command: a call that loses its board fails, and the next one connects anew.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from starlab_api.problems import BoardBusy, NotFound
from starlab_api.settings import ServerSettings
from starlab_host import (
    Board,
    BoardAway,
    Chip,
    LinkError,
    OutcomeUnknown,
    StarlabHostError,
    connect,
)
from starlab_spec.wire.transactions import identify, json_object

T = TypeVar("T")

_CLIENT_NAME: Final = "starlab-api"
_WORK_THREADS: Final = 8
"""Calls of one board that may wait for it at once; more queue up."""
_RIM_THREADS: Final = 4
"""Threads of one board for its state and its emergency stop, which must not queue."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A board that answers."""

    board: Board
    chip: Chip


class BoardSlot:
    """One board of the server, whether it answers or not."""

    def __init__(self, number: int, url: str, settings: ServerSettings) -> None:
        self.number = number
        self.url = url
        self.restarts = 0
        """Restarts of the board that were seen."""
        self.identity: Mapping[str, Any] | None = None
        """What the board last said about itself."""
        self._settings = settings
        self._work = ThreadPoolExecutor(_WORK_THREADS, thread_name_prefix=f"board{number}")
        self._rim = ThreadPoolExecutor(_RIM_THREADS, thread_name_prefix=f"rim{number}")
        self._writing = asyncio.Lock()
        self._lock = threading.Lock()
        self._attempt: Future[Connection] | None = None
        self._connection: Connection | None = None
        self._closed = False

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
        connection = self._connection
        return connection is not None and not connection.board.is_closed

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run a call that may share the board with others, on a thread.

        Raises:
            StarlabHostError: What ``function`` raises; LinkError if the board does not answer.
        """
        return await asyncio.shield(self._submit(self._work, function))

    async def write(self, function: Callable[[Connection], T]) -> T:
        """Run a call that has the board for itself, on a thread.

        Raises:
            BoardBusy: Another such call held the board for too long; nothing was executed.
            StarlabHostError: As :meth:`read`.
        """
        try:
            await asyncio.wait_for(self._writing.acquire(), self._settings.busy_timeout_s)
        except TimeoutError:
            raise BoardBusy(self._settings.busy_timeout_s) from None
        future = self._submit(self._work, function)
        # released when the call is over, not when its caller stops waiting for it
        future.add_done_callback(lambda _: self._writing.release())
        return await asyncio.shield(future)

    async def at_once(self, function: Callable[[Connection], T]) -> T:
        """Run a call that must not wait for any other, on a thread of its own.

        Raises:
            StarlabHostError: As :meth:`read`.
        """
        return await asyncio.shield(self._submit(self._rim, function))

    async def identify(self) -> Mapping[str, Any]:
        """Ask the board anew who it is: an emulated one may have been given another chip.

        Raises:
            StarlabHostError: As :meth:`read`.
        """
        results = await self.read(lambda link: link.board.execute([identify()], read_only=True))
        self.identity = json_object(results[0])
        return self.identity

    async def abort(self) -> None:
        """Stop what runs on the board, at its next safe point; nothing where it is away."""
        if self.is_connected:
            with contextlib.suppress(StarlabHostError):
                await self.at_once(lambda link: link.board.abort())

    async def reconnect(self) -> None:
        """Give up the connection, if there is one, and make a new one.

        Raises:
            LinkError: The board does not answer.
        """
        if self._connection is not None:
            self._drop(self._connection)
        await self.at_once(lambda _: None)

    def close(self) -> None:
        """Say good-bye to the board and end the threads. Calls under way fail."""
        with self._lock:
            self._closed = True
        if self._connection is not None:
            self._drop(self._connection)
        self._work.shutdown(cancel_futures=True)
        self._rim.shutdown(cancel_futures=True)

    def _submit(
        self, pool: ThreadPoolExecutor, function: Callable[[Connection], T]
    ) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(pool, self._run, function)

    def _run(self, function: Callable[[Connection], T]) -> T:
        connection = self._connected()
        try:
            return function(connection)
        except (LinkError, OutcomeUnknown):
            self._drop(connection)
            raise

    def _connected(self) -> Connection:
        connection = self._connection
        if connection is not None and not connection.board.is_closed:
            return connection
        if connection is not None:
            self._drop(connection)
        with self._lock:
            if self._connection is not None:
                return self._connection
            attempt = self._attempt
            if attempt is None:
                attempt = self._attempt = Future()
                threading.Thread(target=self._connect, args=[attempt], daemon=True).start()
        try:
            return attempt.result(self._settings.connect_timeout_s)
        except TimeoutError:
            waited_s = self._settings.connect_timeout_s
            raise BoardAway(f"nobody answers at {self.url}; waited {waited_s:g} s") from None

    def _connect(self, attempt: Future[Connection]) -> None:
        """One attempt, which all calls that need the board meanwhile wait for."""
        try:
            board = connect(self.url, client_name=_CLIENT_NAME)
        except BaseException as error:
            with self._lock:
                self._attempt = None
            attempt.set_exception(error)
            return
        with self._lock:
            self._attempt = None
            self._note_identity(board)
            self._connection = connection = Connection(board, Chip(board))
            closed = self._closed
        attempt.set_result(connection)
        if closed:
            board.close()

    def _note_identity(self, board: Board) -> None:
        if self.identity is not None and self.identity["boot_id"] != board.boot_id:
            self.restarts += 1
        self.identity = board.identity

    def _drop(self, connection: Connection) -> None:
        with self._lock:
            if self._connection is connection:
                self._connection = None
        connection.board.close()


class Boards:
    """All boards of the server, by their position."""

    def __init__(self, urls: Sequence[str], settings: ServerSettings) -> None:
        self._slots = [BoardSlot(number, url, settings) for number, url in enumerate(urls)]

    def __iter__(self) -> Iterator[BoardSlot]:
        """The boards, by rising number."""
        return iter(self._slots)

    def __getitem__(self, board_id: str) -> BoardSlot:
        """The board of an id.

        Raises:
            NotFound: There is none.
        """
        for slot in self._slots:
            if slot.answers_to(board_id):
                return slot
        raise NotFound("board", board_id, [slot.id for slot in self._slots])

    def close(self) -> None:
        """Close every board."""
        for slot in self._slots:
            slot.close()
