"""The serial link, on a loop, a pseudo-terminal and a line behind a TCP socket."""

import os
import socket
import tty
from collections.abc import Iterator
from contextlib import closing

import pytest

from starlab_host.links import SerialLink, open_link
from starlab_host.links.base import Link
from starlab_spec.wire import cobs

DATAGRAMS = [b"one", b"\0two\0", bytes(range(256)) * 5, b"four"]


@pytest.fixture
def pty() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal: the other end as a file descriptor, and the path of this end."""
    other, this = os.openpty()
    tty.setraw(this)
    yield other, os.ttyname(this)
    os.close(this)
    os.close(other)


def received(link: Link, count: int) -> list[bytes]:
    """So many datagrams, in the order in which they come."""
    found: list[bytes] = []
    while len(found) < count:
        datagram = link.receive(1.0)
        if datagram is not None:
            found.append(datagram)
    return found


def read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += os.read(descriptor, size - len(data))
    return data


def test_datagrams_come_back_through_a_loop() -> None:
    with closing(open_link("serial://loop://")) as link:
        link.send(DATAGRAMS[:2])
        link.send(DATAGRAMS[2:])
        assert received(link, 4) == DATAGRAMS
        assert link.receive(0.0) is None
        assert link.receive(0.01) is None


def test_on_the_line_is_cobs_with_a_delimiter_behind_each_frame(pty: tuple[int, str]) -> None:
    other, path = pty
    with closing(open_link(f"serial://{path}?baud=115200")) as link:
        link.send([b"\x11\0\x22", b"\x33"])
        assert read(other, 9) == b"\0" + b"\x02\x11\x02\x22\0" + b"\x02\x33\0"
        os.write(other, b"\x02\x11\x02\x22\0\x02\x33\0")
        assert received(link, 2) == [b"\x11\0\x22", b"\x33"]


def test_noise_on_the_line_costs_what_it_hits(pty: tuple[int, str]) -> None:
    other, path = pty
    with closing(open_link(f"serial://{path}")) as link:
        good = cobs.encode(b"good") + b"\0"
        os.write(other, b"\xff\x10noise\0" + good + good[:2] + b"\0" + good)
        assert received(link, 2) == [b"good", b"good"]


def test_a_line_may_be_behind_a_tcp_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with closing(open_link(f"serial://socket://{host}:{port}")) as link:
            other, _ = server.accept()
            with other:
                other.sendall(b"".join(cobs.encode(each) + b"\0" for each in DATAGRAMS))
                assert received(link, 4) == DATAGRAMS
                link.send(DATAGRAMS)
                deframer = cobs.Deframer()
                found: list[bytes] = []
                while len(found) < 4:
                    found += deframer.feed(other.recv(4096))
                assert found == DATAGRAMS


@pytest.mark.parametrize(
    ("baud", "payload_bytes"),
    [
        (9600, 256),
        # 20 ms of 11,520 bytes a second are 230, with 36 of the frame itself
        (115_200, 256),
        # of 46,080: 921
        (460_800, 885),
        (921_600, 1408),
    ],
)
def test_on_a_slow_line_payloads_are_smaller(baud: int, payload_bytes: int) -> None:
    with closing(SerialLink("loop://", baud)) as link:
        assert (link.payload_bytes, link.window) == (payload_bytes, 4)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("serial:///dev/no-such-line", "could not open port /dev/no-such-line"),
        ("serial://foo://bar", "invalid URL, protocol 'foo' not known"),
    ],
)
def test_a_port_that_cannot_be_opened_says_why(url: str, message: str) -> None:
    with pytest.raises(OSError, match=message) as refusal:
        open_link(url)
    assert message in str(refusal.value.strerror)


def test_an_unplugged_line_is_silent(pty: tuple[int, str]) -> None:
    other, path = pty
    with closing(open_link(f"serial://{path}")) as link:
        os.close(other)
        try:
            link.send([b"lost"])
            assert link.receive(0.001) is None
            assert link.receive(0.0) is None
        finally:
            os.dup2(os.open(os.devnull, os.O_RDONLY), other)


def test_a_closed_link_receives_nothing() -> None:
    link = open_link("serial://loop://")
    link.close()
    link.send([b"lost"])
    assert link.receive(0.0) is None
    assert link.receive(0.001) is None
