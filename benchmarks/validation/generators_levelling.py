"""What levelling leaves of the offset of array 1, beside balancing, against the hidden truth."""

from typing import Final

import numpy as np
from benchmarks.validation.generators_bench import BOARDS, DARK, LIGHT, NOW, Bench
from benchmarks.validation.report import Check, Plot, Section
from matplotlib.figure import Figure
from numpy.typing import NDArray

from starlab_host import balance, calibrate, level
from starlab_host.trimming.levelling import TOLERANCE_CODES
from starlab_spec.supplies import CLAMP_OFFSET_MV, NOMINAL_READ_MV, SUPPLIES, supply

NOISE_MV: Final = 0.5
"""Of each rail, from operation to operation."""
LIT: Final = 100
"""Pixels that are on where levelling is measured."""
HIDDEN_PER_CODE: Final = LIT * 0.1 * 255 / 300
"""Hidden codes of so many pixels, by a code of READ of each of them."""
LIFTS_uS: Final = (0.75, 1.5)
"""What all "+" cells are raised by to measure an offset of either sign by codes."""
REPEATS: Final = 100
"""Products that are averaged, as noise of the generators moves all codes of one alike."""


def levelling() -> Section:
    """The offset of balanced weights: before, balanced, levelled."""
    effects = {
        "channel_errors": {"gain": 0.01, "offset_mv": 20.0},
        "channel_noise": {"voltage_mv": NOISE_MV},
    }
    rows, sigmas, pulses, measured = [], [], [], []
    for seed in range(BOARDS):
        bench = Bench(seed, effects)
        cells = np.random.default_rng(seed).normal(11, 0.5, (2, 784, 100))
        bench.emulated.chip.set_conductance_uS(1, cells)
        bench.board.calibration = calibrate(bench.board, now=NOW)
        bench.board.set_supply_codes({c.name: c.default_code for c in SUPPLIES})
        found = [_true_offset_codes(bench)]
        balance(bench.board)
        found.append(_true_offset_codes(bench))
        done = level(bench.board)
        found.append(_true_offset_codes(bench))
        rows.append(found)
        sigmas.append(done.after.sigma_codes)
        pulses.append(bench.emulated.chip.pulses(1).max())
        measured.append(_measured_offset_codes(bench))
        bench.board.close()
    offsets = np.array(rows)
    greatest = np.abs(offsets).max(axis=0)
    sigma = float(np.max(sigmas)) * HIDDEN_PER_CODE
    allowed = TOLERANCE_CODES * HIDDEN_PER_CODE + 3 * sigma
    # a measured offset is twice one mean minus another
    noise = float(5**0.5 * _code_noise() * HIDDEN_PER_CODE / REPEATS**0.5)
    return Section(
        "Levelling of array 1",
        f"The same {BOARDS} generators; both planes of array 1 are at 11 uS with a spread of 0.5 "
        "uS, as forming might leave them. The offset is what the hidden truth gives on average "
        f"for {LIT} pixels: `sum (vp G+ - vm G-)` in codes of array 1. `level` reads the mean "
        "codes of both planes and gives SET pulses to the lower one until they differ by "
        f"{TOLERANCE_CODES} codes at most, which are {TOLERANCE_CODES * HIDDEN_PER_CODE:.2f} "
        f"hidden codes here; noise of {NOISE_MV:g} mV a rail leaves a standard error of "
        f"{np.max(sigmas):.3f} codes, {sigma:.2f} hidden codes, of which three are allowed "
        "beside. So that codes can tell an offset of either sign, all "
        f'"+" cells are then raised by {LIFTS_uS[0]:g} and {LIFTS_uS[1]:g} uS behind the '
        f"host's back, and {REPEATS} products each extrapolated to no lift: that is the measured "
        "offset, with a noise of its own.",
        [
            Check("greatest offset before", "0", greatest[0], "hidden codes"),
            Check("greatest offset after balancing", "0", greatest[1], "hidden codes"),
            Check(
                "greatest offset after levelling",
                "tolerance and noise",
                greatest[2],
                "hidden codes",
                high=allowed,
            ),
            Check(
                "greatest offset after levelling, measured",
                "tolerance and noise",
                float(np.abs(measured).max()),
                "hidden codes",
                high=allowed + 3 * noise,
            ),
            Check(
                "most pulses on a cell",
                "few: the cap is at 256",
                float(np.max(pulses)),
                "pulses",
                high=20,
                note="38 hidden codes at most are half an uS, which six published pulses make",
            ),
        ],
        [Plot("generators-levelling", _LEVELLING_CAPTION, _levelling_plot(offsets, allowed))],
    )


_LEVELLING_CAPTION: Final = (
    f"Offset of the hidden codes with {LIT} pixels on, before and after balancing, and after "
    "levelling"
)


def _code_noise() -> float:
    """Noise of vp - vm from one operation to the next, in codes of READ at 11 uS."""
    # VBL27 and VBL23 count once, the clamp twice
    return float(6**0.5 * NOISE_MV / NOMINAL_READ_MV * 110)


def _true_offset_codes(bench: Bench) -> float:
    """Hidden codes that the generators and cells give on average, hidden from any host."""
    real = bench.real()
    clamp_mv = real["V25"] + CLAMP_OFFSET_MV
    plus_uS, minus_uS = bench.emulated.chip.conductance_uS(1).mean(axis=(1, 2), dtype=np.float64)
    summed = (real["VBL27"] - clamp_mv) * plus_uS - (clamp_mv - real["VBL23"]) * minus_uS
    bias = real["Iref_integ"] / supply("Iref_integ").nominal
    return float(LIT * summed / NOMINAL_READ_MV / bias * 255 / 300)


def _measured_offset_codes(bench: Bench) -> float:
    """The same by products, extrapolated from two lifts of all "+" cells."""
    inputs = np.zeros((7, 784), np.uint8)
    for sample in range(7):
        inputs[sample, LIT * sample : LIT * (sample + 1)] = 1
    cells = bench.emulated.chip.conductance_uS(1).astype(np.float64)
    means = []
    for lift_uS in LIFTS_uS:
        lifted = cells + np.array([lift_uS, 0.0])[:, None, None]
        bench.emulated.chip.set_conductance_uS(1, lifted)
        codes = [bench.chip.vmm(1, inputs).codes.mean() for _ in range(REPEATS)]
        means.append(float(np.mean(codes)))
    return 2 * means[0] - means[1]


def _levelling_plot(offsets: NDArray[np.float64], allowed: float) -> Figure:
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    boards = np.arange(len(offsets))
    for axes in (left, right):
        axes.axhline(0, color="grey", lw=0.8)
        axes.axhspan(-allowed, allowed, color=DARK, alpha=0.12, label="allowed after levelling")
        axes.set_xlabel("board")
        axes.set_xticks(boards)
    left.plot(boards, offsets[:, 0], "x", color="grey", label="before")
    left.plot(boards, offsets[:, 1], "o", color=LIGHT, label="balanced")
    left.plot(boards, offsets[:, 2], "o", color=DARK, label="levelled")
    left.set_ylabel(f"offset with {LIT} pixels (hidden codes)")
    left.legend(fontsize=8)
    right.plot(boards, offsets[:, 2], "o", color=DARK, label="levelled")
    right.set_ylim(-2 * allowed, 2 * allowed)
    right.legend(fontsize=8)
    return figure
