"""The whole stack, SDK -> REST -> UDP -> emulated board, against the emulated chip alone.

Reaches the product only as a user does; the chip alone is the emulator's own class.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urlsplit

import numpy as np
from benchmarks.measure import Figure, at_least, at_most, interleaved, seconds
from benchmarks.processes import process

from starlab import Board, Client, datasets
from starlab_sim.chip import Chip, Converters, Learning, Rails, Schedule, Tuning, targets_of
from starlab_spec.samples import pack_samples
from starlab_spec.supplies import supply

GROUP = "REST, one worker, embedded emulator"
BATCH = 10_000
CLIENTS = 8
CALLS_PER_CLIENT = 250
MAPS = 10
SEED = 1
RAILS_MV = {"VBLset": 2050.0, "VSLreset": 1440.0}
"""Lower than published, so that a pulse moves a cell less and learning goes on."""
LEARNING = Learning(threshold=27, hidden_threshold_uS=5.0)
TARGET_ON = 79


class ChipAlone:
    """The emulated chip in this process, at the same working point."""

    def __init__(self, digits: datasets.Digits, array2_uS: np.ndarray) -> None:
        self._samples = pack_samples(datasets.unpack(digits.images))
        self._targets = targets_of(digits.labels, on=TARGET_ON)
        self._chip = Chip(seed=SEED, formed=True)
        self._chip.set_conductance_uS(2, array2_uS)
        self._rails = Rails(bl_set_mv=rail_mv("VBLset"), sl_reset_mv=rail_mv("VSLreset"))

    def learn(self) -> None:
        """All digits, one after the other."""
        self._chip.train(
            self._samples,
            self._targets,
            rails=self._rails,
            converters=Converters(),
            learning=LEARNING,
            tuning=Tuning.at(self._rails, Schedule.cyclic()),
        )


def rail_mv(name: str) -> float:
    """What a rail of the working point really gives."""
    channel = supply(name)
    return channel.value(channel.code(RAILS_MV[name]))


def learn(board: Board, digits: datasets.Digits) -> None:
    """The same through the whole stack."""
    for _ in board.train(digits.images, digits.labels, batch=BATCH):
        pass


def get_registers(address: str, path: str) -> None:
    """One client's calls on a connection that stays open."""
    connection = HTTPConnection(address)
    for _ in range(CALLS_PER_CLIENT):
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"GET {path}: {response.status} {response.read()!r}")
        response.read()
    connection.close()


def registers_per_s(address: str, path: str) -> float:
    """Register reads a second of all clients together."""
    with ThreadPoolExecutor(CLIENTS) as pool:

        def work() -> None:
            list(pool.map(partial(get_registers, address), [path] * CLIENTS))

        return CLIENTS * CALLS_PER_CLIENT / seconds(work)


def read_map_ms(board: Board) -> float:
    """Conductance maps of array 1, milliseconds each."""

    def work() -> None:
        for _ in range(MAPS):
            board.arrays[1].conductance_uS()

    return seconds(work) / MAPS * 1e3


def figures(rounds: int) -> Iterator[Figure]:
    """Measure all of it."""
    digits = datasets.mnist()[0]
    array2_uS = np.random.default_rng(SEED).normal(11, 4, (2, 100, 10)).clip(2, 20)
    alone = ChipAlone(digits, array2_uS)
    with process("starlab_api", "--port", "0", "--seed", str(SEED)) as line:
        url = json.loads(line)["listening"]
        with Client(url) as bench:
            board = bench.board("emu0")
            board.arrays[2].program(array2_uS)
            board.set_supplies(mv=RAILS_MV)
            board.change_settings(
                th=round(LEARNING.threshold),
                th1_uS=LEARNING.hidden_threshold_uS,
                target_on=TARGET_ON,
            )
            median = interleaved(
                {
                    "alone": lambda: seconds(alone.learn),
                    "stack": lambda: seconds(lambda: learn(board, digits)),
                    "registers": lambda: registers_per_s(
                        urlsplit(url).netloc, "/api/v1/boards/emu0/registers/256"
                    ),
                    "map": lambda: read_map_ms(board),
                },
                rounds,
            )
    overhead = (median["stack"] / median["alone"] - 1) * 100
    yield Figure(
        GROUP,
        f"60,000 learning steps through the SDK, batches of {BATCH:,}",
        median["stack"],
        "s",
        peer="the emulated chip alone",
        peer_value=median["alone"],
        ratio=median["alone"] / median["stack"],
        target=at_most(median["stack"], 10, "s"),
    )
    yield Figure(
        GROUP,
        "overhead over the emulated chip alone",
        overhead,
        "%",
        target=at_most(overhead, 100, "%"),
    )
    yield Figure(
        GROUP,
        f"register reads, {CLIENTS} clients",
        median["registers"],
        "requests/s",
        target=at_least(median["registers"], 1000, "requests/s"),
    )
    yield Figure(
        GROUP,
        "conductance of array 1, 2 x 784 x 100, as npy",
        median["map"],
        "ms",
        target=at_most(median["map"], 60, "ms"),
    )
