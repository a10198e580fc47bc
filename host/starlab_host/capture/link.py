"""A link that writes down what it carries. Alters, delays and loses nothing."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from starlab_host.capture.pcap import Captured, PcapWriter
from starlab_host.links.base import Link

_LOG = logging.getLogger(__name__)


class CapturingLink:
    """Any link, with every datagram of both directions in a capture file.

    A capture that cannot be written any more ends, with a word in the log; the link goes on.

    Args:
        link: Carries the datagrams; closed with this one.
        writer: Takes them down; closed with the link.
        clock: The time of day in seconds, as `time.time` gives it.
    """

    def __init__(self, link: Link, writer: PcapWriter, *, clock: Callable[[], float]) -> None:
        self.payload_bytes = link.payload_bytes
        self.window = link.window
        self._link = link
        self._writer = writer
        self._clock = clock
        self._writing = threading.Lock()
        self._works = True

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Write down, then send."""
        now = self._clock()
        self._note([Captured(now, True, bytes(datagram)) for datagram in datagrams])
        self._link.send(datagrams)

    def receive(self, timeout_s: float) -> bytes | None:
        """Receive, then write down."""
        datagram = self._link.receive(timeout_s)
        if datagram is not None:
            self._note([Captured(self._clock(), False, datagram)])
        return datagram

    def _note(self, several: Sequence[Captured]) -> None:
        with self._writing:
            try:
                for one in several if self._works else ():
                    self._writer.write(one)
            except OSError as error:
                self._works = False
                _LOG.warning("the capture ends here: %s", error.strerror)

    def close(self) -> None:
        """Give the link up."""
        self._link.close()
        self._writer.close()


def captured(link: Link, path: Path) -> CapturingLink:
    """A link whose datagrams are appended to a capture file, with the time of day.

    Raises:
        OSError: The file cannot be written.
        ValueError: It is no capture in the form written here.
    """
    try:
        return CapturingLink(link, PcapWriter.append_to(path), clock=time.time)
    except BaseException:
        link.close()
        raise
