"""The wire protocol over loopback UDP, against a bare UDP echo. Changes no cell.

The peers' figures are quoted: CERN's ControlHub and uHAL, and LiteX, need boards of their own.
"""

import random
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks.measure import Figure, at_least, at_most, interleaved, seconds
from benchmarks.processes import emulator, process

from starlab_host.links import open_link
from starlab_host.links.base import Link
from starlab_host.session import Session
from starlab_spec.wire.frames import JUMBO_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES
from starlab_spec.wire.transactions import (
    Transaction,
    read_memory,
    read_registers,
    write_memory,
)

GROUP = "Link, loopback UDP, with CRC"
ROUND_TRIPS = 2000
TRANSFERS = 8
ARRAY_BYTES = 2 * 784 * 100 * 4
"""What a conductance map of array 1 takes: 627 kB."""
REGISTERS_PER_FRAME = MAX_PAYLOAD_BYTES // 16
LOSS = 0.01


class Lossy:
    """A link that loses datagrams in both directions."""

    def __init__(self, link: Link, loss: float, rng: random.Random) -> None:
        self.payload_bytes = link.payload_bytes
        self.window = link.window
        self._link = link
        self._loss = loss
        self._rng = rng

    def send(self, datagrams: Sequence[bytes]) -> None:
        """Send most of them."""
        self._link.send([each for each in datagrams if self._rng.random() >= self._loss])

    def receive(self, timeout_s: float) -> bytes | None:
        """The next datagram that is not lost."""
        while True:
            datagram = self._link.receive(timeout_s)
            if datagram is None or self._rng.random() >= self._loss:
                return datagram

    def close(self) -> None:
        """Close the link."""
        self._link.close()


class Commands:
    """Pieces of work on a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def round_trip_us(self) -> float:
        """One command with one register read after the other; microseconds each."""
        command = [read_registers(0x100, 1)]
        return self._each(ROUND_TRIPS, command, read_only=True) * 1e6

    def exactly_once_us(self) -> float:
        """The same as a command that needs the reply cache."""
        return self._each(ROUND_TRIPS, [read_registers(0x100, 1)]) * 1e6

    def registers_per_s(self) -> float:
        """Single register reads, a frame full of them to a command; thousands a second."""
        command = [read_registers(0x100, 1)] * REGISTERS_PER_FRAME
        return REGISTERS_PER_FRAME / self._each(ROUND_TRIPS // 10, command, read_only=True) / 1e3

    def write_mb_s(self) -> float:
        """Memory written, MB/s."""
        return ARRAY_BYTES / self._each(TRANSFERS, [write_memory(0, bytes(ARRAY_BYTES))]) / 1e6

    def read_mb_s(self) -> float:
        """Memory read, MB/s."""
        command = [read_memory(0, ARRAY_BYTES)]
        return ARRAY_BYTES / self._each(TRANSFERS, command, read_only=True) / 1e6

    def _each(
        self, times: int, transactions: Sequence[Transaction], *, read_only: bool = False
    ) -> float:
        def work() -> None:
            for _ in range(times):
                self._session.execute(transactions, read_only=read_only)

        return seconds(work) / times


@contextmanager
def session(payload_bytes: int, loss: float) -> Iterator[Session]:
    """A session with an emulated board of its own."""
    with emulator() as url:
        link = Lossy(open_link(url), loss, random.Random(1)) if loss else open_link(url)
        session = Session.open(link, client_name="bench", payload_bytes=payload_bytes)
        try:
            yield session
        finally:
            session.close()


def echo_us(server: socket.socket) -> float:
    """Round trips of 64 bytes to a bare echo; microseconds each."""

    def work() -> None:
        for _ in range(ROUND_TRIPS):
            server.send(bytes(64))
            server.recv(65536)

    return seconds(work) / ROUND_TRIPS * 1e6


def figures(rounds: int) -> Iterator[Figure]:
    """Measure all of it."""
    with ExitStack() as stack:
        port = stack.enter_context(process("benchmarks.echo"))
        echo = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        echo.connect(("127.0.0.1", int(port)))
        clean = Commands(stack.enter_context(session(MAX_PAYLOAD_BYTES, 0.0)))
        losing = Commands(stack.enter_context(session(MAX_PAYLOAD_BYTES, LOSS)))
        large = stack.enter_context(session(JUMBO_PAYLOAD_BYTES, 0.0))
        jumbo = Commands(large)
        sides: dict[str, Callable[[], float]] = {
            "echo": partial(echo_us, echo),
            "round trip": clean.round_trip_us,
            "exactly once": clean.exactly_once_us,
            "registers": clean.registers_per_s,
            "write": clean.write_mb_s,
            "read": clean.read_mb_s,
            "lossy write": losing.write_mb_s,
            "lossy read": losing.read_mb_s,
            "jumbo write": jumbo.write_mb_s,
            "jumbo read": jumbo.read_mb_s,
        }
        median = interleaved(sides, rounds)

    for work, key in (("one command, round trip", "exactly once"), ("read only", "round trip")):
        yield Figure(
            GROUP,
            work,
            median[key],
            "us",
            peer="bare UDP echo in Python",
            peer_value=median["echo"],
            ratio=median["echo"] / median[key],
            target=at_most(median[key], 150, "us"),
            note="CERN ControlHub 255-280 us, litex_server 416 us, quoted",
        )
    rate = 1e3 / median["exactly once"]
    yield Figure(
        GROUP, "commands one after the other", rate, "k/s", target=at_least(rate, 5, "k/s")
    )
    yield Figure(
        GROUP,
        "register operations batched in one frame",
        median["registers"],
        "k/s",
        peer="uHAL through ControlHub",
        quoted="176 k/s",
        target=at_least(median["registers"], 200, "k/s"),
    )
    transfers = [
        ("", "1472-byte datagrams", 40, "19-21 MB/s"),
        ("lossy ", "1472-byte datagrams, 1 % loss each way", 20, "2.3 MB/s"),
    ]
    if large.granted.payload_bytes == JUMBO_PAYLOAD_BYTES:
        transfers.append(("jumbo ", "8932-byte datagrams", 100, ""))
    for kind, work, limit, quoted in transfers:
        for direction in ("write", "read"):
            rate = median[kind + direction]
            yield Figure(
                GROUP,
                f"{direction} 627 kB, {work}",
                rate,
                "MB/s",
                peer="CERN ControlHub" if quoted else "",
                quoted=quoted,
                target=at_least(rate, limit, "MB/s"),
            )
