"""Line resistance while cells are pulsed and read one by one."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from benchmarks.validation import nodal
from numpy.typing import NDArray
from tests.wired import FREE, LAYOUTS, SMALL, random_cells

from starlab_sim.chip.wires import (
    EXACT,
    RELAXATIONS,
    Layout,
    block_scratch,
    drops,
    pulsed_lines,
    seen_rows,
)
from starlab_sim.effects import Wires
from starlab_spec.geometry import ARRAY1

DEFAULT = Layout.of(ARRAY1, Wires())
ROWS = np.array([0, 1, 4, 5, 9, 10, 11, 17, 19], np.int64)
COLUMNS = np.array([0, 2, 5], np.uint64)
SET_MV = 2209.0


def voltages_mv(
    layout: Layout,
    plane: int = 0,
    rows: NDArray[np.int64] = ROWS,
    columns: NDArray[np.uint64] = COLUMNS,
    relaxations: int = EXACT,
    supply_ohm: float = 0.0,
    kind: type[np.float64] | type[np.float32] = np.float64,
) -> tuple[NDArray[np.float32], float]:
    drop_mv = np.full((layout.inputs, layout.outputs), np.nan, np.float32)
    total_ua = drops(
        random_cells(layout)[plane],
        rows,
        len(rows),
        columns,
        len(columns),
        SET_MV,
        pulsed_lines(layout, plane, relaxations, supply_ohm),
        block_scratch(layout, kind=kind),
        0,
        drop_mv,
    )
    block = np.ix_(rows, columns.astype(np.int64))
    assert np.isnan(drop_mv).sum() == drop_mv.size - drop_mv[block].size
    return SET_MV - drop_mv[block], total_ua


@pytest.mark.parametrize("plane", [0, 1])
@pytest.mark.parametrize("name", LAYOUTS)
def test_pulsed_cells_have_the_voltage_of_a_direct_solution(name: str, plane: int) -> None:
    layout = LAYOUTS[name]
    own = random_cells(layout)
    selected = np.zeros(own.shape, np.bool_)
    selected[np.ix_(np.array([plane]), ROWS, COLUMNS)] = True
    driven = np.full((layout.rows_per_node, layout.inputs), SET_MV * 1e-3)
    exact = nodal.by_scipy(nodal.circuit(layout, own, selected), driven)
    cells_ohm = 1e6 / own.astype(np.float64)
    share = cells_ohm / (cells_ohm + layout.transistor_ohm)
    exact_mv = (exact.cells_v * share)[np.ix_(np.array([plane]), ROWS, COLUMNS)][0] * 1e3
    found_mv, total_ua = voltages_mv(layout, plane)
    assert found_mv == pytest.approx(exact_mv, rel=1e-6)
    assert total_ua == pytest.approx(exact.columns_ua.sum(), rel=1e-6)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_resistance_of_the_rail_takes_its_share_of_all(name: str) -> None:
    layout = LAYOUTS[name]
    without_mv, without_ua = voltages_mv(layout)
    with_mv, with_ua = voltages_mv(layout, supply_ohm=500.0)
    rail_mv = SET_MV - 500.0 * with_ua * 1e-3
    assert with_ua == pytest.approx(without_ua * rail_mv / SET_MV, rel=1e-9)
    assert with_mv == pytest.approx(without_mv * (rail_mv / SET_MV), rel=1e-6)


def test_without_resistance_every_cell_has_the_whole_voltage() -> None:
    found_mv, total_ua = voltages_mv(replace(SMALL, **FREE))
    assert (found_mv == np.float32(SET_MV)).all()
    block_uS = random_cells(SMALL)[0][np.ix_(ROWS, COLUMNS)].astype(np.float64)
    assert total_ua == pytest.approx(SET_MV * 1e-3 * block_uS.sum(), rel=1e-12)


@pytest.mark.parametrize(
    ("row_count", "column_count", "limit_mv"), [(1, 100, 0.001), (130, 50, 0.01), (784, 100, 1.0)]
)
def test_the_fast_mode_errs_by_less_than_its_bound(
    row_count: int, column_count: int, limit_mv: float
) -> None:
    rng = np.random.default_rng(1)
    rows = np.sort(rng.choice(784, row_count, replace=False))
    columns = np.sort(rng.choice(100, column_count, replace=False)).astype(np.uint64)
    exact_mv, exact_ua = voltages_mv(DEFAULT, rows=rows, columns=columns)
    fast_mv, fast_ua = voltages_mv(
        DEFAULT, rows=rows, columns=columns, relaxations=RELAXATIONS, kind=np.float32
    )
    assert np.abs(fast_mv - exact_mv).max() <= limit_mv
    assert fast_ua == pytest.approx(exact_ua, rel=1e-3)


@pytest.mark.parametrize("name", LAYOUTS)
def test_float32_loses_no_more_of_a_drop_than_a_millionth(name: str) -> None:
    """A drop is computed as such, not as what is left of the rail."""
    layout = replace(LAYOUTS[name], bl_segment_ohm=0.01, sl_segment_ohm=0.01, bl_driver_ohm=0.1)
    layout = replace(layout, sl_driver_ohm=0.1, transistor_ohm=0.01)
    drops_mv = []
    for kind in (np.float64, np.float32):
        drop_mv = np.zeros((layout.inputs, layout.outputs), np.float32)
        lines = pulsed_lines(layout, 0, RELAXATIONS, 0.01)
        block = (ROWS, len(ROWS), COLUMNS, len(COLUMNS))
        scratch = block_scratch(layout, kind=kind)
        drops(random_cells(layout)[0], *block, SET_MV, lines, scratch, 0, drop_mv)
        drops_mv.append(drop_mv[np.ix_(ROWS, COLUMNS.astype(np.int64))])
    assert drops_mv[0].max() < 0.1
    assert drops_mv[1] == pytest.approx(drops_mv[0], rel=1e-6)


def test_more_relaxations_never_err_more() -> None:
    everything = np.arange(21), np.arange(6, dtype=np.uint64)
    exact_mv, _ = voltages_mv(SMALL, 0, *everything)
    errors = [
        np.abs(voltages_mv(SMALL, 0, *everything, relaxations=count)[0] - exact_mv).max()
        for count in (1, 2, 3, 4)
    ]
    assert all(later < earlier for earlier, later in pairwise(errors))


def test_what_scratch_held_before_changes_nothing() -> None:
    scratch = block_scratch(SMALL)
    lines = pulsed_lines(SMALL, 0, EXACT, 0.0)
    results = []
    for _ in range(2):
        drop_mv = np.zeros((SMALL.inputs, SMALL.outputs), np.float32)
        block = (ROWS, len(ROWS), COLUMNS, len(COLUMNS))
        drops(random_cells(SMALL)[0], *block, SET_MV, lines, scratch, 0, drop_mv)
        results.append(drop_mv)
        for part in scratch:
            part[:] = np.nan
    assert np.array_equal(results[0], results[1])


@pytest.mark.parametrize("name", LAYOUTS)
def test_read_sees_each_cell_through_its_lines(name: str) -> None:
    layout, row = LAYOUTS[name], 7
    own = random_cells(layout)
    for plane in range(2):
        seen_uS = np.empty((3, layout.outputs), np.float32)
        lines = pulsed_lines(layout, plane, EXACT, 0.0)
        seen_rows(own[plane, row - 1 : row + 2], row - 1, lines, seen_uS)
        selected = np.zeros(own.shape, np.bool_)
        selected[plane, row] = True
        driven = np.ones((layout.rows_per_node, layout.inputs))
        exact = nodal.by_scipy(nodal.circuit(layout, own, selected), driven)
        first, step = layout.first_column(plane), layout.column_step
        assert seen_uS[1] == pytest.approx(exact.columns_ua[first::step], rel=1e-6)


def test_read_without_resistance_sees_the_cells_themselves() -> None:
    own = random_cells(SMALL)[0]
    seen_uS = np.empty_like(own)
    seen_rows(own, 0, pulsed_lines(replace(SMALL, **FREE), 0, EXACT, 0.0), seen_uS)
    assert np.array_equal(seen_uS, own)
