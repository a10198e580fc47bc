"""Learning steps of the emulated chip, against the pure rules of the data sheet."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.sim.lessons import CONVERTERS, CYCLIC, RAILS, digits, train

from starlab_sim.chip import (
    Activation,
    ArrayTuning,
    Chip,
    Forming,
    Learning,
    PulseKind,
    Schedule,
    Tuning,
    TuningStep,
    targets_of,
)
from starlab_sim.effects import CycleNoise, Effects
from starlab_spec import stellar
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.samples import pack_samples

SET, RESET = PulseKind.SET, PulseKind.RESET
NON_CYCLIC = Schedule.non_cyclic()


def working_chip(seed: int = 1, device: str = "linear", cycle_noise_uS: float = 0.0) -> Chip:
    """Random weights in both arrays, so that every rule has something to decide."""
    chip = Chip(
        seed=seed,
        device=device,
        formed=True,
        effects=Effects(cycle_noise=CycleNoise(cycle_noise_uS)),
    )
    rng = np.random.default_rng(seed)
    chip.set_conductance_uS(1, rng.normal(11, 3, (2, 784, 100)))
    chip.set_conductance_uS(2, rng.normal(11, 4, (2, 100, 10)))
    return chip


def directions(after: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.float32]:
    """What SET (+1) and RESET (-1) left behind: cells at the end of the window stay."""
    return np.asarray(np.sign(after - before), np.float32)


def by_the_rules(
    chip: Chip,
    x: NDArray[np.uint8],
    target: NDArray[np.int32],
    learning: Learning,
    kinds: tuple[PulseKind, ...],
) -> list[NDArray[np.float32]]:
    """Expected directions of the cells of both arrays, from `starlab_spec.stellar`."""
    inference = chip.infer(pack_samples(x[None]), rails=RAILS, converters=CONVERTERS)
    y1, z = inference.hidden[0].astype(np.int64), inference.outputs[0]
    sign = stellar.output_error_sign(
        z,
        target,
        learning.activation,
        th=learning.threshold,
        c2=learning.c2,
        scale=learning.activation_scale,
        amplitude=learning.activation_amplitude,
    )
    c1 = learning.c1 * y1.max() / 1000 if learning.c1_relative else learning.c1
    plus, minus = chip.conductance_uS(2).astype(np.float64)
    updates = (
        stellar.hidden_update(x, y1, plus - minus, sign, th1_uS=learning.hidden_threshold_uS),
        stellar.output_update(y1, sign, c1=c1),
    )
    expected = []
    for array, update in zip((1, 2), updates, strict=True):
        moves = np.zeros((2, *update.shape), np.float32)
        for kind in kinds:
            plan = stellar.pulse_plan(update, plus=kind, minus=kind)
            moves += plan.set_mask.astype(np.float32) - plan.reset_mask
        cells = chip.conductance_uS(array)
        moves[(moves > 0) & (cells >= 20) | (moves < 0) & (cells <= 2)] = 0
        expected.append(moves)
    return expected


@given(
    seed=st.integers(0, 2**16),
    learning=st.builds(
        Learning,
        threshold=st.integers(0, 150),
        hidden_threshold_uS=st.floats(0, 20),
        c1=st.integers(0, 1000),
        c1_relative=st.booleans(),
        c2=st.floats(0, 1),
        activation=st.sampled_from(Activation),
        activation_scale=st.floats(16, 512),
        activation_amplitude=st.integers(1, 200),
    ),
    scheme=st.sampled_from(["SET", "RESET", "both"]),
)
@settings(max_examples=40, deadline=None)
def test_a_step_moves_exactly_the_cells_that_the_rules_choose(
    seed: int, learning: Learning, scheme: str
) -> None:
    chip = working_chip(seed)
    pixels, targets = digits(1, seed)
    kinds = {"SET": (SET,), "RESET": (RESET,), "both": (SET, RESET)}[scheme]
    before = [chip.conductance_uS(array) for array in (1, 2)]
    expected = by_the_rules(chip, pixels[0], targets[0], learning, kinds)
    schedule = NON_CYCLIC if scheme == "both" else CYCLIC
    train(chip, pixels, targets, schedule, learning, phase=int(scheme == "RESET"))
    for array in (1, 2):
        moved = directions(chip.conductance_uS(array), before[array - 1])
        assert np.array_equal(moved, expected[array - 1])


def test_outputs_and_hidden_codes_are_those_from_before_the_update() -> None:
    chip = working_chip()
    pixels, targets = digits(1)
    inference = chip.infer(pack_samples(pixels), rails=RAILS, converters=CONVERTERS)
    training = train(chip, pixels, targets)
    assert np.array_equal(training.outputs, inference.outputs)
    assert np.array_equal(training.hidden, inference.hidden)


def test_the_pulses_reported_are_the_pulses_counted() -> None:
    chip = working_chip()
    pixels, targets = digits(40)
    training = train(chip, pixels, targets, NON_CYCLIC)
    counters = chip.counters
    assert int(training.pulses1.sum()) == counters.set_pulses[0] + counters.reset_pulses[0] > 0
    assert int(training.pulses2.sum()) == counters.set_pulses[1] + counters.reset_pulses[1] > 0
    assert counters.training_steps == 40


def test_the_phase_flips_after_every_sample_updated_or_not() -> None:
    chip = working_chip()
    pixels, targets = digits(3)
    assert train(chip, pixels, targets).phase == 1
    assert train(chip, pixels, targets, phase=1).phase == 0
    silent = Learning(threshold=100_000)
    training = train(chip, pixels, targets, CYCLIC, silent)
    assert training.phase == 1
    assert not training.pulses1.any()
    assert not training.pulses2.any()


def test_cyclic_phases_apply_set_and_reset_in_turn() -> None:
    chip = working_chip()
    pixels, targets = digits(2)
    train(chip, pixels[:1], targets[:1])
    assert chip.counters.set_pulses[0] > 0
    assert chip.counters.reset_pulses == (0, 0)
    first = chip.counters
    train(chip, pixels[1:], targets[1:], phase=1)
    assert chip.counters.set_pulses == first.set_pulses
    assert chip.counters.reset_pulses[0] > 0


@pytest.mark.parametrize(("count1", "count2", "still"), [(0, 1, 1), (1, 0, 2)])
def test_a_count_of_0_leaves_an_array_untouched(count1: int, count2: int, still: int) -> None:
    chip = working_chip()
    before = [chip.conductance_uS(array) for array in (1, 2)]
    train(chip, *digits(20), Schedule.non_cyclic(count1, count2))
    changed = [
        not np.array_equal(chip.conductance_uS(array), before[array - 1]) for array in (1, 2)
    ]
    assert changed == [still != 1, still != 2]


def test_several_pulses_an_update_are_several_steps_of_the_same_cells() -> None:
    once, thrice = working_chip(), working_chip()
    pixels, targets = digits(1)
    before = once.conductance_uS(1)
    one = train(once, pixels, targets, Schedule.cyclic(1, 1))
    three = train(thrice, pixels, targets, Schedule.cyclic(3, 2))
    assert three.pulses1.tolist() == (3 * one.pulses1).tolist()
    assert three.pulses2.tolist() == (2 * one.pulses2).tolist()
    inside = (before > 4) & (before < 18)
    single = (once.conductance_uS(1) - before)[inside]
    triple = (thrice.conductance_uS(1) - before)[inside]
    assert np.allclose(triple, 3 * single, atol=1e-5)


def test_the_published_step_takes_kinds_and_counts_per_polarity() -> None:
    step = TuningStep(array2=ArrayTuning(plus_kind=RESET, minus_kind=SET, plus_count=2))
    chip = working_chip()
    pixels, targets = digits(1)
    before = [chip.conductance_uS(array) for array in (1, 2)]
    training = train(chip, pixels, targets, Schedule.single(step))
    assert np.array_equal(chip.conductance_uS(1), before[0])
    after = chip.conductance_uS(2)
    assert np.array_equal(after[1], before[1][1])
    assert (after[0] <= before[1][0]).all()
    assert chip.counters.reset_pulses == (0, int(training.pulses2.sum()))
    assert training.phase == 0


def test_a_schedule_names_its_cells_by_plane_and_direction() -> None:
    # [phase][array][plane][rising, falling]
    assert Schedule.cyclic(2, 1).pulse_counts().tolist() == [
        [[[2, 0], [0, 2]], [[1, 0], [0, 1]]],
        [[[0, 2], [2, 0]], [[0, 1], [1, 0]]],
    ]
    assert Schedule.non_cyclic(1, 0).pulse_counts().tolist() == [
        [[[1, 1], [1, 1]], [[0, 0], [0, 0]]]
    ]


def test_the_hidden_update_comes_from_array_2_before_its_own_update() -> None:
    together, first_only = working_chip(), working_chip()
    pixels, targets = digits(1)
    train(together, pixels, targets, Schedule.cyclic(1, 15))
    train(first_only, pixels, targets, Schedule.cyclic(1, 0))
    assert np.array_equal(together.conductance_uS(1), first_only.conductance_uS(1))


def test_learning_does_not_depend_on_how_samples_are_cut_into_calls() -> None:
    at_once, in_parts = (working_chip(device="measured", cycle_noise_uS=0.1) for _ in range(2))
    pixels, targets = digits(1100)
    whole = train(at_once, pixels, targets)
    phase = 0
    outputs = []
    for start, stop in pairwise((0, 1, 2, 515, 1100)):
        part = train(in_parts, pixels[start:stop], targets[start:stop], phase=phase)
        phase = part.phase
        outputs.append(part.outputs)
    assert np.array_equal(np.concatenate(outputs), whole.outputs)
    assert np.array_equal(at_once.conductance_uS(1), in_parts.conductance_uS(1))
    assert np.array_equal(at_once.conductance_uS(2), in_parts.conductance_uS(2))
    assert at_once.counters == in_parts.counters


def test_an_aborted_training_has_done_its_first_samples_and_no_other() -> None:
    chip, other = working_chip(), working_chip()
    pixels, targets = digits(1500)
    answers = iter([False, True])
    told: list[tuple[int, int]] = []
    training = chip.train(
        pack_samples(pixels),
        targets,
        rails=RAILS,
        converters=CONVERTERS,
        learning=Learning(),
        tuning=Tuning.at(RAILS, Schedule.cyclic()),
        aborted=lambda: next(answers),
        progress=lambda *state: told.append(state),
    )
    done = len(training.pulses1)
    assert 0 < done < 1500
    assert told == [(done, 1500)]
    assert training.phase == done % 2
    train(other, pixels[:done], targets[:done])
    assert np.array_equal(chip.conductance_uS(1), other.conductance_uS(1))


def test_virgin_cells_learn_nothing() -> None:
    chip = Chip(seed=1, formed=True, forming=Forming(yield_fraction=0.5))
    virgin = chip.virgin(1)
    before = chip.conductance_uS(1)
    # half the cells missing: random weights all the same
    train(chip, *digits(30), NON_CYCLIC, Learning(activation=Activation.NONE, threshold=0))
    after = chip.conductance_uS(1)
    assert chip.counters.set_pulses[0] > 0
    assert np.array_equal(after[virgin], before[virgin])
    assert not np.array_equal(after[~virgin], before[~virgin])


def test_a_step_takes_its_inference_and_its_passes() -> None:
    chip = working_chip()
    train(chip, *digits(2))
    # 2^13 and 32 ticks a sample; SET: 2 passes of 6 + 3 and of 4 + 3; RESET: 4 passes of 1 + 3
    assert chip.counters.time_ticks == 2 * (2**13 + 32) + 2 * (9 + 7) + 2 * (4 + 4)


def test_targets_of_labels_are_on_for_the_class_and_off_elsewhere() -> None:
    assert targets_of(np.array([9, 0]), on=79, off=-3).tolist() == [
        [-3] * 9 + [79],
        [79] + [-3] * 9,
    ]
    with pytest.raises(LimitExceeded, match="label 10 is above the 9 limit"):
        targets_of(np.array([3, 10]), on=1)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ShapeError, match="is FORM, expected SET or RESET"):
        ArrayTuning(plus_kind=PulseKind.FORM)
    with pytest.raises(LimitExceeded, match=r"plus_count 16 pulses is .* the 15 pulses limit"):
        ArrayTuning(plus_count=16)
    with pytest.raises(LimitExceeded, match=r"c1 -1 is .* the 0 limit"):
        Learning(c1=-1)
    chip = working_chip()
    pixels, targets = digits(3)
    with pytest.raises(ShapeError, match="targets are 2, expected 3"):
        train(chip, pixels, targets[:2])
    with pytest.raises(LimitExceeded, match=r"phase 2 is .* the 1 limit"):
        train(chip, pixels, targets, phase=2)
