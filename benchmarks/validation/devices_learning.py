"""Learning of the demo's digits on chips with each effect, and with all. Tunes nothing.

Each chip is virgin at first: it is formed, array 2 is programmed by write-verify, and both layers
learn 60,000 digits once, at the settings of `benchmarks.working_point`.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from benchmarks.validation.report import Check, Plot, Section
from benchmarks.working_point import (
    CONVERTERS,
    READING,
    STAGES_PER_EPOCH,
    TARGET_OFF,
    TARGET_ON,
    board_samples,
    program_array2,
    teach,
)
from matplotlib.figure import Figure

from starlab.datasets import mnist
from starlab_sim.chip import Chip, PulseKind, targets_of
from starlab_sim.effects import ALL, EFFECTS, NONE, Effects
from starlab_spec.geometry import ARRAY1, ARRAY2

SEED: Final = 1
OF_CELLS: Final = (
    "spread",
    "cycle_noise",
    "stuck",
    "forming",
    "gate",
    "wear",
    "retention",
    "read_noise",
    "telegraph",
)
"""Effects of cells and of their reading; wires and generators have areas of their own."""
FORMING_ROUNDS: Final = 5
"""FORM operations on each array, for cells that form late."""


def cases() -> Mapping[str, Effects]:
    """Chips to compare, by what is on."""
    alone = {name: Effects(**{name: EFFECTS[name]()}) for name in OF_CELLS}
    others = {name: None for name in EFFECTS if name not in OF_CELLS}
    return {"none": NONE, **alone, "all of these": replace(ALL, **others)}


@dataclass(frozen=True, slots=True)
class Learned:
    """How a chip has learned."""

    accuracy: float
    """Of the 10,000 test digits after one epoch, by the chip itself."""
    kept: float
    """The same after 48 days in which nobody touched it."""
    step_us: float
    """Processor time of a learning step."""
    pulses: int
    """Pulses of the epoch."""


def learned(effects: Effects) -> Learned:
    """Form, program, learn and test a chip."""
    training, testing = mnist()
    samples, tests = board_samples(training), board_samples(testing)
    targets = targets_of(training.labels, on=TARGET_ON, off=TARGET_OFF)
    chip = Chip(seed=SEED, effects=effects)
    for geometry in (ARRAY1, ARRAY2):
        every = np.ones(geometry.shape, np.bool_)
        form = READING.pulse(PulseKind.FORM, 12_800)
        for _ in range(FORMING_ROUNDS):
            chip.pulse(geometry.number, PulseKind.FORM, every, form)
    program_array2(chip, np.random.default_rng(SEED))
    before, phase = chip.counters.pulses, 0
    stages = np.array_split(np.arange(len(samples)), STAGES_PER_EPOCH)
    spent_s = 0.0
    for index, part in enumerate(stages):
        done = index / (len(stages) - 1)
        start_s = time.thread_time()
        phase = teach(chip, samples[part], targets[part], done=done, phase=phase)
        if index:  # kernels are loaded in the first
            spent_s += time.thread_time() - start_s
    pulses = chip.counters.pulses - before

    def accuracy() -> float:
        inference = chip.infer(tests, rails=READING, converters=CONVERTERS)
        return float((inference.winners == testing.labels).mean())

    fresh = accuracy()
    chip.let_pass(48 * 86_400 * 20_000_000)
    counted = len(samples) - len(stages[0])
    return Learned(fresh, accuracy(), spent_s / counted * 1e6, pulses)


def sections() -> Iterator[Section]:
    """Learn with each effect."""
    found = {name: learned(effects) for name, effects in cases().items()}
    plain = found["none"]
    rows = [
        "| on | accuracy | after 48 days | pulses | step, us | times slower |",
        "|" + "---|" * 6,
    ]
    for name, one in found.items():
        rows.append(
            f"| {name} | {one.accuracy:.4f} | {one.kept:.4f} | {one.pulses / 1e6:.1f} M"
            f" | {one.step_us:.0f} | {one.step_us / plain.step_us:.1f} |"
        )
    checks = [
        Check(
            f"accuracy with {name}",
            "learning on ideal cells",
            one.accuracy - plain.accuracy,
            low=-0.06 if name == "all of these" else -0.04,
            note=f"{one.accuracy:.4f}; one epoch, one seed",
        )
        for name, one in found.items()
        if name != "none"
    ]
    checks.append(
        Check(
            "accuracy after 48 days with retention",
            "unchanged accuracy after 48 days [P]",
            found["retention"].kept - found["retention"].accuracy,
            low=-0.01,
        )
    )
    text = (
        "Both layers learn 60,000 digits once on a chip that was formed and whose array 2 was"
        " programmed by write-verify, at the settings of `benchmarks/working_point.py`, which were"
        " found for ideal cells. Each effect has its defaults. The times are processor time of"
        " one thread, each in a run of its own; the emulated chip takes the plain kernels where no"
        " effect needs others.\n\n" + "\n".join(rows)
    )
    yield Section("Learning with effects of cells", text, checks, [_plot(found)])


def _plot(found: Mapping[str, Learned]) -> Plot:
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(found))
    axes.bar(places - 0.2, [one.accuracy for one in found.values()], 0.4, label="after an epoch")
    axes.bar(places + 0.2, [one.kept for one in found.values()], 0.4, label="48 days later")
    axes.set_xticks(places, found.keys(), rotation=30, ha="right")
    axes.set_ylim(0.7, 1.0)
    axes.set_ylabel("accuracy")
    axes.legend(loc="upper right", ncols=2)
    return Plot(
        "devices-learning", "Accuracy after one epoch with each effect, and 48 days later", figure
    )
