"""What keeps a board from doing too much for those who ask: memory and rate that have an end."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """The latest entries of a table, and no more than so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: dict[Key, Value] = {}

    def put(self, key: Key, value: Value) -> None:
        """Make an entry the latest; the oldest makes room."""
        self._entries.pop(key, None)
        self._entries[key] = value
        if len(self._entries) > self._most:
            del self._entries[next(iter(self._entries))]

    def get(self, key: Key) -> Value | None:
        """The value of an entry; None: there is none, or none any more."""
        return self._entries.get(key)


class Rate:
    """So many a second, and as many in one burst."""

    def __init__(self, per_s: float) -> None:
        self._per_s = self._left = per_s
        self._at = 0.0

    def allows(self, now: float) -> bool:
        """Whether one more may be; then it counts."""
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        allowed = self._left >= 1
        self._left -= allowed
        return allowed
