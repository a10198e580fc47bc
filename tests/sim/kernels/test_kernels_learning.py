"""A learning step of the plain kernels, and of the detailed ones with nothing on, by the book."""

import numpy as np
import pytest
from tests.sim.kernels import bench
from tests.sim.kernels.bench import (
    BALANCED,
    COUNTS,
    HIDDEN,
    NO_TRAPS,
    OUTPUTS,
    QUIET,
    RESET,
    RULES,
    RULES_THAT_MATTER,
    SET,
    random,
)

from starlab_sim.chip import tuning
from starlab_sim.chip.detailed import training
from starlab_sim.chip.detailed.cells import BackwardNoise
from starlab_sim.chip.detailed.feed import feed_of
from starlab_sim.chip.learning import Rules
from starlab_sim.effects import NONE

DETAILED = pytest.mark.parametrize("is_detailed", [False, True], ids=["plain", "detailed"])


@pytest.mark.parametrize(
    ("rules", "z", "target", "sign"),
    [
        (RULES, 10.0, 18.0, 1),
        (RULES, 10.0, 17.0, 0),
        (RULES, 10.0, 2.0, -1),
        (RULES, 10.0, 3.0, 0),
        (RULES._replace(threshold=0.0), 5.0, 5.0, 0),
        (RULES._replace(threshold=0.0), 5.0, 6.0, 1),
        (RULES._replace(activation=1), 0.0, 50.0, 0),
        (RULES._replace(activation=1), -3.0, 50.0, 0),
        (RULES._replace(activation=1, c2=4.0), 4.0, 50.0, 1),
        (RULES._replace(activation=1, c2=4.0), 3.0, 50.0, 0),
        (RULES._replace(activation=2, c2=1.0), 0.0, 40.0, 1),  # the slope at 0 is the greatest
        (RULES._replace(activation=2, c2=1.0), 0.0, 39.0, 0),  # 39 - 64 / 2
        (RULES._replace(activation=2, c2=1.0), 1.0, 64.0, 0),
        (RULES._replace(activation=3, c2=1.0), 0.0, 8.0, 1),
        (RULES._replace(activation=3, c2=1.0), 0.0, -8.0, -1),
        (RULES._replace(activation=3, c2=1.0), 1.0, 64.0, 0),
        (RULES._replace(activation=3), 1e9, -50.0, 0),  # so far out that the slope is 0
    ],
)
def test_an_error_at_its_threshold_counts(rules: Rules, z: float, target: float, sign: int) -> None:
    assert tuning.output_sign(z, target, rules) == sign
    assert bench.ternary(z, target, rules) == sign


@pytest.mark.parametrize(
    ("back_uS", "direction"), [(6.0, 0), (5.75, None), (-6.0, 1), (-5.75, None), (0.0, None)]
)
def test_an_error_driven_back_counts_from_its_threshold_on(
    back_uS: float, direction: int | None
) -> None:
    columns, found = np.zeros((2, 3), np.uint64), np.zeros(2, np.int64)
    tuning.compared(back_uS, 2, RULES, columns, found)
    assert found.tolist() == [int(direction == 0), int(direction == 1)]
    if direction is not None:
        assert columns[direction, 0] == 2
    found[:] = 0
    tuning.compared(0.0, 2, RULES._replace(hidden_threshold_uS=0.0), columns, found)
    assert found.tolist() == [0, 0]
    for back, moved in ((0.25, [1, 0]), (-0.25, [1, 1])):
        tuning.compared(back, 2, RULES._replace(hidden_threshold_uS=0.0), columns, found)
        assert found.tolist() == moved


@DETAILED
@pytest.mark.parametrize("rules", RULES_THAT_MATTER)
@pytest.mark.parametrize("sigma_uS", [0.0, 0.25])
def test_learning_steps_do_and_cost_what_the_rules_say(
    rules: Rules, sigma_uS: float, is_detailed: bool
) -> None:
    cells1, cells2 = bench.cells_of(31), bench.cells_of(32, HIDDEN, OUTPUTS)
    samples, on = bench.packed(33, 12)
    targets = random(34).integers(-40, 41, (12, OUTPUTS)).astype(np.int32)
    both = bench.motion(SET, sigma_uS=sigma_uS), bench.motion(RESET, sigma_uS=sigma_uS)
    motions = both, both
    book, rngs = bench.lesson(cells1, cells2), (random(35), random(36))
    # an output that is right to the code, and one that is wrong by the threshold
    out = bench.second(cells2, bench.first(cells1, on[0], BALANCED).hidden, BALANCED).outputs
    targets[0] = out + np.array([0, 8, -8, 7])
    hidden, outputs, pulses = [], [], []
    for s in range(12):
        if s == 5:  # all outputs are right: nothing is done
            y1 = bench.first(book.one.cells, on[s], BALANCED).hidden
            targets[s] = bench.second(book.two.cells, y1, BALANCED).outputs
        counts = COUNTS[(1 + s) % 3]
        one, two, applied = book.step(on[s], targets[s], BALANCED, rules, counts, motions, rngs)
        hidden.append(one.hidden)
        outputs.append(two.outputs)
        pulses.append(applied)
    many1, many2 = bench.ideal(cells1), bench.ideal(cells2)
    got_hidden = np.zeros((12, HIDDEN), np.uint8)
    got_outputs, got_pulses = np.zeros((12, OUTPUTS), np.int32), np.zeros((12, 2), np.int32)
    reading_j, programming_j = np.zeros(3), np.zeros((2, 3))
    tally = np.zeros((2, 3), np.int64)
    if is_detailed:
        each = bench.pulse(SET, sigma_uS=sigma_uS), bench.pulse(RESET, sigma_uS=sigma_uS)
        phase = training.train_batch(
            (many1, many2),
            samples,
            targets,
            BALANCED,
            (None, None),
            (NO_TRAPS, NO_TRAPS),
            (QUIET, QUIET),
            BackwardNoise(False, 0.0, 0.0),
            rules,
            COUNTS,
            1,
            (each, each),
            (None, None),
            feed_of(NONE),
            1000,
            np.array([10, 20, 40]),
            (random(35), random(36)),
            (random(1), random(2)),
            got_hidden,
            got_outputs,
            got_pulses,
            reading_j,
            programming_j,
            tally,
        )
        # the last phase of a sample that moved a cell: 12 samples from phase 1 on
        assert many1.pulsed_ticks.max() <= 1000 + sum([20, 40, 10] * 4) - 10
        begins = {1000 + sum(([20, 40, 10] * 4)[:s]) for s in range(12)}
        assert set(np.unique(many1.pulsed_ticks)) <= {-1, *begins}
    else:
        phase = tuning.train_batch(
            many1.conductance_uS,
            many2.conductance_uS,
            many1.pulses,
            many2.pulses,
            samples,
            targets,
            BALANCED,
            rules,
            COUNTS,
            1,
            *motions,
            random(35),
            random(36),
            got_hidden,
            got_outputs,
            got_pulses,
            reading_j,
            programming_j,
            tally,
        )
    assert phase == 1
    assert got_pulses[5].tolist() == [0, 0] or rules.activation
    assert np.array_equal(got_hidden, hidden)
    assert np.array_equal(got_outputs, outputs)
    assert got_pulses.tolist() == pulses
    assert np.array_equal(many1.conductance_uS, book.one.cells)
    assert np.array_equal(many2.conductance_uS, book.two.cells)
    assert np.array_equal(many1.pulses, book.one.pulses)
    assert np.array_equal(many2.pulses, book.two.pulses)
    assert tally.tolist() == book.tally.tolist()
    assert reading_j == pytest.approx(book.reading_j, rel=1e-12)
    assert programming_j == pytest.approx(book.programming_j, rel=1e-5)
    assert book.one.pulses.any()
    assert book.two.pulses.any()
