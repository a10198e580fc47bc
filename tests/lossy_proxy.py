"""A UDP proxy that loses, doubles, reorders, delays and corrupts datagrams, as seeded.

Knows nothing of what they carry and imports nothing of the product: a fault injector inside of the
thing under test proves less. Importable (`LossyProxy`), and a program:

    python tests/lossy_proxy.py --to 127.0.0.1:5716 --loss 0.05 --corruption 0.01 --seed 7

prints one line of JSON when it listens, and another one, with what it did, when it is stopped.
"""

import argparse
import heapq
import json
import random
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Self

LATE_S = (0.001, 0.004)
"""A datagram that others may overtake is held back for so long, at least and at most."""
BITS_MAX = 4
"""A corrupted datagram has so many bits turned at most."""

Address = tuple[str, int]


@dataclass(frozen=True)
class Faults:
    """What happens to the datagrams of one direction; all but the delay are probabilities."""

    loss: float = 0.0
    """A datagram disappears."""
    duplication: float = 0.0
    """It comes twice."""
    reordering: float = 0.0
    """A copy is held back, so that later ones overtake it."""
    corruption: float = 0.0
    """Some bits of a copy are turned."""
    delay_s: float = 0.0
    """Every datagram takes so long."""


@dataclass
class Tally:
    """What has happened in one direction."""

    came: int = 0
    lost: int = 0
    doubled: int = 0
    held_back: int = 0
    corrupted: int = 0


class BadWay:
    """One direction. Opens no socket and reads no clock.

    The faults of the n-th datagram follow from the seed and n alone.

    Args:
        faults: How bad.
        seed: Decides which datagrams fare how.
    """

    def __init__(self, faults: Faults, seed: str) -> None:
        self.tally = Tally()
        self.swallows: Callable[[bytes], bool] = lambda datagram: False
        """What disappears besides, such as all datagrams of one length."""
        self._faults = faults
        self._seed = seed

    def carry(self, datagram: bytes, now: float) -> Iterator[tuple[float, bytes]]:
        """The copies that come out, each with the time when it does."""
        faults, tally = self._faults, self.tally
        rng = random.Random(f"{self._seed} {tally.came}")
        tally.came += 1
        if rng.random() < faults.loss or self.swallows(datagram):
            tally.lost += 1
            return
        doubled = rng.random() < faults.duplication
        tally.doubled += doubled
        for _ in range(1 + doubled):
            due, copy = now + faults.delay_s, datagram
            if rng.random() < faults.reordering:
                tally.held_back += 1
                due += rng.uniform(*LATE_S)
            if copy and rng.random() < faults.corruption:
                tally.corrupted += 1
                copy = _corrupted(copy, rng)
            yield due, copy


def _corrupted(datagram: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(datagram)
    bits = 8 * len(datagram)
    for bit in rng.sample(range(bits), rng.randint(1, min(BITS_MAX, bits))):
        damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


class LossyProxy:
    """A thread between the hosts of one board and the board.

    Each host gets a socket of its own towards the board, which therefore can tell them apart.

    Args:
        board: Where the board listens.
        to_board: Faults on the way there.
        to_host: Faults on the way back.
        seed: Decides which datagrams fare how.
        listen: Where hosts send to; port 0 is any free one.

    Attributes:
        address: Where it listens.
        to_board: The way there; may be replaced by another at any time.
        to_host: The way back; likewise.
    """

    def __init__(
        self,
        board: Address,
        *,
        to_board: Faults = Faults(),
        to_host: Faults = Faults(),
        seed: int = 0,
        listen: Address = ("127.0.0.1", 0),
    ) -> None:
        self._board = board
        self.to_board = BadWay(to_board, f"{seed} to board")
        self.to_host = BadWay(to_host, f"{seed} to host")
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(listen)
        self.address: Address = self._front.getsockname()
        self._backs: dict[Address, socket.socket] = {}
        self._under_way: list[tuple[float, int, socket.socket, Address, bytes]] = []
        self._order = 0
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="lossy-proxy", daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        for listened in (self._front, self._wake_out):
            listened.setblocking(False)
            self._selector.register(listened, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; what is under way is lost."""
        self._wake_in.send(b".")
        self._thread.join()
        self._selector.close()
        for closed in (self._front, self._wake_in, self._wake_out, *self._backs.values()):
            closed.close()

    def tallies(self) -> dict[str, dict[str, int]]:
        """What has happened so far, by direction."""
        ways = {"to_board": self.to_board, "to_host": self.to_host}
        return {name: asdict(way.tally) for name, way in ways.items()}

    def _run(self) -> None:
        hosts: dict[socket.socket, Address] = {}
        while True:
            wait_s = self._under_way[0][0] - time.monotonic() if self._under_way else None
            for key, _ in self._selector.select(wait_s):
                ready = key.fileobj
                if ready is self._wake_out:
                    return
                assert isinstance(ready, socket.socket)
                for datagram, sender in _waiting(ready):
                    if ready is self._front:
                        back = self._backs.get(sender) or self._towards_board(sender)
                        hosts[back] = sender
                        self._carry(self.to_board, datagram, back, self._board)
                    else:
                        self._carry(self.to_host, datagram, self._front, hosts[ready])
            self._deliver()

    def _towards_board(self, host: Address) -> socket.socket:
        back = self._backs[host] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        back.setblocking(False)
        self._selector.register(back, selectors.EVENT_READ)
        return back

    def _carry(self, way: BadWay, datagram: bytes, by: socket.socket, to: Address) -> None:
        for due, copy in way.carry(datagram, time.monotonic()):
            self._order += 1
            heapq.heappush(self._under_way, (due, self._order, by, to, copy))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now:
            _, _, by, to, datagram = heapq.heappop(self._under_way)
            try:
                by.sendto(datagram, to)
            except OSError:
                pass  # nobody there, or no room: one more loss


def _waiting(ready: socket.socket) -> Iterator[tuple[bytes, Address]]:
    """All datagrams that a socket has now."""
    while True:
        try:
            yield ready.recvfrom(65536)
        except BlockingIOError:
            return
        except OSError:
            continue  # the word that an earlier datagram met nobody


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the board")
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--seed", type=int, default=0)
    for field in fields(Faults):
        name = field.name.removesuffix("_s")
        parser.add_argument(f"--{name}", type=float, default=0.0, help="both ways")
        for way in ("to-board", "to-host"):
            parser.add_argument(f"--{name}-{way}", type=float, help="that way")
    options = parser.parse_args(arguments)

    def chosen(way: str) -> Faults:
        named = {}
        for field in fields(Faults):
            name = field.name.removesuffix("_s")
            own = getattr(options, f"{name}_{way}")
            named[field.name] = getattr(options, name) if own is None else own
        return Faults(**named)

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with LossyProxy(
        _address(options.to),
        to_board=chosen("to_board"),
        to_host=chosen("to_host"),
        seed=options.seed,
        listen=_address(options.listen),
    ) as proxy:
        print(json.dumps({"listening": "{}:{}".format(*proxy.address)}), flush=True)
        stop.wait()
    print(json.dumps(proxy.tallies()), flush=True)
    return 0


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    sys.exit(main())
