"""What the detailed kernels add to reading: noise, traps, wires, rails that sag; by the book."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sim.kernels import bench
from tests.sim.kernels.bench import (
    BALANCED,
    HIDDEN,
    NO_GAIN,
    NO_TRAPS,
    OUTPUTS,
    QUIET,
    READOUT,
    random,
)

from starlab_sim.chip.detailed import forward, telegraph
from starlab_sim.chip.detailed.cells import Noise, Traps
from starlab_sim.chip.readout import Readout

Grid = NDArray[np.float64]


NOISY = Noise(True, 0.75, 0.0625)
SAGGING = READOUT._replace(output_mohm=2.0**-10)


def sigma(column_uS: float) -> float:
    """Of a conversion, in codes."""
    return math.sqrt(0.75**2 + 0.0625 * column_uS)


def noisy(codes: float, column_uS: float, levels: float, rng: np.random.Generator) -> int:
    """A code with the next number of a generator."""
    drawn = math.floor(codes + sigma(column_uS) * rng.standard_normal() + 0.5)
    return int(min(max(drawn, 0), levels))


def second(
    cells: bench.Cell,
    hidden: NDArray[np.uint8],
    readout: Readout,
    gain: Grid,
    rng: np.random.Generator | None,
) -> tuple[list[int], float]:
    """Array 2 slot by slot, from the one with the fewest rows to the dark ones."""
    levels = readout.levels2
    outputs, used_j = [0] * cells.shape[2], 0.0
    seen = cells.astype(np.float64) * gain
    slots = sorted(range(1, int(readout.levels1) + 1), reverse=True)
    by_rows: dict[tuple[int, ...], int] = {}
    for slot in slots:
        rows = tuple(int(j) for j in np.flatnonzero(hidden >= slot))
        by_rows[rows] = by_rows.get(rows, 0) + 1
    dark = by_rows.pop((), 0)
    for rows, run in [*by_rows.items(), ((), dark)]:
        plus, minus = seen[:, list(rows)].sum(axis=1)
        left = 1 / (1 + readout.output_mohm * (plus.sum() + minus.sum()))
        used_j += run * readout.slot2_j * (plus.sum() + minus.sum()) * left
        for k in range(len(outputs)):
            for sign, column in ((1, plus[k]), (-1, minus[k])):
                codes = readout.plus_v * left * column * levels / readout.full_scale2_ua
                for _ in range(run):
                    outputs[k] += sign * (
                        int(min(max(math.floor(codes + 0.5), 0), levels))
                        if rng is None
                        else noisy(codes, column, levels, rng)
                    )
    return outputs, used_j


@pytest.mark.parametrize("with_gain", [False, True])
@pytest.mark.parametrize("with_noise", [False, True])
@pytest.mark.parametrize("readout", [READOUT, SAGGING], ids=["stiff", "sagging"])
def test_array_2_is_read_slot_by_slot_with_noise_in_dark_ones_too(
    readout: Readout, with_noise: bool, with_gain: bool
) -> None:
    cells = bench.cells_of(41, HIDDEN, OUTPUTS)
    gain = np.ones(cells.shape)
    if with_gain:
        gain = random(42).integers(8, 17, cells.shape) / 16
    for hidden in ([3, 0, 3, 9, 1, 0], [0] * 6, [15] * 6):
        vector = np.array(hidden, np.uint8)
        outputs = np.full(OUTPUTS, 99, np.int32)
        used_j = forward.multiply2(
            bench.ideal(cells),
            vector,
            readout,
            gain.astype(np.float32) if with_gain else NO_GAIN,
            NO_TRAPS,
            NOISY if with_noise else QUIET,
            0,
            random(43),
            outputs,
        )
        rng = random(43) if with_noise else None
        expected, expected_j = second(cells, vector, readout, gain, rng)
        assert outputs.tolist() == expected
        assert used_j == pytest.approx(expected_j, rel=1e-12)


@pytest.mark.parametrize("with_noise", [False, True])
@pytest.mark.parametrize("differential", [False, True])
def test_array_1_loads_the_rails_that_its_topology_says(
    differential: bool, with_noise: bool
) -> None:
    plus, minus = np.array([40.0, 8.0, 60.0]), np.array([4.0, 6.0, 20.0])
    readout = SAGGING._replace(differential=differential)
    hidden = np.zeros(3, np.uint8)
    noise = NOISY if with_noise else QUIET
    used_j = forward.convert1(readout, noise, random(5), plus, minus, hidden)
    loads = (108.0, 30.0) if differential else (138.0, 138.0)
    left_plus, left_minus = (1 / (1 + load / 1024) for load in loads)
    rng, expected = random(5), []
    for p, m in zip(plus, minus, strict=True):
        codes = 0.25 * left_plus * p - 0.5 * left_minus * m  # of 15 uA in 15 levels
        if with_noise:
            expected.append(noisy(codes, p + m, 15.0, rng))
        else:
            expected.append(int(min(max(math.floor(codes + 0.5), 0), 15)))
    assert hidden.tolist() == expected
    assert used_j == pytest.approx(2.0**-9 * 108 * left_plus + 2.0**-7 * 30 * left_minus)


def test_every_sample_is_read_at_its_own_time_with_its_own_noise() -> None:
    """Batches are single ones, one after the other."""
    cells1, cells2 = bench.ideal(bench.cells_of(51)), bench.ideal(bench.cells_of(52, 6, OUTPUTS))
    samples, _ = bench.packed(53, 4)
    hidden, outputs = np.zeros((4, HIDDEN), np.uint8), np.zeros((4, OUTPUTS), np.int32)
    energy_j, rngs = np.zeros(3), (random(54), random(55))
    forward.infer_batch(
        (cells1, cells2),
        samples,
        BALANCED,
        (NO_GAIN, NO_GAIN),
        (NO_TRAPS, NO_TRAPS),
        (NOISY, NOISY),
        0,
        10,
        rngs,
        hidden,
        outputs,
        energy_j,
    )
    again, rngs = np.zeros(3), (random(54), random(55))
    for s in range(4):
        one, two = np.zeros((1, HIDDEN), np.uint8), np.zeros((1, OUTPUTS), np.int32)
        how = BALANCED, NO_GAIN, NO_TRAPS, NOISY, 0, 10
        forward.multiply1_batch(cells1, samples[s : s + 1], *how, rngs[0], one, again)
        forward.multiply2_batch(cells2, one, *how, rngs[1], two, again)
        assert one[0].tolist() == hidden[s].tolist()
        assert two[0].tolist() == outputs[s].tolist()
    assert energy_j == pytest.approx(again, rel=1e-12)


def trap(plane: int, row: int, column: int, inputs: int, share: float = 0.5) -> Traps:
    """One trap that is always full."""
    first = np.zeros((2, inputs + 1), np.int64)
    first[plane, row + 1 :] = 1
    if plane == 0:
        first[1, :] = 1
    return Traps(
        first=first,
        column=np.array([column], np.uint16),
        share=np.array([share], np.float32),
        period_ticks=np.array([100.0]),
        full=np.array([1.0]),
        key=np.array([12345], np.uint64),
    )


@pytest.mark.parametrize("with_gain", [False, True])
@pytest.mark.parametrize("plane", [0, 1])
def test_a_full_trap_keeps_back_its_share_of_its_cell(plane: int, with_gain: bool) -> None:
    cells = bench.cells_of(61, 8, 3)
    cells[plane, 5, 1] = 16.0
    gain = np.full(cells.shape, 0.25, np.float32) if with_gain else NO_GAIN
    sums = np.zeros(3)
    rows = np.array([2, 5, 7])
    with np.errstate(over="ignore"):  # hashes wrap
        forward.sum_rows(bench.ideal(cells), plane, rows, 3, gain, trap(plane, 5, 1, 8), 700, sums)
    expected = cells[plane, rows].astype(np.float64).sum(axis=0) - [0, 8.0, 0]
    assert sums == pytest.approx(expected * (0.25 if with_gain else 1.0))


@pytest.mark.parametrize("with_noise", [False, True])
def test_the_planes_of_a_row_are_read_one_after_the_other(with_noise: bool) -> None:
    cells = bench.cells_of(71)
    codes, sums_uS = np.zeros((2, 3, HIDDEN), np.uint8), np.zeros((2, 3))
    read_v = np.array([0.5, 0.25])
    forward.read_rows(
        bench.ideal(cells),
        np.array([1, 0]),
        4,
        read_v,
        2.0**-7,
        15.0,
        NO_GAIN,
        NO_TRAPS,
        NOISY if with_noise else QUIET,
        0,
        10,
        random(72),
        codes,
        sums_uS,
    )
    rng = random(72)
    for i in range(3):
        for p, plane in enumerate((1, 0)):
            row = cells[plane, 4 + i].astype(np.float64)
            left = 1 / (1 + row.sum() / 128)
            assert sums_uS[p, i] == pytest.approx(row.sum() * left)
            for j, g in enumerate(row):
                exact = read_v[p] * left * g * 17
                expected = noisy(exact, g, 255, rng) if with_noise else math.floor(exact + 0.5)
                assert codes[p, i, j] == expected


@pytest.mark.parametrize("with_noise", [False, True])
def test_a_current_beyond_the_full_scale_reads_as_the_greatest_code(with_noise: bool) -> None:
    cells = np.full((2, 1, 200), 20.0, np.float32)
    codes, sums_uS = np.zeros((1, 1, 200), np.uint8), np.zeros((1, 1))
    noise = NOISY if with_noise else QUIET
    for full_scale_ua in (10.0, 9.9, 1.0):
        forward.read_rows(
            bench.ideal(cells),
            np.array([0]),
            0,
            np.array([0.5]),
            0.0,
            full_scale_ua,
            NO_GAIN,
            NO_TRAPS,
            noise,
            0,
            10,
            random(1),
            codes,
            sums_uS,
        )
        assert codes.max() == 255
        assert (codes[0, 0] == 255).mean() > 0.4
    assert (codes == 255).all()


def test_each_row_and_plane_is_read_at_its_own_time() -> None:
    """A trap that is full now and then, looked at row by row, plane by plane."""
    rows, key, period = 40, np.uint64(777), 12.0
    cells = np.full((2, rows, 1), 16.0, np.float32)
    first = np.arange(2 * (rows + 1)).reshape(2, rows + 1)
    first[1] -= 1
    count = 2 * rows
    traps = Traps(
        first=first,
        column=np.zeros(count, np.uint16),
        share=np.full(count, 0.5, np.float32),
        period_ticks=np.full(count, period),
        full=np.full(count, 0.5),
        key=np.full(count, key),
    )
    codes, sums_uS = np.zeros((2, rows, 1), np.uint8), np.zeros((2, rows))
    with np.errstate(over="ignore"):
        forward.read_rows(
            bench.ideal(cells),
            np.array([0, 1]),
            0,
            np.array([0.5, 0.5]),
            0.0,
            15.0,
            NO_GAIN,
            traps,
            QUIET,
            5000,
            9,
            random(1),
            codes,
            sums_uS,
        )
        full = [
            [telegraph.is_full(key, 0.5, period, 5000 + (2 * i + p) * 9) for i in range(rows)]
            for p in range(2)
        ]
    assert 10 < np.sum(full) < 70
    assert (sums_uS == np.where(full, 8.0, 16.0)).all()
