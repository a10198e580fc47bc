"""What a thread asks of a session, and how it waits for the answer. Reads no link."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from starlab_host.errors import StarlabHostError
from starlab_spec.foreign_text import shown_text
from starlab_spec.wire.frames import BoardStatus, Event
from starlab_spec.wire.transactions import Transaction

BeforeSending = Callable[[int, bytes], None]
"""Told the message id and the payload of a command that has not been sent yet."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command in execution is."""

    done: int
    total: int
    """0 where the amount is not known."""
    text: str


class Stop:
    """Asks one call to stop at its next safe point. Any thread may ask; nothing takes it back.

    Attributes:
        requested: Whether somebody has asked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None
        self.requested = False

    def request(self) -> None:
        """Ask."""
        with self._lock:
            self.requested = True
            wake = self._wake
        if wake is not None:
            wake()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call something when the stop is asked for within a block: one block at a time."""
        with self._lock:
            self._wake = wake
        try:
            yield
        finally:
            with self._lock:
                self._wake = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """A board that has confirmed an emergency stop."""

    faults: int
    """Its register FAULTS, read after the stop."""
    message_id: int
    """Under which it was stopped; 0 where commands are not numbered."""
    unjournaled: str = ""
    """Why the stop is not in the journal; empty: it is, or there is none."""


class Call(NamedTuple):
    """A command as its caller asks for it. A named tuple, as one is made for every command."""

    transactions: Sequence[Transaction]
    payload: bytes
    flags: int = 0
    urgent: bool = False
    """It goes before everything else."""
    again: int = 0
    """Message id under which it has been executed before: only its reply is wanted."""
    before_sending: BeforeSending | None = None
    on_progress: Callable[[Progress], None] | None = None
    stop: Stop | None = None
    """Stops it, and nothing else, while it runs."""

    def tell(self, news: Sequence[Event]) -> None:
        """Let the caller know how far the command is."""
        if self.on_progress is not None:
            for event in news:
                self.on_progress(Progress(event.done, event.total, shown_text(event.text)))


class Waiter:
    """A thread that waits for something to come in.

    Attributes:
        outcome: What it waits for, or why that will not come; None until then.
        message_id: The command whose reply it waits for, if that is it.
        request: Number of the request whose STATUS it waits for, if that is it.
        news: Progress that it has not seen yet.
        stirred: Whether it should look at them.
        until: When it stops waiting, in seconds; None: it has no time limit.
        was_hit: Whether an abort that was meant for another command may have stopped this one.
        wake: Held while the thread may sleep.
    """

    __slots__ = ("message_id", "news", "outcome", "request", "stirred", "until", "wake", "was_hit")

    def __init__(self, until: float | None = None) -> None:
        self.until = until
        self.message_id: int | None = None
        self.request: int | None = None
        self.outcome: bytes | BoardStatus | StarlabHostError | None = None
        self.news: list[Event] = []
        self.stirred = False
        self.was_hit = False
        self.wake = threading.Lock()
        self.wake.acquire()

    def stir(self, outcome: bytes | BoardStatus | StarlabHostError | None = None) -> None:
        """Something has come; the first outcome counts."""
        if self.outcome is None:
            self.outcome = outcome
        self.stirred = True
        self.rouse()

    def take_news(self) -> list[Event]:
        """The progress that it has not seen yet."""
        news, self.news = self.news, []
        return news

    def is_late(self, clock: Callable[[], float]) -> bool:
        """Whether its time limit is over."""
        return self.until is not None and clock() >= self.until

    def sleep(self, clock: Callable[[], float]) -> None:
        """Sleep until somebody rouses it, or its time limit is over."""
        if self.until is None:
            self.wake.acquire()
        else:
            self.wake.acquire(timeout=max(self.until - clock(), 0.0))

    def rouse(self) -> None:
        """Let the thread look around, if it sleeps."""
        if self.wake.locked():
            self.wake.release()
