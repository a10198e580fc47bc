"""The raw Ethernet link over a virtual cable, and what is said where there is none."""

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.veth import hear_all, mac_of, packet, veth_pair

from starlab_host import BoardAway, connect
from starlab_host.links import open_link
from starlab_host.links.interfaces import interfaces

ETHERTYPE = 0x88B5


@pytest.fixture(scope="module")
def cable() -> Iterator[tuple[str, str]]:
    with veth_pair() as names:
        yield names


def raw_socket(name: str) -> socket.socket:
    """Whole Ethernet packets of an interface, headers included."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    made.bind((name, ETHERTYPE))
    made.settimeout(5.0)
    return made


def test_datagrams_travel_in_packets_of_the_documented_form(cable: tuple[str, str]) -> None:
    here, there = cable
    address = f"eth://{here}/{mac_of(there).hex(':')}"
    with closing(open_link(address)) as link, raw_socket(there) as board:
        link.send([b"one", bytes(1444)])
        head = mac_of(there) + mac_of(here) + bytes.fromhex("88b5")
        assert board.recv(2000) == head + b"one"
        assert board.recv(2000) == head + bytes(1444)
        board.send(mac_of(here) + mac_of(there) + bytes.fromhex("88b5") + b"answer")
        assert link.receive(5.0) == b"answer"


def test_packets_of_others_are_not_the_board_s(cable: tuple[str, str]) -> None:
    here, there = cable
    with closing(open_link(f"eth://{here}/02:00:00:00:00:01")) as link, raw_socket(there) as other:
        other.send(mac_of(here) + mac_of(there) + bytes.fromhex("88b5") + bytes(46))
        other.send(mac_of(here) + bytes.fromhex("020000000001 88b5") + b"board")
        assert link.receive(5.0) is None
        assert link.receive(5.0) == b"board"


def test_what_the_board_says_to_others_is_not_for_this_host(cable: tuple[str, str]) -> None:
    here, there = cable
    hear_all(here)
    board, host = mac_of(there), mac_of(here)
    with (
        closing(open_link(f"eth://{here}/{board.hex(':')}")) as link,
        raw_socket(there) as wire,
        raw_socket(here) as neighbour,
    ):
        for target in (bytes.fromhex("020000000077"), bytes.fromhex("01005e000001"), b"\xff" * 6):
            wire.send(packet(target, board, b"for others"))
        wire.send(packet(host, board, b"another network", vlan=5))
        neighbour.send(packet(board, host, b"of this machine"))
        link.send([b"its own"])
        wire.send(packet(host, board, b"mine", vlan=0))
        heard = [link.receive(1.0) for _ in range(6)]
        assert [datagram for datagram in heard if datagram is not None] == [b"mine"]


@pytest.mark.parametrize(
    ("mtu_bytes", "payload_bytes"), [(1400, 1364), (1500, 1408), (8000, 1408), (9000, 8896)]
)
def test_payloads_are_as_large_as_the_interface_takes(mtu_bytes: int, payload_bytes: int) -> None:
    with (
        veth_pair(mtu_bytes) as (here, _),
        closing(open_link(f"eth://{here}/02:00:00:00:00:01")) as link,
    ):
        assert link.payload_bytes == payload_bytes


def test_the_interfaces_of_this_machine_are_found(cable: tuple[str, str]) -> None:
    found = {each.name: each for each in interfaces()}
    assert found["lo"].mac is None
    assert found["lo"].ipv4 == "127.0.0.1"
    for name in cable:
        assert (found[name].mac, found[name].mtu_bytes) == (mac_of(name), 1500)
        assert (found[name].ipv4, found[name].broadcast) == (None, None)


def test_without_the_capability_the_message_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    permitted = socket.socket

    def refuse(family: int, kind: int) -> socket.socket:
        if family == socket.AF_PACKET:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return permitted(family, kind)

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(BoardAway) as away:
        connect("eth://lo/02:00:00:00:00:01")
    assert str(away.value) == (
        "there is no way to eth://lo/02:00:00:00:00:01: raw Ethernet needs the capability "
        "CAP_NET_RAW: run as root, or give it to the interpreter with `setcap cap_net_raw+ep`"
    )
