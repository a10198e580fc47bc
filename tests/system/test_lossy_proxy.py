"""The lossy proxy does what it says: sockets against a plain echo, no starlab anywhere."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.lossy_proxy import LATE_S, BadWay, Faults, LossyProxy

PROGRAM = Path(__file__).parents[1] / "lossy_proxy.py"


def outcome(way: BadWay, count: int) -> list[tuple[float, bytes]]:
    """What comes out of numbered datagrams sent a millisecond apart, in the order of arrival."""
    out = [
        arrival
        for number in range(count)
        for arrival in way.carry(number.to_bytes(4, "big") + bytes(60), number * 1e-3)
    ]
    return sorted(out, key=lambda arrival: arrival[0])


def numbers(arrivals: list[tuple[float, bytes]]) -> list[int]:
    return [int.from_bytes(datagram[:4], "big") for _, datagram in arrivals]


def test_without_faults_everything_comes_at_once_and_in_order() -> None:
    arrivals = outcome(BadWay(Faults(), "1"), 100)
    assert numbers(arrivals) == list(range(100))
    assert [due for due, _ in arrivals] == [number * 1e-3 for number in range(100)]


@pytest.mark.parametrize("probability", [0.05, 0.5])
def test_as_many_are_lost_as_asked(probability: float) -> None:
    way = BadWay(Faults(loss=probability), "1")
    arrivals = outcome(way, 10_000)
    assert len(arrivals) == way.tally.came - way.tally.lost
    assert way.tally.lost == pytest.approx(10_000 * probability, rel=0.15)
    assert numbers(arrivals) == sorted(set(numbers(arrivals)))


def test_a_doubled_datagram_comes_twice() -> None:
    way = BadWay(Faults(duplication=0.2), "1")
    came = numbers(outcome(way, 5000))
    assert set(came) == set(range(5000))
    assert len(came) == 5000 + way.tally.doubled
    assert way.tally.doubled == pytest.approx(1000, rel=0.15)


def test_datagrams_held_back_are_overtaken() -> None:
    way = BadWay(Faults(reordering=0.1), "1")
    came = numbers(outcome(way, 5000))
    assert sorted(came) == list(range(5000))
    overtaken = sum(earlier > later for earlier, later in pairwise(came))
    assert 0 < overtaken <= way.tally.held_back
    assert way.tally.held_back == pytest.approx(500, rel=0.2)


def test_a_corrupted_datagram_differs_in_a_few_bits() -> None:
    way = BadWay(Faults(corruption=1.0), "1")
    for _ in range(500):
        ((_, damaged),) = way.carry(bytes(1000), 0.0)
        assert len(damaged) == 1000
        assert 1 <= int.from_bytes(damaged, "big").bit_count() <= 4
    assert list(way.carry(b"", 0.0)) == [(0.0, b"")]


def test_a_delay_is_for_all_alike() -> None:
    arrivals = outcome(BadWay(Faults(delay_s=0.5, reordering=0.1), "1"), 1000)
    sent = [number * 1e-3 for number in numbers(arrivals)]
    took = [due - then for (due, _), then in zip(arrivals, sent, strict=True)]
    assert min(took) == pytest.approx(0.5)
    assert max(took) <= 0.5 + LATE_S[1]


def test_the_same_seed_gives_the_same_faults() -> None:
    faults = Faults(0.1, 0.1, 0.1, 0.1)
    first = outcome(BadWay(faults, "1"), 500)
    assert outcome(BadWay(faults, "1"), 500) == first
    assert outcome(BadWay(faults, "2"), 500) != first


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """Answers every datagram by the same one with ``!``; an empty one ends it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as board:
        board.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                datagram, sender = board.recvfrom(65536)
                if not datagram:
                    return
                board.sendto(datagram + b"!", sender)

        thread = threading.Thread(target=answer)
        thread.start()
        yield board.getsockname()
        board.sendto(b"", board.getsockname())
        thread.join()


def client(address: tuple[str, int]) -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(10)
    one.connect(address)
    return one


def test_each_host_gets_its_own_answers(echo: tuple[str, int]) -> None:
    with LossyProxy(echo) as proxy, client(proxy.address) as one, client(proxy.address) as other:
        for number in range(20):
            one.send(b"one %d" % number)
            other.send(b"other %d" % number)
            assert one.recv(100) == b"one %d!" % number
            assert other.recv(100) == b"other %d!" % number
        assert proxy.tallies()["to_board"]["came"] == 40


def test_both_directions_have_faults_of_their_own(echo: tuple[str, int]) -> None:
    with (
        LossyProxy(echo, to_host=Faults(duplication=1.0)) as proxy,
        client(proxy.address) as one,
    ):
        one.send(b"hello")
        assert [one.recv(100), one.recv(100)] == [b"hello!"] * 2
        assert proxy.tallies()["to_board"]["doubled"] == 0


def test_nobody_at_the_other_end_is_no_end_for_the_proxy(echo: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        nowhere = gone.getsockname()
    with LossyProxy(nowhere) as proxy, client(proxy.address) as one:
        for _ in range(10):
            one.send(b"hello")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
            late.bind(nowhere)
            late.settimeout(10)
            one.send(b"still there?")
            while late.recv(100) != b"still there?":
                pass


def test_it_runs_as_a_program(echo: tuple[str, int]) -> None:
    command = [sys.executable, str(PROGRAM), "--to", f"{echo[0]}:{echo[1]}"]
    with subprocess.Popen(
        [*command, "--duplication", "1", "--duplication-to-host", "0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        host, _, port = json.loads(program.stdout.readline())["listening"].rpartition(":")
        with client((host, int(port))) as one:
            one.send(b"hello")
            assert [one.recv(100), one.recv(100)] == [b"hello!"] * 2
        program.send_signal(signal.SIGTERM)
        tallies = json.loads(program.stdout.readline())
        assert program.wait() == 0
    assert (tallies["to_board"]["doubled"], tallies["to_host"]["doubled"]) == (1, 0)
