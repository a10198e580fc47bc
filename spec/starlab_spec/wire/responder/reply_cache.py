"""The memory that makes commands execute once: requests answered, and what was answered.

Decides nothing: the board's session asks it and acts.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

CACHED_WINDOWS: Final = 4
"""The cache holds so many times the window."""


@dataclass(slots=True)
class CachedReply:
    """What was answered to one command."""

    request_key: int
    """Tells requests under the same message id apart."""
    reply: bytes
    read_only: bool
    """May be executed again instead of being remembered."""
    confirmed: bool = False
    """Whether the host has the reply for certain."""


class ReplyCache:
    """Replies by message id, in the order of execution.

    Args:
        window: Window of the session; the cache holds four times as many replies.
    """

    def __init__(self, window: int) -> None:
        self.capacity = CACHED_WINDOWS * window
        self._replies: dict[int, CachedReply] = {}
        self._unconfirmed: deque[int] = deque()

    def get(self, message_id: int) -> CachedReply | None:
        """The reply to a command, if it is still known."""
        return self._replies.get(message_id)

    def make_room(self) -> bool:
        """Evict what may go until one more reply fits; whether it does.

        A reply that the host may still miss stays, unless its command may be executed again.
        """
        while len(self._replies) >= self.capacity:
            dispensable = (
                number
                for number, cached in self._replies.items()
                if cached.confirmed or cached.read_only
            )
            oldest = next(dispensable, None)
            if oldest is None:
                return False
            del self._replies[oldest]
        return True

    def add(self, message_id: int, cached: CachedReply) -> None:
        """Remember a reply; its message id is higher than all before."""
        self._replies[message_id] = cached
        self._unconfirmed.append(message_id)

    def confirm(self, message_id: int) -> None:
        """The host has this reply, hence all before it. Those of reads are not needed any more."""
        while self._unconfirmed and self._unconfirmed[0] <= message_id:
            number = self._unconfirmed.popleft()
            cached = self._replies.get(number)
            if cached is None:
                continue
            if cached.read_only:
                del self._replies[number]
            else:
                cached.confirmed = True
