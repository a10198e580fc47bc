"""The wire protocol over loopback UDP, against a bare UDP echo and a bare windowed transfer.

Changes no cell. What is quoted, CERN's ControlHub and uHAL and LiteX, needs boards of its own.
"""

import random
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks import bulk
from benchmarks.measure import Figure, at_least, at_most, interleaved, seconds
from benchmarks.processes import emulator, process

from starlab_host.links import open_link
from starlab_host.links.base import Link
from starlab_host.session.session import Session
from starlab_spec.wire.frames import (
    FRAME_OVERHEAD_BYTES,
    JUMBO_PAYLOAD_BYTES,
    MAX_PAYLOAD_BYTES,
)
from starlab_spec.wire.transactions import (
    Transaction,
    read_memory,
    read_registers,
    write_memory,
)

GROUP = "Link, loopback UDP, with CRC"
ROUND_TRIPS = 2000
LOSSY_ROUND_TRIPS = 500
TRANSFERS = 8
ARRAY = bytes(2 * 784 * 100 * 4)
"""As much as a conductance map of array 1 takes: 627 kB."""
REGISTERS_PER_FRAME = MAX_PAYLOAD_BYTES // 16


@dataclass(frozen=True, slots=True)
class Way:
    """Conditions under which the array is transferred."""

    payload_bytes: int
    """Of our frames; both sides send datagrams of the same length."""
    loss: float = 0.0
    """Part of the datagrams that is lost, in each direction."""
    target_mb_s: float | None = None
    """What must be reached; none: told for orientation."""
    quoted: str = ""
    """What CERN's ControlHub reaches."""

    @property
    def datagram_bytes(self) -> int:
        """Length of the datagrams."""
        return self.payload_bytes + FRAME_OVERHEAD_BYTES

    def __str__(self) -> str:
        """As the report says it."""
        return f"{self.datagram_bytes}-byte datagrams" + (self.losing and f", {self.losing}")

    @property
    def losing(self) -> str:
        """The loss, as the report says it; nothing if there is none."""
        return f"{100 * self.loss:g} % loss each way" if self.loss else ""


CLEAN = Way(MAX_PAYLOAD_BYTES, 0.0, 40, "19-21 MB/s")
LOSING = (
    Way(MAX_PAYLOAD_BYTES, 0.001),
    Way(MAX_PAYLOAD_BYTES, 0.01, 20, "2.3 MB/s"),
    Way(MAX_PAYLOAD_BYTES, 0.05),
)
JUMBO = Way(JUMBO_PAYLOAD_BYTES, 0.0, 100)


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


class Ours:
    """Pieces of work on a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def command_us(self, times: int, *, read_only: bool) -> float:
        """One command with one register read after the other; microseconds each, the mean."""
        return self._each(times, [read_registers(0x100, 1)], read_only=read_only) * 1e6

    def registers_per_s(self) -> float:
        """Single register reads, a frame full of them to a command; thousands a second."""
        command = [read_registers(4 * index, 1) for index in range(REGISTERS_PER_FRAME)]
        return REGISTERS_PER_FRAME / self._each(ROUND_TRIPS // 10, command, read_only=True) / 1e3

    def write(self) -> None:
        """Write the array to memory."""
        self._session.execute([write_memory(0, ARRAY)])

    def read(self) -> None:
        """Read it from memory."""
        self._session.execute([read_memory(0, len(ARRAY))], read_only=True)

    def _each(
        self, times: int, transactions: Sequence[Transaction], *, read_only: bool = False
    ) -> float:
        def work() -> None:
            for _ in range(times):
                self._session.execute(transactions, read_only=read_only)

        return seconds(work) / times


def link_to(url: str, loss: float) -> Link:
    """A link that loses datagrams, or just a link."""
    return Lossy(open_link(url), loss, random.Random(1)) if loss else open_link(url)


@contextmanager
def ours(way: Way) -> Iterator[Ours]:
    """A session with an emulated board of its own."""
    with emulator() as url:
        link = link_to(url, way.loss)
        session = Session.open(link, client_name="bench", payload_bytes=way.payload_bytes)
        with closing(session):
            if session.granted.payload_bytes != way.payload_bytes:
                raise RuntimeError(f"the loopback interface takes no {way.datagram_bytes} bytes")
            yield Ours(session)


@contextmanager
def bare(way: Way) -> Iterator[bulk.Client]:
    """A bare transfer with a far end of its own."""
    with process("benchmarks.bulk") as port:
        with closing(link_to(f"udp://127.0.0.1:{int(port)}", way.loss)) as link:
            yield bulk.Client(link, way.datagram_bytes)


def mb_s(transfer: Callable[[], object]) -> float:
    """Rate of transfers of the array, one after the other."""

    def work() -> None:
        for _ in range(TRANSFERS):
            transfer()

    return TRANSFERS * len(ARRAY) / seconds(work) / 1e6


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
        sides: dict[str, Callable[[], float]] = {"echo": partial(echo_us, echo)}
        for way in (CLEAN, *LOSING, JUMBO):
            us, peer = stack.enter_context(ours(way)), stack.enter_context(bare(way))
            if way is CLEAN:
                for name, read_only in (("exactly once", False), ("read only", True)):
                    sides[name] = partial(us.command_us, ROUND_TRIPS, read_only=read_only)
                sides["registers"] = us.registers_per_s
            elif way in LOSING:
                sides[f"command {way}"] = partial(us.command_us, LOSSY_ROUND_TRIPS, read_only=False)
            sides[f"write {way}"] = partial(mb_s, us.write)
            sides[f"bare write {way}"] = partial(mb_s, partial(peer.write, ARRAY))
            sides[f"read {way}"] = partial(mb_s, us.read)
            sides[f"bare read {way}"] = partial(mb_s, partial(peer.read, len(ARRAY)))
        median = interleaved(sides, rounds)
    yield from _commands(median)
    for way in (CLEAN, *LOSING, JUMBO):
        for direction in ("write", "read"):
            yield _transfer(median, way, direction)


def _commands(median: Mapping[str, float]) -> Iterator[Figure]:
    for work, key in (("one command, round trip", "exactly once"), ("read only", "read only")):
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
    for way in LOSING:
        value = median[f"command {way}"]
        yield Figure(GROUP, f"one command, {way.losing}, mean", value, "us")
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


def _transfer(median: Mapping[str, float], way: Way, direction: str) -> Figure:
    rate, peer_rate = median[f"{direction} {way}"], median[f"bare {direction} {way}"]
    limit = way.target_mb_s
    return Figure(
        GROUP,
        f"{direction} 627 kB, {way}",
        rate,
        "MB/s",
        peer="bare windowed transfer in Python",
        peer_value=peer_rate,
        ratio=rate / peer_rate,
        target=None if limit is None else at_least(rate, limit, "MB/s"),
        note=f"CERN ControlHub {way.quoted}, quoted" if way.quoted else "",
    )
