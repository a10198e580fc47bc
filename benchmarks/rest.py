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
from benchmarks.working_point import CONVERTERS, READING, TARGET_OFF, TARGET_ON, stage
from numpy.typing import NDArray

from starlab import Board, Client, datasets
from starlab_sim.chip import Chip, targets_of
from starlab_spec.samples import pack_samples

GROUP = "REST, one worker, embedded emulator"
BATCH = 10_000
CLIENTS = 8
CALLS_PER_CLIENT = 250
MAPS = 10
SEED = 1
LEARNING, TUNING = stage(0.5)
LEARNING_MV = {
    "VBLset": TUNING.set1.amplitude_mv,
    "VSLreset": TUNING.reset1.amplitude_mv,
}
SETTINGS: dict[str, Any] = {
    "adc_bits_1": CONVERTERS.bits1,
    "adc_bits_2": CONVERTERS.bits2,
    "integration_time_1_ns": CONVERTERS.integration1_ns,
    "integration_time_2_ns": CONVERTERS.integration2_ns,
    "output_activation": LEARNING.activation.name.lower(),
    "th": round(LEARNING.threshold),
    "th1_uS": LEARNING.hidden_threshold_uS,
    "c1": LEARNING.c1 / 1000,
    "c1_relative": LEARNING.c1_relative,
    "target_on": TARGET_ON,
    "target_off": TARGET_OFF,
}
"""The working point in the middle of a run, as the REST API takes it."""


def learn_alone(digits: datasets.Digits, array2_uS: NDArray[np.float64]) -> float:
    """All digits, one after the other, on an emulated chip of this process; seconds."""
    samples = pack_samples(datasets.unpack(digits.images))
    targets = targets_of(digits.labels, on=TARGET_ON, off=TARGET_OFF)
    chip = Chip(seed=SEED, formed=True)
    chip.set_conductance_uS(2, array2_uS)
    return seconds(
        partial(
            chip.train,
            samples,
            targets,
            rails=READING,
            converters=CONVERTERS,
            learning=LEARNING,
            tuning=TUNING,
        )
    )


def learn_through_the_stack(
    board: Board, digits: datasets.Digits, array2_uS: NDArray[np.float64]
) -> float:
    """The same on a fresh chip of the board; seconds without its preparation."""
    board.emulator(seed=SEED)
    board.set_supplies(mv={"VBLset": READING.bl_set_mv, "VSLreset": READING.sl_reset_mv})
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
