"""What a session needs of a link: datagrams out, datagrams in, a close. Knows no frame."""

from collections.abc import Sequence
from typing import Protocol


class Link(Protocol):
    """A way to one board that may lose, repeat and reorder datagrams, but never alters them."""

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send datagrams in this order, as far as the way is open; what is not sent is lost.

        Several threads may call it at once, also while one waits in `receive`.
        """

    def receive(self, timeout_s: float) -> bytes | None:
        """The next datagram from the board; None if none came in that time, or less.

        One thread at a time calls it.
        """

    def close(self) -> None:
        """Give the link up."""
