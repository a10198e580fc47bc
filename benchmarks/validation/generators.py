"""The voltage generators against their settings, formulas and what no host can see. Changes none.

Host and emulated board share a process here; between them is the wire protocol as ever.
"""

import random
from collections.abc import Iterator
from typing import Final

import numpy as np
from benchmarks.validation.generators_bench import BOARDS, DARK, LIGHT, NOW, Bench
from benchmarks.validation.generators_levelling import levelling
from benchmarks.validation.report import Check, Plot, Section
from matplotlib.figure import Figure
from numpy.typing import NDArray

from starlab_host import balance, calibrate
from starlab_host.board.calibration import step
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.supplies import Generators
from starlab_spec.supplies import SUPPLIES, supply
from starlab_spec.wire.transactions import get_supply, set_supply, supply_reading

PARTS: Final = (0.1, 0.3, 0.5, 0.7, 0.85)
"""Where in its safe range each channel is set; a current at its default instead of the first."""


def sections() -> Iterator[Section]:
    """Calibration, balance, levelling and settling."""
    yield _calibration()
    yield _balance()
    yield levelling()
    yield _settling()


def _calibration() -> Section:
    before: list[NDArray[np.float64]] = []
    after: list[NDArray[np.float64]] = []
    pulls: list[float] = []
    for seed in range(BOARDS):
        bench = Bench(seed, {"channel_errors": True, "channel_noise": True})
        before.append(_errors_in_codes(bench))
        found = calibrate(bench.board, now=NOW)
        bench.board.calibration = found
        after.append(_errors_in_codes(bench))
        hidden = Generators(seed, bench.emulated.chip.effects)
        for c in SUPPLIES:
            error = found.real(c, c.default_code) - hidden.value(c.index, c.default_code)
            pulls.append(error / found.channels[c.name].sigma(c.nominal))
        bench.board.close()
    # boards, parts, channels
    raw, calibrated = np.abs(np.stack(before)), np.abs(np.stack(after))
    return Section(
        "Calibration of the generators",
        f"{BOARDS} boards, all 22 channels, each set to {len(PARTS)} values between 10 and 85 % of "
        "its safe range (currents to their default and 30 to 85 %); the error is what the "
        "generator really gives minus what was asked for, in codes of that channel there. Without "
        "errors, rounding to a code costs up to 0.5. The host measures five codes a channel, 32 "
        "times each, and fits a line; it sees what GET_SUPPLY measures, with noise, and nothing of "
        "the truth that it is compared with here.",
        [
            Check("worst error, uncalibrated", "the hidden truth", raw.max(), "codes"),
            Check(
                "worst error, calibrated", "the hidden truth", calibrated.max(), "codes", high=1.0
            ),
            Check(
                "root mean square, calibrated",
                "rounding alone: 0.289",
                float(np.sqrt(np.mean(calibrated**2))),
                "codes",
                high=0.32,
            ),
            Check(
                "spread of fit errors over their stated sigma",
                "1",
                float(np.std(pulls)),
                low=0.8,
                high=1.3,
                note="whether the uncertainties that a calibration states can be believed",
            ),
        ],
        [Plot("generators-calibration", _CALIBRATION_CAPTION, _calibration_plot(raw, calibrated))],
    )


_CALIBRATION_CAPTION: Final = (
    "Greatest error of each channel over all boards and settings, before and after calibration"
)


def _errors_in_codes(bench: Bench) -> NDArray[np.float64]:
    """Of each part of the range and channel."""
    errors = []
    for part in PARTS:
        wanted = {c.name: c.low + part * (c.high - c.low) for c in SUPPLIES}
        if part == PARTS[0]:
            wanted |= {c.name: c.default for c in SUPPLIES if c.unit == "uA"}
        codes = {s.name: s.code for s in bench.board.set_supplies(wanted)}
        real = bench.real()
        errors.append([(real[c.name] - wanted[c.name]) / step(c, codes[c.name]) for c in SUPPLIES])
    return np.array(errors)


def _calibration_plot(raw: NDArray[np.float64], calibrated: NDArray[np.float64]) -> Figure:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    x = np.arange(len(SUPPLIES))
    axes.bar(x - 0.2, raw.max(axis=(0, 1)), 0.4, color=LIGHT, label="nominal codes")
    axes.bar(x + 0.2, calibrated.max(axis=(0, 1)), 0.4, color=DARK, label="calibrated")
    axes.axhline(1.0, color="black", lw=0.8, ls="--", label="one code")
    axes.set_yscale("log")
    axes.set_ylim(0.2, 20)
    axes.set_ylabel("greatest error (codes)")
    axes.set_xticks(x, [c.name for c in SUPPLIES], rotation=60, ha="right", fontsize=8)
    axes.legend(fontsize=8)
    return figure


PIXELS: Final = 30
"""Pixels that are on: of 784, so that even a rail far off does not saturate the converter."""


def _balance() -> Section:
    effects = {"channel_errors": {"gain": 0.01, "offset_mv": 20.0}, "channel_noise": True}
    rows = []
    for seed in range(BOARDS):
        bench = Bench(seed, effects)
        cells = np.broadcast_to(np.array([12.5, 9.5])[:, None, None], (2, 784, 100))
        spread = np.random.default_rng(seed).normal(0, 0.3, cells.shape)
        bench.emulated.chip.set_conductance_uS(1, cells + spread)
        bench.board.calibration = calibrate(bench.board, now=NOW)
        # as after a power-up without calibration: the nominal codes
        bench.board.set_supply_codes({c.name: c.default_code for c in SUPPLIES})
        unbalanced = bench.mismatch_mv(), _offset_codes(bench)
        found = balance(bench.board)
        rows.append((*unbalanced, bench.mismatch_mv(), _offset_codes(bench), found))
        bench.board.close()
    before, after = np.array([r[:2] for r in rows]), np.array([r[2:4] for r in rows])
    told = np.array([r[4].after.mismatch_mv for r in rows])
    half_code = (supply("VBL27").value(1) - supply("VBL27").value(0)) / 2
    return Section(
        "Balance of the read rails",
        f"{BOARDS} boards whose VBL27, VBL23 and V25 are off by an offset of 20 mV (sigma) and a "
        "gain of 1 %. Cells are at 12.5 and 9.5 uS with a spread of 0.3 uS, and "
        f"{PIXELS} pixels are on: a product of 76 codes, so that an offset of either sign shows "
        "in the codes of array 1, whose converter cuts negative currents (an offset of -76 is a "
        "code of 0, and more than that in truth). `balance` reads all cells at seven codes of V25 "
        "and trims VBL27 and VBL23 by codes: half a code of mismatch (9.9 mV) can stay, and noise "
        "of 0.5 mV a rail adds to it. What stays of the offset in the codes is that mismatch, and "
        "the gain error of the converter's bias current.",
        [
            Check(
                "greatest mismatch before",
                "0",
                np.abs(before[:, 0]).max(),
                "mV",
            ),
            Check(
                "greatest mismatch after",
                "half a code and noise",
                np.abs(after[:, 0]).max(),
                "mV",
                high=half_code + 3,
            ),
            Check(
                "greatest error of the mismatch that balancing tells",
                "the hidden truth",
                np.abs(told - after[:, 0]).max(),
                "mV",
                high=4.0,
            ),
            Check("greatest VMM offset before", "0", np.abs(before[:, 1]).max(), "codes"),
            Check("greatest VMM offset after", "0", np.abs(after[:, 1]).max(), "codes", high=18.0),
        ],
        [Plot("generators-balance", _BALANCE_CAPTION, _balance_plot(before, after, half_code))],
    )


_BALANCE_CAPTION: Final = (
    "Mismatch of the read voltages, and the VMM offset that it makes, before and after balancing"
)


def _offset_codes(bench: Bench) -> float:
    """Mean of measured minus ideal product, over inputs that use each pixel of 26 groups once."""
    inputs = np.zeros((26, 784), np.uint8)
    for sample in range(26):
        inputs[sample, PIXELS * sample : PIXELS * (sample + 1)] = 1
    cells = bench.emulated.chip.conductance_uS(1).astype(np.float64)
    ideal = inputs @ (cells[0] - cells[1]) * 255 / 300
    return float((bench.chip.vmm(1, inputs).codes - ideal).mean())


def _balance_plot(
    before: NDArray[np.float64], after: NDArray[np.float64], half_code: float
) -> Figure:
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    boards = np.arange(len(before))
    for axes, column, label in ((left, 0, "mismatch (mV)"), (right, 1, "VMM offset (codes)")):
        axes.axhline(0, color="grey", lw=0.8)
        axes.vlines(boards, before[:, column], after[:, column], color="lightgrey", lw=1)
        axes.plot(boards, before[:, column], "o", color=LIGHT, label="before")
        axes.plot(boards, after[:, column], "o", color=DARK, label="after")
        axes.set_xlabel("board")
        axes.set_ylabel(label)
        axes.set_xticks(boards)
    left.axhspan(-half_code, half_code, color=DARK, alpha=0.12, label="half a code")
    left.legend(fontsize=8)
    right.legend(fontsize=8)
    return figure


def _settling() -> Section:
    time_s = 0.004
    clock = [0.0]
    effects = Effects.read({"settling": {"time_s": time_s}})
    board = EmulatedBoard(
        Specimen(effects=effects), serial="EMU", rng=random.Random(1), clock=lambda: clock[0]
    )
    board.execute([set_supply(c.index, c.default_code) for c in SUPPLIES])
    resolution_s = 1e-5
    settled_at = np.full(len(SUPPLIES), np.nan)
    for tick in range(1000):
        clock[0] = tick * resolution_s
        for c in SUPPLIES:
            (result,) = board.execute([get_supply(c.index)])
            if supply_reading(result).settled and np.isnan(settled_at[c.index]):
                settled_at[c.index] = clock[0]
        if not np.isnan(settled_at).any():
            break
    worst_us = float(np.abs(settled_at - time_s).max()) * 1e6
    return Section(
        "Settling of the generators",
        "The emulated time stands still while a host waits, so a clock that is passed to the board "
        "decides when a generator has settled: the machine's in the process, one that the test "
        "moves here. Operations are refused with NOT_READY until then; the host polls. The clock "
        "decides nothing else, so that results are the same on any machine.",
        [
            Check(
                f"time after which GET_SUPPLY says settled, of {time_s * 1e3:g} ms",
                f"the setting, looked at every {resolution_s * 1e6:g} us",
                worst_us,
                "us",
                high=resolution_s * 1e6 + 1e-6,
            )
        ],
    )
