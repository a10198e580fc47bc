"""Who waits for what of a session: replies, states, the end. Reads no link; its owner locks it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from starlab_host.errors import StarlabHostError
from starlab_host.session.chip_changes import changes_chip
from starlab_host.session.waiting import Waiter
from starlab_spec.wire.frames import BoardStatus, Event, EventKind
from starlab_spec.wire.requester.events import (
    Opened,
    Replied,
    Reported,
    RequesterEvent,
    StatusCame,
)
from starlab_spec.wire.transactions import Transaction


class Outstanding:
    """The waiters of a session, and the commands that have no reply yet."""

    def __init__(self) -> None:
        self._waiters: Final[list[Waiter]] = []
        self._commands: Final[dict[int, tuple[Sequence[Transaction], Waiter]]] = {}
        self._patient: Final[set[Waiter]] = set()
        """Those that are to stop, but not yet: an abort would hit another command as well."""

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiters)

    @property
    def asked(self) -> Mapping[int, Sequence[Transaction]]:
        """What each command asks, by message id."""
        return {number: transactions for number, (transactions, _) in self._commands.items()}

    def join(self, waiter: Waiter, transactions: Sequence[Transaction] = ()) -> None:
        """Somebody waits from now on; for the reply of a command where it has a message id."""
        self._waiters.append(waiter)
        if waiter.message_id is not None:
            self._commands[waiter.message_id] = (transactions, waiter)

    def add_unwatched(self, message_id: int, transactions: Sequence[Transaction]) -> None:
        """A command whose reply nobody waits for: forgotten when that has come."""
        self._commands[message_id] = (transactions, Waiter())

    def leave(self, waiter: Waiter) -> None:
        """Somebody waits no longer."""
        self._waiters.remove(waiter)
        if waiter.message_id is not None:
            del self._commands[waiter.message_id]
        self._patient.discard(waiter)
        for other in self._patient:
            other.stir()
        self.rouse_another()

    def rouse_another(self) -> None:
        """Nobody leads now: let a waiting thread find out."""
        for waiter in self._waiters:
            if not waiter.stirred:
                waiter.rouse()
                return

    def take(self, event: RequesterEvent) -> None:
        """Something has come: whoever waits for it is told."""
        match event:
            case Replied():
                self._replied(event.message_id, event.payload)
            case Reported():
                if event.event.kind is EventKind.PROGRESS:
                    self._reported(event.message_id, event.event)
            case StatusCame():
                self._told(event.status, event.request)
            case Opened():
                for waiter in self._waiters:
                    waiter.stir()

    def _replied(self, message_id: int, payload: bytes) -> None:
        """A reply has come."""
        if message_id in self._commands:
            _, waiter = self._commands[message_id]
            waiter.stir(payload)
            if waiter.message_id is None:
                del self._commands[message_id]

    def _reported(self, message_id: int, news: Event) -> None:
        """News of a command that takes long have come."""
        if message_id in self._commands:
            _, waiter = self._commands[message_id]
            waiter.news.append(news)
            waiter.stir()

    def _told(self, status: BoardStatus, request: int) -> None:
        """The board's state has come, after a request of that number; 0: any."""
        for waiter in self._waiters:
            if waiter.request is not None and waiter.request <= (request or waiter.request):
                waiter.stir(status)

    def fail(self, failure: Callable[[int | None], StarlabHostError]) -> None:
        """The session is over: each waiter is told so, by its message id."""
        for waiter in self._waiters:
            waiter.stir(failure(waiter.message_id))

    def may_abort(self, waiter: Waiter) -> bool:
        """Whether an ABORT that is sent now hurts no command but that of one waiter.

        An ABORT stops what the board executes when it comes, and what was submitted before it and
        waits. So all other such commands must be harmless: they are marked, as one that is hit has
        to be sent again. Otherwise the waiter is stirred when this may have changed.
        """
        others = [asked for asked in self._commands.values() if asked[1] is not waiter]
        if any(changes_chip(transactions) for transactions, _ in others):
            self._patient.add(waiter)
            return False
        for _, other in others:
            other.was_hit = True
        return True
