"""Snapshots of emulated boards, asked for and restored, for the tests of them."""

import time
from typing import Any

import numpy as np
from tests.sim.conftest import Bench

from starlab_sim import Specimen
from starlab_sim.effects import CycleNoise, Effects
from starlab_spec.operations import Operation
from starlab_spec.registers import MAP_END
from starlab_spec.snapshot import checksum, unpack
from starlab_spec.wire.transactions import emulator, json_object, read_memory, write_memory

AT, SAMPLES, LABELS, RECORDS = 0x0400_0000, 0x1000, 0x10_0000, 0x20_0000
NOISY = Effects(cycle_noise=CycleNoise(0.1))


def ask(bench: Bench, **request: Any) -> dict[str, Any]:
    return json_object(bench.do(emulator(request))[0])


def snapshot_of(bench: Bench, *, memory: bool = False) -> bytes:
    told = ask(bench, snapshot={"address": AT, "memory": memory})["snapshot"]
    data = bench.do(read_memory(AT, told["bytes"]))[0].data
    assert checksum(data) == told["sha256"]
    return data


def restore(bench: Bench, data: bytes) -> dict[str, Any]:
    bench.do(write_memory(AT, data))
    return ask(bench, restore={"address": AT, "bytes": len(data)})


def restored(data: bytes, specimen: Specimen | None = None) -> Bench:
    bench = Bench(Specimen(seed=99) if specimen is None else specimen)
    restore(bench, data)
    return bench


def learner(specimen: Specimen) -> Bench:
    """A board, powered up and settled, with 1,000 random samples in its memory."""
    bench = Bench(specimen)
    bench.power_up()
    time.sleep(0.01)
    load(bench)
    return bench


def load(bench: Bench) -> None:
    rng = np.random.default_rng(4)
    bench.do(
        write_memory(SAMPLES, rng.integers(0, 256, (1000, 98), np.uint8).tobytes()),
        write_memory(LABELS, rng.integers(0, 10, 1000, np.uint8).tobytes()),
    )


def train(bench: Bench, first: int, count: int) -> bytes:
    """The records of some samples."""
    bench.write(
        SAMPLE_ADDRESS=SAMPLES,
        SAMPLE_STRIDE=98,
        TARGET_ADDRESS=LABELS,
        RESULT_ADDRESS=RECORDS,
        BATCH_FIRST=first,
        BATCH_COUNT=count,
        TH=1,
        TH1=100,
    )
    bench.start(Operation.BATCH_TRAINING)
    return bench.do(read_memory(RECORDS, 52 * count))[0].data


def everything(bench: Bench) -> dict[str, Any]:
    """All that a snapshot holds, but for what tells boards and boots apart."""
    file = unpack(snapshot_of(bench))
    header = dict(file.header)
    holding = {**header.pop("holding"), "serial": "", "boots": 0, "pulses_before": 0}
    for name in ("serial", "boot_id", "lifetime_pulses"):
        del header[name]
    arrays = {name: array.tobytes() for name, array in file.arrays.items()}
    registers = bytearray(arrays.pop("registers"))
    registers[0x108:0x10C] = bytes(4)
    # counters are written when they are read
    registers[0x200:MAP_END] = bytes(MAP_END - 0x200)
    return {**header, **arrays, "holding": holding, "registers": bytes(registers)}
