"""What each effect does to cells and to their reading, against the law that it states."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from starlab_sim.chip import (
    Chip,
    Converters,
    Learning,
    PulseConditions,
    PulseKind,
    Rails,
    Schedule,
    Tuning,
)
from starlab_sim.chip.detailed.noise import forward_noises, read_noise
from starlab_sim.effects import (
    CycleNoise,
    Effects,
    FormingStatistics,
    GateCompliance,
    ReadNoise,
    Retention,
    Spread,
    StuckCells,
    TelegraphNoise,
    Wear,
)
from starlab_spec.units import TICK_NS

SHAPE1, SHAPE2 = (2, 784, 100), (2, 100, 10)
EVERY1, EVERY2 = np.ones(SHAPE1, np.bool_), np.ones(SHAPE2, np.bool_)
RAILS, CONVERTERS = Rails(), Converters()
SET, RESET = RAILS.pulse(PulseKind.SET, 300), RAILS.pulse(PulseKind.RESET, 50)
DAY_TICKS = round(86_400e9 / TICK_NS)
SECOND_TICKS = round(1e9 / TICK_NS)


def chip_with(**effects: object) -> Chip:
    return Chip(seed=3, device="linear", formed=True, effects=Effects(**effects))  # type: ignore[arg-type]


def all_at(chip: Chip, level_uS: float) -> None:
    chip.set_conductance_uS(1, np.full(SHAPE1, level_uS))
    chip.set_conductance_uS(2, np.full(SHAPE2, level_uS))


# ---- spread, stuck cells


def test_steps_are_lognormal_from_cell_to_cell_with_the_mean_of_the_table() -> None:
    chip = chip_with(spread=Spread(step=0.3, window=0.0))
    for kind, pulse in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
        all_at(chip, 11.0)
        chip.pulse(1, kind, EVERY1, pulse)
        steps = np.abs(chip.conductance_uS(1) - 11.0)
        assert steps.mean() == pytest.approx(0.0496, rel=0.005)
        assert np.log(steps).std() == pytest.approx(0.3, rel=0.01)


def test_a_cell_keeps_its_step_and_set_tells_nothing_of_reset() -> None:
    chip = chip_with(spread=Spread(step=0.3, window=0.0))
    steps = []
    for kind, pulse in ((PulseKind.SET, SET), (PulseKind.SET, SET), (PulseKind.RESET, RESET)):
        all_at(chip, 11.0)
        chip.pulse(1, kind, EVERY1, pulse)
        steps.append((chip.conductance_uS(1) - 11.0).reshape(-1))
    assert np.array_equal(steps[0], steps[1])
    assert abs(np.corrcoef(steps[0], steps[2])[0, 1]) < 0.01


def test_window_ends_are_normal_from_cell_to_cell() -> None:
    chip = chip_with(spread=Spread(step=0.0, window=0.05))
    for kind, pulse, end_uS in ((PulseKind.SET, SET, 20.0), (PulseKind.RESET, RESET, 2.0)):
        long = PulseConditions(pulse.amplitude_mv, pulse.gate_mv, 100 * pulse.width_ns)
        chip.pulse(1, kind, EVERY1, long, count=8)
        ends = chip.conductance_uS(1)
        assert np.median(ends) == pytest.approx(end_uS, abs=0.02)
        quartiles = np.quantile(ends, (0.25, 0.75))
        assert quartiles[1] - quartiles[0] == pytest.approx(1.349 * 0.9, rel=0.01)


def test_stuck_cells_sit_at_their_end_and_never_move() -> None:
    chip = chip_with(stuck=StuckCells(low=0.02, high=0.01))
    cells = chip.conductance_uS(1)
    low, high = cells == 2.0, cells == 20.0
    assert low.mean() == pytest.approx(0.02, abs=0.002)
    assert high.mean() == pytest.approx(0.01, abs=0.002)
    chip.pulse(1, PulseKind.SET, EVERY1, SET, count=20)
    chip.pulse(1, PulseKind.RESET, EVERY1, RESET, count=3)
    chip.set_conductance_uS(1, np.full(SHAPE1, 11.0))
    chip.let_pass(48 * DAY_TICKS)
    assert np.array_equal(chip.conductance_uS(1) == 2.0, low)
    assert np.array_equal(chip.conductance_uS(1) == 20.0, high)


def test_cells_that_are_no_longer_stuck_stay_and_move_again() -> None:
    chip = chip_with()
    before = chip.conductance_uS(1)
    chip.change_effects(Effects(stuck=StuckCells(low=0.02, high=0.01)))
    stuck = chip.conductance_uS(1)
    assert 0.02 < (stuck != before).mean() < 0.04
    chip.change_effects(Effects())
    assert np.array_equal(chip.conductance_uS(1), stuck)
    chip.pulse(1, PulseKind.SET, EVERY1, SET)
    assert (chip.conductance_uS(1)[stuck == 2.0] > 2.0).all()


def test_an_effect_switched_off_and_on_finds_the_same_cells() -> None:
    once, again = chip_with(spread=Spread()), chip_with()
    again.change_effects(Effects(spread=Spread(), telegraph=TelegraphNoise(fraction=0.5)))
    again.change_effects(Effects(spread=Spread()))
    for chip in (once, again):
        all_at(chip, 11.0)
        chip.pulse(1, PulseKind.SET, EVERY1, SET, count=5)
    assert np.array_equal(once.conductance_uS(1), again.conductance_uS(1))


# ---- forming, gate


def virgin(**effects: object) -> Chip:
    return Chip(seed=3, device="linear", effects=Effects(**effects))  # type: ignore[arg-type]


def form(chip: Chip, voltage_mv: float, width_ns: int = 12_800, count: int = 1) -> float:
    """Share of the cells that are formed after it."""
    chip.pulse(1, PulseKind.FORM, EVERY1, PulseConditions(voltage_mv, 1220, width_ns), count=count)
    return float(1.0 - chip.virgin(1).mean())


def test_half_of_the_cells_form_at_the_median_voltage_and_width() -> None:
    statistics = FormingStatistics(yield_fraction=1.0, voltage_spread_mv=0.0)
    assert form(virgin(forming=statistics), 4750.0) == pytest.approx(0.5, abs=0.005)
    longer = form(virgin(forming=statistics), 4750.0, 3 * 12_800)
    assert longer == pytest.approx(1 - 2**-3, abs=0.005)
    assert form(virgin(forming=statistics), 4750.0, count=3) == pytest.approx(longer, abs=0.005)


def test_a_decade_of_width_makes_up_for_some_voltage() -> None:
    statistics = FormingStatistics(yield_fraction=1.0, decade_mv=80.0)
    low = form(virgin(forming=statistics), 4670.0, 128_000)
    assert low == pytest.approx(form(virgin(forming=statistics), 4750.0, 12_800), abs=0.007)


def test_no_pulse_forms_more_than_the_yield() -> None:
    chip = virgin(forming=FormingStatistics(yield_fraction=0.95))
    assert form(chip, 5250.0, count=50) == pytest.approx(0.95, abs=0.002)


def test_conductance_after_forming_has_its_mean_and_spread() -> None:
    chip = virgin(forming=FormingStatistics(target_uS=10.0, spread_uS=1.5))
    form(chip, 5016.0, count=20)
    cells = chip.conductance_uS(1)[~chip.virgin(1)]
    assert cells.mean() == pytest.approx(10.0, abs=0.02)
    assert cells.std() == pytest.approx(1.5, abs=0.02)


def test_the_gate_caps_what_set_reaches_and_moves_no_cell_down() -> None:
    chip = chip_with(gate=GateCompliance())
    all_at(chip, 13.0)
    weak = PulseConditions(SET.amplitude_mv, 700 + 1000 * 12 / 18, 300)
    chip.pulse(1, PulseKind.SET, EVERY1, weak, count=100)
    assert (chip.conductance_uS(1) == np.float32(13.0)).all()
    all_at(chip, 11.0)
    chip.pulse(1, PulseKind.SET, EVERY1, weak, count=100)
    assert chip.conductance_uS(1) == pytest.approx(12.0, abs=1e-5)


def test_the_table_holds_at_the_published_gate_voltage() -> None:
    gated, plain = chip_with(gate=GateCompliance()), chip_with()
    for chip in (gated, plain):
        chip.pulse(1, PulseKind.SET, EVERY1, SET, count=300)
    assert np.array_equal(gated.conductance_uS(1), plain.conductance_uS(1))
    assert plain.conductance_uS(1).max() == 20.0


def test_the_gate_limits_what_forming_leaves() -> None:
    chip = virgin(gate=GateCompliance())
    chip.pulse(1, PulseKind.FORM, EVERY1, PulseConditions(5016, 700 + 0.5 * 520, 12_800))
    assert chip.conductance_uS(1).mean() == pytest.approx(5.5, abs=0.03)


# ---- wear


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_pulses_narrow_the_window_by_the_law(exponent: float) -> None:
    chip = chip_with(wear=Wear(endurance_pulses=1000.0, exponent=exponent))
    for expected in (500, 1000, 2000):
        while (had := int(chip.pulses(2)[0, 0, 0])) < expected:
            kind, pulse = (PulseKind.SET, SET) if had % 2 else (PulseKind.RESET, RESET)
            chip.pulse(2, kind, EVERY2, pulse, count=min(251, expected - had))
        left = 1.0 / (1.0 + (expected / 1000.0) ** exponent)
        ends = []
        for kind, pulse in ((PulseKind.SET, SET), (PulseKind.RESET, RESET)):
            fresh = chip.conductance_uS(2)
            chip._array2.conductance_uS[...] = 20.0 if kind is PulseKind.SET else 2.0
            chip.pulse(2, kind, EVERY2, pulse)
            ends.append(float(chip.conductance_uS(2)[0, 0, 0]))
            chip._array2.conductance_uS[...] = fresh
            chip._array2.pulses[...] -= 1
        after = 1.0 / (1.0 + ((expected + 1) / 1000.0) ** exponent)
        assert ends == pytest.approx([11 + 9 * after, 11 - 9 * after], abs=1e-4)
        assert after == pytest.approx(left, rel=0.01)


# ---- retention


RELAXING = Retention(relaxation_per_decade=0.02, resting_uS=8.0, walk_uS=0.0)
WALKING = Retention(relaxation_per_decade=0.0, walk_uS=0.05)


def test_cells_relax_by_a_share_per_decade_for_48_days() -> None:
    chip = chip_with(retention=RELAXING)
    all_at(chip, 18.0)
    chip.let_pass(48 * DAY_TICKS)
    decades = math.log10(1 + 48 * 86_400)
    expected = 8 + 10 * 0.98**decades
    assert chip.conductance_uS(1) == pytest.approx(expected, abs=1e-5)


def test_many_small_steps_of_time_relax_as_one_does() -> None:
    chip = chip_with(retention=RELAXING)
    all_at(chip, 18.0)
    for _ in range(100):
        chip.let_pass(1000 * SECOND_TICKS)
        chip.conductance_uS(2)
    expected = 8 + 10 * 0.98 ** math.log10(1 + 100_000)
    cells = chip.conductance_uS(1).astype(np.float64)
    assert cells.mean() == pytest.approx(expected, abs=1e-6)
    assert cells.std() < 2e-5


def test_cells_walk_at_random_by_a_variance_per_decade() -> None:
    chip = chip_with(retention=WALKING)
    all_at(chip, 11.0)
    for _ in range(20):
        chip.let_pass(5000 * SECOND_TICKS)
        chip.conductance_uS(1)
    drift = chip.conductance_uS(1).astype(np.float64) - 11.0
    assert drift.mean() == pytest.approx(0.0, abs=0.001)
    assert drift.std() == pytest.approx(0.05 * math.sqrt(math.log10(1 + 1e5)), rel=0.01)


def test_a_pulse_begins_a_new_life_of_its_cell_alone() -> None:
    chip = chip_with(retention=RELAXING)
    all_at(chip, 18.0)
    chip.let_pass(DAY_TICKS)
    mask = np.zeros(SHAPE1, np.bool_)
    mask[0, 5, 7] = True
    chip.pulse(1, PulseKind.SET, mask, SET)
    before = chip.conductance_uS(1).astype(np.float64)
    chip.let_pass(9 * SECOND_TICKS)
    after = chip.conductance_uS(1).astype(np.float64)
    assert after[0, 5, 7] == pytest.approx(8 + (before[0, 5, 7] - 8) * 0.98, abs=1e-4)
    assert after[0, 5, 8] == pytest.approx(before[0, 5, 8], abs=1e-4)


def test_retention_counts_from_when_it_is_switched_on() -> None:
    chip = chip_with()
    all_at(chip, 18.0)
    chip.let_pass(DAY_TICKS)
    chip.change_effects(Effects(retention=RELAXING))
    assert (chip.conductance_uS(1) == 18.0).all()
    chip.let_pass(9 * SECOND_TICKS)
    assert chip.conductance_uS(1) == pytest.approx(8 + 10 * 0.98, abs=1e-5)


def test_virgin_cells_stay_virgin() -> None:
    chip = virgin(retention=Retention(walk_uS=5.0))
    before = chip.conductance_uS(1)
    chip.let_pass(48 * DAY_TICKS)
    assert np.array_equal(chip.conductance_uS(1), before)


# ---- noise of reading


def test_read_has_the_noise_of_its_converter() -> None:
    chip = chip_with(read_noise=ReadNoise(converter_codes=1.5))
    all_at(chip, 11.03)
    codes = chip.read(1, rails=RAILS, converters=CONVERTERS).astype(np.float64)
    sigma = math.sqrt(1.5**2 + 1 / 12)
    assert codes.std() == pytest.approx(sigma, rel=0.01)


def test_thermal_noise_is_that_of_the_conductance() -> None:
    hot = ReadNoise(temperature_k=500.0, converter_codes=0.0)
    noise = read_noise(hot, CONVERTERS, 1)
    expected_ua = math.sqrt(4 * 1.380649e-23 * 500 * 11e-6 / (2 * 1e-6)) * 1e6
    codes_per_ua = 255 / CONVERTERS.read_full_scale_ua(1)
    assert math.sqrt(noise.thermal_codes2 * 11) == pytest.approx(expected_ua * codes_per_ua)
    one, two = forward_noises(hot, Converters(integration1_ns=400))
    assert one.thermal_codes2 > 0
    assert two.thermal_codes2 > 0


@pytest.mark.parametrize("seed", [1, 2])
def test_every_slot_of_array_2_has_noise_of_its_own(seed: int) -> None:
    converters = Converters(bits1=6, bits2=8)
    chip = Chip(seed=seed, formed=True, effects=Effects(read_noise=ReadNoise(converter_codes=0.8)))
    plain = Chip(seed=seed, formed=True)
    hidden = np.tile(np.random.default_rng(seed).integers(0, 64, 100, np.uint8), (3000, 1))
    for one in (chip, plain):
        one.set_conductance_uS(2, np.random.default_rng(seed).uniform(3, 7, SHAPE2))
    noisy = chip.vmm2(hidden, rails=RAILS, converters=converters).astype(np.float64)
    exact = plain.vmm2(hidden[:1], rails=RAILS, converters=converters)[0]
    busy = int(hidden[0].max())
    variance = 2 * busy * (0.8**2 + 1 / 12)  # of slots with a current; the others add a little
    assert noisy.mean(axis=0) == pytest.approx(exact, abs=20)
    assert noisy.std(axis=0) == pytest.approx(math.sqrt(variance), rel=0.05)


# ---- telegraph noise


def traces(chip: Chip, seconds: float, times: int) -> NDArray[np.float64]:
    """Array 2 read again and again, (times, 2, 100, 10)."""
    found = []
    for _ in range(times):
        found.append(chip.read(2, rails=RAILS, converters=CONVERTERS).astype(np.float64))
        chip.let_pass(round(seconds * SECOND_TICKS))
    return np.array(found)


def telegraph(**strengths: float) -> Chip:
    chip = chip_with(telegraph=TelegraphNoise(**strengths))
    all_at(chip, 18.0)
    return chip


def test_a_trap_switches_its_cell_between_two_conductances() -> None:
    chip = telegraph(
        fraction=1.0, amplitude=0.2, amplitude_spread=0.0, fastest_s=0.1, slowest_s=0.1001
    )
    levels, counts = np.unique(traces(chip, 1.0, 100), return_counts=True)
    high = counts[levels > 162].sum() / counts.sum()
    assert levels[counts > 50] == pytest.approx([144, 180], abs=2)
    assert high == pytest.approx(0.5, abs=0.01)


def test_a_trap_forgets_its_state_in_its_time() -> None:
    chip = telegraph(
        fraction=1.0, amplitude=0.2, amplitude_spread=0.0, fastest_s=1.0, slowest_s=1.0001
    )
    interval_s = 0.25
    seen = traces(chip, interval_s, 200) > 162
    same = (seen[1:] == seen[:-1]).mean()
    assert same == pytest.approx(0.5 + 0.5 * math.exp(-2 * interval_s), abs=0.005)


def test_reading_changes_no_trap_and_no_cell() -> None:
    often, once = (telegraph(fraction=1.0, amplitude=0.2) for _ in "ab")
    before = often.conductance_uS(2)
    for _ in range(7):
        often.read(2, rails=RAILS, converters=CONVERTERS)
    once.let_pass(often.counters.time_ticks - once.counters.time_ticks)
    for chip in (often, once):
        chip.let_pass(SECOND_TICKS)
    codes = [chip.read(2, rails=RAILS, converters=CONVERTERS) for chip in (often, once)]
    assert np.array_equal(codes[0], codes[1])
    assert np.array_equal(often.conductance_uS(2), before)


# ---- one seed, one history, however it is cut


ALL_OF_CELLS = Effects(
    spread=Spread(),
    cycle_noise=CycleNoise(),
    stuck=StuckCells(),
    forming=FormingStatistics(),
    gate=GateCompliance(),
    wear=Wear(endurance_pulses=1e4),
    retention=Retention(interval_s=0.001),
    read_noise=ReadNoise(),
    telegraph=TelegraphNoise(),
)


def test_the_same_seed_gives_the_same_bits() -> None:
    def life(chip: Chip) -> list[NDArray[np.generic]]:
        form(chip, 5016.0)
        chip.pulse(1, PulseKind.SET, EVERY1, SET, count=3)
        chip.let_pass(DAY_TICKS)
        return [chip.read(1, rails=RAILS, converters=CONVERTERS), chip.conductance_uS(1)]

    first, again, other = (life(Chip(seed=seed, effects=ALL_OF_CELLS)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


CUTS: dict[str, Callable[[Chip, slice], object]] = {
    "read": lambda chip, part: chip.read(
        1, rows=range(part.start, part.stop), rails=RAILS, converters=CONVERTERS
    ),
    "form": lambda chip, part: chip.pulse(
        1,
        PulseKind.FORM,
        EVERY1[:, part],
        PulseConditions(4800, 1220, 12_800),
        first_row=part.start,
    ),
    "set": lambda chip, part: chip.pulse(
        1, PulseKind.SET, EVERY1[:, part], SET, count=9, first_row=part.start
    ),
}


@pytest.mark.parametrize("work", CUTS)
def test_no_effect_depends_on_how_rows_are_cut_into_calls(work: str) -> None:
    whole, parts = (Chip(seed=4, formed=work != "form", effects=ALL_OF_CELLS) for _ in "ab")
    all_codes = CUTS[work](whole, slice(0, 784))
    cut_codes = [CUTS[work](parts, slice(*ends)) for ends in ((0, 1), (1, 300), (300, 784))]
    if work == "read":
        assert np.array_equal(np.concatenate(cut_codes, axis=1), all_codes)  # type: ignore[arg-type]
    assert whole.counters.time_ticks == parts.counters.time_ticks > 50_000
    assert np.array_equal(whole.conductance_uS(1), parts.conductance_uS(1))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(1, 39), max_size=3, unique=True), st.sampled_from(["train", "infer"]))
def test_no_effect_depends_on_how_samples_are_cut_into_calls(cuts: list[int], work: str) -> None:
    rng = np.random.default_rng(1)
    samples = rng.integers(0, 256, (40, 98), np.uint8)
    targets = rng.integers(-500, 500, (40, 10), np.int32)
    whole, parts = (Chip(seed=4, formed=True, effects=ALL_OF_CELLS) for _ in "ab")

    def do(chip: Chip, part: slice, phase: int) -> tuple[NDArray[np.int32], int]:
        if work == "infer":
            inference = chip.infer(samples[part], rails=RAILS, converters=CONVERTERS)
            return inference.outputs, 0
        training = chip.train(
            samples[part],
            targets[part],
            rails=RAILS,
            converters=CONVERTERS,
            learning=Learning(threshold=1, hidden_threshold_uS=0.1),
            tuning=Tuning.at(RAILS, Schedule.cyclic()),
            phase=phase,
        )
        return training.outputs, training.phase

    outputs, _ = do(whole, slice(0, 40), 0)
    phase, found = 0, []
    for part in pairwise((0, *sorted(cuts), 40)):
        cut_outputs, phase = do(parts, slice(*part), phase)
        found.append(cut_outputs)
    assert np.array_equal(np.concatenate(found), outputs)
    for array in (1, 2):
        assert np.array_equal(whole.conductance_uS(array), parts.conductance_uS(array))
    assert whole.counters == parts.counters


STRENGTHS = st.fixed_dictionaries(
    {
        "spread": st.builds(Spread, step=st.floats(0, 2), window=st.floats(0, 0.2)),
        "stuck": st.builds(StuckCells, low=st.floats(0, 0.1), high=st.floats(0, 0.1)),
    },
    optional={
        "cycle_noise": st.builds(CycleNoise, step_uS=st.floats(0, 10)),
        "gate": st.builds(GateCompliance, per_volt_uS=st.floats(0.1, 30)),
        "wear": st.builds(Wear, endurance_pulses=st.floats(1, 1e4), exponent=st.floats(0.1, 10)),
        "retention": st.builds(
            Retention,
            relaxation_per_decade=st.floats(0, 1),
            resting_uS=st.floats(0, 20),
            walk_uS=st.floats(0, 10),
        ),
    },
)
ACTIONS = st.lists(
    st.sampled_from(["set", "reset", "form", "wait", "overwrite"]), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(STRENGTHS, ACTIONS, st.booleans())
def test_no_cell_ever_leaves_its_window_and_no_stuck_one_moves(
    effects: dict[str, object], actions: list[str], formed: bool
) -> None:
    chip = Chip(seed=2, device="measured", formed=formed, effects=Effects(**effects))  # type: ignore[arg-type]
    traits = chip._array2.traits
    assert traits is not None
    stuck = traits.stuck
    at = chip.conductance_uS(2)[stuck]
    rng = np.random.default_rng(1)
    for action in actions:
        if action == "wait":
            chip.let_pass(DAY_TICKS)
        elif action == "overwrite":
            chip.set_conductance_uS(2, rng.uniform(0, 30, SHAPE2))
        else:
            kind = PulseKind[action.upper()]
            pulse = RAILS.pulse(kind, 12_800 if action == "form" else 200)
            chip.pulse(2, kind, rng.random(SHAPE2) < 0.7, pulse, count=3)
        cells, is_virgin = chip.conductance_uS(2), chip.virgin(2)
        assert ((cells >= traits.bottom_uS) | is_virgin).all()
        assert ((cells <= traits.top_uS) | is_virgin).all()
        assert np.array_equal(cells[stuck], at)
