"""Two machines for the price of one: network namespaces with a virtual cable between them.

What needs them skips where the system does not permit it, and says why.
"""

import ctypes
import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest

HOST, BOARD, BROADCAST = "198.18.77.1", "198.18.77.2", "198.18.77.255"
PATIENCE_S = 30.0
_NUMBERS = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


class Namespace:
    """A network of its own. In a `with` block the calling thread is inside.

    Sockets stay where they were made, and processes where they were started.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._outside: list[int] = []

    def __enter__(self) -> Self:
        """Go inside."""
        self._outside.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        inside = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        _enter(inside)
        os.close(inside)
        return self

    def __exit__(self, *_: object) -> None:
        """Go out."""
        outside = self._outside.pop()
        _enter(outside)
        os.close(outside)

    def counter(self, name: str) -> int:
        """A counter of the IP layer, such as FragCreates."""
        with self:
            snmp = Path("/proc/thread-self/net/snmp").read_text(encoding="ascii").splitlines()
        names, values = (line.split()[1:] for line in snmp if line.startswith("Ip:"))
        return int(dict(zip(names, values, strict=True))[name])


@contextmanager
def joined(mtu_bytes: int = 1500, netem: str = "") -> Iterator[tuple[Namespace, Namespace]]:
    """The host's machine, address `HOST`, and the board's, address `BOARD`.

    Args:
        mtu_bytes: Longest packet of the cable.
        netem: What tc's netem does to it, in both directions; by default nothing.
    """
    number = f"sl{os.getpid()}n{next(_NUMBERS)}"
    machines = [Namespace(f"{number}{end}") for end in "hb"]
    with ExitStack() as stack:
        for machine in machines:
            _run(f"ip netns add {machine.name}")
            stack.callback(_run, f"ip netns delete {machine.name}")
        here, there = (machine.name for machine in machines)
        _run(f"ip -n {here} link add cable type veth peer name cable netns {there}")
        for machine, address in zip(machines, (HOST, BOARD), strict=True):
            _run(f"ip -n {machine.name} link set lo up")
            _run(f"ip -n {machine.name} link set cable mtu {mtu_bytes} up")
            _run(f"ip -n {machine.name} address add {address}/24 broadcast {BROADCAST} dev cable")
            if netem:
                _run(f"tc -n {machine.name} qdisc add dev cable root netem {netem}")
        for machine in machines:
            _wait_until_it_carries(machine)
        yield machines[0], machines[1]


def _wait_until_it_carries(machine: Namespace) -> None:
    """The kernel notices a moment later that both ends are up; before, it loses what is sent."""
    deadline = time.monotonic() + PATIENCE_S
    while "state UP" not in (told := _run(f"ip -n {machine.name} link show dev cable")):
        assert time.monotonic() < deadline, told
        time.sleep(0.001)


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, 0):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _run(command: str) -> str:
    program = command.split()[0]
    try:
        done = subprocess.run(command.split(), check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"no program `{program}`: install iproute2")
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()[-1]
        if program == "tc":
            pytest.skip(f"tc has no netem here (kernel module sch_netem): {said}")
        pytest.skip(f"no network namespaces here (they need CAP_SYS_ADMIN): {said}")
    return done.stdout
