"""Two Ethernet interfaces with a virtual cable between them, where the system permits it.

What needs them skips elsewhere, and says why.
"""

import itertools
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 30.0
_NUMBERS = itertools.count()


@contextmanager
def veth_pair(
    mtu_bytes: int = 1500, network: str | None = None, *, other_mtu_bytes: int | None = None
) -> Iterator[tuple[str, str]]:
    """The names of both interfaces, which carry packets; gone with the block.

    Args:
        mtu_bytes: Longest packet.
        network: IPv4 address with prefix length for the first one, which makes a route.
        other_mtu_bytes: Longest packet of the second one; by default the same.
    """
    other = mtu_bytes if other_mtu_bytes is None else other_mtu_bytes
    number = next(_NUMBERS)
    here, there = (f"sl{os.getpid()}n{number}{end}" for end in "ab")
    _ip(f"link add {here} mtu {mtu_bytes} type veth peer name {there} mtu {other}")
    try:
        for name in (here, there):
            _ip(f"link set {name} up")
        if network is not None:
            _ip(f"address add {network} dev {here}")
        for name in (here, there):
            _wait_until_it_carries(name)
        yield here, there
    finally:
        _ip(f"link delete {here}")


def _wait_until_it_carries(name: str) -> None:
    """The kernel notices a moment later that both ends are up; before, it loses what is sent."""
    state = Path(f"/sys/class/net/{name}/operstate")
    deadline = time.monotonic() + PATIENCE_S
    while state.read_text() != "up\n":
        assert time.monotonic() < deadline, f"{name} is {state.read_text().strip()}"
        time.sleep(0.001)


def hear_all(name: str) -> None:
    """Have an interface take packets that are addressed to others, too: promiscuous."""
    _ip(f"link set {name} promisc on")


def packet(target: bytes, sender: bytes, content: bytes, *, vlan: int | None = None) -> bytes:
    """A whole Ethernet packet of ours; with a number, of a virtual network."""
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return target + sender + tag + bytes.fromhex("88b5") + content


def _ip(arguments: str) -> None:
    try:
        subprocess.run(["ip", *arguments.split()], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no program `ip`: install iproute2 to test raw Ethernet")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no virtual Ethernet cable here (needs CAP_NET_ADMIN): {error.stderr.strip()}")


def mac_of(name: str) -> bytes:
    """Hardware address of an interface."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as asked:
        asked.bind((name, 0))
        address: bytes = asked.getsockname()[4]
    return address
