"""The synchronous client of a server. Never retries, keeps nothing of the boards."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from starlab import calls
from starlab.board import Board
from starlab.call import Call
from starlab.doubts import warn
from starlab.errors import StarlabError
from starlab.http import (
    CONNECT_TIMEOUT_S,
    DEFAULT_URL,
    RequestIds,
    answer_of,
    client_options,
    environment_checked,
    error_of_closing,
    error_of_environment,
    error_of_transport,
    request_arguments,
)
from starlab_contract import Board as BoardInfo
from starlab_contract import FoundBoard, Health, Readiness, Stopped

T = TypeVar("T")


class Client:
    """A connection to a server and its boards; a context manager. Safe to use from threads.

    Args:
        url: Root of the server.
        timeout_s: Longest silence while waiting for an answer; None waits for ever, as learning
            60,000 digits on a real chip takes its time.
        connect_timeout_s: Longest wait for a connection.
        transport: Carries the requests instead of the network, for tests.

    A call that is interrupted (Ctrl-C, any exception of a signal handler) closes its connection:
    the server then stops it at the board's next safe point, and frees the board.

    Attributes:
        url: Root of the server.
        request_ids: What its calls are called, in ``running`` and ``last_call`` of a board too.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = url
        self.request_ids = RequestIds()
        options = client_options(url, timeout_s, connect_timeout_s)
        with environment_checked():
            self._http = httpx2.Client(**options, transport=transport)

    def __enter__(self) -> Self:
        """Nothing to open: connections are made when needed."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def boards(self) -> list[BoardInfo]:
        """All boards that the server knows."""
        return self._send(calls.boards())

    def discover(self, addresses: Sequence[str] = (), *, wait_s: float = 1.0) -> list[FoundBoard]:
        """Look for boards in the server's networks; none of them is connected.

        Args:
            addresses: Where to ask: ``udp://host[:port]`` of one board or of a network (its
                broadcast address), ``eth://interface`` of the server. By default every network.
            wait_s: How long to wait for answers.
        """
        return self._send(calls.discover(addresses, wait_s))

    def health(self) -> Health:
        """That the server lives, and of which version it is."""
        return self._send(calls.health())

    def readiness(self) -> Readiness:
        """Whether all of its boards answer, and the state of each."""
        return self._send(calls.readiness())

    def emergency_stop(
        self, boards: Sequence[str] | None = None
    ) -> dict[str, Stopped | StarlabError]:
        """Switch all drivers of boards off, now; they stay so until cleared.

        They are asked at the same time: one that does not answer keeps no other one waiting.

        Args:
            boards: Their ids; by default all boards of the server.

        Returns:
            What is latched, or why that is not known, by board.
        """
        ids = list(boards or (board.id for board in self.boards()))
        with ThreadPoolExecutor(max_workers=len(ids) or 1) as pool:
            return dict(zip(ids, pool.map(self._stopped, ids), strict=True))

    def _stopped(self, board_id: str) -> Stopped | StarlabError:
        try:
            return self.board(board_id).emergency_stop()
        except StarlabError as error:
            return error

    def board(self, board_id: str) -> Board:
        """The board of that id; asks nobody whether it exists."""
        return Board(board_id, self._send)

    def _send(self, call: Call[T], /) -> T:
        request_id = self.request_ids.begin()
        try:
            response = self._http.request(**request_arguments(call, request_id))
        except httpx2.RequestError as error:
            raise error_of_transport(error, call, self.url) from error
        except UnicodeError as error:
            raise error_of_environment(error) from error
        except (RuntimeError, ValueError, OSError) as error:  # a socket that another thread closed
            if not self._http.is_closed:
                raise
            raise error_of_closing(error, call, self.url) from error
        self.request_ids.end(request_id)
        answer = answer_of(response, call)
        warn(response.headers)
        return call.read(answer)
