"""Learning of the demo's digits on chips with each effect, and with all. Tunes nothing.

Each chip is virgin at first: it is formed, array 2 is programmed by write-verify, and both layers
learn 60,000 digits once, at the settings of `benchmarks.working_point`.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
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
from starlab_sim.effects import ALL, EFFECTS, NONE, Effects, Wires
from starlab_sim.supplies import Generators, SupplyRack
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.supplies import SUPPLIES

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
"""Effects of cells and of their reading."""
OF_STEPS: Final = (*OF_CELLS, "load_regulation", "current_limit", "wires")
"""Effects that every learning step meets."""
OF_OPERATIONS: Final = ("channel_errors", "settling", "channel_noise")
"""Effects that an operation meets once, however many samples it has."""
ALL_OF_CELLS: Final = "all of cells"
ALL_OF_STEPS: Final = "all of these"
EXACT_STEPS: Final = 200
"""Learning steps by which the exact mode of wires is timed."""
OPERATIONS: Final = 2000
"""Operations by which the generators are timed."""
FORMING_ROUNDS: Final = 5
"""FORM operations on each array, for cells that form late."""


def cases() -> Mapping[str, Effects]:
    """Chips to compare, by what is on."""
    alone = {name: Effects(**{name: EFFECTS[name]()}) for name in OF_STEPS}
    return {
        "none": NONE,
        **alone,
        ALL_OF_CELLS: _without(name for name in EFFECTS if name not in OF_CELLS),
        ALL_OF_STEPS: _without(OF_OPERATIONS),
    }


def _without(names: Iterable[str]) -> Effects:
    """All effects but some."""
    return replace(ALL, **dict.fromkeys(names))


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


def ready(effects: Effects) -> Chip:
    """A chip that is formed, with random weights in array 2."""
    chip = Chip(seed=SEED, effects=effects)
    for geometry in (ARRAY1, ARRAY2):
        every = np.ones(geometry.shape, np.bool_)
        form = READING.pulse(PulseKind.FORM, 12_800)
        for _ in range(FORMING_ROUNDS):
            chip.pulse(geometry.number, PulseKind.FORM, every, form)
    program_array2(chip, np.random.default_rng(SEED))
    return chip


def learned(effects: Effects) -> Learned:
    """Form, program, learn and test a chip."""
    training, testing = mnist()
    samples, tests = board_samples(training), board_samples(testing)
    targets = targets_of(training.labels, on=TARGET_ON, off=TARGET_OFF)
    chip = ready(effects)
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


def exact_step_us() -> float:
    """Processor time of a learning step whose wires are solved exactly."""
    training, _ = mnist()
    samples = board_samples(training)[: 2 * EXACT_STEPS]
    targets = targets_of(training.labels[: len(samples)], on=TARGET_ON, off=TARGET_OFF)
    chip = ready(Effects(wires=Wires(mode="exact")))
    phase = teach(chip, samples[:EXACT_STEPS], targets[:EXACT_STEPS], done=0.0, phase=0)
    start_s = time.thread_time()
    teach(chip, samples[EXACT_STEPS:], targets[EXACT_STEPS:], done=0.0, phase=phase)
    return (time.thread_time() - start_s) / EXACT_STEPS * 1e6


def operation_us(effects: Effects) -> float:
    """Processor time in which the generators say what they give in one operation."""
    rack = SupplyRack(Generators(SEED, effects))
    for channel in SUPPLIES:
        rack.set(channel.index, channel.default_code, now_s=0.0)
    start_s = time.thread_time()
    for _ in range(OPERATIONS):
        rack.values(now_s=1.0)
    return (time.thread_time() - start_s) / OPERATIONS * 1e6


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
    exact_us = exact_step_us()
    exact_times = f"{exact_us:.0f} | {exact_us / plain.step_us:.0f}"
    rows.append(f"| wires, exact ({EXACT_STEPS} steps) | - | - | - | {exact_times} |")
    ideal_us = operation_us(NONE)
    real_us = operation_us(Effects(**{name: EFFECTS[name]() for name in OF_OPERATIONS}))
    checks = [
        Check(
            f"accuracy with {name}",
            "learning on ideal cells",
            one.accuracy - plain.accuracy,
            low=-0.06 if name in (ALL_OF_CELLS, ALL_OF_STEPS) else -0.04,
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
        " effect needs others. Errors, settling and noise of the generators are met once an"
        f" operation, of whatever length: {real_us:.0f} us of it with them, {ideal_us:.0f} us"
        " without.\n\n" + "\n".join(rows)
    )
    yield Section("Learning with each effect, and its price", text, checks, [_plot(found)])


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
