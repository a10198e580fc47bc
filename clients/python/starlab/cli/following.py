"""Long calls as a terminal sees them: how far they are, and where they were stopped. Makes none."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, NoReturn

from rich.progress import Progress, TaskID

from starlab.cli.ending import ExitCode, Interrupted
from starlab.client import Client
from starlab.errors import StarlabError
from starlab.http import RequestIds
from starlab_contract import Board as BoardInfo
from starlab_contract import EndedCall, Extent

LOOK_S: Final = 0.3
"""How often the server is asked how far a call is."""
STOP_LIMIT_S: Final = 20.0
"""So long a call that is stopped may take to its next safe point; then the command ends anyway."""
_ANSWER_LIMIT_S: Final = 5.0


class Terminated(KeyboardInterrupt):
    """SIGTERM: as Ctrl-C, but for the exit code."""


@dataclass(frozen=True, slots=True)
class Attended:
    """The board that a command works with, looked at over connections of their own."""

    url: str
    """Root of the server."""
    board_id: str
    request_ids: RequestIds
    """What the command's calls are called."""

    def look(self, client: Client) -> BoardInfo:
        """How the board is."""
        return client.board(self.board_id).info()

    def connect(self) -> Client:
        """A connection beside that of the command."""
        return Client(self.url, timeout_s=_ANSWER_LIMIT_S)

    def is_own(self, call: Extent | None) -> bool:
        """Whether a call is one of the command's."""
        name = "" if call is None else call.request_id or ""
        return name.startswith(f"{self.request_ids.client}-")

    @contextmanager
    def interruptible(self, command: Client) -> Iterator[None]:
        """A block that Ctrl-C and SIGTERM leave only when its call has stopped, and told where.

        The second Ctrl-C leaves at once.

        Raises:
            Interrupted: With what was done.
        """
        before = _on_terminate(_terminate)
        try:
            yield
        except KeyboardInterrupt as error:
            command.close()  # which is how the server hears of it
            is_term = isinstance(error, Terminated)
            code = ExitCode.TERMINATED if is_term else ExitCode.INTERRUPTED
            raise self._interrupted(code) from None
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)

    def _interrupted(self, code: ExitCode) -> Interrupted:
        try:
            ended = self._ended()
        except (StarlabError, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):  # a third one has nothing left to hurry
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            said = "interrupted; not known where: what it has begun stops at its next safe point"
            return Interrupted(said, code)
        if ended is None:
            return Interrupted("interrupted; nothing of it runs on the board", code)
        return Interrupted(f"interrupted; {sentence(ended)}", code, _members(ended))

    def _ended(self) -> EndedCall | None:
        """Wait until nothing of the command runs; the call that had no answer yet, if there is one.

        Raises:
            StarlabError: The server does not say so in time.
        """
        give_up = time.monotonic() + STOP_LIMIT_S
        quiet = 0
        with self.connect() as client:
            while quiet < 2:  # a request that came just now may not run yet
                info = self.look(client)
                for call in (info.last_stopped, info.last_call):
                    if call is not None and call.request_id == self.request_ids.unanswered:
                        return call
                quiet = 0 if self.is_own(info.running) else quiet + 1
                if time.monotonic() > give_up:
                    raise StarlabError("the call has not stopped in time")
                time.sleep(LOOK_S / 2)
        return None


class FollowingProgress(Progress):
    """Progress bars, and below them how far the board is with the call that runs.

    Args:
        attended: Gives the board; None while there is none yet.
        further: As of :class:`rich.progress.Progress`.
    """

    def __init__(
        self, *columns: Any, attended: Callable[[], Attended | None], **further: Any
    ) -> None:
        super().__init__(*columns, **further)
        self._attended = attended
        self._over = threading.Event()

    def start(self) -> None:
        """Show the bars, and begin to look."""
        super().start()
        if self.console.is_terminal:
            threading.Thread(target=self._follow, daemon=True).start()

    def stop(self) -> None:
        """Show them no longer."""
        self._over.set()
        super().stop()

    def _follow(self) -> None:
        row: TaskID | None = None
        while (attended := self._attended()) is None:
            if self._over.wait(LOOK_S):
                return
        with suppress(StarlabError), attended.connect() as client:
            while not self._over.wait(LOOK_S):
                call = attended.look(client).running
                if call is not None and not attended.is_own(call):
                    call = None
                if call is not None and row is None:
                    row = self.add_task("on the board", total=None, note="")
                if row is None or self._over.is_set():
                    continue
                done, total = (None, None) if call is None else (call.done, call.total)
                note = "" if call is None else extent(call)
                self.update(row, completed=done or 0, total=total, note=note)


def extent(call: Extent) -> str:
    """How far a call is: ``1,200 of 156,800 cells, 12,345 pulses``."""
    parts = []
    if call.done is not None:
        total = "" if call.total is None else f" of {call.total:,}"
        parts.append(f"{call.done:,}{total} {call.unit}")
    parts.append(f"{call.pulses:,} pulses")
    return ", ".join(parts)


def sentence(ended: EndedCall) -> str:
    """Where a call was stopped, or that it had ended by itself just then."""
    what = ended.call.rpartition("/")[2].partition(" ")[0]
    return f"{what} ended on the board after {extent(ended)} ({ended.how})"


def _members(ended: EndedCall) -> Mapping[str, Any]:
    told = ended.model_dump(mode="json")
    return {name: told[name] for name in ("call", "done", "total", "unit", "pulses", "how")}


def _on_terminate(handler: Any) -> Any:
    """Handle SIGTERM, where it has no handler yet and this is the main thread: what was before."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return None
    return signal.signal(signal.SIGTERM, handler)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated
