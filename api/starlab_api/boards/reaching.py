"""One connection, made when it is needed, which all who need it meanwhile wait for.

Knows not what it is a connection to. Repeats nothing: who finds it lost asks for the next one.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What a connection must have."""

    @property
    def is_closed(self) -> bool:
        """Whether it is lost, so that only a new one helps."""

    def close(self) -> None:
        """Give it up; of one that is lost, what it holds."""


C = TypeVar("C", bound=Closable)


class Reaching(Generic[C]):
    """The connection, or the attempt to make one. Any thread may call any method.

    Args:
        meet: Makes a connection, on a thread of the attempt's own.
    """

    def __init__(self, meet: Callable[[], C]) -> None:
        self._meet = meet
        self._lock = threading.Lock()
        self._attempt: Future[C] | None = None
        self._connection: C | None = None
        self._closed = False

    @property
    def connection(self) -> C | None:
        """The connection, if there is one that is not known to be lost."""
        connection = self._connection
        return None if connection is None or connection.is_closed else connection

    def reach(self) -> "Future[C]":
        """The attempt that is under way, or that begins now; or the connection that there is."""
        with self._lock:
            attempt, before = self._attempt, self._connection
            if before is not None and not before.is_closed:
                attempt = Future()
                attempt.set_result(before)
            elif attempt is None:
                attempt = Future()
                threading.Thread(target=self._try, args=[attempt, before], daemon=True).start()
                self._attempt, self._connection = attempt, None
            return attempt

    def drop(self, connection: C) -> None:
        """Give a connection up; the next one may be made at once."""
        with self._lock:
            if self._connection is connection:
                self._connection = None
        connection.close()

    def close(self) -> None:
        """Make no connection any more; one that is being made is given up as soon as it is."""
        with self._lock:
            self._closed = True
        if self._connection is not None:
            self.drop(self._connection)

    def _try(self, attempt: "Future[C]", before: C | None) -> None:
        """One attempt; the connection before, whose end was not noticed yet, is closed first."""
        try:
            if before is not None:
                before.close()
            connection = self._meet()
        except BaseException as error:  # whatever it is, those who wait must learn it
            with self._lock:
                self._attempt = None
            attempt.set_exception(error)
            return
        with self._lock:
            self._attempt, self._connection = None, connection
            closed = self._closed
        attempt.set_result(connection)
        if closed:
            self.drop(connection)
