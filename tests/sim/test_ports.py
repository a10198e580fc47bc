"""The ports of the emulated board, from the side of the cable, and their junction."""

import os
import select
import socket
from collections.abc import Hashable, Iterator, Sequence
from contextlib import closing

import pytest
from tests.veth import hear_all, mac_of, packet, veth_pair

from starlab_sim.ports import EthernetPort, Junction, Port, PtyPort, UdpPort

LONG = b"\x07" * 1444


def received(port: Port, count: int) -> list[tuple[bytes, Hashable]]:
    """So many datagrams of a port."""
    found: list[tuple[bytes, Hashable]] = []
    while len(found) < count:
        assert select.select([port], [], [], 5.0)[0], "nothing came"
        found += port.receive()
    return found


def test_a_udp_port_answers_where_a_datagram_came_from() -> None:
    with (
        closing(UdpPort("127.0.0.1", 0)) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host,
    ):
        host.settimeout(5.0)
        name, _, number = port.url.removeprefix("udp://").rpartition(":")
        host.connect((name, int(number)))
        host.send(b"question")
        ((datagram, sender),) = received(port, 1)
        assert datagram == b"question"
        port.send(b"answer", sender)
        assert host.recv(2000) == b"answer"


def test_a_udp_port_never_fragments() -> None:
    with veth_pair(1400, "198.51.100.1/24"), closing(UdpPort("0.0.0.0", 0)) as port:
        port.send(LONG[:1372], ("198.51.100.2", 5716))
        with pytest.raises(OSError, match="too long"):
            port.send(LONG[:1373], ("198.51.100.2", 5716))


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "0.0.0.0"), ("::1", "[::1]")])
def test_a_udp_port_tells_its_url(host: str, shown: str) -> None:
    try:
        port = UdpPort(host, 0)
    except OSError:
        pytest.skip(f"this machine cannot listen on {host}")
    with closing(port):
        assert port.url.rpartition(":")[0] == f"udp://{shown}"


def test_a_udp_port_in_use_is_an_error_at_once() -> None:
    with closing(UdpPort("127.0.0.1", 0)) as port, pytest.raises(OSError, match="in use"):
        UdpPort("127.0.0.1", int(port.url.rpartition(":")[2]))


@pytest.fixture
def line() -> Iterator[tuple[PtyPort, int]]:
    """A serial port and the host's end of its line."""
    port = PtyPort()
    host = os.open(port.url.removeprefix("serial://"), os.O_RDWR | os.O_NOCTTY)
    yield port, host
    os.close(host)
    port.close()


def test_on_a_serial_line_is_cobs_with_a_delimiter_behind_each_frame(
    line: tuple[PtyPort, int],
) -> None:
    port, host = line
    os.write(host, b"\x02\x11\x02\x22\0\x02\x33\0\x02")
    (first, sender), (second, _) = received(port, 2)
    assert (first, second) == (b"\x11\0\x22", b"\x33")
    port.send(b"\x44\0", sender)
    port.send(b"\x55", sender)
    expected = b"\x02\x44\x01\0\x02\x55\0"
    came = b""
    while len(came) < len(expected):  # a busy line hands over what it has so far
        came += os.read(host, 100)
    assert came == expected


def test_a_line_that_nobody_reads_takes_what_it_can_and_recovers(
    line: tuple[PtyPort, int],
) -> None:
    port, host = line
    for _ in range(1000):
        port.send(LONG, "line")
    os.set_blocking(host, False)
    held = b""
    while True:
        try:
            held += os.read(host, 65536)
        except BlockingIOError:
            break
    assert 0 < len(held) < 1000 * len(LONG)
    port.send(b"\x55", "line")
    os.set_blocking(host, True)
    assert os.read(host, 100).endswith(b"\0\x02\x55\0")


def test_a_line_stays_when_its_host_goes(line: tuple[PtyPort, int]) -> None:
    port, _ = line
    path = port.url.removeprefix("serial://")
    for number in (1, 2):
        host = os.open(path, os.O_RDWR | os.O_NOCTTY)
        os.write(host, bytes([2, number, 0]))
        assert received(port, 1) == [(bytes([number]), "line")]
        os.close(host)


def test_an_ethernet_port_answers_the_hardware_address() -> None:
    with (
        veth_pair() as (here, there),
        closing(EthernetPort(there)) as port,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as host,
    ):
        host.bind((here, 0x88B5))
        host.settimeout(5.0)
        assert port.url == f"eth://{there}/{mac_of(there).hex(':')}"
        to_board = mac_of(there) + mac_of(here) + bytes.fromhex("88b5")
        host.send(to_board + b"question")
        assert received(port, 1) == [(b"question", mac_of(here))]
        port.send(b"answer", mac_of(here))
        to_host = mac_of(here) + mac_of(there) + bytes.fromhex("88b5")
        assert host.recv(2000) == to_host + b"answer"


DISCOVER = b"SL\x10\x01 who is there"
HELLO = b"SL\x10\x03 let me in"
OTHER = bytes.fromhex("020000000077")
GROUP = bytes.fromhex("01005e000001")
ALL = b"\xff" * 6
NOBODY = bytes(6)


def test_an_ethernet_port_takes_what_is_for_the_board_and_nothing_else() -> None:
    with (
        veth_pair() as (here, there),
        closing(EthernetPort(there)) as port,
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as host,
    ):
        hear_all(there)
        host.bind((here, 0x88B5))
        board, sender = mac_of(there), mac_of(here)
        for target in (OTHER, GROUP, ALL, sender):
            host.send(packet(target, sender, HELLO))
        for target in (OTHER, GROUP):
            host.send(packet(target, sender, DISCOVER))
        for target in (board, ALL):
            host.send(packet(target, sender, DISCOVER, vlan=5))
            host.send(packet(target, sender, DISCOVER, vlan=0xE005))
        host.send(board + sender + bytes.fromhex("0800") + DISCOVER)
        for no_station in (ALL, GROUP, NOBODY):
            host.send(packet(board, no_station, HELLO))
            host.send(packet(ALL, no_station, DISCOVER))
        taken = [
            packet(board, sender, HELLO),
            packet(ALL, sender, DISCOVER),
            packet(board, sender, b"a priority alone", vlan=0xE000),
            packet(board, sender, b"padded".ljust(46, b"\0")),
        ]
        for one in taken:
            host.send(one)
        found = [datagram for datagram, _ in received(port, 4)]
        assert found == [HELLO, DISCOVER, b"a priority alone", b"padded".ljust(46, b"\0")]
        port.send(b"its own words", sender)
        host.send(packet(board, sender, b"last"))
        assert received(port, 1) == [(b"last", sender)]


def test_of_what_is_sent_to_all_a_udp_port_takes_who_is_there_alone() -> None:
    with (
        closing(UdpPort("0.0.0.0", 0)) as port,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host,
    ):
        number = int(port.url.rpartition(":")[2])
        host.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for target in ("127.255.255.255", "127.0.0.1"):
            host.sendto(HELLO, (target, number))
            host.sendto(DISCOVER, (target, number))
        assert [datagram for datagram, _ in received(port, 3)] == [DISCOVER, HELLO, DISCOVER]


def test_one_board_listens_on_an_interface() -> None:
    with veth_pair() as (here, there), closing(EthernetPort(there)):
        with pytest.raises(OSError, match=f"in use by process {os.getpid()} "):
            EthernetPort(there)
        EthernetPort(here).close()
        EthernetPort(here).close()


def test_an_interface_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(OSError, match="No such device"):
        EthernetPort("nowhere0")


class ListPort:
    """A port with datagrams to receive and those that were sent."""

    shared = False

    def __init__(self, *coming: bytes) -> None:
        self.url = "list:"
        self.coming = [*coming]
        self.sent: list[tuple[bytes, Hashable]] = []
        self._readable, self._writable = os.pipe()
        if coming:
            os.write(self._writable, b"!")

    def fileno(self) -> int:
        return self._readable

    def receive(self) -> Sequence[tuple[bytes, Hashable]]:
        os.read(self._readable, 1)
        coming, self.coming = self.coming, []
        return [(datagram, "host") for datagram in coming]

    def send(self, datagram: bytes, address: Hashable) -> None:
        self.sent.append((datagram, address))

    def close(self) -> None:
        os.close(self._readable)
        os.close(self._writable)


def test_a_junction_hears_all_ports_and_answers_by_the_right_one() -> None:
    ports = ListPort(b"one", b"two"), ListPort(), ListPort(b"three")
    with closing(Junction(ports)) as junction:
        junction.settimeout(0.01)
        arrived = [junction.recvfrom(9216) for _ in range(3)]
        assert {datagram for datagram, _ in arrived} == {b"one", b"two", b"three"}
        with pytest.raises(TimeoutError):
            junction.recvfrom(9216)
        for datagram, sender in arrived:
            assert sender is not None
            junction.sendto(b"re: " + datagram, sender)
    assert ports[0].sent == [(b"re: one", "host"), (b"re: two", "host")]
    assert ports[1].sent == []
    assert ports[2].sent == [(b"re: three", "host")]


def test_a_junction_that_is_woken_hears_nobody() -> None:
    with closing(Junction([ListPort()])) as junction:
        junction.settimeout(60.0)
        for _ in range(3):
            junction.wake()
        assert junction.recvfrom(9216) == (b"", None)
        junction.settimeout(0.01)
        with pytest.raises(TimeoutError):
            junction.recvfrom(9216)
    junction.wake()
