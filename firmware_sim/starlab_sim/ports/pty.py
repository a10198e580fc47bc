"""A serial line of the emulated board: a pseudo-terminal that a host opens like a device.

Frames are encoded by COBS; what is in them is not known here.
"""

import os
import tty
from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Final

from starlab_spec.wire import cobs

_READ_BYTES: Final = 4096
_HOST: Final = "line"
"""There is one host on a line, if any."""


class PtyPort:
    """A new pseudo-terminal. It stays when a host closes its end.

    Raises:
        OSError: The system gives no pseudo-terminal.
    """

    shared = True

    def __init__(self) -> None:
        self._line, self._host_end = os.openpty()
        tty.setraw(self._host_end)
        os.set_blocking(self._line, False)
        self.url = f"serial://{os.ttyname(self._host_end)}"
        self._deframer = cobs.Deframer()
        self._cut_short = False
        """Whether the last frame went out in part: nobody reads what is on the line."""

    def fileno(self) -> int:
        """Readable when something has come."""
        return self._line

    def receive(self) -> Sequence[tuple[bytes, Hashable]]:
        """The datagrams that what has come completes."""
        received = os.read(self._line, _READ_BYTES)
        return [(datagram, _HOST) for datagram in self._deframer.feed(received)]

    def send(self, datagram: bytes, address: Hashable) -> None:
        """Send a datagram, as far as there is room on the line."""
        frame = cobs.encode(datagram) + cobs.DELIMITER
        if self._cut_short:
            frame = cobs.DELIMITER + frame
        self._cut_short = True
        with suppress(BlockingIOError):
            self._cut_short = os.write(self._line, frame) < len(frame)

    def close(self) -> None:
        """Close both ends."""
        os.close(self._line)
        os.close(self._host_end)
