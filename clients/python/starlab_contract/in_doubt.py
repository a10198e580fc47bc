"""Commands that a crash caught in flight: what became of them. Never how the board is."""

from datetime import datetime
from enum import StrEnum

from starlab_contract.base import ReplyBody


class CommandState(StrEnum):
    """What is known of a command that changes the chip."""

    SENT = "sent"
    """In flight when the board was lost; it is asked when it answers again."""
    DONE = "done"
    REFUSED = "refused"
    """The board refused it; transactions before the refused one were executed."""
    NOT_SENT = "not_sent"
    """Never executed."""
    UNKNOWN = "unknown"
    """It may have been executed: read back, then acknowledge."""
    RESOLVED = "resolved"
    """Was unknown, and was acknowledged."""


class JournaledCommand(ReplyBody):
    """A command to a board, as the server's journal keeps it."""

    entry: int
    """Its number in the journal of the board."""
    state: CommandState
    detail: str
    """Why; may be empty."""
    call: str
    """The REST call that it belongs to; empty where it is the server's own."""
    what: str
    """Its transactions in a few words."""
    written_at: datetime
    """Shortly before it was sent."""
    serial: str
    """Of the board that it was sent to."""
    boot_id: int
    """Of that board, at that time."""
    message_id: int


class Recovered(ReplyBody):
    """What became of the commands that were in flight when the server last lost the board."""

    resumed: bool
    """Whether the board still knew the server's session."""
    executed: list[JournaledCommand]
    """Executed once, or refused."""
    not_sent: list[JournaledCommand]
    """Never executed: who still wants them may ask again."""
    unknown: list[JournaledCommand]
    """In doubt."""
