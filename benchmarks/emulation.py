"""The emulated chip against AIHWKit, both on one thread. Opens no socket.

The digits are MNIST, binarised; the settings those of the working point.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from benchmarks import crossbar
from benchmarks.measure import Figure, at_most, interleaved, seconds, times_faster
from benchmarks.peer import worker
from benchmarks.working_point import CONVERTERS, READING, TARGET_OFF, TARGET_ON, stage

from starlab import datasets
from starlab_sim.chip import Chip, Learning, Schedule, Tuning, targets_of, warm_up
from starlab_sim.effects import CycleNoise, Effects
from starlab_spec.samples import pack_samples

GROUP = "Emulation, 784 x 100 tile"
SAMPLES = 4000
CYCLE_NOISE_uS = 0.05
POINT, TUNING = stage(0.5)
"""How a chip learns in the middle of its run."""
BUSY = replace(POINT, threshold=100, hidden_threshold_uS=1.0)
"""Thresholds so low that a step moves about as many cells as the target supposes: 2,300."""
IDLE = replace(TUNING, schedule=Schedule.cyclic(0, 0))
"""The same steps without a pulse."""
QUOTED = {
    "vmm_ideal": "8.8 us",
    "update_dense": "900-1900 us",
    "step_layers": "1000-1100 us",
}
"""AIHWKit 1.2 on two such cores, for where it is not installed."""


class OurChip:
    """Pieces of work of the emulated chip, each returning microseconds a sample.

    Attributes:
        pulses: Mean per sample, of the last learning.
    """

    def __init__(self, *, cycle_noise_uS: float, learning: Learning) -> None:
        digits = datasets.mnist()[0].head(SAMPLES)
        self._samples = pack_samples(datasets.unpack(digits.images))
        self._targets = targets_of(digits.labels, on=TARGET_ON, off=TARGET_OFF)
        self._chip = Chip(
            seed=1, formed=True, effects=Effects(cycle_noise=CycleNoise(cycle_noise_uS))
        )
        self._fresh_uS = self._chip.conductance_uS(1)
        self._random_uS = np.random.default_rng(1).normal(11, 4, (2, 100, 10)).clip(2.5, 19.5)
        self._learning = learning
        self.pulses = 0.0

    def vmm(self) -> float:
        """Array 1 with its converters."""
        work = partial(self._chip.vmm, self._samples, rails=READING, converters=CONVERTERS)
        return seconds(work) / SAMPLES * 1e6

    def step(self, tuning: Tuning = TUNING) -> float:
        """Whole learning steps, one after the other, from the same state each time."""
        self._chip.set_conductance_uS(1, self._fresh_uS)
        self._chip.set_conductance_uS(2, self._random_uS)

        def learn() -> None:
            training = self._chip.train(
                self._samples,
                self._targets,
                rails=READING,
                converters=CONVERTERS,
                learning=self._learning,
                tuning=tuning,
            )
            self.pulses = float(training.pulses1.mean() + training.pulses2.mean())

        return seconds(learn) / SAMPLES * 1e6

    def update(self) -> float:
        """The update alone: a step with pulses less a step without."""
        idle = self.step(IDLE)
        return self.step() - idle


def figures(rounds: int) -> Iterator[Figure]:
    """Measure all of it."""
    warm_up()
    plain = OurChip(cycle_noise_uS=0.0, learning=POINT)
    noisy = OurChip(cycle_noise_uS=CYCLE_NOISE_uS, learning=BUSY)
    sides: dict[str, Callable[[], float]] = {
        "vmm": plain.vmm,
        "step": plain.step,
        "noisy step": noisy.step,
        "update": noisy.update,
    }
    digits = datasets.mnist()[0].head(1000)
    arrays = {"inputs": datasets.unpack(digits.images), "labels": digits.labels}
    works = (*QUOTED, "vmm_analog", "update_same_cells", "step_tiles")
    with worker("aihwkit_worker.py", **arrays) as peer:
        if peer is not None:
            sides |= {work: partial(peer.measure, work) for work in works}
        median = interleaved(sides, rounds)
        name = f"AIHWKit {peer.versions['AIHWKit']}" if peer is not None else "AIHWKit 1.2"

    def figure(work: str, ours: str, theirs: str, times: float | None, note: str) -> Figure:
        peer_us = median.get(theirs)
        ratio = None if peer_us is None else peer_us / median[ours]
        return Figure(
            GROUP,
            work,
            median[ours],
            "us",
            peer=name,
            peer_value=peer_us,
            ratio=ratio,
            quoted=QUOTED.get(theirs, ""),
            target=None if times is None else times_faster(ratio, times, "AIHWKit"),
            note=note,
        )

    yield figure(
        "VMM, one binary vector",
        "vmm",
        "vmm_ideal",
        1,
        "ours with ADC; its tile without converters",
    )
    yield figure(
        "the same", "vmm", "vmm_analog", None, "its tile with its default converters and noise"
    )
    yield figure(
        f"one pulsed update with cycle-to-cycle noise, {noisy.pulses:,.0f} pulses",
        "update",
        "update_dense",
        20,
        "its update by an error in all 100 columns, up to ten pulses a cell",
    )
    yield figure(
        "the same",
        "update",
        "update_same_cells",
        None,
        "its update of as many cells as ours, one pulse each",
    )
    yield figure(
        f"one learning step, 784-100-10, {plain.pulses:,.0f} pulses",
        "step",
        "step_layers",
        25,
        "its layers and optimiser",
    )
    yield figure("the same", "step", "step_tiles", None, "its bare tiles")
    yield figure(
        f"the same, with cycle-to-cycle noise, {noisy.pulses:,.0f} pulses",
        "noisy step",
        "step_layers",
        None,
        "its layers and optimiser",
    )
    yield wired(rounds)
    cell_bytes = bytes_per_cell()
    yield Figure(
        GROUP, "memory of a cell", cell_bytes, "bytes", target=at_most(cell_bytes, 64, "bytes")
    )


def wired(rounds: int) -> Figure:
    """One vector through an array whose lines resist, from scratch."""
    cells = crossbar.random_cells(crossbar.LINES)
    ours = partial(crossbar.cold, crossbar.LINES, cells)
    sides: dict[str, Callable[[], float]] = {"ours": lambda: seconds(ours) * 1e3}
    name = "badcrossbar"
    with worker(crossbar.WORKER, **crossbar.for_badcrossbar(cells)) as peer:
        if peer is not None:
            name = f"badcrossbar {peer.versions['badcrossbar']}"
            sides["theirs"] = lambda: peer.measure("solve") * 1e3
        median = interleaved(sides, rounds)
    theirs = median.get("theirs")
    ratio = None if theirs is None else theirs / median["ours"]
    return Figure(
        GROUP,
        "VMM with wire resistance",
        median["ours"],
        "ms",
        peer=name,
        peer_value=theirs,
        ratio=ratio,
        quoted="1.4 s",
        target=times_faster(ratio, 100, "badcrossbar"),
        note="784 x 100 cells, cold start; errors in validation.md",
    )


def bytes_per_cell() -> float:
    """What a chip keeps in memory, per cell."""
    tracemalloc.start()
    chip = Chip(formed=True)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept / sum(chip.virgin(array).size for array in (1, 2))
