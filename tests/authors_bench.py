"""An emulated board of this process on UDP and on the authors' protocol, by loopback sockets."""

import random
import threading
from types import TracebackType
from typing import Self

from starlab_sim import Board, Specimen
from starlab_sim.authors import AuthorsServer, listener
from starlab_sim.ports import UdpPort
from starlab_sim.serving.server import BoardServer


class AuthorsBench:
    """Both servers, on threads, and the board behind them.

    Attributes:
        board: The emulated board, to look behind the protocols.
        url: Its address on the authors' protocol.
        udp_url: Its address on ours.
    """

    def __init__(self, specimen: Specimen) -> None:
        self.board = Board(specimen, serial="EMU-1", rng=random.Random(1))
        port = UdpPort("127.0.0.1", 0)
        self.udp_url = port.url
        self._server = BoardServer(self.board, [port], rng=random.Random(2))
        self._authors = AuthorsServer(self.board, listener("127.0.0.1", 0), owner=self._server)
        self.url = self._authors.url
        self._thread = threading.Thread(target=self._server.serve)

    def __enter__(self) -> Self:
        """Begin to serve."""
        self._thread.start()
        self._authors.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End both servers."""
        self._authors.stop()
        self._server.stop()
        self._thread.join(10)
        assert not self._thread.is_alive()
