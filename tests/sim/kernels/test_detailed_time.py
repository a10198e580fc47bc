"""What time does to cells that nobody touches, by the book."""

import math

import numpy as np
import pytest
from tests.sim.kernels import bench
from tests.sim.kernels.bench import (
    random,
)

from starlab_sim.chip.detailed import ageing
from starlab_sim.chip.detailed.cells import Cells


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
    rng = random(91)
    drawn = [13 + exact * unit_uS + math.ldexp(rng.random() - 0.5, 4 - 24) for _ in range(20_000)]
    assert cells.conductance_uS.reshape(-1).tolist() == np.array(drawn, np.float32).tolist()


def test_time_that_does_not_pass_changes_nothing() -> None:
    cells = bench.ideal(bench.cells_of(92))
    before = cells.conductance_uS.copy()
    cells.pulsed_ticks[:] = 50
    aged(cells, 60, 60, walk_uS=0.5)
    assert np.array_equal(cells.conductance_uS, before)
