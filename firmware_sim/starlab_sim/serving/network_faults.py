"""A bad network around an emulated board, on request: datagrams are lost, doubled, late, damaged.

Knows no frame. Nothing here is in the way while the network is good.
"""

import contextlib
import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from starlab_spec.errors import LimitExceeded

PROBABILITY_MAX: Final = 0.9
"""Of what does no harm to the datagram."""
DESTROYED_MAX: Final = 0.3
"""More lost or damaged, and what makes the network good again would not get through."""
DELAY_MAX_S: Final = 0.5
"""Likewise: a host gives up a session whose answers take many seconds."""
UNDER_WAY_MAX: Final = 4096
"""Datagrams that a bad network holds at most; more are lost."""
_LATE_S: Final = (0.001, 0.004)
"""A datagram that others may overtake is held back for so long, at least and at most [O]."""
_SHORTEST_WAIT_S: Final = 0.0001


@dataclass(frozen=True, slots=True)
class NetworkFaults:
    """What happens to the datagrams, in both directions; all but the delay are probabilities."""

    loss: float = 0.0
    """A datagram disappears."""
    duplication: float = 0.0
    """It comes twice."""
    reordering: float = 0.0
    """It is held back, so that later ones overtake it."""
    corruption: float = 0.0
    """One of its bits is turned."""
    delay_s: float = 0.0
    """Every datagram takes so long, each way."""
    seed: int = 0
    """Decides which datagrams fare how."""

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        for name in ("duplication", "reordering"):
            _check(f"network {name}", getattr(self, name), PROBABILITY_MAX, "")
        for name in ("loss", "corruption"):
            _check(f"network {name}", getattr(self, name), DESTROYED_MAX, "")
        destroyed = self.loss + self.corruption - self.loss * self.corruption
        _check("network loss and corruption together", destroyed, DESTROYED_MAX, "")
        _check("network delay_s", self.delay_s, DELAY_MAX_S, "s")

    @property
    def any(self) -> bool:
        """Whether there is anything bad about it."""
        return self != NetworkFaults(seed=self.seed)


def _check(name: str, value: float, high: float, unit: str) -> None:
    if not 0 <= value <= high:
        raise LimitExceeded(name, value, 0 if value < 0 else high, unit)


class Network:
    """How the network is: good, until it is told otherwise. Any thread may tell it.

    Args:
        clock: The time in seconds; never set back.

    Attributes:
        clock: The same.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._now = NetworkFaults(), random.Random(0)
        self._faulty = False
        self._stalled_until = 0.0

    @property
    def bad(self) -> bool:
        """Whether datagrams have to go through :meth:`carry`."""
        return self._faulty or (self._stalled_until > 0 and self.clock() < self._stalled_until)

    def change(self, faults: NetworkFaults) -> None:
        """Be like this from now on; the seed begins anew."""
        self._now = faults, random.Random(faults.seed)
        self._faulty = faults.any

    def stall(self, duration_s: float) -> None:
        """Let nothing through for a while; what comes meanwhile comes then, all at once."""
        self._stalled_until = self.clock() + duration_s

    def carry(self, datagram: bytes) -> Iterator[tuple[float, bytes]]:
        """The copies of a datagram that arrive, each with the time when it does."""
        (faults, rng), now = self._now, self.clock()
        if rng.random() < faults.loss:
            return
        for _ in range(2 if rng.random() < faults.duplication else 1):
            late_s = rng.uniform(*_LATE_S) if rng.random() < faults.reordering else 0.0
            damaged = rng.random() < faults.corruption
            due = max(now + faults.delay_s + late_s, self._stalled_until)
            yield due, _turned(datagram, rng) if damaged else datagram


def _turned(datagram: bytes, rng: random.Random) -> bytes:
    """The same with one bit turned."""
    bit = rng.randrange(8 * len(datagram))
    number = int.from_bytes(datagram, "big") ^ 1 << bit
    return number.to_bytes(len(datagram), "big")


_UnderWay = tuple[float, int, bytes, Any]
"""When a datagram is due, in which order, itself, and its address."""


class DatagramSocket(Protocol):
    """What a server needs of its socket."""

    def recvfrom(self, size: int, /) -> tuple[bytes, Any]:
        """The next datagram and its sender; raises OSError if none came in time."""

    def sendto(self, datagram: bytes, address: Any, /) -> object:
        """Send a datagram."""

    def settimeout(self, timeout_s: float, /) -> None:
        """How long `recvfrom` waits."""


class FaultySocket:
    """A socket as seen through a network. An empty datagram, which is no frame, always passes.

    One thread uses it.

    Args:
        socket: The socket itself; whoever made it closes it.
        network: What happens on the way.
    """

    def __init__(self, socket: DatagramSocket, network: Network) -> None:
        self._socket = socket
        self._network = network
        self._timeout_s = 0.0
        self._coming_in: list[_UnderWay] = []
        self._going_out: list[_UnderWay] = []
        self._order = 0

    def settimeout(self, timeout_s: float, /) -> None:
        """How long `recvfrom` waits."""
        self._timeout_s = timeout_s
        self._socket.settimeout(timeout_s)

    def sendto(self, datagram: bytes, address: Any, /) -> None:
        """Send a datagram, as far as the network lets it."""
        if self._network.bad or self._going_out:
            self._put(datagram, address, self._going_out)
            self._send_due()
        else:
            self._socket.sendto(datagram, address)

    def recvfrom(self, size: int, /) -> tuple[bytes, Any]:
        """The next datagram that the network lets through, and its sender.

        Raises:
            OSError: None came in time.
        """
        if not (self._network.bad or self._coming_in or self._going_out):
            return self._socket.recvfrom(size)
        try:
            return self._receive_through(size)
        finally:
            self._socket.settimeout(self._timeout_s)

    def _receive_through(self, size: int) -> tuple[bytes, Any]:
        clock = self._network.clock
        end = clock() + self._timeout_s
        while True:
            self._send_due()
            coming_in = self._coming_in
            if coming_in and coming_in[0][0] <= clock():
                _, _, datagram, sender = heapq.heappop(coming_in)
                return datagram, sender
            until = min([end, *(way[0][0] for way in (coming_in, self._going_out) if way)])
            self._socket.settimeout(max(until - clock(), _SHORTEST_WAIT_S))
            try:
                datagram, sender = self._socket.recvfrom(size)
            except TimeoutError:
                if clock() >= end:
                    raise
                continue
            if not datagram:
                return datagram, sender
            self._put(datagram, sender, coming_in)

    def _put(self, datagram: bytes, address: Any, way: list[_UnderWay]) -> None:
        for due, copy in self._network.carry(datagram):
            if len(way) < UNDER_WAY_MAX:
                self._order += 1
                heapq.heappush(way, (due, self._order, copy, address))

    def _send_due(self) -> None:
        now, way = self._network.clock(), self._going_out
        while way and way[0][0] <= now:
            _, _, datagram, address = heapq.heappop(way)
            with contextlib.suppress(OSError):
                self._socket.sendto(datagram, address)
