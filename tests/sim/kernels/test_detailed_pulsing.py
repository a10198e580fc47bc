"""What the detailed kernels add to pulses: drops, sags, wear, ceilings, chance; by the book."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sim.kernels import bench
from tests.sim.kernels.bench import (
    HIDDEN,
    NO_DROP,
    RESET,
    SET,
    random,
)

from starlab_sim.chip.detailed import pulsing
from starlab_sim.chip.detailed.cells import Cells, Pulse
from starlab_sim.devices import STEP_VOLTAGE_MV

Grid = NDArray[np.float64]


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
