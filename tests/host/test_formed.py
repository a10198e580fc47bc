"""FORM never reaches a formed cell, whatever the cell reads: on the whole emulated board."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.host.bench import Bench, as_real

from starlab_host import safety
from starlab_host.chip.formed import ASKING, SAMPLE
from starlab_host.chip.snapshots import restore_snapshot, take_snapshot
from starlab_host.errors import NotFormed
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_spec import ARRAY2
from starlab_spec.operations import PulseKind
from starlab_spec.snapshot import pack, unpack

Mask = NDArray[np.bool_]

LOW_ENDS = {"spread": {"window": 0.2}}
NOISE = {"read_noise": {"converter_codes": 1.0}}
TELEGRAPH = {"telegraph": {"fraction": 0.5}}
FAR = {"wires": {"array2": {"bl_segment_ohm": 1000, "sl_segment_ohm": 200}}}
BLIND = {"wires": {"array2": {"bl_driver_ohm": 100_000}}}
"""All that READ sees of a formed cell is what it would see of a virgin one."""


def worn(seed: int, effects: dict[str, Any], virgin_share: float = 0.1) -> tuple[Bench, Mask]:
    """A chip half of whose cells are at the low end of their windows, and some virgin."""
    bench = Bench(Specimen(seed=seed, effects=Effects.read(effects)))
    rng = np.random.default_rng(seed)
    cells_uS = bench.emulated.chip.conductance_uS(2)
    cells_uS[rng.random(cells_uS.shape) < 0.5] = 0.0
    bench.emulated.chip.set_conductance_uS(2, cells_uS)
    virgin = rng.random(cells_uS.shape) < virgin_share
    array = bench.emulated.chip._array(2)
    array.conductance_uS[virgin] = 0.05
    array.changed()
    return bench, virgin


def pulses_on(bench: Bench, call: Callable[[], object]) -> NDArray[np.int64]:
    before = bench.emulated.chip.pulses(2).astype(np.int64)
    call()
    return bench.emulated.chip.pulses(2) - before


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "effects", [LOW_ENDS, LOW_ENDS | NOISE, LOW_ENDS | TELEGRAPH, LOW_ENDS | FAR, BLIND]
)
def test_a_board_that_tells_has_its_virgin_cells_formed_and_no_other_pulsed(
    effects: dict[str, Any], seed: int
) -> None:
    bench, virgin = worn(seed, effects)
    given = pulses_on(bench, lambda: bench.chip.form(2))
    assert not bench.emulated.chip.virgin(2).any()
    assert (given[virgin] == 1).all()
    assert not given[~virgin].any()
    assert bench.chip.form(2).pulses == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("effects", [LOW_ENDS, LOW_ENDS | NOISE, LOW_ENDS | TELEGRAPH])
def test_a_board_that_does_not_tell_has_those_asked_that_look_it_both_ways(
    effects: dict[str, Any], seed: int
) -> None:
    bench, virgin = worn(seed, effects)
    before_uS = bench.emulated.chip.conductance_uS(2)
    as_real(bench)
    report = bench.chip.form(2)
    assert not bench.emulated.chip.virgin(2).any()
    assert bench.board.counters().array2.form == report.pulses == virgin.sum()
    assert (report.failed, len(report.unsure)) == (0, 0)
    moved_uS = np.abs(bench.emulated.chip.conductance_uS(2) - before_uS)[~virgin]
    assert moved_uS.max() < 1.0, "those that were asked are put back"
    assert (moved_uS > 0.35).mean() < 0.02


def test_asking_costs_few_pulses_and_none_where_reading_tells() -> None:
    bench, virgin = worn(1, LOW_ENDS)
    sure = ~virgin & (bench.emulated.chip.conductance_uS(2) > 1.0)
    as_real(bench)
    given = pulses_on(bench, lambda: bench.chip.form(2))
    assert not given[sure].any()
    assert given[virgin].max() <= sum(ASKING) + 1
    assert given[~virgin].max() <= 2 * sum(ASKING)


def test_of_a_chip_that_is_virgin_altogether_a_few_cells_are_asked(virgin_bench: Bench) -> None:
    as_real(virgin_bench)
    given = pulses_on(virgin_bench, lambda: virgin_bench.chip.form(2))
    assert virgin_bench.board.counters().array2.form == ARRAY2.cells
    assert sorted(np.unique(given)) == [1, 1 + sum(ASKING)]
    assert (given > 1).sum() == SAMPLE
    assert virgin_bench.chip.form(2).pulses == 0


HIDING = {"telegraph": {"fraction": 1, "amplitude": 0.3, "amplitude_spread": 0.5}}
RARE = {"telegraph": {"fraction": 0.02, "amplitude": 0.5, "amplitude_spread": 2}}
SLOW = {"telegraph": {"fraction": 1, "amplitude": 0.5, "fastest_s": 1e-3, "slowest_s": 1e4}}


def form_pulses_after_reset(seed: int, effects: dict[str, Any]) -> int:
    """FORM pulses on a formed array whose cells were all taken to the low ends of their windows."""
    bench = as_real(Bench(Specimen(seed=seed, effects=Effects.read(effects))))
    for _ in range(3):
        bench.chip.pulse(2, PulseKind.RESET, safety.cell_mask(ARRAY2), count=200)
    for rows in (None, range(20), [0], None):
        bench.chip.form(2, rows=rows)
    return bench.board.counters().array2.form


@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("effects", [LOW_ENDS | HIDING, LOW_ENDS | RARE, LOW_ENDS | SLOW])
def test_a_formed_cell_that_its_trap_hides_gets_no_form_pulse(
    effects: dict[str, Any], seed: int
) -> None:
    assert form_pulses_after_reset(seed, effects) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_virgin_chip_with_such_traps_is_formed_and_no_cell_twice(seed: int) -> None:
    bench = as_real(Bench(Specimen(seed=seed, virgin=True, effects=Effects.read(HIDING))))
    report = bench.chip.form(2)
    assert report.pulses == ARRAY2.cells
    assert report.formed + len(report.unsure) == ARRAY2.cells
    assert len(report.unsure) < 20
    bench.chip.form(2)
    assert bench.board.counters().array2.form == ARRAY2.cells


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_few_formed_cells_of_a_virgin_array_that_hide_get_no_form_pulse(seed: int) -> None:
    bench = as_real(Bench(Specimen(seed=seed, virgin=True, effects=Effects.read(HIDING))))
    bench.chip.form(2, rows=range(5))
    few = safety.cell_mask(ARRAY2, range(5))
    bench.chip.pulse(2, PulseKind.RESET, few, count=200)
    given = bench.board.counters().array2.form
    bench.chip.form(2, rows=range(5))
    assert bench.board.counters().array2.form == given


def test_noise_does_not_make_a_virgin_cell_a_formed_one() -> None:
    bench = as_real(Bench(Specimen(seed=4, virgin=True, effects=Effects.read(NOISE))))
    with pytest.raises(NotFormed):
        bench.chip.program(2, weights=np.zeros((100, 10)))
    report = bench.chip.form(2)
    assert (report.failed, report.pulses) == (0, ARRAY2.cells)
    assert not bench.emulated.chip.virgin(2).any()


def test_a_cell_that_neither_looks_virgin_nor_moves_is_named_and_left_alone() -> None:
    bench, _ = worn(1, {}, virgin_share=0.0)
    array = bench.emulated.chip._array(2)
    bench.emulated.chip.change_effects(Effects.read({"stuck": {"low": 0.01, "high": 0}}))
    assert array.traits is not None
    stuck = array.traits.stuck
    for values in (array.conductance_uS, array.traits.bottom_uS, array.traits.top_uS):
        values[stuck] = 0.3
    array.changed()
    as_real(bench)
    report = bench.chip.form(2)
    assert stuck.any()
    assert report.unsure.tolist() == np.argwhere(stuck).tolist()
    assert report.failed == stuck.sum()
    assert report.pulses == bench.board.counters().array2.form == 0


def test_cells_that_are_formed_and_read_low_are_programmed() -> None:
    for hide in (False, True):
        bench, virgin = worn(1, LOW_ENDS)
        if hide:
            as_real(bench)
        low = ~virgin & (bench.emulated.chip.conductance_uS(2) < 0.5)
        target_uS = np.full(ARRAY2.shape, 8.0)
        bench.chip.program(2, target_uS)
        reached_uS = bench.emulated.chip.conductance_uS(2)
        assert low.sum() > 10
        assert np.abs(reached_uS[low] - 8.0).max() < 0.6


@pytest.mark.parametrize("method", ["write-verify", "open-loop", "stellar-cyclic"])
@pytest.mark.parametrize("hide", [False, True])
def test_no_method_of_programming_takes_a_virgin_cell_for_a_formed_one(
    method: str, hide: bool
) -> None:
    bench, virgin = worn(2, LOW_ENDS | NOISE)
    if hide:
        as_real(bench)
    target_uS = np.full(ARRAY2.shape, 6.0)
    given = pulses_on(bench, lambda: bench.chip.program(2, target_uS, method=method))
    assert given[virgin].max() <= (sum(ASKING) if hide else 0)


def test_low_ends_may_be_pulsed_and_need_no_forming() -> None:
    bench, virgin = worn(1, LOW_ENDS)
    low = ~virgin & (bench.emulated.chip.conductance_uS(2) < 0.5)
    assert bench.chip.pulse(2, PulseKind.SET, low, count=2) == 2 * low.sum()
    with pytest.raises(NotFormed, match=r"array 2 is not formed: (\d+) of \1 cells seem virgin"):
        bench.chip.pulse(2, PulseKind.SET, virgin)
    assert safety.cell_mask(ARRAY2).sum() == ARRAY2.cells


def test_a_snapshot_that_was_read_knows_virgin_cells_from_low_ones() -> None:
    bench, virgin = worn(1, LOW_ENDS)
    data = take_snapshot(bench.board, bench.chip, kind="read")
    formed = unpack(data).arrays["array2.formed"]
    np.testing.assert_array_equal(formed, ~virgin)
    bench.chip.program(2, np.full(ARRAY2.shape, 8.0))
    restore_snapshot(bench.board, bench.chip, data)
    reached_uS = bench.emulated.chip.conductance_uS(2)
    assert np.abs(reached_uS[~virgin] - 8.0).max() > 3.0
    older = unpack(data)
    kept = {name: one for name, one in older.arrays.items() if not name.endswith(".formed")}
    again = restore_snapshot(bench.board, bench.chip, pack(older.header, kept))
    assert again.arrays.keys() == {1, 2}
