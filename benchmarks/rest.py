"""The whole stack, SDK -> REST -> UDP -> emulated board, against the emulated chip alone.

Reaches the product only as a user does; the chip alone is the emulator's own class.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from benchmarks.measure import Figure, at_least, at_most, interleaved, seconds
from benchmarks.processes import process
from numpy.typing import NDArray

from starlab import Board, Client, datasets
from starlab_sim.chip import (
    Activation,
    Chip,
    Converters,
    Learning,
    Rails,
    Schedule,
    Tuning,
    targets_of,
)
from starlab_spec.samples import pack_samples
from starlab_spec.supplies import supply

GROUP = "REST, one worker, embedded emulator"
BATCH = 10_000
CLIENTS = 8
CALLS_PER_CLIENT = 250
MAPS = 10
SEED = 1
WRITING_MV = {"VBLset": 2209.0, "VSLreset": 1600.0}
LEARNING_MV = {"VBLset": 2050.0, "VSLreset": 1440.0}
"""Lower, so that a pulse moves a cell less and learning goes on."""
SETTINGS: dict[str, Any] = {
    "adc_bits_2": 7,
    "integration_time_1_ns": 250,
    "integration_time_2_ns": 150,
    "output_activation": "none",
    "th": 220,
    "th1_uS": 2.5,
    "c1": 0.25,
    "c1_relative": True,
    "target_on": 400,
    "target_off": -160,
}
"""A working point, as the REST API takes it, and below as the emulated chip does."""
CONVERTERS = Converters(bits2=7, integration1_ns=250, integration2_ns=150)
LEARNING = Learning(
    threshold=220, hidden_threshold_uS=2.5, c1=250, c1_relative=True, activation=Activation.NONE
)


def rail_mv(name: str) -> float:
    """What a rail really gives while the chip learns."""
    channel = supply(name)
    return channel.value(channel.code(LEARNING_MV[name]))


def learn_alone(digits: datasets.Digits, array2_uS: NDArray[np.float64]) -> float:
    """All digits, one after the other, on an emulated chip of this process; seconds."""
    samples = pack_samples(datasets.unpack(digits.images))
    targets = targets_of(digits.labels, on=SETTINGS["target_on"], off=SETTINGS["target_off"])
    chip = Chip(seed=SEED, formed=True)
    chip.set_conductance_uS(2, array2_uS)
    rails = Rails(bl_set_mv=rail_mv("VBLset"), sl_reset_mv=rail_mv("VSLreset"))
    return seconds(
        partial(
            chip.train,
            samples,
            targets,
            rails=rails,
            converters=CONVERTERS,
            learning=LEARNING,
            tuning=Tuning.at(rails, Schedule.cyclic()),
        )
    )


def learn_through_the_stack(
    board: Board, digits: datasets.Digits, array2_uS: NDArray[np.float64]
) -> float:
    """The same on a fresh chip of the board; seconds without its preparation."""
    board.emulator(seed=SEED)
    board.set_supplies(mv=WRITING_MV)
    board.change_settings(**SETTINGS)
    board.arrays[2].program(array2_uS)
    board.set_supplies(mv=LEARNING_MV)

    def learn() -> None:
        for _ in board.train(digits.images, digits.labels, batch=BATCH):
            pass

    return seconds(learn)


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
    array2_uS = np.random.default_rng(SEED).normal(11, 4, (2, 100, 10)).clip(2.5, 19.5)
    with process("starlab_api", "--port", "0", "--seed", str(SEED)) as line:
        url = json.loads(line)["listening"]
        with Client(url) as bench:
            board = bench.board("emu0")
            median = interleaved(
                {
                    "alone": partial(learn_alone, digits, array2_uS),
                    "stack": partial(learn_through_the_stack, board, digits, array2_uS),
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
