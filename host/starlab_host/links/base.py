"""What a session needs of a link: datagrams out, datagrams in, a close. Knows no frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from starlab_spec.wire.frames import (
    DEFAULT_WINDOW,
    FRAME_OVERHEAD_BYTES,
    JUMBO_PAYLOAD_BYTES,
    MAX_PAYLOAD_BYTES,
)

LONGEST_DATAGRAM_BYTES: Final = FRAME_OVERHEAD_BYTES + JUMBO_PAYLOAD_BYTES
"""Length of the longest frame."""
_JUMBO_WINDOW: Final = 16
"""So many jumbo frames fit into the receive buffer that Linux gives unless told otherwise [O]."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where another process can send a link's datagrams."""

    descriptor: int
    """The link's socket."""
    packet: tuple[str, int, bytes] | None = None
    """Of a packet socket: interface, type and hardware address of the board; None: connected."""


class Link(Protocol):
    """A way to one board that may lose, repeat and reorder datagrams, but never alters them."""

    @property
    def payload_bytes(self) -> int:
        """Largest payload whose frame this end of the way takes.

        Above 1408 bytes a session proves that the whole way does before it relies on it.
        """

    @property
    def window(self) -> int:
        """Frames in flight that suit the way."""

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


class Address(Protocol):
    """Where a board is. As text it is the URL that a user gives."""

    def open(self) -> Link:
        """A link to the board, which need not be there.

        Raises:
            OSError: There is no way to this address.
        """


def window_for(payload_bytes: int) -> int:
    """Frames in flight that suit a network, by their payload."""
    return DEFAULT_WINDOW if payload_bytes <= MAX_PAYLOAD_BYTES else _JUMBO_WINDOW


def payload_within(datagram_bytes: int) -> int:
    """Largest payload on a way that takes datagrams of so many bytes."""
    if datagram_bytes >= LONGEST_DATAGRAM_BYTES:
        return JUMBO_PAYLOAD_BYTES
    return min(datagram_bytes - FRAME_OVERHEAD_BYTES, MAX_PAYLOAD_BYTES)
