"""Energy and time of single operations and of a whole training. Tunes nothing.

Single operations against hand calculation; one epoch of MNIST at the working point by the emulated
chip's own account and by the published method, beside a digital processor.
"""

from collections.abc import Iterator
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
    teach,
    virgin_to_ready,
)
from matplotlib.figure import Figure

from starlab.datasets import mnist
from starlab.energy_report import PUBLISHED_RATIO, EnergyReport, Work, energy_report
from starlab_sim.chip import CONSTANTS, Chip, Counters, PulseKind, targets_of

SEED: Final = 1
ROUNDING: Final = 1e-9
"""Relative: sums of some thousand terms in another order."""
HAND_uS: Final = 10.0
_J_PER_mJ: Final = 1e-3


def sections() -> Iterator[Section]:
    """What this area has found."""
    yield _by_hand()
    start, end, accuracy = _training()
    yield _whole(start, end, accuracy)


def _by_hand() -> Section:
    """Single operations on cells of known conductance."""
    step_j, line_f = CONSTANTS["ADC_STEP_J"].value, CONSTANTS["LINE_CAPACITANCE_F"].value
    read_v, minus_v = READING.read_plus_mv * 1e-3, READING.read_minus_mv * 1e-3
    checks = []

    def check(what: str, formula: str, counted: float, expected: float) -> None:
        error = abs(counted / expected - 1)
        checks.append(Check(what, formula, error, high=ROUNDING))

    chip = _chip_at_hand()
    mask = np.zeros((2, 1, 100), np.bool_)
    mask[0, 0, :7] = True
    pulse = READING.pulse(PulseKind.SET, 300)
    chip.pulse(1, PulseKind.SET, mask, pulse)
    volts = pulse.amplitude_mv * 1e-3
    expected_j = volts**2 * (7 * HAND_uS * 1e-6 * 300e-9 + line_f)
    check(
        "a SET pulse on seven cells of a row", "V^2 (G t + C)", chip.counters.energy_j, expected_j
    )

    chip = _chip_at_hand()
    chip.read(1, rows=range(1), planes=(0,), rails=READING, converters=CONVERTERS)
    counters = chip.counters
    cells_j = read_v**2 * 100 * HAND_uS * 1e-6 * 20 * 50e-9
    check("READ of a row: its cells", "V^2 G t", counters.cells_j, cells_j)
    check("READ of a row: conversions", "100 x 2^8 steps", counters.converters_j, 25600 * step_j)

    chip = _chip_at_hand()
    bits = np.zeros((1, 98), np.uint8)
    bits[0, :10] = 0xFF
    hidden = chip.infer(bits, rails=READING, converters=CONVERTERS).hidden
    counters, slots = chip.counters, int(hidden.sum())
    cells_j = (read_v**2 + minus_v**2) * 80 * 100 * HAND_uS * 1e-6 * 250e-9
    cells_j += read_v**2 * slots * 20 * HAND_uS * 1e-6 * 150e-9
    check("an inference of 80 pixels: cells", "V^2 G t", counters.cells_j, cells_j)
    steps = 100 * 2**8 + 20 * 255 * 2**7
    check("an inference: conversions", "2^N steps each", counters.converters_j, steps * step_j)
    lines_j = line_f * (80 * (read_v**2 + minus_v**2) + slots * read_v**2)
    check("an inference: lines", "C V^2 each", counters.lines_j, lines_j)
    check("an inference: time", "2^(N1 + N2) cycles", counters.time_s, 2**15 * 50e-9)
    text = (
        "Cells at 10 uS, published rails, converters and integration times of the working point. "
        "Figures are relative errors of the counters."
    )
    return Section("Energy and time: single operations", text, checks)


def _chip_at_hand() -> Chip:
    chip = Chip(seed=SEED)
    for number in (1, 2):
        chip.set_conductance_uS(number, np.full(chip.conductance_uS(number).shape, HAND_uS))
    return chip


def _training() -> tuple[Counters, Counters, float]:
    """One epoch at the working point: counters before and after, and what came of it."""
    training, testing = mnist()
    samples = board_samples(training)
    targets = targets_of(training.labels, on=TARGET_ON, off=TARGET_OFF)
    chip = virgin_to_ready(SEED, "nonlinear-3", 0.0)
    start = chip.counters
    phase = 0
    for index, part in enumerate(np.array_split(np.arange(len(samples)), STAGES_PER_EPOCH)):
        done = index / (STAGES_PER_EPOCH - 1)
        phase = teach(chip, samples[part], targets[part], done=done, phase=phase)
    end = chip.counters
    inference = chip.infer(board_samples(testing), rails=READING, converters=CONVERTERS)
    return start, end, float((inference.winners == testing.labels).mean())


def _parts_j(start: Counters, end: Counters) -> dict[str, float]:
    """Energy between two looks, part by part."""
    parts = {
        f"{kind.upper()} pulses, array {array + 1}": getattr(end, f"{kind}_j")[array]
        - getattr(start, f"{kind}_j")[array]
        for array in range(2)
        for kind in ("set", "reset")
    }
    for name in ("cells", "converters", "lines"):
        parts[name] = getattr(end, f"{name}_j") - getattr(start, f"{name}_j")
    return parts


def _whole(start: Counters, end: Counters, accuracy: float) -> Section:
    parts = _parts_j(start, end)
    total_j = end.energy_j - start.energy_j

    def pulses(kind: str) -> tuple[int, int]:
        before, after = getattr(start, f"{kind}_pulses"), getattr(end, f"{kind}_pulses")
        return after[0] - before[0], after[1] - before[1]

    work = Work(
        set_pulses=pulses("set"),
        reset_pulses=pulses("reset"),
        steps=end.training_steps - start.training_steps,
        adc_bits_1=CONVERTERS.bits1,
        adc_bits_2=CONVERTERS.bits2,
    )
    report = energy_report(work)
    assert report.ratio is not None and report.published_at_operations_per_j is not None  # noqa: S101, PT018 - it did learn
    tuning_j = sum(line.energy_j for line in report.lines[:4])
    converters_j = sum(line.energy_j for line in report.lines[4:])
    pulses_j = sum(parts[name] for name in parts if "pulses" in name)
    checks = [
        Check(
            "sum of the parts", "the total", abs(sum(parts.values()) / total_j - 1), high=ROUNDING
        ),
        Check("accuracy on the 10,000 test digits", "no reference", accuracy),
        Check("energy, the chip's own account", "no reference", total_j / _J_PER_mJ, "mJ"),
        Check("energy, the published method", "no reference", report.chip_j / _J_PER_mJ, "mJ"),
        Check(
            "tuning, published method by own account",
            "1",
            tuning_j / pulses_j,
            low=0.5,
            high=2.0,
            note="the method takes published rails and mid-window cells; the working point lowers "
            "the rails while it learns, and its cells are where they are",
        ),
        Check(
            "conversions, published method by own account",
            "1",
            converters_j / parts["converters"],
            low=0.999,
            high=1.0,
            note="the method knows no comparisons of the errors driven back",
        ),
        Check(
            "energy of a digital processor",
            "a Xeon E5-2699 v3 at its peak",
            report.processor_j / _J_PER_mJ,
            "mJ",
        ),
        Check(
            "processor : chip, published method",
            f"{1 / PUBLISHED_RATIO:.0f} beside a digital accelerator [P]",
            1 / report.ratio,
            note="another digital system than the published one, on another task: of the same "
            "direction, not the same figure",
        ),
        Check(
            "digital system beside which it would be 35",
            "no reference",
            report.published_at_operations_per_j / 1e9,
            "Gop/J",
        ),
        Check("time of the chip", "no reference", end.time_s - start.time_s, "s"),
    ]
    text = (
        f"One epoch of {work.steps:,} digits at the working point, both layers, seed {SEED}. "
        "The published method counts pulses and conversions and knows neither the cells' currents "
        "in reading nor lines; its assumptions are listed in [time and energy](energy.md)."
    )
    plot = Plot("energy", "Energy of one MNIST training, by what takes it", _bars(parts, report))
    return Section("Energy of a whole training", text, checks, [plot])


def _bars(parts: dict[str, float], report: EnergyReport) -> Figure:
    """Two stacked bars, and the processor's figure in words: it would dwarf them."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    method = dict.fromkeys(parts, 0.0)
    for line in report.lines:
        method[line.what if "pulses" in line.what else "converters"] += line.energy_j
    bottoms = [0.0, 0.0]
    names = ["the chip's own account", "published method"]
    colours = ("#08519c", "#6baed6", "#a63603", "#fd8d3c", "#31a354", "#756bb1", "#969696")
    for (name, energy_j), colour in zip(parts.items(), colours, strict=True):
        heights = [energy_j / _J_PER_mJ, method[name] / _J_PER_mJ]
        axes.bar(names, heights, 0.55, bottom=bottoms, color=colour, label=name)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    for index, top in enumerate(bottoms):
        axes.annotate(f"{top:.2f} mJ", (index, top), ha="center", va="bottom")
    axes.set_ylabel("energy, mJ")
    axes.set_ylim(0, 1.15 * max(bottoms))
    axes.set_title(
        f"{report.steps:,} learning steps; a Xeon E5-2699 v3 at its peak: "
        f"{report.processor_j:.2f} J"
    )
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right center", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure
