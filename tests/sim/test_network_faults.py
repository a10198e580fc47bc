"""The bad network around an emulated board: on a simulated clock, with sockets that are lists."""

from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from starlab_sim.serving.network_faults import UNDER_WAY_MAX, FaultySocket, Network, NetworkFaults
from starlab_spec.errors import LimitExceeded


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class ListSocket:
    """Datagrams to receive, with the times when they come, and those that were sent."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.coming: deque[tuple[float, bytes]] = deque()
        self.sent: list[tuple[float, bytes]] = []
        self.timeout_s = 0.0

    def settimeout(self, timeout_s: float, /) -> None:
        assert timeout_s > 0
        self.timeout_s = timeout_s

    def recvfrom(self, size: int, /) -> tuple[bytes, Any]:
        end = self.clock.now + self.timeout_s
        if not self.coming or self.coming[0][0] > end:
            self.clock.now = end
            raise TimeoutError
        due, datagram = self.coming.popleft()
        self.clock.now = max(self.clock.now, due)
        return datagram, "host"

    def sendto(self, datagram: bytes, address: Any, /) -> None:
        assert address == "host"
        self.sent.append((self.clock.now, datagram))


class Port:
    """A port of a board and what comes out at its ends."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.network = Network(self.clock)
        self.inner = ListSocket(self.clock)
        self.socket = FaultySocket(self.inner, self.network)

    def arrivals(self, wait_s: float = 1.0) -> Iterator[tuple[float, bytes]]:
        """What the board hears, until it hears nothing for a while."""
        self.socket.settimeout(wait_s)
        while True:
            try:
                datagram, sender = self.socket.recvfrom(2000)
            except TimeoutError:
                return
            assert sender == "host"
            yield self.clock.now, datagram

    def numbers_heard(self, count: int) -> list[int]:
        """Numbers of the datagrams that the board hears of some sent a millisecond apart."""
        start = self.clock.now
        self.inner.coming.extend((start + n * 1e-3, n.to_bytes(4, "big")) for n in range(count))
        return [int.from_bytes(datagram, "big") for _, datagram in self.arrivals()]


@pytest.fixture
def port() -> Port:
    return Port()


def test_a_good_network_is_not_in_the_way(port: Port) -> None:
    assert port.numbers_heard(100) == list(range(100))
    port.socket.sendto(b"out", "host")
    assert [datagram for _, datagram in port.inner.sent] == [b"out"]


def test_a_bad_network_loses_both_ways(port: Port) -> None:
    port.network.change(NetworkFaults(loss=0.2))
    heard = port.numbers_heard(2000)
    assert heard == sorted(set(heard))
    assert len(heard) == pytest.approx(1600, rel=0.05)
    for _ in range(2000):
        port.socket.sendto(b"out", "host")
    assert len(port.inner.sent) == pytest.approx(1600, rel=0.05)


def test_a_bad_network_doubles(port: Port) -> None:
    port.network.change(NetworkFaults(duplication=0.2))
    heard = port.numbers_heard(2000)
    assert set(heard) == set(range(2000))
    assert len(heard) == pytest.approx(2400, rel=0.05)


def test_a_bad_network_lets_datagrams_overtake_each_other(port: Port) -> None:
    port.network.change(NetworkFaults(reordering=0.1))
    heard = port.numbers_heard(2000)
    assert sorted(heard) == list(range(2000))
    assert 50 < sum(earlier > later for earlier, later in pairwise(heard)) <= 250


def test_a_corrupted_datagram_has_one_bit_turned(port: Port) -> None:
    port.network.change(NetworkFaults(corruption=0.3))
    port.inner.coming.extend((0.0, bytes(100)) for _ in range(1000))
    turned = [int.from_bytes(datagram, "big").bit_count() for _, datagram in port.arrivals()]
    assert len(turned) == 1000
    assert set(turned) == {0, 1}
    assert sum(turned) == pytest.approx(300, rel=0.15)


def test_a_delay_holds_up_every_datagram_each_way(port: Port) -> None:
    port.network.change(NetworkFaults(delay_s=0.25))
    start = port.clock.now
    port.inner.coming.append((start, b"in"))
    port.socket.sendto(b"out", "host")
    arrived = list(port.arrivals())
    assert [datagram for _, datagram in arrived + port.inner.sent] == [b"in", b"out"]
    for when, _ in arrived + port.inner.sent:
        assert when == pytest.approx(start + 0.25, abs=1e-3)


def test_the_same_seed_gives_the_same_faults(port: Port) -> None:
    def heard(seed: int) -> list[int]:
        port.network.change(NetworkFaults(0.1, 0.1, 0.1, seed=seed))
        return port.numbers_heard(300)

    assert heard(1) == heard(1)
    assert heard(1) != heard(2)


def test_a_stall_holds_everything_up_and_then_lets_it_all_through(port: Port) -> None:
    port.network.stall(2.0)
    start = port.clock.now
    port.inner.coming.extend([(start, b"one"), (start + 1, b"two"), (start + 3, b"three")])
    port.socket.sendto(b"out", "host")
    arrived = [(round(when - start, 2), datagram) for when, datagram in port.arrivals(5.0)]
    assert arrived == [(2.0, b"one"), (2.0, b"two"), (3.0, b"three")]
    assert [(round(when - start, 2), d) for when, d in port.inner.sent] == [(2.0, b"out")]
    assert not port.network.bad


def test_faults_end_when_the_network_is_made_good_again(port: Port) -> None:
    port.network.change(NetworkFaults(loss=0.3, delay_s=0.5))
    assert port.network.bad
    port.network.change(NetworkFaults())
    assert not port.network.bad
    assert port.numbers_heard(100) == list(range(100))


def test_an_empty_datagram_which_wakes_the_server_is_never_lost(port: Port) -> None:
    port.network.change(NetworkFaults(loss=0.3, delay_s=0.5))
    port.inner.coming.extend([(0.0, b"")] * 10)
    assert [datagram for _, datagram in port.arrivals()] == [b""] * 10


def test_a_bad_network_holds_a_bounded_number_of_datagrams(port: Port) -> None:
    port.network.stall(10.0)
    port.inner.coming.extend((0.0, b"in") for _ in range(2 * UNDER_WAY_MAX))
    assert len(list(port.arrivals(20.0))) == UNDER_WAY_MAX


def test_waiting_ends_in_time_on_a_bad_network_too(port: Port) -> None:
    port.network.change(NetworkFaults(delay_s=0.5))
    port.inner.coming.append((0.0, b"late"))
    start = port.clock.now
    port.socket.settimeout(0.25)
    with pytest.raises(TimeoutError):
        port.socket.recvfrom(2000)
    assert port.clock.now == pytest.approx(start + 0.25, abs=1e-3)
    assert port.inner.timeout_s == 0.25


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss": 0.35}, "network loss 0.35 is above the 0.3 limit"),
        ({"reordering": 0.95}, "network reordering 0.95 is above the 0.9 limit"),
        (
            {"loss": 0.2, "corruption": 0.25},
            "network loss and corruption together 0.4 is above the 0.3 limit",
        ),
        ({"corruption": -0.1}, "network corruption -0.1 is below the 0 limit"),
        ({"delay_s": 5.0}, "network delay_s 5 s is above the 0.5 s limit"),
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        NetworkFaults(**wrong)  # type: ignore[arg-type]
    assert str(caught.value) == message
