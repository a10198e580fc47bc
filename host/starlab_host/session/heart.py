"""A board hears of its host although the host is busy: a small process sends what it cannot.

The interpreter runs one thread at a time, and some work keeps all others from running for seconds;
the thread that keeps a session alive is one of them. So a process beside it (`heart_process`) has
the link's socket as well, and sends the session's last STATUS_REQUEST while this one is held up.
Decides nothing about the session.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlab_host.links.base import Outlet
from starlab_spec.wire.frames import KEEPALIVE_S

AT_MOST_S: Final = 30.0
"""How long a host may be held up before its board goes to SAFE after all [O]."""
_EVERY_S: Final = KEEPALIVE_S * 0.75
"""The board has then heard nothing for less than two of the three seconds that it waits."""
_BEAT_S: Final = KEEPALIVE_S / 4
_PROGRAM: Final = Path(__file__).with_name("heart_process.py")
_START_S: Final = 10.0
_LONGEST_WORD: Final = 32
_LOG: Final = logging.getLogger(__name__)


class Heart:
    """Says what to send on a link until there is nothing more to be said.

    Args:
        outlet: Of the link.
        frame: What lets the board hear of this host; None: the session is over.
        every_s: How long this process may be held up before the other one sends.
        at_most_s: How long it sends then.

    Attributes:
        process_id: Of the other process, which ends by itself; 0 until it has begun.
    """

    def __init__(
        self,
        outlet: Outlet,
        frame: Callable[[], bytes | None],
        *,
        every_s: float = _EVERY_S,
        at_most_s: float = AT_MOST_S,
    ) -> None:
        # its own copy: once the link is closed, its number may be another one's
        self._descriptor = os.dup(outlet.descriptor)
        self._packet = outlet.packet
        self._frame = frame
        self._limits = (every_s, at_most_s)
        self._begun = threading.Event()
        self.process_id = 0
        threading.Thread(target=self._beat, name="heart", daemon=True).start()
        self._begun.wait(_START_S)

    def _start(self) -> socket.socket:
        """Start the process; returns where to tell it what to send."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        packet = self._packet
        where = [] if packet is None else [packet[0], str(packet[1]), packet[2].hex()]
        said = [self._descriptor, *self._limits, os.getpid(), *where]
        with theirs:
            starting = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_PROGRAM), *map(str, said)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[self._descriptor],
            )
            starting.wait()
        ours.settimeout(_START_S)
        self.process_id = int(ours.recv(_LONGEST_WORD))
        ours.setblocking(False)
        return ours

    def _beat(self) -> None:
        beats = None
        try:
            beats = self._start()
            self._begun.set()
            while (frame := self._frame()) is not None:
                try:
                    beats.send(frame)
                except BlockingIOError:
                    pass  # it has not read the ones before
                except OSError:
                    _LOG.warning("the process that keeps sessions alive has ended: another begins")
                    beats.close()
                    beats = self._start()
                    beats.send(frame)
                time.sleep(_BEAT_S)
        except Exception as error:  # without it the session lives on, as long as nobody is too busy
            _LOG.warning("a busy host may be missed by its board from now on: %s", error)
        finally:
            self._begun.set()
            if beats is not None:
                beats.close()
            os.close(self._descriptor)


def outlet_of(link: object) -> Outlet | None:
    """Where another process can send a link's datagrams; None: nowhere."""
    outlet = getattr(link, "outlet", None)
    return outlet if isinstance(outlet, Outlet) and sys.platform == "linux" else None
