"""Line resistance of the emulated crossbars against other solvers, and what it does to a chip.

Installs nothing: where badcrossbar or ngspice is missing, the page says so.
"""

import tempfile
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np
from benchmarks.crossbar import (
    LINES,
    READ_V,
    WORKER,
    binary_rows,
    cold,
    for_badcrossbar,
    random_cells,
)
from benchmarks.measure import interleaved, seconds
from benchmarks.peer import worker
from benchmarks.validation import nodal
from benchmarks.validation.report import Check, Plot, Section
from benchmarks.validation.wires_learning import accuracy, approximations
from benchmarks.working_point import CONVERTERS, READING, board_samples, virgin_to_ready
from matplotlib.figure import Figure

from starlab.datasets import mnist
from starlab_sim.chip.wires import Grid, Layout
from starlab_sim.effects import Array1Wires, Effects, Wires
from starlab_spec.geometry import ARRAY1

SIZES: Final = (64, 128, 256, 512, 1024, 2048)
ROUNDS: Final = 5
QUOTED: Final = "1.4 s, quoted for a like machine; not installed here, see benchmarks/peers.sh"


def layout(topology: str = "2T2R", segment_ohm: float | None = None) -> Layout:
    """Array 1, with the default lines or with other segments."""
    made = Layout.of(ARRAY1, Wires(array1=Array1Wires(topology=topology)))
    if segment_ohm is None:
        return made
    return replace(made, bl_segment_ohm=segment_ohm, sl_segment_ohm=segment_ohm)


def direct() -> Iterator[Check]:
    """Against SciPy, array 1 in both forms."""
    for topology, segment_ohm in (
        ("2T2R", 0.1),
        ("2T2R", 0.35),
        ("2T2R", 1.0),
        ("2T2R", 10.0),
        ("1T1R", 0.35),
    ):
        lines = layout(topology, segment_ohm)
        cells, rows_v = random_cells(lines), binary_rows(lines)
        exact = nodal.by_scipy(nodal.circuit(lines, cells), rows_v)
        grid = Grid(lines)
        grid.load(cells)
        found = grid.solve(*rows_v, cells=True)
        yield Check(
            f"worst column current, array 1 as {topology}, {segment_ohm:g} Ohm a segment",
            "sparse LU (SciPy)",
            float(np.abs(found.columns_ua / exact.columns_ua - 1).max()),
            high=1e-6,
            note=f"{found.steps} steps of conjugate gradients",
        )
        if topology == "2T2R" and segment_ohm == 0.35 and found.cells_v is not None:
            worst_v = np.abs(found.cells_v - exact.cells_v).max()
            yield Check(
                "worst cell voltage, of the read voltage",
                "sparse LU (SciPy)",
                float(worst_v / READ_V),
                high=1e-6,
            )
            effective = grid.transfer_uS()
            product = rows_v[0] @ effective[0] + rows_v[1] @ effective[1]
            yield Check(
                "worst column current by the transfer matrix",
                "sparse LU (SciPy)",
                float(np.abs(product / exact.columns_ua - 1).max()),
                high=1e-6,
            )


def spice() -> Iterator[Check]:
    """Against ngspice, small arrays of great resistances."""
    if nodal.NGSPICE is None:
        return
    for topology in ("2T2R", "1T1R"):
        lines = replace(
            layout(topology, 50.0), inputs=24, outputs=8, bl_driver_ohm=300.0, transistor_ohm=3000.0
        )
        cells, rows_v = random_cells(lines), binary_rows(lines)
        with tempfile.TemporaryDirectory() as folder:
            spice_ua = nodal.by_ngspice(nodal.circuit(lines, cells), rows_v, Path(folder))
        found_ua = cold(lines, cells)
        yield Check(
            f"worst column current, 24 x 8 pairs as {topology}, 50 Ohm a segment",
            "ngspice",
            float(np.abs(found_ua - spice_ua).max() / np.abs(spice_ua).max()),
            high=1e-6,
        )


def peer() -> Iterator[Check]:
    """Against badcrossbar, 784 rows and 100 columns, each cell at a crossing of its own."""
    cells = random_cells(LINES)
    ours = partial(seconds, partial(cold, LINES, cells))
    with worker(WORKER, **for_badcrossbar(cells)) as process:
        if process is None:
            taken = interleaved({"ours": ours}, ROUNDS)["ours"]
            yield Check("time of a cold start", f"badcrossbar: {QUOTED}", taken * 1e3, "ms")
            return
        name = f"badcrossbar {process.versions['badcrossbar']}"
        theirs_ua = process.numbers("currents")
        medians = interleaved({"ours": ours, "theirs": partial(process.measure, "solve")}, ROUNDS)
    found_ua = cold(LINES, cells)
    yield Check(
        "worst column current, 784 x 100 cells",
        name,
        float(np.abs(found_ua / theirs_ua - 1).max()),
        high=1e-6,
    )
    yield Check(
        "speed, 784 x 100 cells, cold start",
        name,
        medians["theirs"] / medians["ours"],
        "x",
        low=100,
        note=f"medians of {ROUNDS} rounds in turn: {medians['ours'] * 1e3:.2f} ms and "
        f"{medians['theirs'] * 1e3:.0f} ms",
    )


def missing() -> str:
    """What could not be compared."""
    return "" if nodal.NGSPICE else " ngspice is not installed here: that comparison is left out."


def inference() -> Iterator[Check]:
    """What a batch costs more than with ideal wires, the transfer matrices being known."""
    samples = board_samples(mnist()[1])
    sides = {}
    for name, effects in (("ideal", Effects()), ("wires", Effects(wires=Wires()))):
        chip = virgin_to_ready(1, "nonlinear-3", 0.0)
        chip.change_effects(effects)
        work = partial(chip.infer, samples, rails=READING, converters=CONVERTERS)
        sides[name] = partial(seconds, work)
    medians = interleaved(sides, ROUNDS)
    grid = Grid(layout())
    grid.load(random_cells(layout()))
    grid.transfer_uS()
    yield Check(
        "time of 10,000 inferences, transfer matrices known",
        "ideal wires",
        medians["wires"] / medians["ideal"],
        "x",
        high=3,
        note=f"{medians['wires'] / len(samples) * 1e6:.1f} us a digit; the transfer matrix of "
        f"array 1 takes {seconds(grid.transfer_uS):.2f} s once",
    )


def growth() -> tuple[Plot, tuple[Check, Check]]:
    """Time and memory of a cold solution against the size of a square array of pairs."""
    times_s, memory_mb = [], []
    for size in SIZES:
        lines = replace(layout(), inputs=size, outputs=size)
        cells = random_cells(lines)
        cold(lines, cells)
        runs = []
        for _ in range(3):
            start = perf_counter()
            cold(lines, cells)
            runs.append(perf_counter() - start)
        times_s.append(float(np.median(runs)))
        tracemalloc.start()
        cold(lines, cells)
        memory_mb.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
    pairs = np.array(SIZES, np.float64) ** 2
    slope_s = float(np.polyfit(np.log(pairs[1:]), np.log(times_s[1:]), 1)[0])
    slope_mb = float(np.polyfit(np.log(pairs[1:]), np.log(memory_mb[1:]), 1)[0])
    figure = Figure(figsize=(9, 4), layout="constrained")
    for place, (values, unit, slope) in enumerate(
        ((times_s, "time of a cold solution, s", slope_s), (memory_mb, "memory, MB", slope_mb))
    ):
        axes = figure.add_subplot(1, 2, place + 1)
        axes.loglog(pairs, values, "o-", label=f"exponent {slope:.2f}")
        axes.set_xlabel("pairs of cells")
        axes.set_ylabel(unit)
        axes.grid(visible=True, which="major", alpha=0.4)
        axes.legend()
    checks = (
        Check(
            "exponent of time against pairs", "sparse LU of a plane mesh: 1.5", slope_s, high=1.5
        ),
        Check("exponent of memory against pairs", "linear growth: 1", slope_mb, high=1.1),
    )
    caption = "A cold solution to 1e-9, square arrays from 64 x 64 to 2048 x 2048 pairs (2T2R)."
    return Plot("wires_growth", caption, figure), checks


def sections() -> Iterator[Section]:
    """All of it; some minutes."""
    yield Section(
        "Line resistance: nodal solutions",
        "Currents of all columns and voltages of all cells for one binary vector (13 % of the rows "
        "on), cells drawn evenly from the window. The references get the crossbar as a list of "
        "resistors, made by code that shares nothing with the emulator's." + missing(),
        checks=[*direct(), *spice(), *peer(), *inference()],
    )
    plot, checks = growth()
    yield Section(
        "Line resistance: growth",
        "The work is a few passes over the cells; more columns on a line take more steps.",
        checks=checks,
        plots=[plot],
    )
    yield approximations()
    yield accuracy()
