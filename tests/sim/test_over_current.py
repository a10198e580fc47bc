"""Learning passes draw current from a rail that sags and trips: what is done, and what not."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sim.rising_loads import SAMPLES, TARGETS, scatter

from starlab_sim.chip import (
    ArrayTuning,
    Chip,
    Converters,
    Learning,
    PulseKind,
    Rails,
    Schedule,
    Training,
    Tuning,
    TuningStep,
)
from starlab_sim.chip.energy import (
    BACKWARD_TICKS,
    inference_ticks,
    line_energy_j,
    pulse_ticks,
)
from starlab_sim.effects import Array2Wires, Effects, parameters
from starlab_spec.geometry import MINUS, PLUS
from starlab_spec.operations import Activation
from starlab_spec.samples import unpack_samples

if TYPE_CHECKING:
    from starlab_sim.chip import Counters

RAILS, CONVERTERS = Rails(), Converters()
LEARNING = Learning(5, 1.0, c1=0, activation=Activation.NONE)
AMPLITUDE_MV = {PulseKind.SET: RAILS.bl_set_mv, PulseKind.RESET: RAILS.sl_reset_mv}
Pass = tuple[int, PulseKind, int]
CYCLIC: dict[int, list[Pass]] = {
    0: [(a, PulseKind.SET, p) for a in (1, 2) for p in (PLUS, MINUS)],
    1: [(a, PulseKind.RESET, p) for a in (1, 2) for p in (MINUS, PLUS)],
}
"""Array, kind and plane of the passes of a sample, by phase, in order."""


def chip_with(**effects: Any) -> Chip:
    """A chip whose cells lie all over the window."""
    chip = Chip(seed=4, formed=True, effects=Effects.read(effects))
    scatter(chip)
    return chip


def learn(chip: Chip, count: int = 1, schedule: Schedule | None = None, **changes: Any) -> Training:
    """Some learning steps."""
    return chip.train(
        SAMPLES[:count],
        TARGETS[:count],
        rails=RAILS,
        converters=CONVERTERS,
        learning=LEARNING,
        tuning=Tuning.at(RAILS, schedule or Schedule.cyclic()),
        **changes,
    )


def cells(chip: Chip) -> dict[int, NDArray[np.float32]]:
    return {array: chip.conductance_uS(array) for array in (1, 2)}


def pass_loads_uS(phase: int, **effects: Any) -> dict[Pass, float]:
    """What the cells of each pass on the first sample conduct before it: by what was pulsed."""
    chip = chip_with(**effects)
    before = cells(chip)
    learn(chip, phase=phase)
    return {
        (array, kind, plane): float(
            before[array][plane].sum(where=chip.pulses(array)[plane] > 0, dtype=np.float64)
        )
        for array, kind, plane in CYCLIC[phase]
    }


@pytest.mark.parametrize("phase", [0, 1])
@pytest.mark.parametrize("output_ohm", [0.0, 2.0])
def test_the_first_pass_that_draws_more_than_the_limit_trips(phase: int, output_ohm: float) -> None:
    regulation = {"load_regulation": {"output_ohm": output_ohm}}
    currents_ma = {
        one: AMPLITUDE_MV[one[1]] * load_uS * 1e-6 / (1 + output_ohm * load_uS * 1e-6)
        for one, load_uS in pass_loads_uS(phase, **regulation).items()
    }
    assert min(currents_ma.values()) > 0
    for limit_ma in [ma * share for ma in currents_ma.values() for share in (0.9999, 1.0001)]:
        expected = next((p for p, ma in currents_ma.items() if ma > limit_ma), None)
        chip = chip_with(current_limit={"limit_ma": limit_ma}, **regulation)
        trip = learn(chip, phase=phase).trip
        if expected is None:
            assert trip is None
        else:
            assert trip is not None
            assert (trip.array, trip.kind, trip.plane) == expected
            assert trip.current_ma == pytest.approx(currents_ma[expected], rel=1e-6)


@pytest.mark.parametrize("phase", [0, 1])
@pytest.mark.parametrize("at", range(4))
def test_passes_before_the_one_that_trips_stay_applied_and_nothing_after_it_is(
    phase: int, at: int
) -> None:
    loads_uS = pass_loads_uS(phase)
    passes = CYCLIC[phase]
    untouched, whole = chip_with(), chip_with()
    learn(whole, phase=phase)

    # where an earlier pass draws more, the first of them trips instead
    currents_ma = [AMPLITUDE_MV[p[1]] * loads_uS[p] * 1e-6 for p in passes]
    limit_ma = currents_ma[at] * 0.999
    at = next(i for i, current_ma in enumerate(currents_ma) if current_ma > limit_ma)
    array, kind, plane = passes[at]
    chip = chip_with(current_limit={"limit_ma": limit_ma})
    training = learn(chip, phase=phase)
    trip = training.trip
    assert trip is not None
    assert (trip.array, trip.kind, trip.plane) == (array, kind, plane)
    assert (training.done, len(training.outputs), training.phase) == (0, 1, phase)
    for index, (number, _, cells_of) in enumerate(passes):
        same = whole if index < at else untouched
        for look in (Chip.conductance_uS, Chip.pulses):
            found, expected = look(chip, number)[cells_of], look(same, number)[cells_of]
            assert np.array_equal(found, expected)
    assert int(training.pulses1[0]) == int(chip.pulses(1).sum())
    assert int(training.pulses2[0]) == int(chip.pulses(2).sum())

    counters, all_of_it = chip.counters, whole.counters
    assert counters.pulses == int(chip.pulses(1).sum()) + int(chip.pulses(2).sum())
    assert (counters.training_steps, counters.forward_ticks) == (0, inference_ticks(CONVERTERS))
    assert counters.backward_ticks == BACKWARD_TICKS
    assert counters.cells_j == all_of_it.cells_j
    tuning = Tuning.at(RAILS, Schedule.cyclic())
    pulses = {
        (1, PulseKind.SET): tuning.set1,
        (2, PulseKind.SET): tuning.set2,
        (1, PulseKind.RESET): tuning.reset1,
        (2, PulseKind.RESET): tuning.reset2,
    }
    spent = sum(pulse_ticks(pulses[number, one]) for number, one, _ in passes[:at])
    assert counters.time_ticks == inference_ticks(CONVERTERS) + BACKWARD_TICKS + spent


def life(chip: Chip, **arguments: Any) -> tuple[list[Any], "Counters"]:
    training = learn(chip, 12, **arguments)
    seen = [training.outputs.tolist(), training.pulses1.tolist(), training.pulses2.tolist()]
    return [*seen, training.phase, *(g.tolist() for g in cells(chip).values())], chip.counters


@pytest.mark.parametrize("schedule", [Schedule.cyclic(), Schedule.non_cyclic(2, 1)])
def test_a_limit_that_never_trips_changes_no_bit(schedule: Schedule) -> None:
    ideal = life(chip_with(), schedule=schedule)
    assert life(chip_with(current_limit={"limit_ma": 1e4}), schedule=schedule) == ideal
    neutral = chip_with(current_limit={"limit_ma": 1e4}, load_regulation={"output_ohm": 0})
    assert life(neutral, schedule=schedule) == ideal
    assert life(chip_with(load_regulation=True), schedule=schedule) != ideal


@pytest.mark.parametrize("schedule", [Schedule.cyclic(), Schedule.non_cyclic()])
def test_samples_before_the_one_that_trips_are_complete(schedule: Schedule) -> None:
    limits = [
        (limit_ma, learn(chip_with(current_limit={"limit_ma": limit_ma}), 12, schedule).done)
        for limit_ma in np.linspace(3, 60, 30)
    ]
    # one that trips neither at once nor never
    limit_ma, done = next((ma, n) for ma, n in limits if 2 < n < 12)
    chip, twin = (chip_with(current_limit={"limit_ma": limit}) for limit in (limit_ma, 1e4))
    training, before = learn(chip, 12, schedule), learn(twin, done, schedule)
    assert training.trip is not None
    assert training.done == done == chip.counters.training_steps
    assert training.phase == before.phase
    assert np.array_equal(training.pulses1[:done], before.pulses1)
    assert np.array_equal(training.outputs[:done], before.outputs)
    applied = int(training.pulses1[done]) + int(training.pulses2[done])
    assert chip.counters.pulses == twin.counters.pulses + applied

    fine = chip_with(current_limit={"limit_ma": limit_ma})
    assert learn(fine, 12, schedule, fine=True).done == done
    assert np.array_equal(fine.conductance_uS(1), chip.conductance_uS(1))
    assert fine.counters.time_ticks == chip.counters.time_ticks
    # a chip that has tripped goes on as ever, were it asked to
    assert learn(twin, 1, schedule).trip is None


def test_every_cell_of_a_pass_gets_what_the_rail_gives_to_all_of_them() -> None:
    output_ohm = 3.0
    regulation = {"load_regulation": {"output_ohm": output_ohm}}
    ideal, sagging = chip_with(), chip_with(**regulation)
    before = cells(ideal)
    learn(ideal)
    learn(sagging)
    for (array, kind, plane), load_uS in pass_loads_uS(0, **regulation).items():
        unloaded_mv = loaded_mv = AMPLITUDE_MV[kind]
        for _ in range(100):  # by hand: iterate the sag
            loaded_mv = unloaded_mv - output_ohm * loaded_mv * load_uS * 1e-6
        start = before[array][plane].astype(np.float64)
        steps = [one.conductance_uS(array)[plane] - start for one in (ideal, sagging)]
        # the rails of reading sag as well, so that not all of the columns are the same
        moved = (steps[0] > 0.02) & (steps[1] > 0) & (ideal.conductance_uS(array)[plane] < 19.9)
        assert moved.sum() > 10
        ratio = float(steps[1][moved].sum() / steps[0][moved].sum())
        assert ratio == pytest.approx(np.exp((loaded_mv - unloaded_mv) / 150), rel=1e-4)
    assert sum(sagging.counters.set_j) < sum(ideal.counters.set_j)


# ---- reading


def test_read_rails_sag_under_all_rows_that_are_on() -> None:
    output_ohm = 2.0
    chip = chip_with(load_regulation={"output_ohm": output_ohm})
    bits = unpack_samples(SAMPLES).astype(np.float64)
    g_plus, g_minus = (bits @ plane.astype(np.float64) for plane in chip.conductance_uS(1))
    volts = []
    for sums_uS, read_mv in ((g_plus, RAILS.read_plus_mv), (g_minus, RAILS.read_minus_mv)):
        unloaded_v = loaded_v = np.full(len(SAMPLES), read_mv * 1e-3)
        for _ in range(200):  # by hand: iterate the sag
            loaded_v = unloaded_v - output_ohm * loaded_v * sums_uS.sum(axis=1) * 1e-6
        volts.append(loaded_v[:, None])
    assert volts[0].min() < 0.8 * RAILS.read_plus_mv * 1e-3
    current_ua = volts[0] * g_plus - volts[1] * g_minus
    codes = np.floor(current_ua * 255 / CONVERTERS.full_scale1_ua + 0.5).clip(0, 255)
    found = chip.vmm(SAMPLES, rails=RAILS, converters=CONVERTERS)
    assert np.array_equal(found, codes)
    assert np.array_equal(learn(chip, 1).hidden, codes[:1])


def test_the_rail_of_array_2_sags_under_the_rows_of_each_slot() -> None:
    output_ohm = 20.0
    chip = chip_with(load_regulation={"output_ohm": output_ohm})
    converters = Converters(bits2=8, integration2_ns=50)
    hidden = np.random.default_rng(1).integers(0, 256, (3, 100)).astype(np.uint8)
    cells_uS = chip.conductance_uS(2).astype(np.float64)
    expected = np.zeros((3, 10))
    for slot in range(1, 256):
        on = (hidden >= slot).astype(np.float64)
        plus, minus = (on @ plane for plane in cells_uS)
        load_uS = (plus + minus).sum(axis=1, keepdims=True)
        read_v = RAILS.read_plus_mv * 1e-3 / (1 + output_ohm * load_uS * 1e-6)
        per_code = 255 / converters.full_scale2_ua
        above, below = (np.floor(read_v * one * per_code + 0.5) for one in (plus, minus))
        expected += above.clip(0, 255) - below.clip(0, 255)
    found = chip.vmm2(hidden, rails=RAILS, converters=converters)
    assert np.array_equal(found, expected)
    ideal = chip_with().vmm2(hidden, rails=RAILS, converters=converters)
    assert np.abs(found - ideal).max() > 50


@pytest.mark.parametrize("array", [1, 2])
def test_read_sags_under_the_cells_of_its_row(array: int) -> None:
    output_ohm = 500.0
    chip = chip_with(load_regulation={"output_ohm": output_ohm})
    cells_uS = chip.conductance_uS(array).astype(np.float64)
    left = 1 / (1 + output_ohm * cells_uS.sum(axis=2, keepdims=True) * 1e-6)
    read_mv = [RAILS.read_plus_mv, RAILS.read_minus_mv if array == 1 else RAILS.read_plus_mv]
    read_v = np.array(read_mv)[:, None, None] * 1e-3 * left
    full_scale_ua = CONVERTERS.read_full_scale_ua(array)
    codes = np.floor(read_v * cells_uS * 255 / full_scale_ua + 0.5).clip(0, 255)
    found = chip.read(array, rails=RAILS, converters=CONVERTERS)
    assert np.array_equal(found, codes)
    assert left.min() < 0.98


# ---- wires


ONE_PASS = Schedule.single(TuningStep(array2=ArrayTuning(plus_count=1)))
"""SET on "+" cells of array 2 alone."""
WIRES = {"array2": {"bl_segment_ohm": 50.0, "sl_segment_ohm": 50.0}}


def current_by_energy_ma(**effects: Any) -> float:
    """What the one pass draws, as the energy that it takes tells."""
    chip = chip_with(**effects)
    assert learn(chip, schedule=ONE_PASS).trip is None
    rows = int(chip.pulses(2)[PLUS].any(axis=1).sum())
    assert rows > 10
    volt, pulse = RAILS.bl_set_mv * 1e-3, Tuning.at(RAILS, ONE_PASS).set2
    cells_j = chip.counters.set_j[1] - rows * line_energy_j(volt)
    return cells_j / (volt * pulse.width_ns * 1e-9) * 1e3


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("regulation", [{}, {"load_regulation": {"output_ohm": 50.0}}])
def test_through_wires_the_current_is_that_of_the_solved_block(
    mode: str, regulation: dict[str, Any]
) -> None:
    effects = {"wires": {**WIRES, "mode": mode}, **regulation}
    expected_ma = current_by_energy_ma(**effects)
    assert expected_ma < 0.95 * current_by_energy_ma()
    trip = learn(chip_with(current_limit={"limit_ma": 0.001}, **effects), schedule=ONE_PASS).trip
    assert trip is not None
    assert (trip.array, trip.kind, trip.plane) == (2, PulseKind.SET, PLUS)
    # relaxed lines agree on the voltages, and so on the current, to some millivolt
    accuracy = 1e-5 if mode == "exact" else 1e-3
    assert trip.current_ma == pytest.approx(expected_ma, rel=accuracy)


def test_an_array_whose_wires_are_ideal_sags_beside_one_whose_are_not() -> None:
    ideal = dict.fromkeys(parameters(Array2Wires), 0.0)
    regulation = {"load_regulation": {"output_ohm": 50.0}}
    beside_ma = current_by_energy_ma(wires={"array2": ideal}, **regulation)
    assert beside_ma < 0.9 * current_by_energy_ma(wires={"array2": ideal})
    limited = chip_with(current_limit={"limit_ma": 0.001}, wires={"array2": ideal}, **regulation)
    trip = learn(limited, schedule=ONE_PASS).trip
    assert trip is not None
    assert trip.current_ma == pytest.approx(beside_ma, rel=1e-4)
