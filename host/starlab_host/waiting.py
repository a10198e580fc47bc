"""A thread that waits for something to come in on a session. Reads no link."""

import threading
from dataclasses import dataclass

from starlab_host.errors import StarlabHostError
from starlab_spec.wire.frames import BoardStatus, Event


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a command in execution is."""

    done: int
    total: int
    """0 where the amount is not known."""
    text: str


class Waiter:
    """A thread that waits for something to come in.

    Attributes:
        outcome: What it waits for, or why that will not come; None until then.
        message_id: The command whose reply it waits for, if that is it.
        request: Number of the request whose STATUS it waits for, if that is it.
        news: Progress that it has not seen yet.
        stirred: Whether it should look at them.
        wake: Held while the thread may sleep.
    """

    __slots__ = ("message_id", "news", "outcome", "request", "stirred", "wake")

    def __init__(self) -> None:
        self.message_id: int | None = None
        self.request: int | None = None
        self.outcome: bytes | BoardStatus | StarlabHostError | None = None
        self.news: list[Event] = []
        self.stirred = False
        self.wake = threading.Lock()
        self.wake.acquire()

    def stir(self, outcome: bytes | BoardStatus | StarlabHostError | None = None) -> None:
        """Something has come; the first outcome counts."""
        if self.outcome is None:
            self.outcome = outcome
        self.stirred = True
        self.rouse()

    def rouse(self) -> None:
        """Let the thread look around, if it sleeps."""
        if self.wake.locked():
            self.wake.release()
