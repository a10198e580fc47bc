"""Where a command stands by its message id when it arrives at the board. Decides nothing."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Standing(IntEnum):
    """Where a command stands. `MEANINGS` has the sentences."""

    NEXT = 1
    HELD = 2
    AHEAD = 3
    OUTSIDE = 4
    EXECUTING = 5
    ANSWERED = 6
    FORGOTTEN = 7


MEANINGS: Final[Mapping[Standing, str]] = {
    Standing.NEXT: "The one to execute next.",
    Standing.HELD: "Ahead, and already here.",
    Standing.AHEAD: "Ahead, inside the window.",
    Standing.OUTSIDE: "Ahead, outside the window.",
    Standing.EXECUTING: "Being executed.",
    Standing.ANSWERED: "Answered, and the reply is known.",
    Standing.FORGOTTEN: "Answered so long ago that the reply is forgotten.",
}
NEW: Final = frozenset({Standing.NEXT, Standing.AHEAD})
"""It comes for the first time."""
KNOWN: Final = frozenset({Standing.HELD, Standing.EXECUTING, Standing.ANSWERED})
"""The board knows the request that it must be: another one under the same id is refused."""
