"""Looking for boards, answered by sockets that speak literal bytes."""

import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.veth import mac_of, veth_pair

from starlab_host import BoardAway
from starlab_host.discovery import FoundBoard, discover
from starlab_host.links.interfaces import Interface

ENOUGH_S = 0.3
"""For an answer of this very machine; nothing else depends on it."""


def frame(kind: int, payload: bytes = b"", boot: int = 0) -> bytes:
    """A frame outside of any session, by hand."""
    head = struct.pack(">HBBHHIIIIIHH", 0x5354, 0x10, kind, 0, len(payload), 0, boot, 0, 0, 0, 0, 1)
    return head + payload + struct.pack(">I", zlib.crc32(head + payload))


DISCOVER = frame(1)


def announce(serial: str, boot: int) -> bytes:
    return frame(2, json.dumps({"serial": serial}).encode(), boot)


@contextmanager
def answering(answers: Callable[[bytes], list[bytes]]) -> Iterator[socket.socket]:
    """A UDP socket on a loopback address that answers every datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as board:
        board.bind(("0.0.0.0", 0))

        def serve() -> None:
            while True:
                datagram, sender = board.recvfrom(2000)
                if not datagram:
                    return
                for answer in answers(datagram):
                    board.sendto(answer, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        yield board
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"", ("127.0.0.1", port_of(board)))
        thread.join()


def port_of(board: socket.socket) -> int:
    port: int = board.getsockname()[1]
    return port


def test_all_boards_that_answer_are_listed_with_all_ways_to_each() -> None:
    asked: list[bytes] = []

    def answers(datagram: bytes) -> list[bytes]:
        asked.append(datagram)
        return [announce("A", 7)]

    with ExitStack() as stack:
        boards = (answers, lambda _: [announce("A", 7)], lambda _: [announce("A", 8)])
        urls = [
            f"udp://127.0.0.1:{port_of(stack.enter_context(answering(board)))}" for board in boards
        ]
        one, other = sorted(discover(urls, wait_s=ENOUGH_S), key=lambda found: -len(found.urls))
    assert set(one.urls) == set(urls[:2])
    assert other == FoundBoard((urls[2],), {"serial": "A"})
    assert asked[0] == DISCOVER
    assert [datagram[3] for datagram in asked] == [1, 1]
    assert len(asked[1]) >= 500


def test_a_broadcast_reaches_a_board() -> None:
    with answering(lambda _: [announce("A", 7)]) as board:
        found = discover([f"udp://127.255.255.255:{port_of(board)}"], wait_s=ENOUGH_S)
        assert found == [FoundBoard((f"udp://127.0.0.1:{port_of(board)}",), {"serial": "A"})]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello",
        announce("A", 7)[:-1],
        frame(2, b"no JSON", 7),
        frame(2, b"[]", 7),
        frame(13, b"\1\0\0\0"),
    ],
)
def test_what_is_no_announcement_is_passed_over(answer: bytes) -> None:
    with answering(lambda _: [answer, announce("B", 9)]) as board:
        (found,) = discover([f"udp://127.0.0.1:{port_of(board)}"], wait_s=ENOUGH_S)
    assert found.identity == {"serial": "B"}


def test_without_an_address_every_network_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [
        Interface("lo", 65536, None, "127.0.0.1", None),
        Interface("net0", 1500, None, "127.0.0.2", "127.255.255.255"),
        Interface("gone0", 1500, bytes(6), None, None),
    ]
    monkeypatch.setattr("starlab_host.discovery.interfaces", lambda: known)
    asked: list[object] = []
    monkeypatch.setattr(
        "starlab_host.discovery._UdpCaller.call", lambda self, _: asked.append(self._target)
    )
    also = ["udp://127.0.0.3:7000", "udp://no-such-host.invalid"]
    assert discover(also=also, wait_s=0.01) == []
    everywhere = [("127.0.0.1", 5716), ("127.0.0.2", 5716), ("127.255.255.255", 5716)]
    assert asked == 2 * [*everywhere, ("127.0.0.3", 7000)]


def test_boards_on_an_ethernet_answer_too() -> None:
    with veth_pair() as (here, there), ExitStack() as stack:
        board = stack.enter_context(socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        board.bind((there, 0x88B5))
        board.settimeout(10.0)

        def answer() -> None:
            packet = board.recv(2000)
            assert packet == b"\xff" * 6 + mac_of(here) + bytes.fromhex("88b5") + DISCOVER
            head = mac_of(here) + mac_of(there) + bytes.fromhex("88b5")
            board.send(head + announce("E", 5))

        thread = threading.Thread(target=answer)
        thread.start()
        found = discover([f"eth://{here}"], wait_s=ENOUGH_S)
        thread.join()
        assert found == [FoundBoard((f"eth://{here}/{mac_of(there).hex(':')}",), {"serial": "E"})]


@pytest.mark.parametrize("address", ["192.0.2.255", "serial:///dev/ttyUSB0", "eth://", "eth://a/b"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is of none of the forms udp://host") as refusal:
        discover([address])
    assert repr(address) in str(refusal.value)


def test_an_address_to_which_there_is_no_way_is_told() -> None:
    with pytest.raises(BoardAway, match="there is no way to eth://nowhere0: No such device"):
        discover(["eth://nowhere0"])
