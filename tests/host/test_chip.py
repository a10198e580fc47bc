"""The chip's settings and cells in physical units, on the emulated board."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.host.bench import Bench
from tests.host.chips import assert_no_pulse, images, scatter

from starlab_host import safety
from starlab_host.errors import Aborted, NotFormed, NotReady
from starlab_spec import ARRAY1, ARRAY2, MINUS, PLUS, LimitExceeded, SpecError
from starlab_spec.operations import PulseKind


def test_settings_survive_the_board(bench: Bench) -> None:
    changed = bench.chip.change_settings(th=31, th1_uS=4.25, adc_bits_2=6, scheme="non-cyclic")
    assert changed == bench.chip.settings()
    assert (changed.th, changed.th1_uS, changed.adc_bits_2) == (31, 4.25, 6)
    assert changed.adc_bits_1 == 8


def test_one_bad_setting_means_that_none_is_changed(bench: Bench) -> None:
    before = bench.chip.settings()
    with pytest.raises(LimitExceeded, match="adc_bits_1 9 is above the 8 limit"):
        bench.chip.change_settings(th=31, adc_bits_1=9)
    assert bench.chip.settings() == before


# forming


def test_a_virgin_chip_refuses_all_that_needs_cells(virgin_bench: Bench) -> None:
    chip = virgin_bench.chip
    calls: Sequence[Callable[[], object]] = [
        lambda: chip.pulse(1, PulseKind.SET, safety.cell_mask(ARRAY1)),
        lambda: chip.program(2, weights=np.zeros((100, 10))),
        lambda: chip.vmm(1, images(1)),
        lambda: chip.vmm(2, np.zeros((1, 100), int)),
        lambda: chip.infer(images(1)),
        lambda: chip.train_step(images(1), labels=[1]),
    ]
    for call in calls:
        with pytest.raises(NotFormed, match=r"array [12] is not formed: \d+ of \d+ cells"):
            call()
    assert virgin_bench.pulses == 0


def test_forming_gives_pulses_to_virgin_cells_only(virgin_bench: Bench) -> None:
    chip = virgin_bench.chip
    first = chip.form(2, rows=[0, 1], columns=[3])
    assert (first.formed, first.newly_formed, first.failed) == (4, 4, 0)
    assert first.pulses == virgin_bench.pulses == 4
    second = chip.form(2, rows=[1, 2])
    assert (second.formed, second.newly_formed, second.failed) == (40, 38, 0)
    assert second.pulses == 38
    conductance = chip.read_conductance_uS(2)
    assert (conductance[:, 1:3] > 5).all()
    assert (conductance[:, 3:] < 0.15).all()


def test_forming_too_weakly_stops_at_the_allowed_pulses_and_reports_what_failed(
    virgin_bench: Bench,
) -> None:
    virgin_bench.board.set_supplies({"VBLform": 1000})
    virgin_bench.chip.change_settings(form_count_2=5)
    report = virgin_bench.chip.form(2)
    assert (report.formed, report.newly_formed, report.failed) == (0, 0, 2000)
    assert report.pulses == virgin_bench.pulses == 5 * 2000
    assert virgin_bench.chip.settings().form_count_2 == 5


def test_a_few_formed_cells_may_be_pulsed_but_the_array_may_not_multiply(
    virgin_bench: Bench,
) -> None:
    chip = virgin_bench.chip
    chip.form(1, rows=[7], columns=[0, 1])
    mask = safety.cell_mask(ARRAY1, [7], [0, 1])
    assert chip.pulse(1, PulseKind.SET, mask, count=3) == 12
    with pytest.raises(NotFormed):
        chip.vmm(1, images(1))


def test_formed_is_read_once_and_again_when_the_chip_may_be_another(bench: Bench) -> None:
    bench.chip.infer(images(1))
    sent = len(bench.session.commands)
    bench.chip.infer(images(1))
    assert len(bench.session.commands) == sent + 1
    bench.board.emulator(virgin=True)
    with pytest.raises(NotFormed):
        bench.chip.infer(images(1))


# pulses and reading


def test_pulses_move_the_cells_of_the_mask_and_no_other(bench: Bench) -> None:
    before = bench.emulated.chip.conductance_uS(1)
    mask = safety.cell_mask(ARRAY1, [0, 500, 783], [0, 99], "+")
    assert bench.chip.pulse(1, PulseKind.RESET, mask, count=4) == 24
    assert bench.pulses == 24
    after = bench.emulated.chip.conductance_uS(1)
    np.testing.assert_array_equal(after < before, mask)
    np.testing.assert_array_equal(after[~mask], before[~mask])


@pytest.mark.parametrize("count", [1, 256, 257, 700])
def test_any_number_of_pulses_is_given_exactly(bench: Bench, count: int) -> None:
    mask = safety.cell_mask(ARRAY2, [4], [2], "-")
    assert bench.chip.pulse(2, PulseKind.SET, mask, count=count) == count
    assert bench.board.counters().array2.set == count


def test_pulse_width_and_number_are_put_back(bench: Bench) -> None:
    before = bench.chip.change_settings(set_width_1_ns=400, set_count_1=7)
    mask = safety.cell_mask(ARRAY1, [1], [1])
    assert bench.chip.pulse(1, PulseKind.SET, mask, count=2, width_ns=1000) == 4
    assert bench.chip.settings() == before


def test_pulse_settings_are_put_back_after_a_refusal(bench: Bench) -> None:
    before = bench.chip.settings()
    bench.session.aborted = lambda: True
    with pytest.raises(Aborted):
        bench.chip.pulse(1, PulseKind.SET, safety.cell_mask(ARRAY1), count=9, width_ns=100)
    assert bench.chip.settings() == before


def test_a_longer_pulse_moves_further(bench: Bench) -> None:
    scatter(bench)
    bench.emulated.chip.set_conductance_uS(2, np.full(ARRAY2.shape, 11.0))
    for width_ns, row in ((100, 0), (400, 1)):
        mask = safety.cell_mask(ARRAY2, [row])
        bench.chip.pulse(2, PulseKind.SET, mask, count=5, width_ns=width_ns)
    moved = bench.emulated.chip.conductance_uS(2)[:, :2] - 11.0
    assert moved[:, 1].mean() == pytest.approx(4 * moved[:, 0].mean(), rel=0.3)


@pytest.mark.parametrize(
    "arguments",
    [
        {"array": 3},
        {"kind": PulseKind.FORM},
        {"count": 0},
        {"count": 10_001},
        {"count": 2.0},
        {"width_ns": 75},
        {"width_ns": 0},
        {"mask": np.zeros(ARRAY1.shape)},
        {"mask": np.ones((784, 100))},
        {"mask": np.full(ARRAY1.shape, np.nan)},
    ],
)
def test_a_bad_pulse_is_refused_before_anything_is_sent(
    bench: Bench, arguments: dict[str, Any]
) -> None:
    call = {"array": 1, "kind": PulseKind.SET, "mask": np.ones(ARRAY1.shape), **arguments}
    array, kind, mask = call.pop("array"), call.pop("kind"), call.pop("mask")
    assert_no_pulse(bench, lambda: bench.chip.pulse(array, kind, mask, **call), SpecError)


def test_reading_gives_conductances_in_tenths(bench: Bench) -> None:
    scatter(bench)
    for array in (ARRAY1, ARRAY2):
        read = bench.chip.read_conductance_uS(array.number)
        assert read.dtype == np.float32
        true = bench.emulated.chip.conductance_uS(array.number)
        np.testing.assert_allclose(read, true, atol=1e-5)
    part = bench.chip.read_conductance_uS(1, rows=[700, 3], columns=[99, 0, 5])
    np.testing.assert_allclose(
        part, bench.emulated.chip.conductance_uS(1)[:, [700, 3]][:, :, [99, 0, 5]], atol=1e-5
    )


def test_reading_takes_rails_and_bias_into_account(bench: Bench) -> None:
    scatter(bench)
    bench.board.set_supplies({"VBL27": 2700.0, "VBL23": 2250.0, "Iref_integ": 100.0})
    read = bench.chip.read_conductance_uS(1)
    true = bench.emulated.chip.conductance_uS(1)
    for plane in (PLUS, MINUS):
        assert np.abs(read[plane] - true[plane]).max() < 0.11


def test_reading_with_a_rail_on_the_wrong_side_is_refused(bench: Bench) -> None:
    bench.board.set_supplies({"VBL27": 2400.0})
    with pytest.raises(LimitExceeded, match="read voltage VBL27 - V25"):
        bench.chip.read_conductance_uS(1)


def test_nothing_runs_on_a_board_whose_supplies_are_off(bench: Bench) -> None:
    bench.chip.infer(images(1))
    bench.emulated.enter_safe("silence")
    with pytest.raises(NotReady, match="SAFE: silence"):
        bench.chip.train_step(images(3), labels=[1, 2, 3])
    assert bench.pulses == 0
