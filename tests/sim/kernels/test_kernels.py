"""The plain kernels and the detailed ones, with nothing on, do what the data sheet says."""

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sim.kernels import bench
from tests.sim.kernels.bench import (
    BALANCED,
    HIDDEN,
    INPUTS,
    NO_DROP,
    NO_GAIN,
    NO_TRAPS,
    OUTPUTS,
    QUIET,
    READOUT,
    RESET,
    SET,
    random,
)

from starlab_sim.chip import detailed, kernels, pulsing
from starlab_sim.chip.detailed import forward
from starlab_sim.chip.detailed import pulsing as detailed_pulsing
from starlab_sim.chip.readout import Readout
from starlab_spec.samples import pack_samples

KINDS = pytest.mark.parametrize("kind", [SET, RESET])
DETAILED = pytest.mark.parametrize("is_detailed", [False, True], ids=["plain", "detailed"])
READOUTS = pytest.mark.parametrize("readout", [READOUT, BALANCED], ids=["unequal", "balanced"])


@DETAILED
@KINDS
@pytest.mark.parametrize("sigma_uS", [0.0, 0.5])
def test_pulses_move_masked_cells_by_their_bins(
    kind: int, sigma_uS: float, is_detailed: bool
) -> None:
    before = bench.cells_of(1)
    mask = random(2).random((2, 5, HIDDEN)) < 0.5
    mask[:, 3] = False  # a row of which no cell is selected costs nothing
    one = bench.motion(kind, sigma_uS=sigma_uS)
    book = bench.Pulsed(before.copy(), np.zeros(before.shape, np.uint32))
    rng = random(3)
    for row in range(5):
        for plane in (0, 1):
            columns = [int(j) for j in np.flatnonzero(mask[plane, row])]
            if columns:
                book.row(plane, 7 + row, columns, 3, one, rng)
    energy_j = np.array([1.0])
    cells = bench.ideal(before)
    if is_detailed:
        ticks = 100 + np.arange(5)
        selected = detailed_pulsing.pulse_rows(
            cells,
            mask,
            7,
            3,
            bench.pulse(kind, sigma_uS=sigma_uS),
            NO_DROP,
            ticks,
            random(3),
            energy_j,
        )
        touched = cells.pulsed_ticks[:, 7:12]
        formed = before[:, 7:12] >= 0.1
        assert (touched == np.where(mask & formed, ticks[:, None], -1)).all()
        assert (cells.pulsed_ticks[:, :7] == -1).all()
    else:
        selected = pulsing.pulse_rows(
            cells.conductance_uS, cells.pulses, mask, 7, 3, one, random(3), energy_j
        )
    assert selected == mask.sum()
    assert np.array_equal(cells.conductance_uS, book.cells)
    assert np.array_equal(cells.pulses, book.pulses)
    assert energy_j[0] - 1.0 == pytest.approx(book.energy_j, rel=1e-6)
    assert not np.array_equal(book.cells, before)


@DETAILED
@KINDS
def test_a_cell_at_the_edge_of_a_bin_or_of_the_window_belongs_to_the_next_one(
    kind: int, is_detailed: bool
) -> None:
    levels_uS = [2.0, 4.0, 6.0, 18.0, 20.0, np.nextafter(np.float32(0.1), np.float32(0)), 0.1]
    cells = bench.ideal(np.array([[levels_uS], [levels_uS]], np.float32))
    mask, energy_j = np.ones((2, 1, 7), np.bool_), np.zeros(1)
    if is_detailed:
        detailed_pulsing.pulse_rows(
            cells,
            mask,
            0,
            1,
            bench.pulse(kind),
            NO_DROP,
            np.zeros(1, np.int64),
            random(1),
            energy_j,
        )
    else:
        one = bench.motion(kind)
        pulsing.pulse_rows(cells.conductance_uS, cells.pulses, mask, 0, 1, one, random(1), energy_j)
    # steps: three bins of 1 uS, three of 0.5, three of 0.25; RESET counts them from the top
    set_uS = [3.0, 5.0, 7.0, 18.25, 20.0, levels_uS[5], 2.0]
    reset_uS = [2.0, 3.75, 5.75, 17.0, 19.0, levels_uS[5], 2.0]
    expected = np.array(set_uS if kind == SET else reset_uS, np.float32)
    assert cells.conductance_uS[0, 0].tolist() == expected.tolist()
    assert cells.conductance_uS[1, 0].tolist() == expected.tolist()


@DETAILED
@pytest.mark.parametrize("count", [1, 4])
def test_the_first_form_pulse_forms_and_formed_cells_stay(count: int, is_detailed: bool) -> None:
    before = bench.cells_of(4, inputs=8)
    before[:, 2:5] = 0.03125
    formable = random(5).random((2, 3, HIDDEN)) < 0.7
    mask = random(6).random((2, 3, HIDDEN)) < 0.7
    mask[0, 1] = False
    cells, energy_j = bench.ideal(before), np.zeros(1)
    cells.conductance_uS[1, 2, 0] = np.float32(0.1)  # formed, if barely
    mask[1, 0, 0] = formable[1, 0, 0] = True
    book, rng, expected_j = cells.conductance_uS.copy(), random(7), 0.0
    for row in range(3):
        for plane in (0, 1):
            columns = np.flatnonzero(mask[plane, row])
            load_uS = float(book[plane, 2 + row, columns].astype(np.float64).sum())
            expected_j += count * (0.5 + 0.25 * load_uS) if len(columns) else 0.0
            for j in columns:
                if book[plane, 2 + row, j] < 0.1 and formable[plane, row, j]:
                    drawn = np.float32(11.0 + 9.0 * rng.standard_normal())
                    book[plane, 2 + row, j] = min(max(drawn, np.float32(2)), np.float32(20))
    if is_detailed:
        voltages = np.zeros((0, 0, 0), np.float32)
        ticks = np.array([5, 6, 7])
        selected = detailed_pulsing.form_rows(
            cells,
            formable,
            voltages,
            mask,
            2,
            count,
            4500.0,
            4500.0,
            100.0,
            1.0,
            11.0,
            9.0,
            0.25,
            0.5,
            NO_DROP,
            ticks,
            random(7),
            random(8),
            energy_j,
        )
        newly = (book != before)[:, 2:5]
        newly[1, 0, 0] = False
        assert (cells.pulsed_ticks[:, 2:5] == np.where(newly, ticks[:, None], -1)).all()
    else:
        selected = pulsing.form_rows(
            cells.conductance_uS,
            cells.pulses,
            formable,
            mask,
            2,
            count,
            11.0,
            9.0,
            0.25,
            0.5,
            random(7),
            energy_j,
        )
    assert selected == mask.sum()
    assert np.array_equal(cells.conductance_uS, book)
    assert np.array_equal(cells.pulses[:, 2:5], mask * np.uint32(count))
    assert energy_j[0] == pytest.approx(expected_j, rel=1e-6)


def test_pixels_are_listed_by_rising_index() -> None:
    pixels = random(1).random((3, 784)) < 0.4
    rows = np.full(785, -1, np.int64)
    for sample, expected in zip(pack_samples(pixels), pixels, strict=True):
        count = kernels.rows_on(sample, rows)
        assert rows[:count].tolist() == np.flatnonzero(expected).tolist()


@pytest.mark.parametrize(
    ("current_ua", "code"),
    [(-1.0, 0), (0.0, 0), (0.4999, 0), (0.5, 1), (1.5, 2), (14.4, 14), (14.5, 15), (99.0, 15)],
)
def test_a_current_between_two_codes_gets_the_upper_one(current_ua: float, code: int) -> None:
    assert kernels.digitise(current_ua, 15.0, 15.0) == code
    assert kernels.digitise(2 * current_ua, 15.0, 30.0) == code


def book_of(
    cells1: bench.Cell, cells2: bench.Cell, on: NDArray[np.bool_], readout: Readout
) -> tuple[list[bench.Read], list[bench.Read]]:
    ones = [bench.first(cells1, pixels, readout) for pixels in on]
    return ones, [bench.second(cells2, one.hidden, readout) for one in ones]


@DETAILED
@READOUTS
def test_a_forward_pass_gives_and_costs_what_the_equations_say(
    readout: Readout, is_detailed: bool
) -> None:
    cells1, cells2 = bench.cells_of(11), bench.cells_of(12, HIDDEN, OUTPUTS)
    if readout is READOUT:
        cells1[1] /= 2
    samples, on = bench.packed(13, 9)
    ones, twos = book_of(cells1, cells2, on, readout)
    hidden = np.array([one.hidden for one in ones])
    outputs = np.array([two.outputs for two in twos])
    cost1 = sum(one.energy_j for one in ones)
    cost2 = sum(two.energy_j for two in twos)
    assert len(np.unique(hidden)) > 6
    assert (outputs < 0).any()
    assert (outputs > 0).any()
    many1, many2 = bench.ideal(cells1), bench.ideal(cells2)
    got1, got2 = np.zeros_like(hidden), np.zeros_like(outputs)
    energy1_j, energy2_j, energy_j = (np.zeros(3) for _ in range(3))
    if is_detailed:
        rngs = random(1), random(2)
        how = readout, NO_GAIN, NO_TRAPS, QUIET, 0, 10
        forward.multiply1_batch(many1, samples, *how, rngs[0], got1, energy1_j)
        forward.multiply2_batch(many2, hidden, *how, rngs[1], got2, energy2_j)
    else:
        kernels.multiply1_batch(cells1, samples, readout, got1, energy1_j)
        kernels.multiply2_batch(cells2, hidden, readout, got2, energy2_j)
    assert np.array_equal(got1, hidden)
    assert np.array_equal(got2, outputs)
    assert energy1_j == pytest.approx(cost1, rel=1e-12)
    assert energy2_j == pytest.approx(cost2, rel=1e-12)
    got1[:], got2[:] = 99, 99
    if is_detailed:
        forward.infer_batch(
            (many1, many2),
            samples,
            readout,
            (NO_GAIN, NO_GAIN),
            (NO_TRAPS, NO_TRAPS),
            (QUIET, QUIET),
            0,
            10,
            (random(1), random(2)),
            got1,
            got2,
            energy_j,
        )
    else:
        kernels.infer_batch(cells1, cells2, samples, readout, got1, got2, energy_j)
    assert np.array_equal(got1, hidden)
    assert np.array_equal(got2, outputs)
    assert energy_j == pytest.approx(cost1 + cost2, rel=1e-12)


@DETAILED
def test_counts_at_both_ends_are_driven_in_their_slots(is_detailed: bool) -> None:
    cells2 = np.full((2, 3, 1), 4.0, np.float32)
    cells2[1] = 2.0
    readout = READOUT._replace(levels1=255.0, plus_v=0.5)
    hidden, outputs, energy_j = np.array([[255, 0, 1]], np.uint8), np.zeros((1, 1), np.int32), None
    energy_j = np.zeros(3)
    if is_detailed:
        how = readout, NO_GAIN, NO_TRAPS, QUIET, 0, 10
        forward.multiply2_batch(bench.ideal(cells2), hidden, *how, random(1), outputs, energy_j)
    else:
        kernels.multiply2_batch(cells2, hidden, readout, outputs, energy_j)
    # one slot with rows 0 and 2: codes 2 and 1; 254 with row 0 alone: 1 and 1, for 0.5 is 1
    assert outputs.tolist() == [[1]]
    assert energy_j[0] == pytest.approx(2.0**-5 * (12 + 254 * 6))
    assert energy_j[2] == pytest.approx(2.0**12 * 256)


@DETAILED
def test_every_cell_of_a_row_is_read_and_paid_for(is_detailed: bool) -> None:
    cells = bench.cells_of(21)
    book = [
        [[bench.code(0.5 * float(g), 255.0, 15.0) for g in row] for row in plane[3:7]]
        for plane in cells
    ]
    sums = cells[:, 3:7].astype(np.float64).sum(axis=2)
    codes, sums_uS = np.zeros((2, 4, HIDDEN), np.uint8), np.zeros((2, 4))
    if is_detailed:
        planes = np.array([0, 1])
        forward.read_rows(
            bench.ideal(cells),
            planes,
            3,
            np.array([0.5, 0.5]),
            0.0,
            15.0,
            NO_GAIN,
            NO_TRAPS,
            QUIET,
            0,
            10,
            random(1),
            codes,
            sums_uS,
        )
    else:
        for plane in (0, 1):
            kernels.read_rows(cells[plane, 3:7], 0.5, 15.0, codes[plane], sums_uS[plane])
    assert codes.tolist() == book
    assert sums_uS == pytest.approx(sums)
    energy_j = np.ones(3)
    kernels.add_reads(sums_uS, 2.0, np.array([3.0, 5.0]), np.array([0.25, 0.5]), energy_j)
    assert energy_j[0] == pytest.approx(1 + 0.25 * sums[0].sum() + 0.5 * sums[1].sum())
    assert energy_j.tolist()[1:] == [1 + 8 * 2.0, 1 + 4 * 8.0]


def test_what_the_detailed_kernels_are_given_here_is_what_switches_their_effects_off() -> None:
    assert detailed.NO_GAIN.size == detailed.NO_DROP.size == 0
    assert NO_TRAPS.first.shape == (2, INPUTS + 1)
