"""A thread that looks at something now and then until it is stopped. Knows not what."""

import threading
from collections.abc import Callable
from typing import Final

from starlab_spec.wire.frames import KEEPALIVE_S

_STEP_S: Final = KEEPALIVE_S / 4


class IdleThread:
    """Calls a function again and again.

    Args:
        look: The function; returns whether to go on.
    """

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keepalive", daemon=True)
        self._started = False

    def start(self) -> None:
        """Begin; once."""
        self._started = True
        self._thread.start()

    def stop(self) -> None:
        """End, as often as one likes and from any thread; returns when it has ended."""
        self._over.set()
        if self._started and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_STEP_S) and self._look():
            pass
