"""Line resistance: nodal solutions and transfer matrices against what others find, and laws."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.validation import nodal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.wired import FREE, LAYOUTS, SMALL, random_cells

from starlab_sim.chip.wires import Grid, Layout, NoSolution
from starlab_sim.effects import Array1Wires, Wires, parameters
from starlab_spec.errors import ShapeError
from starlab_spec.geometry import ARRAY1, ARRAY2


def loaded(layout: Layout, cells_uS: NDArray[np.float32] | None = None) -> Grid:
    grid = Grid(layout)
    grid.load(random_cells(layout) if cells_uS is None else cells_uS)
    return grid


def with_ohm(name: str, ohm: float) -> Layout:
    changed: dict[str, Any] = {name: ohm}
    return replace(SMALL, **changed)


def volts(layout: Layout, seed: int = 1) -> NDArray[np.float64]:
    """Voltages of all bit lines: not only those of reading."""
    return np.random.default_rng(seed).normal(0, 0.2, (layout.rows_per_node, layout.inputs))


@pytest.mark.parametrize("name", LAYOUTS)
def test_currents_and_cell_voltages_are_those_of_a_direct_solution(name: str) -> None:
    layout = LAYOUTS[name]
    rows_v = volts(layout)
    exact = nodal.by_scipy(nodal.circuit(layout, random_cells(layout)), rows_v)
    found = loaded(layout).solve(*rows_v, cells=True)
    assert found.cells_v is not None
    assert found.residual <= 1e-9
    assert np.abs(found.columns_ua - exact.columns_ua).max() < 1e-9 * np.abs(exact.columns_ua).max()
    assert np.abs(found.cells_v - exact.cells_v).max() < 1e-9


@pytest.mark.parametrize("name", LAYOUTS)
def test_rows_whose_transistors_are_closed_carry_no_current(name: str) -> None:
    layout, rows = LAYOUTS[name], np.array([2, 3, 7, 15])
    selected = np.zeros((2, layout.inputs, layout.outputs), np.bool_)
    selected[:, rows] = True
    rows_v = volts(layout)
    exact = nodal.by_scipy(nodal.circuit(layout, random_cells(layout), selected), rows_v)
    grid = Grid(layout, rows)
    grid.load(random_cells(layout)[:, rows])
    found = grid.solve(*rows_v[:, rows])
    assert np.abs(found.columns_ua - exact.columns_ua).max() < 1e-9 * np.abs(exact.columns_ua).max()


@pytest.mark.parametrize("topology", ["2T2R", "1T1R"])
def test_array_1_at_its_defaults_is_solved_to_a_millionth(topology: str) -> None:
    layout = Layout.of(ARRAY1, Wires(array1=Array1Wires(topology=topology)))
    on = np.random.default_rng(2).random(ARRAY1.inputs) < 0.13
    rows_v = np.stack([0.2 * on, -0.2 * on])[: layout.rows_per_node]
    exact = nodal.by_scipy(nodal.circuit(layout, random_cells(layout)), rows_v)
    found = loaded(layout).solve(*rows_v)
    worst = np.abs(found.columns_ua / exact.columns_ua - 1).max()
    assert worst < 1e-6
    assert found.steps <= 5


@pytest.mark.skipif(nodal.NGSPICE is None, reason="ngspice is not installed (Debian: ngspice)")
@pytest.mark.parametrize("name", LAYOUTS)
def test_currents_are_those_of_ngspice(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    rows_v = volts(layout)
    spice_ua = nodal.by_ngspice(nodal.circuit(layout, random_cells(layout)), rows_v, tmp_path)
    found = loaded(layout).solve(*rows_v)
    assert np.abs(found.columns_ua - spice_ua).max() < 1e-6 * np.abs(spice_ua).max()


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_transfer_matrix_gives_the_currents_of_every_input(name: str) -> None:
    layout = LAYOUTS[name]
    grid = loaded(layout)
    effective_uS = grid.transfer_uS()
    assert effective_uS.min() >= 0
    for seed in range(5):
        plus_v, minus_v = np.random.default_rng(seed).uniform(0, 0.3, (2, layout.inputs))
        if layout.shared:
            solved = grid.solve(plus_v, -minus_v).currents_ua
        else:
            minus_v = plus_v
            solved = grid.solve(plus_v).currents_ua
        product = plus_v @ effective_uS[0] - minus_v @ effective_uS[1]
        assert np.abs(product - solved).max() < 1e-8 * np.abs(solved).max()


@pytest.mark.parametrize("name", LAYOUTS)
def test_without_resistance_the_network_is_ideal(name: str) -> None:
    layout = replace(LAYOUTS[name], **FREE)
    assert layout.ideal
    grid, own = loaded(layout), random_cells(layout)
    assert np.array_equal(grid.transfer_uS(), own)
    plus_v = np.random.default_rng(3).uniform(0, 0.3, layout.inputs)
    minus_v = [-plus_v] if layout.shared else []
    found = grid.solve(plus_v, *minus_v)
    ideal_ua = plus_v @ own[0].astype(np.float64) - plus_v @ own[1]
    assert found.currents_ua == pytest.approx(ideal_ua, rel=0, abs=1e-14 * np.abs(ideal_ua).max())
    assert found.steps == 0


@pytest.mark.parametrize("missing", FREE)
def test_any_single_resistance_may_be_zero(missing: str) -> None:
    layout, tiny = with_ohm(missing, 0.0), with_ohm(missing, 1e-4)
    rows_v = volts(layout)
    almost = nodal.by_scipy(nodal.circuit(tiny, random_cells(tiny)), rows_v).columns_ua
    found = loaded(layout).solve(*rows_v).columns_ua
    assert np.abs(found - almost).max() < 1e-6 * np.abs(almost).max()


def test_currents_of_a_balanced_pair_cancel_on_their_source_line() -> None:
    own = random_cells(SMALL)
    own[1] = own[0]
    rows_v = np.random.default_rng(4).uniform(0.1, 0.3, SMALL.inputs)
    found = loaded(SMALL, own).solve(rows_v, -rows_v, cells=True)
    assert np.abs(found.columns_ua).max() < 1e-12
    ordinary = loaded(LAYOUTS["1T1R"], own).solve(rows_v)
    assert np.abs(ordinary.columns_ua).min() > 1


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), factor=st.floats(-3, 3))
def test_the_network_is_linear(seed: int, factor: float) -> None:
    a, b = volts(SMALL, seed), volts(SMALL, seed + 1)
    grid = loaded(SMALL)
    sum_ua = grid.solve(*(a + factor * b)).columns_ua
    parts_ua = grid.solve(*a).columns_ua + factor * grid.solve(*b).columns_ua
    assert np.abs(sum_ua - parts_ua).max() < 1e-7


def test_the_network_is_reciprocal() -> None:
    """What driver i feeds into clamp j, a source behind clamp j feeds into driver i."""
    layout = LAYOUTS["1T1R"]
    effective_uS = loaded(layout).transfer_uS()  # by sources behind the clamps
    grid = loaded(layout)
    for i in range(layout.inputs):
        fed_ua = grid.solve(np.eye(layout.inputs)[i]).columns_ua
        assert fed_ua[0::2] == pytest.approx(effective_uS[0, i], rel=1e-7)
        assert fed_ua[1::2] == pytest.approx(effective_uS[1, i], rel=1e-7)


@pytest.mark.parametrize("name", FREE)
def test_more_resistance_never_gives_more_current(name: str) -> None:
    """All drivers at one voltage: a network between two terminals."""
    rows_v = np.ones((2, SMALL.inputs))
    totals = [
        loaded(with_ohm(name, ohm)).solve(*rows_v).columns_ua.sum()
        for ohm in (0.0, 1.0, 30.0, 1000.0, 1e5)
    ]
    assert all(later < earlier for earlier, later in pairwise(totals))


def test_no_cell_sees_more_than_its_bit_line_is_driven_with() -> None:
    found = loaded(SMALL).solve(*np.ones((2, SMALL.inputs)), cells=True)
    assert found.cells_v is not None
    assert 0 < found.cells_v.min() <= found.cells_v.max() < 1


def test_a_solution_that_starts_from_itself_takes_no_step() -> None:
    grid, rows_v = loaded(SMALL), volts(SMALL)
    first = grid.solve(*rows_v)
    again = grid.solve(*rows_v)
    assert first.steps > 0
    assert again.steps == 0
    grid.forget()
    assert np.array_equal(grid.solve(*rows_v).columns_ua, first.columns_ua)


def test_a_hopeless_tolerance_is_told_and_not_met_in_silence() -> None:
    layout = replace(SMALL, bl_segment_ohm=1e5, sl_segment_ohm=1e5, bl_driver_ohm=1e5)
    with pytest.raises(NoSolution, match="limit 1e-14"):
        loaded(layout).solve(*volts(layout), tolerance=-1.0)


def test_even_absurd_resistances_are_solved() -> None:
    layout = replace(SMALL, bl_segment_ohm=1e6, sl_segment_ohm=1e6, bl_driver_ohm=1e6)
    rows_v = volts(layout)
    exact = nodal.by_scipy(nodal.circuit(layout, random_cells(layout)), rows_v).columns_ua
    found = loaded(layout).solve(*rows_v)
    assert np.abs(found.columns_ua - exact).max() < 1e-7 * np.abs(exact).max()


def test_shapes_that_do_not_fit_are_refused() -> None:
    grid = loaded(SMALL)
    with pytest.raises(ShapeError, match=r"expected 2 x \(21,\)"):
        grid.solve(np.ones(21))
    with pytest.raises(ShapeError, match=r"cells have shape \(2, 5, 6\), expected \(2, 21, 6\)"):
        grid.load(np.ones((2, 5, 6), np.float32))


def test_array_2_has_twenty_source_lines_and_minus_cells_come_first() -> None:
    layout = Layout.of(ARRAY2, Wires())
    assert (layout.columns, layout.first_column(0), layout.first_column(1)) == (20, 1, 0)


def test_the_page_knows_every_parameter_and_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wires.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:4] for line in page.splitlines() if line.startswith("| `")]
    told = {
        name.strip(): (default, unit) for names, default, unit in rows for name in names.split(",")
    }
    for name, known in parameters(Wires).items():
        default, unit = told[f"`{name}`"]
        value: Any = Wires()
        for part in name.split("."):
            value = getattr(value, part)
        assert default.strip() == (f"`{value}`" if known.choices else f"{value:g}"), name
        assert unit.strip() == known.unit, name
