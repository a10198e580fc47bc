"""Links carry datagrams, and lose them, without a word."""

import socket
import time

import pytest
from tests.host.link_bench import NotingBoard

from starlab_host.links import MemoryLink, MemoryNetwork, UdpLink, open_link
from starlab_spec.wire.codec import decode_frame, encode_frame
from starlab_spec.wire.frames import Frame, FrameType

DISCOVER = encode_frame(Frame(FrameType.DISCOVER))


def test_udp_carries_datagrams_both_ways() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(10)
        link = open_link(f"udp://127.0.0.1:{peer.getsockname()[1]}")
        link.send([b"one", b"two"])
        first, address = peer.recvfrom(100)
        assert (first, peer.recv(100)) == (b"one", b"two")
        peer.sendto(b"three", address)
        assert link.receive(10.0) == b"three"
        link.close()


def test_udp_waits_no_longer_than_told_whatever_it_waited_before() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        link = UdpLink("127.0.0.1", peer.getsockname()[1])
        for timeout_s in (0.002, 0.0, 0.001, 0.0):
            assert link.receive(timeout_s) is None
        link.close()


def test_nobody_listening_is_a_loss_like_any_other() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    link = UdpLink("127.0.0.1", port)
    for _ in range(3):
        link.send([b"anyone?"])
        assert link.receive(0.001) is None
    link.close()
    assert link.receive(0.0) is None
    link.send([b"closed"])


def test_the_memory_link_answers_like_a_board() -> None:
    link = MemoryLink(NotingBoard(), clock=time.monotonic)
    link.send([DISCOVER])
    announce = link.receive(0.0)
    assert announce is not None
    assert decode_frame(announce).type == FrameType.ANNOUNCE
    assert link.receive(0.0) is None
    link.close()


@pytest.mark.parametrize(
    ("network", "answers"),
    [(MemoryNetwork(loss=1.0), 0), (MemoryNetwork(duplication=1.0), 4 * 2), (MemoryNetwork(), 2)],
)
def test_the_memory_link_loses_and_repeats_as_told(network: MemoryNetwork, answers: int) -> None:
    link = MemoryLink(NotingBoard(), clock=time.monotonic, network=network)
    link.send([DISCOVER, DISCOVER])
    got = 0
    while link.receive(0.0) is not None:
        got += 1
    assert got == answers
