"""Addresses of boards: every form that a user may give, and what is said to the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_host.links import (
    AuthorsAddress,
    EthernetAddress,
    MemoryAddress,
    SerialAddress,
    UdpAddress,
    open_link,
    parse_address,
)

FORMS = (
    "udp://host[:port], eth://interface/aa:bb:cc:dd:ee:ff, serial://port[?baud=N], "
    "authors-tcp://host[:port], memory:name"
)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("udp://board7", UdpAddress("board7", 5716)),
        ("udp://192.0.2.7:6000", UdpAddress("192.0.2.7", 6000)),
        ("authors-tcp://192.0.2.7", AuthorsAddress("192.0.2.7", 7)),
        ("authors-tcp://[2001:db8::7]:6000", AuthorsAddress("2001:db8::7", 6000)),
        ("udp://[2001:db8::7]:6000", UdpAddress("2001:db8::7", 6000)),
        ("eth://eth1/02:00:00:00:00:0A", EthernetAddress("eth1", bytes([2, 0, 0, 0, 0, 10]))),
        ("serial:///dev/ttyUSB0", SerialAddress("/dev/ttyUSB0", 921600)),
        ("serial:///dev/ttyUSB0?baud=115200", SerialAddress("/dev/ttyUSB0", 115200)),
        ("serial://COM3?baud=115200", SerialAddress("COM3", 115200)),
        ("serial://loop://", SerialAddress("loop://", 921600)),
        ("serial://socket://host:7000", SerialAddress("socket://host:7000", 921600)),
        (
            "serial://rfc2217://host:7000?timeout=5&baud=9600&ign_set_control",
            SerialAddress("rfc2217://host:7000?timeout=5&ign_set_control", 9600),
        ),
    ],
)
def test_an_address_says_which_cable_and_where(url: str, address: object) -> None:
    assert parse_address(url) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("udp://", "udp://host[:port]"),
        ("udp://host/path", "udp://host[:port]"),
        ("eth://eth0", "eth://interface/aa:bb:cc:dd:ee:ff"),
        ("eth://eth0/02:00:00:00:00", "eth://interface/aa:bb:cc:dd:ee:ff"),
        ("eth://a-name-too-long-for-linux/02:00:00:00:00:01", "eth://interface/aa:bb:cc:dd:ee:ff"),
        ("serial://", "serial://port[?baud=N]"),
        ("authors-tcp://", "authors-tcp://host[:port]"),
        ("authors-tcp://host/path", "authors-tcp://host[:port]"),
        ("serial:/dev/ttyUSB0", "serial://port[?baud=N]"),
        ("serial:///dev/ttyUSB0?baud=fast", "serial://port[?baud=N]"),
        ("serial:///dev/ttyUSB0?baud=1&baud=2", "serial://port[?baud=N]"),
    ],
)
def test_an_address_of_the_right_kind_and_a_wrong_form_is_told_the_form(
    url: str, form: str
) -> None:
    with pytest.raises(ValueError, match="is not of the form") as refusal:
        parse_address(url)
    assert str(refusal.value) == f"board address {url!r} is not of the form {form}"


@pytest.mark.parametrize("url", ["tcp://host", "host:5716", "", "/dev/ttyUSB0"])
def test_an_address_of_no_kind_is_told_all_forms(url: str) -> None:
    with pytest.raises(ValueError, match="of none of the forms") as refusal:
        parse_address(url)
    assert str(refusal.value) == f"board address {url!r} is of none of the forms {FORMS}"


def test_a_board_of_this_process_is_one_of_those_given() -> None:
    with pytest.raises(ValueError, match="'memory:x': boards of this process are none"):
        parse_address("memory:x")
    with pytest.raises(ValueError, match="a network has numbers loss, duplication, reordering, "):
        parse_address("memory:x?rain=0.5")


def test_an_interface_that_is_not_there_is_no_way() -> None:
    with pytest.raises(OSError, match="No such device"):
        open_link("eth://nowhere0/02:00:00:00:00:01")


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for cable in ("", "udp://", "eth://", "serial://", "authors-tcp://", "memory:"):
        try:
            address = parse_address(cable + text)
        except ValueError:
            continue
        assert not isinstance(address, MemoryAddress)
        assert parse_address(str(address)) == address
