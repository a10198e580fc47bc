"""What the detailed kernels add: sag, drops, wear, ceilings, traps, noise; by the book."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sim.kernels import bench
from tests.sim.kernels.bench import (
    BALANCED,
    HIDDEN,
    NO_DROP,
    NO_GAIN,
    NO_TRAPS,
    OUTPUTS,
    QUIET,
    READOUT,
    RESET,
    RULES,
    SET,
)

from starlab_sim.chip.detailed import ageing, backward, forward, pulsing, training
from starlab_sim.chip.detailed.cells import BackwardNoise, Cells, Noise, Pulse, Traps
from starlab_sim.chip.detailed.feed import ARRAY, KIND, PLANE, SAMPLE, Feed
from starlab_sim.chip.readout import Readout
from starlab_sim.devices import STEP_VOLTAGE_MV

Grid = NDArray[np.float64]


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def one_cell(g: float, **changes: Any) -> Cells:
    """An array of one row and one column; the other plane is like it."""
    return bench.ideal(np.full((2, 1, 1), g, np.float32))._replace(**changes)


def pulse_all(cells: Cells, pulse: Pulse, *, count: int = 1, drop_mv: Grid | None = None) -> float:
    """Pulse every cell; the energy."""
    energy_j, shape = np.zeros(1), cells.conductance_uS.shape
    lower_mv = NO_DROP if drop_mv is None else drop_mv.astype(np.float32)
    ticks = np.full(shape[1], 77)
    mask = np.ones(shape, np.bool_)
    pulsing.pulse_rows(cells, mask, 0, count, pulse, lower_mv, ticks, random(1), energy_j)
    return float(energy_j[0])


@pytest.mark.parametrize(
    ("pulses", "endurance", "exponent", "share"),
    [
        (100, 100.0, 0.0, 1.0),
        (100, 100.0, 1.0, 0.5),
        (300, 100.0, 1.0, 0.25),
        (200, 100.0, 2.0, 0.2),
        (100, 100.0, 3.0, 0.5),
        (1, 1e12, 1.0, 1.0),
    ],
)
def test_pulses_narrow_a_window_about_its_middle(
    pulses: int, endurance: float, exponent: float, share: float
) -> None:
    ends = pulsing.worn_window(np.float32(4.0), np.float32(20.0), pulses, endurance, exponent)
    assert ends == pytest.approx((12 - 8 * share, 12 + 8 * share), rel=1e-6)


def test_a_worn_cell_stops_at_its_own_ends() -> None:
    cells = one_cell(11.0, endurance_pulses=1.0, wear_exponent=1.0)
    pulse_all(cells, bench.pulse(SET), count=8)
    # the first pulse halves the window to 6.5 .. 15.5, the eighth leaves a ninth of it
    assert cells.conductance_uS == pytest.approx(12.0, rel=1e-6)
    cells = one_cell(11.0, top_uS=np.full((2, 1, 1), 11.25, np.float32))
    pulse_all(cells, bench.pulse(SET))
    assert (cells.conductance_uS == 11.25).all()
    cells = one_cell(11.0, bottom_uS=np.full((2, 1, 1), 10.75, np.float32))
    pulse_all(cells, bench.pulse(RESET))
    assert (cells.conductance_uS == 10.75).all()


@pytest.mark.parametrize(
    ("before", "ceiling", "after"),
    [(11.0, 11.25, 11.25), (11.0, 12.0, 11.5), (11.0, 10.0, 11.0), (19.75, 30.0, 20.0)],
)
def test_a_pulse_lifts_no_cell_above_its_ceiling_and_lowers_none(
    before: float, ceiling: float, after: float
) -> None:
    cells = one_cell(before)
    pulse_all(cells, bench.pulse(SET)._replace(ceiling_uS=np.float32(ceiling)))
    assert (cells.conductance_uS == after).all()


def test_each_cell_and_kind_has_steps_of_its_own() -> None:
    step = np.array([[[[2.0]], [[0.5]]], [[[0.25]], [[4.0]]]], np.float32)
    for kind, after in ((SET, [13.0, 12.25]), (RESET, [11.875, 10.0])):
        cells = one_cell(12.0, step=step)
        pulse_all(cells, bench.pulse(kind))
        assert cells.conductance_uS[:, 0, 0].tolist() == after


@pytest.mark.parametrize("kind", [SET, RESET])
def test_a_cell_that_gets_less_voltage_moves_less_and_draws_less(kind: int) -> None:
    before = bench.cells_of(3, 3, HIDDEN)
    drop_mv = random(4).integers(0, 600, before.shape).astype(np.float64)
    drop_mv[0, 0, :3] = [511.0, 512.0, 513.0]  # a cell at the threshold moves
    before[0, 0, :3] = 12.0
    cells, pulse = bench.ideal(before), bench.pulse(kind)
    energy_j = pulse_all(cells, pulse, drop_mv=drop_mv)
    load_uS = (before.astype(np.float64) * (1 - drop_mv / 2048)).sum()
    motion = pulse.motion
    assert energy_j == pytest.approx(6 * motion.line_j + motion.cell_j * load_uS, rel=1e-6)
    moves = (before >= 0.1) & (drop_mv <= 512)
    for at in np.ndindex(before.shape):
        g = float(before[at])
        nominal = float(motion.mean_uS[min(int(abs(g - float(motion.start_uS)) / 2), 8)])
        whole = g + nominal * math.exp(-drop_mv[at] / STEP_VOLTAGE_MV)
        expected = min(max(whole, 2.0), 20.0) if moves[at] else g
        assert float(cells.conductance_uS[at]) == pytest.approx(expected, abs=2e-6), at
    assert np.array_equal(cells.pulsed_ticks, np.where(moves, 77, -1))
    assert (cells.pulses == 1).all()


@pytest.mark.parametrize(("sag_mv", "moves"), [(128.0, True), (512.0, True), (513.0, False)])
def test_a_rail_that_sags_is_lower_at_every_cell_of_the_pass(sag_mv: float, moves: bool) -> None:
    before = np.full((2, 2, 3), 12.0, np.float32)
    cells, pulse = bench.ideal(before), bench.pulse(SET)
    used_j = pulsing.pulse_pass(
        cells,
        1,
        np.array([1, 99]),
        1,
        np.array([2, 0, 9], np.uint64),
        2,
        1,
        pulse,
        sag_mv,
        np.empty((0, 0), np.float32),
        0,
        5,
        random(1),
        np.empty(3, np.float32),
    )
    share = 1 - sag_mv / 2048
    assert used_j == pytest.approx(pulse.motion.line_j + pulse.motion.cell_j * 24 * share)
    step = 0.5 * math.exp(-sag_mv / STEP_VOLTAGE_MV) if moves else 0.0
    expected = before.astype(np.float64)
    expected[1, 1, [0, 2]] += step
    assert cells.conductance_uS == pytest.approx(expected, abs=2e-6)
    assert cells.pulses.sum() == 2


def test_drops_of_a_pass_are_those_of_its_rows() -> None:
    """The rows of a learning pass are listed, and their drops begin with a row of their own."""
    cells = bench.ideal(np.full((2, 6, 2), 12.0, np.float32))
    drop_mv = np.arange(8, dtype=np.float32).reshape(4, 2) * 64
    pulsing.pulse_pass(
        cells,
        0,
        np.array([3, 5]),
        2,
        np.array([0, 1], np.uint64),
        2,
        1,
        bench.pulse(SET),
        0.0,
        drop_mv,
        2,
        5,
        random(1),
        np.empty(2, np.float32),
    )
    steps = cells.conductance_uS[0].astype(np.float64) - 12
    expected = np.zeros((6, 2))
    expected[[3, 5]] = 0.5 * np.exp(-drop_mv[[1, 3]] / STEP_VOLTAGE_MV)
    assert steps == pytest.approx(expected, abs=2e-6)


def formed(
    *,
    count: int = 1,
    amplitude_mv: float = 4500.0,
    own_mv: float | None = None,
    drop_mv: float | None = None,
    nominal: float = 1.0,
    cells: int = 1,
    seed: int = 1,
) -> tuple[NDArray[np.bool_], float]:
    """FORM pulses on virgin cells: which of the "-" plane are formed then, and the energy."""
    shape = (2, 1, cells)
    virgin = bench.ideal(np.full(shape, 0.03125, np.float32))
    everywhere, energy_j = np.ones(shape, np.bool_), np.zeros(1)
    nothing = np.zeros((0, 0, 0), np.float32)
    pulsing.form_rows(
        virgin,
        everywhere,
        nothing if own_mv is None else np.full(shape, own_mv, np.float32),
        everywhere,
        0,
        count,
        amplitude_mv,
        4500.0,
        100.0,
        nominal,
        11.0,
        0.5,
        2.0**-5,
        2.0**-3,
        nothing if drop_mv is None else np.full(shape, drop_mv, np.float32),
        np.array([9]),
        random(seed),
        random(seed + 1),
        energy_j,
    )
    return virgin.conductance_uS[1, 0] >= 0.1, float(energy_j[0])


def test_forming_needs_its_threshold_at_the_cell() -> None:
    assert formed()[0].all()
    assert not formed(amplitude_mv=4499.0)[0].any()
    assert not formed(drop_mv=1.0)[0].any()
    assert formed(amplitude_mv=4600.0, drop_mv=100.0)[0].all()
    share = 4500 / 4600
    _, energy_j = formed(amplitude_mv=4600.0, drop_mv=100.0, count=3)
    assert energy_j == pytest.approx(2 * 3 * (2.0**-3 + 2.0**-5 * 0.03125 * share))


@pytest.mark.parametrize(
    ("arguments", "chance"),
    [
        ({}, 0.5),
        ({"count": 2}, 0.75),
        ({"nominal": 2.0}, 0.75),
        ({"amplitude_mv": 4600.0}, 1 - 2.0**-10),
        ({"amplitude_mv": 4400.0}, 1 - 2.0**-0.1),
        ({"amplitude_mv": 4600.0, "drop_mv": 100.0}, 0.5),
    ],
)
def test_with_voltages_of_their_own_cells_form_by_chance(
    arguments: dict[str, float], chance: float
) -> None:
    found, _ = formed(own_mv=4500.0, cells=2000, **arguments)  # type: ignore[arg-type]
    error = math.sqrt(chance * (1 - chance) / 2000)
    assert abs(found.mean() - chance) < 4 * error + 1e-9


# ---- reading

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


# ---- learning


@pytest.mark.parametrize("noise", [BackwardNoise(False, 9.0, 9.0), BackwardNoise(True, 1.5, 0.25)])
def test_the_error_driven_back_has_the_noise_of_comparator_and_line(noise: BackwardNoise) -> None:
    cells = bench.cells_of(81, 40, OUTPUTS)
    y1 = random(82).integers(0, 9, 40).astype(np.uint8)
    columns2, found2 = np.zeros((2, OUTPUTS), np.uint64), np.array([2, 1])
    columns2[0, :2], columns2[1, 0] = [0, 3], 1
    columns1, found1 = np.zeros((2, 40), np.uint64), np.array([9, 9])
    rows2, energy_j = np.full(40, -1, np.int64), np.zeros(3)
    on = backward.driven_back(
        bench.ideal(cells),
        y1,
        RULES,
        columns2,
        found2,
        rows2,
        columns1,
        found1,
        READOUT,
        NO_GAIN,
        NO_TRAPS,
        noise,
        0,
        random(83),
        energy_j,
    )
    rng = random(83)
    many = cells.astype(np.float64)
    rising, falling = [], []
    for j in np.flatnonzero(y1):
        weights = many[0, j] - many[1, j]
        back = weights[0] + weights[3] - weights[1]
        if noise.on:
            back += math.sqrt(1.5**2 + 0.25 * many[:, j].sum()) * rng.standard_normal()
        rising += [j] if back >= 6 else []
        falling += [j] if back <= -6 else []
    assert columns1[0, : found1[0]].tolist() == rising
    assert columns1[1, : found1[1]].tolist() == falling
    assert rows2[:on].tolist() == np.flatnonzero(y1 >= max(0.5 * y1.max(), 1)).tolist()
    units = np.count_nonzero(y1)
    driven_uS = many[:, np.flatnonzero(y1)][:, :, [0, 1, 3]].sum()
    assert energy_j == pytest.approx([2.0**-3 * driven_uS, 2.0**16 * units, 2.0**20 * 3])


def test_without_an_error_nothing_is_driven_back() -> None:
    found1, energy_j = np.array([5, 5]), np.zeros(3)
    on = backward.driven_back(
        bench.ideal(bench.cells_of(1, 6, OUTPUTS)),
        np.full(6, 9, np.uint8),
        RULES,
        np.zeros((2, OUTPUTS), np.uint64),
        np.zeros(2, np.int64),
        np.zeros(6, np.int64),
        np.zeros((2, 6), np.uint64),
        found1,
        READOUT,
        NO_GAIN,
        NO_TRAPS,
        BackwardNoise(True, 1.0, 1.0),
        0,
        random(1),
        energy_j,
    )
    assert (on, found1.tolist(), energy_j.tolist()) == (0, [0, 0], [0.0, 0.0, 0.0])


def feed(*, output_mohm: float = 0.0, limit_ua: float = math.inf) -> Feed:
    return Feed(True, output_mohm, limit_ua, np.full(4, -1, np.int64), np.zeros(1))


def tuned(cells: Cells, supplied: Feed) -> tuple[int, NDArray[np.float64], NDArray[np.int64]]:
    """SET on "+" cells of columns 0 and 1, RESET on "-" ones, in rows 1 and 2."""
    energy_j, tally = np.zeros(3), np.zeros(3, np.int64)
    columns = np.array([[0, 1], [0, 0]], np.uint64)
    counts = np.array([[1, 1], [1, 1]])
    pulses = bench.pulse(SET), bench.pulse(RESET)
    total = training.tune(
        cells,
        np.array([1, 2]),
        2,
        columns,
        np.array([2, 0]),
        counts,
        pulses,
        None,
        supplied,
        5,
        random(1),
        np.empty(2, np.float32),
        energy_j,
        tally,
    )
    return total, energy_j, tally


def test_a_pass_sags_under_all_of_its_cells() -> None:
    cells = bench.ideal(np.full((2, 4, 2), 12.0, np.float32))
    total, energy_j, tally = tuned(cells, feed(output_mohm=1 / 384))
    # four cells of 12 uS: an eighth more than the unloaded rail would see
    rail_mv = 2048 / (1 + 48 / 384)
    sag_mv = 2048 - rail_mv
    assert (total, tally.tolist()) == (8, [4, 4, 0])
    step = 0.5 * math.exp(-sag_mv / STEP_VOLTAGE_MV)
    assert cells.conductance_uS[0, 1:3] == pytest.approx(12 + step, abs=2e-6)
    assert cells.conductance_uS[1, 1:3] == pytest.approx(12 - step, abs=2e-6)
    assert energy_j[0] == pytest.approx(2 * 2.0**-3 + 2.0**-5 * 48 * rail_mv / 2048)
    assert energy_j[1] == pytest.approx(2 * 2.0**-2 + 2.0**-4 * 48 * rail_mv / 2048)


@pytest.mark.parametrize(
    ("limit_ua", "plus_uS", "minus_uS", "tripped", "total"),
    [
        (98.304, 12.0, 12.0, [-1, -1], 8),  # 2.048 V * 48 uS: the limit itself trips nothing
        (98.303, 12.0, 12.0, [SET, 0], 0),
        (100.0, 12.0, 14.0, [RESET, 1], 4),
    ],
)
def test_a_pass_that_would_draw_too_much_is_not_applied_and_none_after_it(
    limit_ua: float, plus_uS: float, minus_uS: float, tripped: list[int], total: int
) -> None:
    conductance_uS = np.full((2, 4, 2), plus_uS, np.float32)
    conductance_uS[1] = minus_uS
    cells, supplied = bench.ideal(conductance_uS), feed(limit_ua=limit_ua)
    assert tuned(cells, supplied)[0] == total
    assert supplied.tripped[[KIND, PLANE]].tolist() == tripped
    assert cells.pulses.sum() == total
    if tripped[0] >= 0:
        load_uS = 4 * (plus_uS if tripped[1] == 0 else minus_uS)
        assert supplied.current_ua[0] == pytest.approx(2.048 * load_uS)
    assert supplied.tripped[[SAMPLE, ARRAY]].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("limit_ua", "sample", "array"), [(40.0, 0, 0), (1500.0, 0, 1), (1e9, -1, -1)]
)
def test_after_a_trip_no_sample_is_begun_and_the_phase_stays(
    limit_ua: float, sample: int, array: int
) -> None:
    cells1 = bench.ideal(np.full((2, bench.INPUTS, HIDDEN), 8.0, np.float32))
    cells1.conductance_uS[1] = 4.0
    cells2 = bench.ideal(np.full((2, HIDDEN, OUTPUTS), 4.0, np.float32))
    cells2.conductance_uS[0] = 16.0
    readout = BALANCED._replace(full_scale1_ua=30.0)
    samples, on = bench.packed(5, 3)
    targets = np.full((3, OUTPUTS), 4000, np.int32)
    hidden, outputs = np.zeros((3, HIDDEN), np.uint8), np.zeros((3, OUTPUTS), np.int32)
    applied = np.full((3, 2), 9, np.int32)
    counts = np.array([[[[0, 0], [0, 0]], [[0, 0], [0, 0]]], [[[1, 0], [0, 1]], [[1, 0], [0, 1]]]])
    supplied, tally = feed(limit_ua=limit_ua), np.zeros((2, 3), np.int64)
    each = bench.pulse(SET), bench.pulse(RESET)
    if array == 1:  # array 1 draws next to nothing
        each1 = (each[0]._replace(amplitude_mv=1.0), each[1])
        supplied = feed(limit_ua=40.0)
    else:
        each1 = each
    phase = training.train_batch(
        (cells1, cells2),
        samples,
        targets,
        readout,
        (None, None),
        (NO_TRAPS, NO_TRAPS),
        (QUIET, QUIET),
        BackwardNoise(False, 0.0, 0.0),
        RULES,
        counts,
        1,
        (each1, each),
        (None, None),
        supplied,
        0,
        np.array([10, 10]),
        (random(1), random(2)),
        (random(3), random(4)),
        hidden,
        outputs,
        applied,
        np.zeros(3),
        np.zeros((2, 3)),
        tally,
    )
    assert supplied.tripped[[SAMPLE, ARRAY]].tolist() == [sample, array]
    rows = int(on[0].sum())
    if array < 0:
        assert phase == 0
        assert (applied >= 0).all()
        assert (applied != 9).all()
    else:
        assert phase == 1
        assert applied[0].tolist() == [rows * HIDDEN if array == 1 else 0, 0]
        assert (applied[1:] == 9).all()
        assert (hidden[1:] == 0).all()
        assert tally.sum() == applied[0].sum()


# ---- time


def aged(cells: Cells, before: int, now: int, *, walk_uS: float = 0.0, kept: float = 0.5) -> None:
    ageing.age(cells, before, now, 10.0, kept, 5.0, walk_uS, random(91))


def test_a_decade_of_time_leaves_a_cell_its_share_of_the_way() -> None:
    before = np.array([[[13.0, 3.0, 0.03125, 20.0]], [[13.0, 3.0, 5.0, 2.0]]], np.float32)
    cells = bench.ideal(before)
    cells.pulsed_ticks[:] = 90
    aged(cells, 90, 180)  # 10 ticks of onset, then 100: one decade
    expected = np.where(before >= 0.1, 5 + (before - 5) * 0.5, before)
    assert cells.conductance_uS == pytest.approx(expected, abs=2e-6)
    aged(cells, 180, 1080)  # to 1,000: another
    expected = np.where(before >= 0.1, 5 + (before - 5) * 0.25, before)
    assert cells.conductance_uS == pytest.approx(expected, abs=4e-6)
    assert cells.conductance_uS[0, 0, 2] == np.float32(0.03125)


def test_cells_age_from_their_own_last_pulse() -> None:
    cells = bench.ideal(np.full((2, 1, 3), 13.0, np.float32))
    cells.pulsed_ticks[0, 0] = [90, 135, 170]
    cells.pulsed_ticks[1, 0] = [90, 90, 200]
    aged(cells, 170, 1000)
    for at in np.ndindex(2, 1, 3):
        since = int(cells.pulsed_ticks[at])
        decades = math.log10((1000 - since + 10) / (max(170 - since, 0) + 10))
        assert cells.conductance_uS[at] == pytest.approx(5 + 8 * 0.5**decades, abs=4e-6)


def test_a_walk_grows_with_the_decades_and_stays_in_the_window() -> None:
    cells = bench.ideal(np.full((2, 50, 50), 11.0, np.float32))
    cells.pulsed_ticks[:] = 0
    aged(cells, 0, 90, walk_uS=0.5, kept=1.0)
    assert cells.conductance_uS.mean() == pytest.approx(11.0, abs=0.04)
    assert cells.conductance_uS.std() == pytest.approx(0.5, rel=0.05)
    cells = bench.ideal(np.full((2, 20, 20), 20.0, np.float32))
    cells.pulsed_ticks[:] = 0
    aged(cells, 0, 90, walk_uS=0.5, kept=1.0)
    assert cells.conductance_uS.max() == 20.0


def test_steps_too_small_for_a_float_add_up_all_the_same() -> None:
    """A cell is rounded at random, up or down by at most one unit in the last place."""
    cells = bench.ideal(np.full((2, 100, 100), 13.0, np.float32))
    cells.pulsed_ticks[:] = 0
    aged(cells, 10**9, 10**9 + 50)  # 2e-8 decades, less than a tenth of a unit
    unit_uS = 2.0**-20
    moved = (cells.conductance_uS.astype(np.float64) - 13) / unit_uS
    assert set(np.unique(moved)) == {-1.0, 0.0}
    exact = 8 * (0.5 ** math.log10((10**9 + 60) / (10**9 + 10)) - 1) / unit_uS
    assert -0.5 < exact < -0.05
    assert moved.mean() == pytest.approx(exact, abs=0.02)


def test_time_that_does_not_pass_changes_nothing() -> None:
    cells = bench.ideal(bench.cells_of(92))
    before = cells.conductance_uS.copy()
    cells.pulsed_ticks[:] = 50
    aged(cells, 60, 60, walk_uS=0.5)
    assert np.array_equal(cells.conductance_uS, before)
