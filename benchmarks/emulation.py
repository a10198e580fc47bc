"""The emulated chip against AIHWKit, both on one thread. Opens no socket.

The physical settings are the published defaults; the digits are MNIST, binarised.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from benchmarks.measure import Figure, at_most, interleaved, seconds, times_faster
from benchmarks.peer import worker

from starlab import datasets
from starlab_sim.chip import Chip, Converters, Learning, Rails, Schedule, Tuning, targets_of
from starlab_spec.samples import pack_samples

GROUP = "Emulation, 784 x 100 tile"
SAMPLES = 4000
CYCLE_NOISE_uS = 0.05
BUSY = Learning(threshold=12, hidden_threshold_uS=1.5)
"""Thresholds low enough that a step moves about as many cells as the target supposes: 2,300."""
QUOTED = {
    "vmm_ideal": "8.8 us",
    "update_dense": "900-1900 us",
    "step_layers": "1000-1100 us",
}
"""AIHWKit 1.2 on two such cores, for where it is not installed."""


class OurChip:
    """Pieces of work of the emulated chip, each returning microseconds a sample."""

    def __init__(self, *, cycle_noise_uS: float, learning: Learning) -> None:
        digits = datasets.mnist()[0].head(SAMPLES)
        self.samples = pack_samples(datasets.unpack(digits.images))
        self.targets = targets_of(digits.labels, on=79)
        self.chip = Chip(seed=1, formed=True, cycle_noise_uS=cycle_noise_uS)
        spread = np.random.default_rng(1).standard_normal((2, 100, 10))
        self.chip.set_conductance_uS(2, np.clip(11 + 4 * spread, 2, 20))
        self.learning = learning
        self.pulses = 0.0

    def vmm(self) -> float:
        """Array 1 with its converters."""
        work = partial(self.chip.vmm, self.samples, rails=Rails(), converters=Converters())
        return seconds(work) / SAMPLES * 1e6

    def step(self, pulses_per_update: int = 1) -> float:
        """Whole learning steps, one after the other, cyclic; 0 pulses: all but the update."""
        schedule = Schedule.cyclic(pulses_per_update, pulses_per_update)

        def learn() -> None:
            training = self.chip.train(
                self.samples,
                self.targets,
                rails=Rails(),
                converters=Converters(),
                learning=self.learning,
                tuning=Tuning.at(Rails(), schedule),
            )
            self.pulses = float(training.pulses1.mean() + training.pulses2.mean())

        return seconds(learn) / SAMPLES * 1e6

    def update(self) -> float:
        """The update alone: a step with pulses less a step without."""
        return -self.step(0) + self.step(1)


def figures(rounds: int) -> Iterator[Figure]:
    """Measure all of it."""
    Chip.warm_up()
    plain = OurChip(cycle_noise_uS=0.0, learning=Learning())
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
    pulses = f"{noisy.pulses:,.0f} pulses"
    yield figure(
        f"one pulsed update with cycle-to-cycle noise, {pulses}",
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
        "one learning step, 784-100-10", "step", "step_layers", 25, "its layers and optimiser"
    )
    yield figure("the same", "step", "step_tiles", None, "its bare tiles")
    yield figure(
        f"the same, with cycle-to-cycle noise and {pulses}",
        "noisy step",
        "step_layers",
        None,
        "its layers and optimiser",
    )
    cell_bytes = bytes_per_cell()
    yield Figure(
        GROUP, "memory of a cell", cell_bytes, "bytes", target=at_most(cell_bytes, 64, "bytes")
    )


def bytes_per_cell() -> float:
    """What a chip keeps in memory, per cell."""
    tracemalloc.start()
    chip = Chip(formed=True)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept / sum(chip.virgin(array).size for array in (1, 2))
