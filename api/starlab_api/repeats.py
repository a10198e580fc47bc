"""A log that cannot be flooded: what repeats is counted, not written. Knows nobody who writes."""

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final, TextIO

from starlab_spec.foreign_text import shown_text

_FIRST: Final = 3
"""As many of the same are written in a window."""
_LINES: Final = 100
"""As many are written in a window in all."""
_WINDOW_S: Final = 10.0
_LONGEST: Final = 4000
"""Characters of a line."""
_OTHERS: Final = "other messages"


class OneLine(logging.Formatter):
    """Writes a message as one line, whoever it quotes, and a traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - of the base class
        """The line."""
        record.message = shown_text(record.message, _LONGEST)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - of the base class
        """The traceback, line by line."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(shown_text(line, _LONGEST) for line in lines)


class CountingHandler(logging.StreamHandler[TextIO]):
    """Writes the first few of equal records; at the end of a window, how many more there were.

    Args:
        stream: Where to.
        clock: Seconds, from whenever.
        window_s: Length of a window.
    """

    def __init__(
        self, stream: TextIO, clock: Callable[[], float], *, window_s: float = _WINDOW_S
    ) -> None:
        super().__init__(stream)
        self._clock = clock
        self._window_s = window_s
        self._began_s: float | None = None
        self._seen: Counter[str] = Counter()
        self._unwritten: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or count it."""
        self.tell()
        if self._began_s is None:
            self._began_s = self._clock()
        message = f"{record.levelname} {record.name}: {record.getMessage()}"
        if self._seen.total() < _LINES and self._seen[message] < _FIRST:
            self._seen[message] += 1
            super().emit(record)
        else:
            self._unwritten[message if message in self._seen else _OTHERS] += 1

    def tell(self, *, now: bool = False) -> None:
        """Say what was counted, if the window is over, or now."""
        with self.lock or nullcontext():
            if self._began_s is None:
                return
            elapsed_s = self._clock() - self._began_s
            if elapsed_s < self._window_s and not now:
                return
            unwritten, self._unwritten = self._unwritten, Counter()
            self._seen.clear()
            self._began_s = None
            for message, count in unwritten.items():
                line = shown_text(message.partition("\n")[0], _LONGEST)
                self.stream.write(f"... {count} more in the last {elapsed_s:.0f} s: {line}\n")
            self.flush()

    def close(self) -> None:
        """Say what was counted last."""
        self.tell(now=True)
        super().close()
