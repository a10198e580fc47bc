"""The emergency stop of one board: a thread that does nothing else. Waits for no call and no disk.

A stop that the board has not confirmed stays wanted: the server goes on trying, and the first thing
that a board learns when it is met again is to stop.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlab_host import Stopped, StopUnconfirmed, fault_names

_LOG: Final = logging.getLogger(__name__)
_AGAIN_S: Final = 1.0
"""How long to wait before a stop that was not confirmed is tried again."""
_GRACE_S: Final = 0.25
"""What the answer may take beyond the time that the board has."""


def is_stop(method: str, path: str) -> bool:
    """Whether a request is an emergency stop, which nothing may refuse or hold up."""
    return method == "POST" and path.endswith("/emergency-stop")


class Stoppable(Protocol):
    """What can be stopped: a board, or a session that was only just opened."""

    @property
    def is_closed(self) -> bool:
        """Whether it is over, so that only a new one helps."""

    def emergency_stop(self, timeout_s: float) -> Stopped:
        """Stop it; StopUnconfirmed where the board does not say that it has."""


@dataclass(frozen=True, slots=True)
class StopOutcome:
    """What became of an emergency stop."""

    faults: tuple[str, ...]
    """What is latched, as the board says; empty where it has said nothing."""
    confirmed: bool
    """Whether the board has said that it is stopped."""
    detail: str
    """What could not be confirmed or written down, for people; empty: nothing."""


class Stopper:
    """Stops one board, whatever else goes on.

    Args:
        name: Of its thread.
        reach: Begins to connect, unless that is under way; its future ends with the attempt.
        noted: A block within which the journal takes down what the server was asked.
        timeout_s: How long the board has to confirm a stop.

    Attributes:
        wanted: Whether a stop was asked for that the board has not confirmed.
    """

    def __init__(
        self,
        name: str,
        *,
        reach: Callable[[], "Future[Any]"],
        noted: Callable[[str], AbstractContextManager[None]],
        timeout_s: float,
    ) -> None:
        self.wanted = False
        self._reach = reach
        self._noted = noted
        self._timeout_s = timeout_s
        self._target: Stoppable | None = None
        self._last: StopOutcome | None = None
        """The last stop that the board has confirmed."""
        self._met = threading.Event()
        """Set when there is something to stop, or will not be."""
        self._change = threading.Condition()
        """Guards what is asked."""
        self._asked: Future[StopOutcome] | None = None
        self._call = ""
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def stop(self, call: str) -> StopOutcome:
        """Stop the board; answers in time, whatever the board and this server do.

        Args:
            call: What the server is asked, for the journal.
        """
        with self._change:
            self.wanted = True
            self._call = call
            if self._asked is None:
                self._asked = Future()
            asked = self._asked
            self._change.notify()
        waited_s = self._timeout_s + _GRACE_S
        try:
            return await asyncio.wait_for(
                asyncio.shield(asyncio.wrap_future(asked)), timeout=waited_s
            )
        except TimeoutError:
            return _unconfirmed(f"an earlier attempt to stop it still hangs after {waited_s:g} s")

    def meet(self, target: Stoppable) -> None:
        """The board is reached by this from now on; one that is to stop is stopped at once."""
        self._target = target
        if self.wanted:
            try:
                self._confirm(target.emergency_stop(self._timeout_s))
            except StopUnconfirmed as error:
                _LOG.warning("an emergency stop is not confirmed yet: %s", error)
        self._met.set()

    def withdraw(self) -> None:
        """Whoever clears the stop does not want it any more."""
        self.wanted = False

    def close(self) -> None:
        """Try no longer."""
        with self._change:
            self._closed = True
            self._change.notify()

    def _work(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(
                    lambda: self._asked or self._closed, _AGAIN_S if self.wanted else None
                )
                if self._closed:
                    return
                asked, self._asked = self._asked, None
                call = self._call
            if asked is None and not self.wanted:
                continue
            try:
                with self._noted(call):
                    outcome = self._stop()
            except Exception as error:  # a defect: this thread must go on, and the caller know
                _LOG.exception("an emergency stop failed")
                outcome = _unconfirmed(f"this server failed: {type(error).__name__}: {error}")
            if asked is not None:
                asked.set_result(outcome)
                if not outcome.confirmed:
                    _LOG.warning("an emergency stop is not confirmed: %s", outcome.detail)
            elif outcome.confirmed:
                _LOG.warning("an emergency stop that was asked for earlier is confirmed now")

    def _stop(self) -> StopOutcome:
        end, why = time.monotonic() + self._timeout_s, "the board was not reached in time"
        while (left_s := end - time.monotonic()) > 0:
            target = self._target
            if target is None or target.is_closed:
                self._met.clear()
                attempt = self._reach()
                attempt.add_done_callback(lambda _: self._met.set())
                self._met.wait(left_s)
                if not self.wanted and self._last is not None:  # stopped as soon as it was met
                    return self._last
                if attempt.done() and (error := attempt.exception()) is not None:
                    return _unconfirmed(str(error))
                continue
            try:
                return self._confirm(target.emergency_stop(left_s))
            except StopUnconfirmed as error:
                why = str(error)
                if not target.is_closed:
                    break
        return _unconfirmed(why)

    def _confirm(self, stopped: Stopped) -> StopOutcome:
        missing = stopped.unjournaled
        detail = f"stopped, but not written down: {missing}" if missing else ""
        self._last = StopOutcome(fault_names(stopped.faults), confirmed=True, detail=detail)
        self.wanted = False
        return self._last


def _unconfirmed(why: str) -> StopOutcome:
    return StopOutcome((), confirmed=False, detail=f"{why}; the server goes on trying")
