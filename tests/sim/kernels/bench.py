"""Small arrays for the kernels, and what the data sheet says of them, cell by cell.

All numbers are multiples of a power of two, so that sums are exact and thresholds are met exactly.
The words here are slow and plain on purpose: no line is that of a kernel.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import detailed
from starlab_sim.chip.detailed.cells import Cells, Noise, Pulse, no_traps
from starlab_sim.chip.learning import Rules
from starlab_sim.chip.pulsing import Motion
from starlab_sim.chip.readout import Readout
from starlab_spec.operations import PulseKind
from starlab_spec.samples import pack_samples

SET, RESET = int(PulseKind.SET), int(PulseKind.RESET)
INPUTS, HIDDEN, OUTPUTS = 24, 6, 4
NO_GAIN, NO_DROP = detailed.NO_GAIN, detailed.NO_DROP
NO_TRAPS = no_traps(INPUTS)
QUIET = Noise(False, 0.0, 0.0)

Cell = NDArray[np.float32]


def random(seed: int) -> np.random.Generator:
    """Numbers of a seed."""
    return np.random.default_rng(seed)


def motion(kind: int, *, sigma_uS: float = 0.0, first_step_uS: float = 1.0) -> Motion:
    """Nine bins of 2 uS, the steps of which halve; up for SET, down for RESET."""
    sign = 1 if kind == SET else -1
    return Motion(
        start_uS=np.float32(2.0 if kind == SET else 20.0),
        bins_per_uS=np.float32(sign * 0.5),
        mean_uS=np.array([sign * first_step_uS / 2 ** (i // 3) for i in range(9)], np.float32),
        sigma_uS=np.full(9, sigma_uS, np.float32),
        noisy=sigma_uS > 0,
        cell_j=2.0**-5 if kind == SET else 2.0**-4,
        line_j=2.0**-3 if kind == SET else 2.0**-2,
    )


def pulse(kind: int, *, sigma_uS: float = 0.0) -> Pulse:
    """The same for the detailed kernels: nothing in its way."""
    return Pulse(motion(kind, sigma_uS=sigma_uS), kind, np.float32(math.inf), 2048.0, 512.0)


def cells_of(seed: int, inputs: int = INPUTS, outputs: int = HIDDEN) -> Cell:
    """Conductances at quarters within the window, both ends among them; some cells are virgin."""
    rng = np.random.default_rng(seed)
    cells = (rng.integers(8, 81, (2, inputs, outputs)) / 4).astype(np.float32)
    cells[rng.random(cells.shape) < 0.05] = 20.0
    cells[rng.random(cells.shape) < 0.05] = 2.0
    cells[rng.random(cells.shape) < 0.05] = 0.03125
    return cells


def ideal(conductance_uS: Cell) -> Cells:
    """Such cells as the detailed kernels take them: the window and the steps of all are nominal."""
    shape = conductance_uS.shape
    return Cells(
        conductance_uS=conductance_uS.copy(),
        pulses=np.zeros(shape, np.uint32),
        pulsed_ticks=np.full(shape, -1, np.int64),
        step=np.ones((2, *shape), np.float32),
        bottom_uS=np.full(shape, 2.0, np.float32),
        top_uS=np.full(shape, 20.0, np.float32),
        endurance_pulses=1e9,
        wear_exponent=0.0,
    )


def moved(g: np.float32, one: Motion, normal: float = 0.0) -> np.float32:
    """A cell after one pulse."""
    if g < np.float32(0.1):
        return g
    width_uS = abs(1 / float(one.bins_per_uS))
    bin_ = min(int(abs(float(g) - float(one.start_uS)) / width_uS), len(one.mean_uS) - 1)
    step = one.mean_uS[bin_] + one.sigma_uS[bin_] * np.float32(normal)
    return np.float32(min(max(g + step, np.float32(2.0)), np.float32(20.0)))


@dataclass
class Pulsed:
    """Pulses by the book, on copies."""

    cells: Cell
    pulses: NDArray[np.uint32]
    energy_j: float = 0.0

    def row(
        self,
        plane: int,
        row: int,
        columns: list[int],
        count: int,
        one: Motion,
        rng: np.random.Generator | None = None,
    ) -> None:
        for _ in range(count):
            normals = [rng.standard_normal() if rng and one.noisy else 0.0 for _ in columns]
            self.energy_j += one.line_j
            for column, normal in zip(columns, normals, strict=True):
                g = self.cells[plane, row, column]
                self.energy_j += one.cell_j * float(g)
                self.cells[plane, row, column] = moved(g, one, normal)
                self.pulses[plane, row, column] += 1


READOUT = Readout(
    plus_v=0.25,
    minus_v=0.5,
    levels1=15.0,
    full_scale1_ua=15.0,
    levels2=7.0,
    full_scale2_ua=14.0,
    fixed1_j=1.0,
    fixed2_j=2.0**4,
    line1_j=2.0**8,
    line2_j=2.0**12,
    plus1_j=2.0**-9,
    minus1_j=2.0**-7,
    slot2_j=2.0**-5,
    back2_j=2.0**-3,
    comparison_j=2.0**16,
    column2_j=2.0**20,
    output_mohm=0.0,
    differential=True,
)
"""Voltages that differ, so that it matters which plane is which; codes meet halves exactly."""
BALANCED = READOUT._replace(minus_v=0.25, full_scale1_ua=7.5)
"""Both planes at the same voltage: about half of the hidden units are on."""
RULES = Rules(
    threshold=8.0,
    hidden_threshold_uS=6.0,
    c1=500.0,
    c1_relative=True,
    c2=0.0,
    activation=0,
    scale=32.0,
    amplitude=64.0,
)


def packed(
    seed: int, count: int, share: float = 0.5
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Samples of which some of the first pixels are on: packed, and which ones."""
    on = np.zeros((count, 784), np.bool_)
    on[:, : INPUTS - 4] = np.random.default_rng(seed).random((count, INPUTS - 4)) < share
    return pack_samples(on), on[:, :INPUTS]


def code(current_ua: float, levels: float, full_scale_ua: float) -> int:
    """The nearest code, halves upwards."""
    return int(min(max(math.floor(current_ua / full_scale_ua * levels + 0.5), 0), levels))


@dataclass
class Read:
    """What a forward pass gives and costs, by the book."""

    hidden: NDArray[np.uint8]
    outputs: NDArray[np.int32]
    energy_j: NDArray[np.float64]


def first(cells: Cell, on: NDArray[np.bool_], readout: Readout) -> Read:
    """Array 1 for one sample."""
    rows = np.flatnonzero(on)
    plus, minus = cells[:, rows].astype(np.float64).sum(axis=1)
    hidden = [
        code(readout.plus_v * p - readout.minus_v * m, readout.levels1, readout.full_scale1_ua)
        for p, m in zip(plus, minus, strict=True)
    ]
    used_j = readout.plus1_j * plus.sum() + readout.minus1_j * minus.sum()
    energy_j = np.array([used_j, readout.fixed1_j, readout.line1_j * len(rows)])
    return Read(np.array(hidden, np.uint8), np.zeros(0, np.int32), energy_j)


def second(cells: Cell, hidden: NDArray[np.uint8], readout: Readout) -> Read:
    """Array 2 for one vector: slot by slot."""
    outputs = np.zeros(cells.shape[2], np.int32)
    used_j, driven = 0.0, 0
    for slot in range(1, int(readout.levels1) + 1):
        rows = np.flatnonzero(hidden >= slot)
        plus, minus = cells[:, rows].astype(np.float64).sum(axis=1)
        driven += len(rows)
        used_j += readout.slot2_j * (plus.sum() + minus.sum())
        for k in range(len(outputs)):
            args = readout.levels2, readout.full_scale2_ua
            outputs[k] += code(readout.plus_v * plus[k], *args)
            outputs[k] -= code(readout.plus_v * minus[k], *args)
    energy_j = np.array([used_j, readout.fixed2_j, readout.line2_j * driven])
    return Read(hidden, outputs, energy_j)


def ternary(z: float, target: float, rules: Rules) -> int:
    """The gated sign of an output's error."""
    y, gate = z, 1.0
    if rules.activation == 1:
        y = gate = max(z, 0.0)
    elif rules.activation == 2:
        s = 1 / (1 + math.exp(-z / rules.scale))
        y, gate = rules.amplitude * s, 4 * s * (1 - s)
    elif rules.activation == 3:
        t = math.tanh(z / rules.scale)
        y, gate = rules.amplitude * t, 1 - t * t
    if rules.activation and (gate <= 0 or gate < rules.c2):
        return 0
    error = target - y
    return 0 if error == 0 or abs(error) < rules.threshold else int(math.copysign(1, error))


@dataclass
class Lesson:
    """One learning step, by the book, on copies of both arrays."""

    one: Pulsed
    two: Pulsed
    reading_j: NDArray[np.float64]
    programming_j: NDArray[np.float64]
    tally: NDArray[np.int64]

    def step(
        self,
        on: NDArray[np.bool_],
        targets: NDArray[np.int32],
        readout: Readout,
        rules: Rules,
        counts: NDArray[np.int64],
        motions: tuple[tuple[Motion, Motion], tuple[Motion, Motion]],
        rngs: tuple[np.random.Generator, np.random.Generator],
    ) -> tuple[Read, Read, list[int]]:
        """Learn a sample; what was read, and pulses on both arrays."""
        one = first(self.one.cells, on, readout)
        two = second(self.two.cells, one.hidden, readout)
        self.reading_j += one.energy_j + two.energy_j
        signs = [
            ternary(float(z), float(t), rules) for z, t in zip(two.outputs, targets, strict=True)
        ]
        if not any(signs):
            return one, two, [0, 0]
        floor = rules.c1 * int(one.hidden.max()) / 1000 if rules.c1_relative else rules.c1
        units = [j for j in range(len(one.hidden)) if one.hidden[j] > 0]
        rows2 = [j for j in units if one.hidden[j] >= floor]
        before2 = self.two.cells.astype(np.float64)
        hidden_signs = []
        for j in range(len(one.hidden)):
            back = sum(s * (before2[0, j, k] - before2[1, j, k]) for k, s in enumerate(signs))
            above = back != 0 and abs(back) >= rules.hidden_threshold_uS
            hidden_signs.append(int(math.copysign(1, back)) if j in units and above else 0)
        driven = sum(before2[:, j, k].sum() for j in units for k, s in enumerate(signs) if s)
        driven_columns = sum(map(abs, signs))
        self.reading_j += [
            readout.back2_j * driven,
            readout.comparison_j * len(units),
            readout.column2_j * driven_columns,
        ]
        pulses = []
        parts: tuple[tuple[Pulsed, list[int], list[int]], ...]
        parts = ((self.one, list(np.flatnonzero(on)), hidden_signs), (self.two, rows2, signs))
        for index, (array, rows, moves) in enumerate(parts):
            total = 0
            for kind, plane, sign in ((SET, 0, 1), (SET, 1, -1), (RESET, 1, 1), (RESET, 0, -1)):
                count = int(counts[index, plane, 0 if sign > 0 else 1])
                columns = [k for k, move in enumerate(moves) if move == sign]
                if not count or not columns:
                    continue
                before_j = array.energy_j
                for row in rows:
                    array.row(plane, row, columns, count, motions[index][kind], rngs[index])
                self.programming_j[index, kind] += array.energy_j - before_j
                self.tally[index, kind] += count * len(rows) * len(columns)
                total += count * len(rows) * len(columns)
            pulses.append(total)
        return one, two, pulses


def lesson(cells1: Cell, cells2: Cell) -> Lesson:
    """Before the first step."""
    one, two = (Pulsed(c.copy(), np.zeros(c.shape, np.uint32)) for c in (cells1, cells2))
    return Lesson(one, two, np.zeros(3), np.zeros((2, 3)), np.zeros((2, 3), np.int64))


RULES_THAT_MATTER = (
    RULES,
    RULES._replace(threshold=0.0, hidden_threshold_uS=0.0),
    RULES._replace(c1=6.0, c1_relative=False),
    RULES._replace(c1=0.0),
    RULES._replace(activation=1, c2=4.0),
    RULES._replace(activation=2, c2=0.25),
    RULES._replace(activation=3, c2=0.5, threshold=20.0),
)
COUNTS = np.array(
    [
        [[[1, 0], [0, 2]], [[3, 0], [0, 1]]],
        [[[0, 2], [1, 0]], [[0, 1], [2, 0]]],
        [[[1, 1], [1, 1]], [[0, 0], [1, 0]]],
    ],
    np.int64,
)
"""Three phases: SET, RESET, and both; (phases, arrays, planes, directions)."""
assert COUNTS.shape == (3, 2, 2, 2)
