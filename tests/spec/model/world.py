"""The state of a modelled world: host, board, network, and what was really executed. Does nothing.

Commands are numbered 0, 1, ... in the order in which somebody wants them executed; a message id is
what a session calls one of them.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple


class Verdict(Enum):
    """What somebody is told about a command."""

    DONE = "executed"
    REFUSED = "not executed"
    UNKNOWN = "outcome unknown"


class Status(IntEnum):
    """What a REPLY says."""

    OK = 0
    ID_REUSED = 6
    TOO_OLD = 7


class Place(NamedTuple):
    """A session: the boot of the board, and which session of that boot it is, from 1."""

    boot: int
    session: int


class Sent(NamedTuple):
    """A command under the message id that it was sent with."""

    id: int
    command: int


@dataclass(frozen=True, slots=True)
class Command:
    """A COMMAND on the wire."""

    place: Place
    life: int
    """How often the session had been resumed: sequence numbers of frames tell."""
    id: int
    command: int
    confirmed: int
    """The host had all replies up to this id: the acknowledgement in every header."""

    def __str__(self) -> str:
        """For traces."""
        return f"board receives command {self.command} as id {self.id}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A REPLY on the wire."""

    place: Place
    life: int
    id: int
    status: Status

    def __str__(self) -> str:
        """For traces."""
        return f"host receives the reply {self.status.name} to id {self.id}"


@dataclass(frozen=True, slots=True)
class Confirm:
    """A cumulative acknowledgement on the wire: the host has all replies up to this id."""

    place: Place
    life: int
    id: int

    def __str__(self) -> str:
        """For traces."""
        return f"board learns that the host has the replies up to id {self.id}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A NAK on the wire: the session is not known to the board, whose boot is this."""

    place: Place
    boot: int

    def __str__(self) -> str:
        """For traces."""
        return "host learns that its session is not known to the board"


Message = Command | Reply | Confirm | Refusal


class Host(NamedTuple):
    """The host's memory."""

    place: Place | None = None
    life: int = 0
    next_id: int = 1
    outstanding: tuple[Sent, ...] = ()
    """What has no reply yet; if there is a journal, it holds the same."""
    first_id: int = 1
    """The first id that it sent, or will send, in this life."""
    has: frozenset[int] = frozenset()
    """Ids whose replies it has received in this life."""

    @property
    def confirmed(self) -> int:
        """Id of the last reply before which none is missing; 0 for none."""
        confirmed = 0
        for id_ in range(self.first_id, self.next_id):
            if id_ not in self.has:
                break
            confirmed = id_
        return confirmed


class Cached(NamedTuple):
    """A reply in the board's cache."""

    id: int
    command: int
    confirmed: bool


class Board(NamedTuple):
    """The board's memory."""

    boot: int = 0
    session: int = 0
    is_open: bool = False
    life: int = 0
    next_id: int = 1
    cache: tuple[Cached, ...] = ()
    held: frozenset[Sent] = frozenset()
    executing: Sent | None = None
    asked: bool = False
    """Whether the host has asked for what is executing since it last resumed."""

    @property
    def place(self) -> Place:
        """Its session."""
        return Place(self.boot, self.session)


class Executed(NamedTuple):
    """A fact about the chip, which nobody in the world can look up."""

    place: Place
    id: int
    command: int


class World(NamedTuple):
    """Everything."""

    host: Host = Host()
    board: Board = Board()
    network: frozenset[Message] = frozenset()
    """All that was ever sent. Any of it may arrive, now or later, again, or never."""
    executed: tuple[Executed, ...] = ()
    verdicts: tuple[Verdict | None, ...] = ()
    """One for each command that was sent; None while the host still works on it."""
    sessions: int = 0
    host_crashes: int = 0
    board_crashes: int = 0


class Happening(Enum):
    """What can happen apart from the arrival of a message."""

    OPENS = "host opens a session"
    SENDS = "host sends a command"
    GIVES_UP = "host gives up"
    BEGINS = "board begins the next command"
    COMPLETES = "board completes the command"
    RESTARTS = "board restarts"
    ANEW = "host crashes and begins anew"
    RESUMES = "host crashes and resumes its session by its journal"
    RESUMES_BLINDLY = "host crashes and resumes its session without a journal"

    def __str__(self) -> str:
        """For traces."""
        return self.value


FAILURES = frozenset(
    {
        Happening.GIVES_UP,
        Happening.RESTARTS,
        Happening.ANEW,
        Happening.RESUMES,
        Happening.RESUMES_BLINDLY,
    }
)
"""What a good day does without."""

Event = Message | Happening


def settled(world: World) -> bool:
    """Whether there is a verdict on every command that was sent."""
    return all(verdict is not None for verdict in world.verdicts)


def broken(world: World) -> str | None:
    """What is wrong with a world; None if nothing. This is the promise of the protocol in full.

    Each command is executed at most once; within a session in order; and no verdict is wrong.
    """
    counts = [0] * len(world.verdicts)
    for _, _, command in world.executed:
        counts[command] += 1
    for command, (count, verdict) in enumerate(zip(counts, world.verdicts, strict=True)):
        if count > 1:
            return f"command {command} was executed {count} times"
        if verdict is Verdict.REFUSED and count:
            return f"command {command} was executed, and reported as not executed"
        if verdict is Verdict.DONE and not count:
            return f"command {command} was never executed, and reported as executed"
    upcoming: dict[Place, int] = {}
    for place, id_, _ in world.executed:
        if id_ != upcoming.get(place, 1):
            return f"id {id_} was executed when id {upcoming.get(place, 1)} was next"
        upcoming[place] = id_ + 1
    return None
