"""What the journal keeps, as values. Reads and writes nothing."""

from collections.abc import Container
from dataclasses import dataclass, field, replace
from enum import StrEnum


class EntryState(StrEnum):
    """What is known of a command.

        sent ──┬── done         the board executed all of it
               ├── refused      the board refused a transaction of it; those before were executed.
               │                An operation that was stopped or has tripped was executed as far as
               │                the detail says
               ├── not_sent     it was never executed, and never will be under this message id
               └── unknown      it may have been executed: read back
                      └── resolved   somebody has read back; `acknowledge` says so

    An unknown entry becomes done, refused or not_sent if its session can be resumed after all.
    """

    SENT = "sent"
    DONE = "done"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that changes the chip, as the journal keeps it."""

    number: int
    """Counts the entries of the journal."""
    serial: str
    """Of the board."""
    boot_id: int
    session_id: int
    message_id: int
    state: EntryState
    status: int | None
    """The board's word, where it gave one: of the last result."""
    executed: int | None
    """Transactions that were executed in full, where the board has answered."""
    detail: str
    """Why it is in this state, for people; may be empty."""
    description: str
    """Its transactions in a few words."""
    note: str
    """What its sender called it: see :meth:`Journal.noted`."""
    written_at: float
    """Seconds since 1970; shortly before it was sent."""
    settled_at: float | None
    """Seconds since 1970; None while it is not settled."""
    request: bytes | None = field(repr=False)
    """Its transactions as sent; None if they were too long to keep or are not needed any more."""


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as the journal knows it."""

    serial: str
    boot_id: int
    session_id: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of the commands that were in flight when a host lost its session."""

    resumed: bool = False
    """Whether the board still knew the session."""
    executed: tuple[Entry, ...] = ()
    """The board has executed or refused them; their states say which."""
    not_sent: tuple[Entry, ...] = ()
    """Never executed. Who still wants them may send them, as new commands."""
    unknown: tuple[Entry, ...] = ()
    """In doubt: read back, then :meth:`Journal.acknowledge`."""

    def without(self, resolved: Container[int]) -> "Recovery":
        """The same, but for entries of these numbers, which are in doubt no longer."""
        left = tuple(entry for entry in self.unknown if entry.number not in resolved)
        return replace(self, unknown=left)
