"""The authors' protocol over loopback TCP: one request, one reply. Compares with no peer.

Single samples as a program of the authors goes about it, and our own calls on such a board.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
from benchmarks.measure import Figure, at_least, interleaved, seconds
from benchmarks.processes import process

from starlab_host import Board, Chip, connect
from starlab_host.links import AuthorsAddress, AuthorsLink
from starlab_spec.registers import register
from starlab_spec.samples import SAMPLE_BYTES, Y2_BLOCK_BYTES, pack_samples
from starlab_spec.supplies import SUPPLIES

GROUP = "The authors' protocol, loopback TCP"
SAMPLES = 400
SAMPLES_AT = 0x100_0000
TARGET_PER_S = 200


class Program:
    """Single-sample inference in Y2 mode: sample to memory, registers, start, result."""

    def __init__(self, link: AuthorsLink) -> None:
        self._link = link
        pixels = np.random.default_rng(1).random((SAMPLES, 784)) < 0.2
        self._samples = [sample.tobytes() for sample in pack_samples(pixels)]

    def set_up(self) -> None:
        """Supplies and place of the samples; the rest wakes up as the published start-up has it."""
        for channel in SUPPLIES:
            where = channel.chip_select, channel.register
            self._link.set_supply(*where, channel.default_code, is_ua=channel.unit == "uA")
        self._set("SAMPLE_ADDRESS", self._link.base + SAMPLES_AT)
        self._set("SAMPLE_STRIDE", SAMPLE_BYTES)

    def inferences_per_s(self) -> float:
        """Samples a second."""
        return SAMPLES / seconds(self._infer)

    def _infer(self) -> None:
        for sample in self._samples:
            self._link.write_memory(SAMPLES_AT, sample)
            self._set("MODE", 0x037F0100)
            self._set("INFERENCE_RANGE", 0)
            self._set("OPERATION", 0x00200000)
            self._link.run(Y2_BLOCK_BYTES)

    def _set(self, name: str, word: int) -> None:
        self._link.set_register(register(name).address, word)


class Calls:
    """Our own calls on a board that knows only this protocol."""

    def __init__(self, board: Board) -> None:
        self._chip = Chip(board)
        rng = np.random.default_rng(2)
        self._images = rng.random((SAMPLES, 784)) < 0.2
        self._labels = rng.integers(0, 10, SAMPLES)

    def inferences_per_s(self) -> float:
        """Samples a second, of a batch."""
        return SAMPLES / seconds(lambda: self._chip.infer(self._images))

    def learned_per_s(self) -> float:
        """Samples learned a second."""
        learn = seconds(lambda: self._chip.train_step(self._images, labels=self._labels))
        return SAMPLES / learn

    def reads_per_s(self) -> float:
        """Whole readings of array 1 a second."""
        return 1 / seconds(lambda: self._chip.read_conductance_uS(1))


@contextmanager
def emulator() -> Iterator[str]:
    """An emulated board of its own; gives its address, authors-tcp://host:port."""
    options = ("--port", "0", "--seed", "1", "--authors-tcp", "127.0.0.1:0", "--exit-with-parent")
    with process("starlab_sim", *options) as line:
        yield json.loads(line)["links"][-1]


def figures(rounds: int) -> Iterator[Figure]:
    """Measure all of it."""
    with ExitStack() as stack:
        link = AuthorsAddress.parse(stack.enter_context(emulator())).connect()
        stack.callback(link.close)
        program = Program(link)
        program.set_up()
        calls = Calls(stack.enter_context(connect(stack.enter_context(emulator()))))
        median = interleaved(
            {
                "program": program.inferences_per_s,
                "infer": calls.inferences_per_s,
                "learn": calls.learned_per_s,
                "read": calls.reads_per_s,
            },
            rounds,
        )
    rate = median["program"]
    yield Figure(
        GROUP,
        "single-sample inference",
        rate,
        "samples/s",
        target=at_least(rate, TARGET_PER_S, "samples/s"),
        note="sample to memory, three registers, start, result",
    )
    yield Figure(GROUP, "`infer`, a batch sample by sample", median["infer"], "samples/s")
    yield Figure(GROUP, "`train-step`, sample by sample", median["learn"], "samples/s")
    yield Figure(GROUP, "array 1 read, row by row", median["read"], "arrays/s")
