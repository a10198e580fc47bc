"""What the detailed kernels add to learning: noise on the way back, rails that sag and trip."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sim.kernels import bench
from tests.sim.kernels.bench import (
    BALANCED,
    HIDDEN,
    NO_GAIN,
    NO_TRAPS,
    OUTPUTS,
    QUIET,
    READOUT,
    RESET,
    RULES,
    SET,
    random,
)

from starlab_sim.chip.detailed import backward, forward, training
from starlab_sim.chip.detailed.cells import BackwardNoise, Cells, Noise
from starlab_sim.chip.detailed.feed import ARRAY, KIND, PLANE, SAMPLE, Feed
from starlab_sim.devices import STEP_VOLTAGE_MV

NOISY, LOUD = Noise(True, 0.75, 0.0625), Noise(True, 3.0, 0.25)


@pytest.mark.parametrize("noise", [BackwardNoise(False, 9.0, 9.0), BackwardNoise(True, 1.5, 0.25)])
def test_the_error_driven_back_has_the_noise_of_comparator_and_line(noise: BackwardNoise) -> None:
    cells = bench.cells_of(81, 40, OUTPUTS)
    y1 = random(82).integers(0, 9, 40).astype(np.uint8)
    columns2, found2 = np.zeros((2, OUTPUTS), np.uint64), np.array([2, 1])
    columns2[0, :2], columns2[1, 0] = [0, 3], 1
    columns1, found1 = np.zeros((2, 40), np.uint64), np.array([9, 9])
    rows2, energy_j = np.full(40, -1, np.int64), np.zeros(3)
    on = backward.driven_back(
        bench.ideal(cells),
        y1,
        RULES,
        columns2,
        found2,
        rows2,
        columns1,
        found1,
        READOUT,
        NO_GAIN,
        NO_TRAPS,
        noise,
        0,
        random(83),
        energy_j,
    )
    rng = random(83)
    many = cells.astype(np.float64)
    rising, falling = [], []
    for j in np.flatnonzero(y1):
        weights = many[0, j] - many[1, j]
        back = weights[0] + weights[3] - weights[1]
        if noise.on:
            back += math.sqrt(1.5**2 + 0.25 * many[:, j].sum()) * rng.standard_normal()
        rising += [j] if back >= 6 else []
        falling += [j] if back <= -6 else []
    assert columns1[0, : found1[0]].tolist() == rising
    assert columns1[1, : found1[1]].tolist() == falling
    assert rows2[:on].tolist() == np.flatnonzero(y1 >= max(0.5 * y1.max(), 1)).tolist()
    units = np.count_nonzero(y1)
    driven_uS = many[:, np.flatnonzero(y1)][:, :, [0, 1, 3]].sum()
    assert energy_j == pytest.approx([2.0**-3 * driven_uS, 2.0**16 * units, 2.0**20 * 3])


def test_without_an_error_nothing_is_driven_back() -> None:
    found1, energy_j = np.array([5, 5]), np.zeros(3)
    on = backward.driven_back(
        bench.ideal(bench.cells_of(1, 6, OUTPUTS)),
        np.full(6, 9, np.uint8),
        RULES,
        np.zeros((2, OUTPUTS), np.uint64),
        np.zeros(2, np.int64),
        np.zeros(6, np.int64),
        np.zeros((2, 6), np.uint64),
        found1,
        READOUT,
        NO_GAIN,
        NO_TRAPS,
        BackwardNoise(True, 1.0, 1.0),
        0,
        random(1),
        energy_j,
    )
    assert (on, found1.tolist(), energy_j.tolist()) == (0, [0, 0], [0.0, 0.0, 0.0])


def feed(*, output_mohm: float = 0.0, limit_ua: float = math.inf) -> Feed:
    return Feed(True, output_mohm, limit_ua, np.full(4, -1, np.int64), np.zeros(1))


def tuned(cells: Cells, supplied: Feed) -> tuple[int, NDArray[np.float64], NDArray[np.int64]]:
    """SET on "+" cells of columns 0 and 1, RESET on "-" ones, in rows 1 and 2."""
    energy_j, tally = np.zeros(3), np.zeros(3, np.int64)
    columns = np.array([[0, 1], [0, 0]], np.uint64)
    counts = np.array([[1, 1], [1, 1]])
    pulses = bench.pulse(SET), bench.pulse(RESET)
    total = training.tune(
        cells,
        np.array([1, 2]),
        2,
        columns,
        np.array([2, 0]),
        counts,
        pulses,
        None,
        supplied,
        5,
        random(1),
        np.empty(2, np.float32),
        energy_j,
        tally,
    )
    return total, energy_j, tally


def test_a_pass_sags_under_all_of_its_cells() -> None:
    cells = bench.ideal(np.full((2, 4, 2), 12.0, np.float32))
    total, energy_j, tally = tuned(cells, feed(output_mohm=1 / 384))
    # four cells of 12 uS: an eighth more than the unloaded rail would see
    rail_mv = 2048 / (1 + 48 / 384)
    sag_mv = 2048 - rail_mv
    assert (total, tally.tolist()) == (8, [4, 4, 0])
    step = 0.5 * math.exp(-sag_mv / STEP_VOLTAGE_MV)
    assert cells.conductance_uS[0, 1:3] == pytest.approx(12 + step, abs=2e-6)
    assert cells.conductance_uS[1, 1:3] == pytest.approx(12 - step, abs=2e-6)
    assert energy_j[0] == pytest.approx(2 * 2.0**-3 + 2.0**-5 * 48 * rail_mv / 2048)
    assert energy_j[1] == pytest.approx(2 * 2.0**-2 + 2.0**-4 * 48 * rail_mv / 2048)


@pytest.mark.parametrize(
    ("limit_ua", "plus_uS", "minus_uS", "tripped", "total"),
    [
        (98.304, 12.0, 12.0, [-1, -1], 8),  # 2.048 V * 48 uS: the limit itself trips nothing
        (98.303, 12.0, 12.0, [SET, 0], 0),
        (100.0, 12.0, 14.0, [RESET, 1], 4),
    ],
)
def test_a_pass_that_would_draw_too_much_is_not_applied_and_none_after_it(
    limit_ua: float, plus_uS: float, minus_uS: float, tripped: list[int], total: int
) -> None:
    conductance_uS = np.full((2, 4, 2), plus_uS, np.float32)
    conductance_uS[1] = minus_uS
    cells, supplied = bench.ideal(conductance_uS), feed(limit_ua=limit_ua)
    assert tuned(cells, supplied)[0] == total
    assert supplied.tripped[[KIND, PLANE]].tolist() == tripped
    assert cells.pulses.sum() == total
    if tripped[0] >= 0:
        load_uS = 4 * (plus_uS if tripped[1] == 0 else minus_uS)
        assert supplied.current_ua[0] == pytest.approx(2.048 * load_uS)
    assert supplied.tripped[[SAMPLE, ARRAY]].tolist() == [-1, -1]


@pytest.mark.parametrize(
    ("limit_ua", "sample", "array"), [(40.0, 0, 0), (1500.0, 0, 1), (1e9, -1, -1)]
)
def test_after_a_trip_no_sample_is_begun_and_the_phase_stays(
    limit_ua: float, sample: int, array: int
) -> None:
    cells1 = bench.ideal(np.full((2, bench.INPUTS, HIDDEN), 8.0, np.float32))
    cells1.conductance_uS[1] = 4.0
    cells2 = bench.ideal(np.full((2, HIDDEN, OUTPUTS), 4.0, np.float32))
    cells2.conductance_uS[0] = 16.0
    readout = BALANCED._replace(full_scale1_ua=30.0)
    samples, on = bench.packed(5, 3)
    targets = np.full((3, OUTPUTS), 4000, np.int32)
    hidden, outputs = np.zeros((3, HIDDEN), np.uint8), np.zeros((3, OUTPUTS), np.int32)
    applied = np.full((3, 2), 9, np.int32)
    counts = np.array([[[[0, 0], [0, 0]], [[0, 0], [0, 0]]], [[[1, 0], [0, 1]], [[1, 0], [0, 1]]]])
    supplied, tally = feed(limit_ua=limit_ua), np.zeros((2, 3), np.int64)
    each = bench.pulse(SET), bench.pulse(RESET)
    if array == 1:  # array 1 draws next to nothing
        each1 = (each[0]._replace(amplitude_mv=1.0), each[1])
        supplied = feed(limit_ua=40.0)
    else:
        each1 = each
    phase = training.train_batch(
        (cells1, cells2),
        samples,
        targets,
        readout,
        (None, None),
        (NO_TRAPS, NO_TRAPS),
        (QUIET, QUIET),
        BackwardNoise(False, 0.0, 0.0),
        RULES,
        counts,
        1,
        (each1, each),
        (None, None),
        supplied,
        0,
        np.array([10, 10]),
        (random(1), random(2)),
        (random(3), random(4)),
        hidden,
        outputs,
        applied,
        np.zeros(3),
        np.zeros((2, 3)),
        tally,
    )
    assert supplied.tripped[[SAMPLE, ARRAY]].tolist() == [sample, array]
    rows = int(on[0].sum())
    if array < 0:
        assert phase == 0
        assert (applied >= 0).all()
        assert (applied != 9).all()
    else:
        assert phase == 1
        assert applied[0].tolist() == [rows * HIDDEN if array == 1 else 0, 0]
        assert (applied[1:] == 9).all()
        assert (hidden[1:] == 0).all()
        assert tally.sum() == applied[0].sum()


@pytest.mark.parametrize("noises", [(NOISY, QUIET), (QUIET, NOISY), (NOISY, LOUD)])
def test_a_learning_step_reads_each_array_with_its_own_noise(noises: tuple[Noise, Noise]) -> None:
    """Its first sample is read as an inference would read it."""
    cells = bench.ideal(bench.cells_of(61)), bench.ideal(bench.cells_of(62, HIDDEN, OUTPUTS))
    samples, _ = bench.packed(63, 1)
    read, learned = (
        (np.zeros((1, HIDDEN), np.uint8), np.zeros((1, OUTPUTS), np.int32)) for _ in range(2)
    )
    forward.infer_batch(
        cells,
        samples,
        BALANCED,
        (NO_GAIN, NO_GAIN),
        (NO_TRAPS, NO_TRAPS),
        noises,
        0,
        10,
        (random(3), random(4)),
        *read,
        np.zeros(3),
    )
    training.train_batch(
        cells,
        samples,
        np.zeros((1, OUTPUTS), np.int32),
        BALANCED,
        (None, None),
        (NO_TRAPS, NO_TRAPS),
        noises,
        BackwardNoise(False, 0.0, 0.0),
        RULES,
        np.zeros((1, 2, 2, 2), np.int64),
        0,
        ((bench.pulse(SET), bench.pulse(RESET)),) * 2,
        (None, None),
        feed(),
        0,
        np.array([10]),
        (random(1), random(2)),
        (random(3), random(4)),
        *learned,
        np.zeros((1, 2), np.int32),
        np.zeros(3),
        np.zeros((2, 3)),
        np.zeros((2, 3), np.int64),
    )
    assert learned[0].tolist() == read[0].tolist()
    assert learned[1].tolist() == read[1].tolist()
