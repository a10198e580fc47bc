"""What a port is, and several ports in the shape of one socket. Knows the type of frames alone."""

import contextlib
import select
import socket
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Final, Protocol

from starlab_spec.wire.frames import FrameType

LONGEST_DATAGRAM_BYTES: Final = 9216
"""More than the longest frame."""
_TYPE_AT: Final = 3
"""Where a frame has its type."""


class Port(Protocol):
    """A connector of the board. It never waits."""

    @property
    def shared(self) -> bool:
        """Whether several hosts, such as all processes of a machine, have one address here."""

    @property
    def url(self) -> str:
        """Where a host finds the board by this cable."""

    def fileno(self) -> int:
        """Readable when something has come."""

    def receive(self) -> Sequence[tuple[bytes, Hashable]]:
        """What one look finds: datagrams, each with the address of its sender.

        Raises:
            OSError: Nothing has come.
        """

    def send(self, datagram: bytes, address: Hashable) -> None:
        """Send a datagram to where one came from.

        Raises:
            OSError: It is lost.
        """

    def close(self) -> None:
        """Close it."""


def is_discover(datagram: bytes) -> bool:
    """Whether a datagram asks who is there: what is for every board that hears it."""
    return datagram[_TYPE_AT : _TYPE_AT + 1] == bytes([FrameType.DISCOVER])


Sender = tuple[Port, Hashable]
"""Where a datagram is from: the port, and the address there."""


class Junction:
    """Several ports as one socket, for one thread; any other may wake it.

    Args:
        ports: At least one; closed with this.
    """

    def __init__(self, ports: Sequence[Port]) -> None:
        self._ports = {port.fileno(): port for port in ports}
        self._arrived: deque[tuple[bytes, Sender | None]] = deque()
        self._alarm, self._alarmed = socket.socketpair()
        self._poll = select.poll()
        for descriptor in (self._alarmed.fileno(), *self._ports):
            self._poll.register(descriptor, select.POLLIN)
        self._timeout_ms = 0.0

    def settimeout(self, timeout_s: float, /) -> None:
        """How long `recvfrom` waits."""
        self._timeout_ms = timeout_s * 1e3

    def recvfrom(self, size: int, /) -> tuple[bytes, Sender | None]:
        """The next datagram, and where it is from; an empty one, from nobody, after `wake`.

        Raises:
            TimeoutError: None came in time.
        """
        arrived = self._arrived
        if not arrived:
            for descriptor, _ in self._poll.poll(self._timeout_ms):
                port = self._ports.get(descriptor)
                if port is None:
                    self._alarmed.recv(size)
                    arrived.append((b"", None))
                else:
                    with contextlib.suppress(OSError):
                        arrived += [(data, (port, sender)) for data, sender in port.receive()]
        if not arrived:
            raise TimeoutError
        return arrived.popleft()

    def sendto(self, datagram: bytes, address: Sender, /) -> None:
        """Send a datagram to where one came from.

        Raises:
            OSError: It is lost.
        """
        port, receiver = address
        port.send(datagram, receiver)

    def wake(self) -> None:
        """Let `recvfrom` return soon. May be called from any thread and from a signal handler."""
        with contextlib.suppress(OSError):
            self._alarm.send(b"!")

    def close(self) -> None:
        """Close it with all ports."""
        for port in self._ports.values():
            port.close()
        self._alarm.close()
        self._alarmed.close()
