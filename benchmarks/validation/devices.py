"""Cells of the emulated chip against the laws and tables that they are said to follow."""

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from benchmarks.validation import devices_learning, devices_over_time
from benchmarks.validation.report import Check, Plot, Section
from matplotlib.figure import Figure
from numpy.typing import NDArray

from starlab_sim.chip import Chip, PulseConditions, PulseKind, Rails
from starlab_sim.devices import (
    NOMINAL_AMPLITUDE_MV,
    STEP_VOLTAGE_MV,
    THRESHOLD_MV,
    preset,
)
from starlab_sim.effects import Effects, FormingStatistics, GateCompliance, Spread, StuckCells
from starlab_spec.geometry import ARRAY1

RAILS: Final = Rails()
EVERY: Final = np.ones(ARRAY1.shape, np.bool_)
CELLS: Final = EVERY.size
SET: Final = RAILS.pulse(PulseKind.SET, 300)
RESET: Final = RAILS.pulse(PulseKind.RESET, 50)
SHOWN: Final = ("linear", "nonlinear-3", "nonlinear-5", "soft-bounds", "measured")


def chip_with(device: str = "nonlinear-3", *, formed: bool = True, **effects: Any) -> Chip:
    """A chip with these effects."""
    return Chip(seed=1, device=device, formed=formed, effects=Effects(**effects))


def cells_of(chip: Chip) -> NDArray[np.float64]:
    """Conductances of array 1, one after the other."""
    return chip.conductance_uS(1).astype(np.float64).reshape(-1)


def all_at(chip: Chip, level_uS: float) -> None:
    """Put all cells of array 1 at a conductance."""
    chip.set_conductance_uS(1, np.full(ARRAY1.shape, level_uS))


def pulse(chip: Chip, kind: PulseKind, conditions: PulseConditions, count: int = 1) -> None:
    """Pulses on all cells of array 1."""
    chip.pulse(1, kind, EVERY, conditions, count=count)


def sections() -> Iterator[Section]:
    """All of it."""
    yield _tables()
    yield _spread()
    yield _voltages()
    yield _forming()
    yield from devices_over_time.sections()
    yield from devices_learning.sections()


# ---- tables


def _mean_errors(device: str) -> tuple[float, float]:
    """Greatest error of a bin's mean step in standard errors, and of its deviation."""
    model, worst_mean, worst_std = preset(device), 0.0, 0.0
    chip = chip_with(device)
    for kind, table, conditions in (
        (PulseKind.SET, model.set_steps, SET),
        (PulseKind.RESET, model.reset_steps, RESET),
    ):
        sign = 1 if kind is PulseKind.SET else -1
        for number, (mean, std) in enumerate(zip(table.mean_uS, table.std_uS, strict=True)):
            width = 18.0 / len(table.mean_uS)
            away = (number + 0.5) * width
            if min(away, 18.0 - away) < 4 * std:
                continue  # the window would cut the distribution off
            level = 2.0 + away if sign > 0 else 20.0 - away
            all_at(chip, level)
            pulse(chip, kind, conditions)
            steps = sign * (cells_of(chip) - np.float64(np.float32(level)))
            error = max(std / math.sqrt(CELLS), 1e-6)  # of a float32
            worst_mean = max(worst_mean, abs(steps.mean() - mean) / error)
            worst_std = max(worst_std, abs(steps.std() - std) / max(error / math.sqrt(2), 2e-6))
    return worst_mean, worst_std


def _tables() -> Section:
    checks = []
    for device in ("nonlinear-2", "nonlinear-3", "asymmetric-060-036", "measured"):
        mean, std = _mean_errors(device)
        against = "its table, in standard errors of 156,800 cells"
        checks.append(Check(f"{device}: worst mean step of a bin", against, mean, high=4.5))
        checks.append(Check(f"{device}: worst deviation of a bin", against, std, high=4.5))
    text = (
        "A pulse moves a cell by the mean and the deviation of its bin. Below: a cell of each"
        " model under 300 SET and 300 RESET pulses at the published rails, and the mean of"
        " all 156,800 cells of array 1. Bins nearer than four deviations to an end of the window"
        " are left out of the check: the window cuts their distribution off."
    )
    return Section("Device models", text, checks, [_trains()])


def _trains() -> Plot:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for device in SHOWN:
        chip = chip_with(device)
        all_at(chip, 2.0)
        seen = [cells_of(chip)[[0]]]
        means = [2.0]
        mask = np.zeros(ARRAY1.shape, np.bool_)
        mask[:, :20] = True
        for kind, conditions in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
            for _ in range(300):
                chip.pulse(1, kind, mask[:, :20], conditions)
                cells = chip.conductance_uS(1)[:, :20]
                seen.append(cells.reshape(-1)[[0]].astype(np.float64))
                means.append(float(cells.mean()))
        left.plot(np.concatenate(seen), label=device, lw=1)
        right.plot(means, label=device, lw=1)
    for axes, title in ((left, "one cell"), (right, "mean of 4,000 cells")):
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("pulses: 300 SET, 300 RESET")
        axes.set_ylabel("conductance, uS")
    right.legend(fontsize=8)
    return Plot("devices-pulses", "Conductance over pulses, by device model", figure)


# ---- spread


def _spread() -> Section:
    chip = chip_with("linear", spread=Spread(step=0.2, window=0.05))
    steps = {}
    for kind, conditions in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
        all_at(chip, 11.0)
        pulse(chip, kind, conditions)
        steps[kind] = np.abs(cells_of(chip) - 11.0)
    ends = {}
    for kind, one in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
        strong = PulseConditions(one.amplitude_mv, one.gate_mv, 1000 * one.width_ns)
        pulse(chip, kind, strong, count=2)
        ends[kind] = cells_of(chip)
    checks = []
    z = 0.6745  # of a normal distribution's quartiles
    for kind, values in steps.items():
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        checks += [
            Check(f"{kind.name}: mean step", "the table", values.mean() / 0.0496, "", 0.99, 1.01),
            Check(
                f"{kind.name}: median step",
                "lognormal, exp(-0.2^2 / 2) of the mean",
                middle / (0.0496 * math.exp(-0.02)),
                "",
                0.99,
                1.01,
            ),
            Check(
                f"{kind.name}: quartiles of the step",
                "lognormal, sigma 0.2",
                math.log(high / low) / (2 * z * 0.2),
                "",
                0.98,
                1.02,
            ),
        ]
    for kind, values in ends.items():
        low, high = np.quantile(values, (0.25, 0.75))
        checks.append(
            Check(
                f"quartiles of the {'top' if kind is PulseKind.SET else 'bottom'} of the window",
                "normal, sigma 5 % of 18 uS",
                (high - low) / (2 * z * 0.9),
                "",
                0.98,
                1.02,
            )
        )
    stuck = chip_with(stuck=StuckCells(low=0.01, high=0.005))
    before = cells_of(stuck)
    pulse(stuck, PulseKind.RESET, RESET, 5)
    still = cells_of(stuck) == before
    checks.append(
        Check(
            "cells that RESET pulses do not move",
            "stuck: 1.5 %",
            still.mean() * 100,
            "%",
            1.4,
            1.6,
        )
    )
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for kind, values in steps.items():
        left.hist(values * 1e3, 100, histtype="step", label=kind.name)
        right.hist(ends[kind], 100, histtype="step", label=f"after many {kind.name} pulses")
    left.set_xlabel("step of one pulse, nS")
    right.set_xlabel("conductance, uS")
    left.set_ylabel("cells")
    for axes in (left, right):
        axes.legend(fontsize=8)
    plot = Plot("devices-spread", "Steps and window ends of all cells of array 1", figure)
    text = "Every cell has a step and a window of its own; the table is that of the average cell."
    return Section("Spread from cell to cell", text, checks, [plot])


# ---- voltages


def _voltages() -> Section:
    chip = chip_with("linear")
    checks, figure = [], Figure(figsize=(9, 6.2), layout="constrained")
    (law, stairs), (gate, trace) = figure.subplots(2, 2)
    for kind, one in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
        amplitudes = np.arange(600.0, 2600.0, 19.8)
        factors = []
        for amplitude in amplitudes:
            all_at(chip, 11.0)
            mask = np.ones((2, 1, 100), np.bool_)
            chip.pulse(1, kind, mask, PulseConditions(amplitude, one.gate_mv, one.width_ns))
            factors.append(abs(float(chip.conductance_uS(1)[0, 0, 0]) - 11.0) / 0.0496)
        expected = np.exp((amplitudes - NOMINAL_AMPLITUDE_MV[kind]) / STEP_VOLTAGE_MV)
        expected[amplitudes < THRESHOLD_MV[kind]] = 0.0
        error = np.abs(np.array(factors) - np.minimum(expected, 9.0 / 0.0496)).max()
        law.semilogy(amplitudes, np.maximum(factors, 1e-4), label=kind.name)
        checks.append(Check(f"{kind.name}: step over amplitude", "the law", error, high=1e-3))
    law.set_ylim(1e-3, None)
    law.set_xlabel("amplitude, mV")
    law.set_ylabel("step, in nominal ones")
    law.legend(fontsize=8)
    _staircase(stairs)
    checks.append(_compliance(gate))
    _staircase_over_time(trace)
    plot = Plot(
        "devices-voltages",
        "Step over amplitude; staircases of SET and RESET; what SET reaches over VWLset;"
        " one cell under rising pulses",
        figure,
    )
    text = (
        "Below a threshold nothing moves; above it the step is e times as large every"
        f" {STEP_VOLTAGE_MV:g} mV, and exactly the table's at the published rails. The access"
        " transistor caps the conductance that SET reaches: at the published VWLset at the top of"
        " the window."
    )
    return Section("Amplitude and gate voltage", text, checks, [plot])


def _staircase(axes: Any) -> None:
    """Ten pulses at each amplitude: the usual figure of a device."""
    chip = chip_with(spread=Spread())
    for kind, one, start in ((PulseKind.SET, SET, 2.0), (PulseKind.RESET, RESET, 20.0)):
        all_at(chip, start)
        amplitudes = np.arange(800.0, 3000.0, 39.6)
        seen = []
        for amplitude in amplitudes:
            rising = PulseConditions(amplitude, one.gate_mv, one.width_ns)
            chip.pulse(1, kind, np.ones((2, 1, 100), np.bool_), rising, count=10)
            seen.append(chip.conductance_uS(1)[0, 0])
        levels = np.quantile(np.array(seen), (0.05, 0.5, 0.95), axis=1)
        axes.plot(amplitudes, levels[1], label=kind.name)
        axes.fill_between(amplitudes, levels[0], levels[2], alpha=0.25)
    axes.set_xlabel("amplitude, mV; 10 pulses each")
    axes.set_ylabel("conductance, uS")
    axes.legend(fontsize=8)


def _staircase_over_time(axes: Any) -> None:
    """SET and RESET cycles of one cell with rising amplitude."""
    chip = chip_with("measured", spread=Spread())
    all_at(chip, 2.0)
    seen = []
    for rise in range(5):
        for kind, one in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
            stronger = PulseConditions(
                one.amplitude_mv - 300 + 100 * rise, one.gate_mv, one.width_ns
            )
            for _ in range(40):
                chip.pulse(1, kind, np.ones((2, 1, 100), np.bool_), stronger)
                seen.append(float(chip.conductance_uS(1)[0, 0, 3]))
    axes.plot(seen, lw=0.8)
    axes.set_xlabel("pulses: 40 SET, 40 RESET, each cycle 100 mV higher")
    axes.set_ylabel("conductance, uS")


def _compliance(axes: Any) -> Check:
    gate = GateCompliance()
    chip = chip_with("linear", gate=gate)
    voltages, reached = np.arange(700.0, 2000.0, 50.0), []
    for voltage in voltages:
        all_at(chip, 2.0)
        long = PulseConditions(SET.amplitude_mv, voltage, 1000 * SET.width_ns)
        chip.pulse(1, PulseKind.SET, np.ones((2, 1, 100), np.bool_), long)
        reached.append(float(chip.conductance_uS(1)[0, 0, 0]))
    expected = (gate.per_volt_uS * (voltages - gate.threshold_mv) * 1e-3).clip(2.0, 20.0)
    axes.plot(voltages, reached, "o", ms=3, label="reached")
    axes.plot(voltages, expected, lw=1, label="law")
    axes.axvline(RAILS.wl_set_mv, ls=":", color="grey", label="published VWLset")
    axes.set_xlabel("VWLset, mV")
    axes.set_ylabel("conductance, uS")
    axes.legend(fontsize=8)
    error = float(np.abs(np.array(reached) - expected).max())
    return Check("conductance that SET reaches, over VWLset", "the law", error, "uS", high=1e-4)


# ---- forming


def _formed(settings: FormingStatistics, voltage_mv: float, width_ns: int, count: int) -> float:
    chip = chip_with(formed=False, forming=settings)
    conditions = PulseConditions(voltage_mv, RAILS.wl_form_mv, width_ns)
    pulse(chip, PulseKind.FORM, conditions, count)
    return float(1.0 - chip.virgin(1).mean())


def _expected(settings: FormingStatistics, voltage_mv: float, pulses: float) -> float:
    """Share that is formed: the law of a cell, averaged over the normal forming voltages."""
    z = np.linspace(-6, 6, 2401)
    weights = np.exp(-0.5 * z**2)
    own = settings.voltage_mv + settings.voltage_spread_mv * z
    halvings = pulses * 10 ** ((voltage_mv - own) / settings.decade_mv)
    return float(settings.yield_fraction * np.average(1 - 2.0**-halvings, weights=weights))


def _forming() -> Section:
    settings = FormingStatistics(yield_fraction=0.98)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    voltages = np.arange(4300.0, 5300.0, 60.0)
    worst = 0.0
    for width_ns, count in ((1_300, 1), (12_800, 1), (12_800, 10)):
        found = [_formed(settings, voltage, width_ns, count) for voltage in voltages]
        law = [_expected(settings, one, width_ns / 12_800 * count) for one in voltages]
        worst = max(worst, float(np.abs(np.subtract(found, law)).max()))
        (line,) = left.plot(voltages, law, lw=1)
        label = f"{count} x {width_ns / 1000:g} us"
        left.plot(voltages, found, "o", ms=3, color=line.get_color(), label=label)
    left.axvline(RAILS.bl_form_mv, ls=":", color="grey")
    left.set_xlabel("VBLform, mV (dotted: published)")
    left.set_ylabel("formed cells")
    left.legend(fontsize=8)
    chip = chip_with(formed=False, forming=FormingStatistics())
    pulse(chip, PulseKind.FORM, RAILS.pulse(PulseKind.FORM, 12_800), 10)
    cells = cells_of(chip)
    right.hist(cells[cells > 0.1], 100, histtype="step")
    right.set_xlabel("conductance after forming, uS")
    right.set_ylabel("cells")
    formed = cells[cells > 0.1]
    checks = [
        Check("formed cells over voltage, width and count", "the law, worst", worst, high=0.006),
        Check(
            "yield of 10 pulses at the published VBLform",
            "0.999",
            float((cells > 0.1).mean()),
            low=0.9985,
            high=0.9995,
        ),
        Check("mean after forming", "11 uS", float(formed.mean()), "uS", 10.98, 11.02),
        Check("deviation after forming", "2 uS", float(formed.std()), "uS", 1.98, 2.02),
    ]
    plot = Plot("devices-forming", "Forming: share of cells (lines: the law), conductances", figure)
    text = (
        "Each cell has a forming voltage of its own, at which a pulse of 12.8 us forms it in half"
        " of the cases; ten times the width makes up for a voltage, and some pulses do what one of"
        " their summed width would."
    )
    return Section("Forming", text, checks, [plot])
