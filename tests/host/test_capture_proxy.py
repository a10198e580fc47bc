"""The way that is captured: whose datagrams go through it, and whose wait."""

import queue
import socket
import threading
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

import pytest
from tests.host.link_bench import Clock

from starlab_host.capture.proxy import CaptureProxy
from starlab_spec.wire import Frame, FrameType, encode_frame
from starlab_spec.wire.frames import SILENCE_S

HELLO = encode_frame(Frame(FrameType.HELLO))
HELLO_ACK = encode_frame(Frame(FrameType.HELLO_ACK, session=7))
BYE = encode_frame(Frame(FrameType.BYE, session=7))


class BoardByHand:
    """A link whose other end is the test."""

    payload_bytes = 1408
    window = 32

    def __init__(self) -> None:
        self.heard: queue.Queue[bytes] = queue.Queue()
        self.says: queue.Queue[bytes] = queue.Queue()
        self.closed = threading.Event()

    def send(self, datagrams: Sequence[bytes]) -> None:
        for datagram in datagrams:
            self.heard.put(datagram)

    def receive(self, timeout_s: float) -> bytes | None:
        try:
            return self.says.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        self.closed.set()


class Way:
    """A proxy at work, its board and two hosts."""

    def __init__(self) -> None:
        self.board, self.clock = BoardByHand(), Clock()
        self.proxy = CaptureProxy(self.board, "127.0.0.1", 0, clock=self.clock)
        self.thread = threading.Thread(target=self.proxy.serve)
        self.thread.start()
        self.first, self.second = self._host(), self._host()

    def _host(self) -> socket.socket:
        host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        address = urlsplit(self.proxy.url)
        host.connect((address.hostname, address.port))
        host.settimeout(10)
        return host

    def heard(self) -> bytes:
        return self.board.heard.get(timeout=10)

    def close(self) -> None:
        self.proxy.stop()
        self.thread.join()
        self.first.close()
        self.second.close()


@pytest.fixture
def way() -> Iterator[Way]:
    made = Way()
    yield made
    made.close()


def open_session(way: Way) -> None:
    way.first.send(HELLO)
    assert way.heard() == HELLO
    way.board.says.put(HELLO_ACK)
    assert way.first.recv(2048) == HELLO_ACK


def test_datagrams_travel_both_ways_as_they_are(way: Way) -> None:
    way.first.send(b"anything")
    assert way.heard() == b"anything"
    way.board.says.put(b"else")
    assert way.first.recv(2048) == b"else"


def test_before_a_session_whoever_speaks_is_answered(way: Way) -> None:
    for host in (way.first, way.second):
        host.send(b"who is there")
        assert way.heard() == b"who is there"
        way.board.says.put(b"me")
        assert host.recv(2048) == b"me"


def test_a_second_host_is_not_heard_while_the_first_has_a_session(way: Way) -> None:
    open_session(way)
    way.second.send(b"mine")
    way.first.send(b"still here")
    assert way.heard() == b"still here"


def test_a_host_that_is_silent_as_long_as_boards_wait_may_be_replaced(way: Way) -> None:
    open_session(way)
    way.clock.now_s += SILENCE_S
    way.second.send(b"mine")
    assert way.heard() == b"mine"


def test_after_a_good_bye_the_way_is_free(way: Way) -> None:
    open_session(way)
    way.board.says.put(BYE)
    assert way.first.recv(2048) == BYE
    way.board.says.put(b"marker: the good-bye is through")
    assert way.first.recv(2048).startswith(b"marker")
    way.second.send(b"mine")
    assert way.heard() == b"mine"


def test_the_link_is_closed_at_the_end(way: Way) -> None:
    way.proxy.stop()
    assert way.board.closed.wait(10)


def test_an_address_in_use_is_an_error(way: Way) -> None:
    with pytest.raises(OSError, match="in use"):
        CaptureProxy(BoardByHand(), "127.0.0.1", urlsplit(way.proxy.url).port or 0, clock=way.clock)
