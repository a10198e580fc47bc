"""One seed, one history: however work is cut, and whatever is done."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.sim.cells import CONVERTERS, DAY_TICKS, EVERY1, RAILS, SET, SHAPE2, form

from starlab_sim.chip import Chip, Learning, PulseConditions, PulseKind, Schedule, Tuning
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
