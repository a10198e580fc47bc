"""Threads that wait take turns at reading their link; a small one does while none waits.

The thread that waits for its reply drives the link: one of the waiting threads leads and reads the
link for all, and hands over when its own reply has come. Knows no command: the session does.
"""

import threading
from collections.abc import Callable
from typing import Final

from starlab_host.links.base import Link
from starlab_host.session.outstanding import Outstanding
from starlab_host.session.waiting import Waiter
from starlab_spec.wire.requester.events import RequesterEvent
from starlab_spec.wire.requester.requester import Requester

_LONGEST_WAIT_S: Final = 0.01
"""The leader looks up so often: another thread may have sent something with a nearer deadline."""


class Leading:
    """Moves datagrams between a link and a session's state machine.

    Args:
        link: Where datagrams come from and go to.
        requester: The state machine.
        outstanding: The threads that wait.
        clock: The time in seconds; never set back.
        on_event: Told what has happened; the lock is held.
        on_failure: Told that the code here has failed, so that nobody waits for ever; likewise.

    Attributes:
        lock: Guards the state machine and who waits.
        over: Whether the session is, so that there is nothing to be kept alive.
    """

    def __init__(
        self,
        link: Link,
        requester: Requester,
        outstanding: Outstanding,
        clock: Callable[[], float],
        *,
        on_event: Callable[[RequesterEvent, float], None],
        on_failure: Callable[[Exception, float], None],
    ) -> None:
        self.lock = threading.Lock()
        self.over = False
        self._outstanding = outstanding
        self._link = link
        self._requester = requester
        self._clock = clock
        self._on_event = on_event
        self._on_failure = on_failure
        self._reading = threading.Lock()
        """Held by the one thread that reads the link."""

    def wait(self, waiter: Waiter) -> None:
        """Lead, or let another thread lead, until there is something new for this waiter.

        One with a time limit may find nothing new.
        """
        while not waiter.stirred and not waiter.is_late(self._clock):
            if self._reading.acquire(blocking=False):
                try:
                    self._lead(waiter)
                finally:
                    self._reading.release()
                    if len(self._outstanding) > 1:
                        with self.lock:
                            self._outstanding.rouse_another()
            else:
                waiter.sleep(self._clock)
        waiter.stirred = False

    def turn(self, now: float) -> None:
        """Tell the waiters what has happened, and send what is to be sent; with the lock held."""
        try:
            for event in self._requester.events():
                self._on_event(event, now)
            datagrams = self._requester.datagrams(now)
            if datagrams:
                self._link.send(datagrams)
        except Exception as error:  # a defect: who waits must learn it
            self._on_failure(error, now)

    def _lead(self, waiter: Waiter) -> None:
        """Read the link for all until there is something new for this waiter."""
        requester, receive, clock = self._requester, self._link.receive, self._clock
        now = clock()
        try:
            with self.lock:
                deadline = requester.deadline()
            while not waiter.stirred:
                wait_s = (
                    _LONGEST_WAIT_S if deadline is None else min(deadline - now, _LONGEST_WAIT_S)
                )
                datagram = receive(wait_s if wait_s > 0 else 0.0)
                with self.lock:
                    now = clock()
                    if datagram is not None:
                        requester.receive(datagram, now)
                    if deadline is not None and now >= deadline:
                        requester.expire(now)
                    self.turn(now)
                    deadline = requester.deadline()
                if waiter.until is not None and now >= waiter.until:
                    return
        except Exception as error:  # a defect: all who wait must learn it
            with self.lock:
                self._on_failure(error, clock())

    def look_after(self) -> bool:
        """While nobody waits: answer the board, let it hear of this host; whether to go on."""
        if self._reading.acquire(blocking=False):
            try:
                self._drain()
            except Exception as error:  # a defect: the session must not end in silence
                with self.lock:
                    self._on_failure(error, self._clock())
            finally:
                self._reading.release()
                with self.lock:
                    self._outstanding.rouse_another()
        return not self.over

    def _drain(self) -> None:
        """Take in all that has come, without waiting, and do what is due."""
        while (datagram := self._link.receive(0.0)) is not None:
            with self.lock:
                self._requester.receive(datagram, self._clock())
        with self.lock:
            now = self._clock()
            self._requester.expire(now)
            self.turn(now)
