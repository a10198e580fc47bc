"""The chip's work in physical units against the data sheet's formulas, on the emulated board."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.host.bench import Bench

from starlab_host import memory, safety
from starlab_host.commands import samples_per_command
from starlab_host.errors import (
    Aborted,
    Compliance,
    HardwareFault,
    LinkLost,
    NotFormed,
    NotReady,
    OutcomeUnknown,
)
from starlab_host.settings import Settings
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_spec import ARRAY1, ARRAY2, MINUS, PLUS, LimitExceeded, SpecError, stellar
from starlab_spec.operations import TRAINING_RECORD, Activation, PulseKind, Scheme
from starlab_spec.supplies import NOMINAL_READ_MV
from starlab_spec.wire.transactions import Transaction

Floats = NDArray[np.float64]


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return (np.random.default_rng(seed).random((count, 784)) < 0.13).astype(np.uint8)


def scatter(bench: Bench, seed: int = 5) -> None:
    """Cells at random places of the window, behind the board's back, on whole codes of READ."""
    rng = np.random.default_rng(seed)
    for array in (ARRAY1, ARRAY2):
        values = rng.integers(20, 201, array.shape) / 10
        bench.emulated.chip.set_conductance_uS(array.number, values)


def adc(current_ua: Floats, full_scale_ua: float, bits: int) -> NDArray[np.int64]:
    """``clip(floor(x * (2^N - 1) / full scale + 1/2), 0, 2^N - 1)``."""
    top = 2**bits - 1
    codes = np.floor(current_ua * top / full_scale_ua + 0.5)
    return np.asarray(np.clip(codes, 0, top), np.int64)


def hidden_codes(g1: Floats, pixels: NDArray[np.uint8], bits: int = 8) -> NDArray[np.int64]:
    volt = NOMINAL_READ_MV / 1000
    current_ua = pixels.astype(float) @ ((g1[PLUS] - g1[MINUS]) * volt)
    return adc(current_ua, 300 * volt, bits)


def output_codes(g2: Floats, counts: NDArray[Any], bits: int = 5) -> NDArray[np.int64]:
    volt = NOMINAL_READ_MV / 1000
    total = np.zeros((len(counts), 10), np.int64)
    for slot in range(1, int(counts.max(initial=0)) + 1):
        on = (counts >= slot).astype(float)
        total += adc(on @ g2[PLUS] * volt, 800 * volt, bits)
        total -= adc(on @ g2[MINUS] * volt, 800 * volt, bits)
    return total


def assert_no_pulse(bench: Bench, call: Callable[[], object], error: type[Exception]) -> None:
    """A call must be refused before anything is sent."""
    pulses, sent = bench.pulses, len(bench.session.commands)
    with pytest.raises(error):
        call()
    assert bench.pulses == pulses
    assert len(bench.session.commands) == sent


# settings


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


# multiplication and inference


def test_vmm_of_array_1_is_the_formula_of_the_data_sheet(bench: Bench) -> None:
    scatter(bench)
    pixels = images(200)
    vmm = bench.chip.vmm(1, pixels)
    g1 = bench.emulated.chip.conductance_uS(1).astype(float)
    expected = hidden_codes(g1, pixels)
    # a current within rounding of the edge between two codes may fall to either side
    assert np.abs(vmm.codes - expected).max() <= 1
    assert (vmm.codes != expected).mean() < 1e-3
    assert vmm.codes.max() > 100
    np.testing.assert_allclose(vmm.current_ua, vmm.codes * 300 * NOMINAL_READ_MV / 1000 / 255)


def test_vmm_of_array_2_is_accumulated_slot_by_slot(bench: Bench) -> None:
    scatter(bench)
    counts = np.random.default_rng(1).integers(0, 256, (20, 100))
    vmm = bench.chip.vmm(2, counts)
    g2 = bench.emulated.chip.conductance_uS(2).astype(float)
    expected = output_codes(g2, counts)
    assert np.abs(vmm.codes - expected).max() <= 2
    assert (vmm.codes != expected).mean() < 0.05
    np.testing.assert_allclose(vmm.current_ua, vmm.codes * 800 * NOMINAL_READ_MV / 1000 / 31)
    assert bench.board.read_register("SAMPLE_STRIDE") == 98


def test_fewer_bits_and_longer_integration_scale_the_current(bench: Bench) -> None:
    scatter(bench)
    pixels = images(20)
    fine = bench.chip.vmm(1, pixels)
    bench.chip.change_settings(adc_bits_1=6, integration_time_1_ns=50)
    coarse = bench.chip.vmm(1, pixels)
    assert coarse.codes.max() <= 63
    unclipped = fine.codes < 255
    step_ua = 2 * 300 * NOMINAL_READ_MV / 1000 / 63
    difference_ua = np.abs(coarse.current_ua - fine.current_ua)[unclipped]
    assert difference_ua.max() < 0.51 * step_ua + 0.2


def test_inference_is_both_layers_one_after_the_other(bench: Bench) -> None:
    scatter(bench)
    pixels = images(50)
    inference = bench.chip.infer(pixels, hidden=True)
    assert inference.hidden is not None
    np.testing.assert_array_equal(inference.hidden, bench.chip.vmm(1, pixels).codes)
    np.testing.assert_array_equal(inference.outputs, bench.chip.vmm(2, inference.hidden).codes)
    np.testing.assert_array_equal(inference.labels, inference.outputs.argmax(axis=1))
    plain = bench.chip.infer(np.packbits(pixels, axis=1))
    assert plain.hidden is None
    np.testing.assert_array_equal(plain.outputs, inference.outputs)


def test_inference_moves_no_cell_and_gives_no_pulse(bench: Bench) -> None:
    before = bench.emulated.chip.conductance_uS(1)
    bench.chip.infer(images(10))
    np.testing.assert_array_equal(bench.emulated.chip.conductance_uS(1), before)
    assert bench.pulses == 0


def test_an_empty_batch_is_an_empty_answer(bench: Bench) -> None:
    empty = np.zeros((0, 784), np.uint8)
    assert bench.chip.infer(empty, hidden=True).outputs.shape == (0, 10)
    assert bench.chip.vmm(1, empty).codes.shape == (0, 100)
    training = bench.chip.train_step(empty, labels=np.zeros(0, int))
    assert training.pulses.shape == (0, 2)


# learning


def expected_plans(
    bench: Bench, settings: Settings, pixels: NDArray[np.uint8], target: NDArray[Any], phase: int
) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """By the rules of the specification: outputs, and the pulses on the cells of both arrays.

    The pulses are +1 for SET and -1 for RESET.
    """
    g2 = bench.emulated.chip.conductance_uS(2).astype(float)
    hidden = bench.chip.infer(pixels[None], hidden=True)
    assert hidden.hidden is not None
    y1, z = hidden.hidden[0].astype(int), hidden.outputs[0]
    sign = stellar.output_error_sign(
        z,
        target,
        Activation[settings.output_activation.upper()],
        th=settings.th,
        c2=settings.c2,
        scale=settings.activation_scale,
        amplitude=settings.activation_amplitude,
    )
    c1 = settings.c1 * y1.max() if settings.c1_relative else settings.c1
    dw2 = stellar.output_update(y1, sign, c1=c1)
    w2_uS = g2[PLUS] - g2[MINUS]
    dw1 = stellar.hidden_update(pixels, y1, w2_uS, sign, th1_uS=settings.th1_uS)
    scheme = Scheme[settings.scheme.upper().replace("-", "_")]
    kinds, _ = stellar.phases(scheme, phase)
    moves = []
    for dw in (dw1, dw2):
        move = np.zeros((2, *dw.shape), np.int64)
        for kind in kinds:
            plan = stellar.pulse_plan(dw, plus=kind, minus=kind)
            move += plan.set_mask.astype(int) - plan.reset_mask.astype(int)
        moves.append(move)
    return z, moves


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scheme": "non-cyclic", "th1_uS": 1.0},
        {"output_activation": "none", "c1_relative": False, "c1": 0},
        {"output_activation": "sigmoid", "c2": 0.1, "activation_scale": 600, "th": 5},
    ],
)
def test_learning_follows_the_rules_of_the_specification(
    bench: Bench, changes: dict[str, Any]
) -> None:
    scatter(bench)
    settings = bench.chip.change_settings(**changes)
    labels = np.random.default_rng(2).integers(0, 10, 8)
    pulsed = 0
    for index, pixels in enumerate(images(8, seed=7)):
        target = np.full(10, settings.target_off)
        target[labels[index]] = settings.target_on
        z, moves = expected_plans(bench, settings, pixels, target, index % 2)
        before = [bench.emulated.chip.conductance_uS(array) for array in (1, 2)]
        training = bench.chip.train_step(pixels[None], labels=labels[index : index + 1])
        after = [bench.emulated.chip.conductance_uS(array) for array in (1, 2)]
        np.testing.assert_array_equal(training.outputs[0], z)
        assert training.correct[0] == (z.argmax() == labels[index])
        for array in range(2):
            assert training.pulses[0, array] == np.abs(moves[array]).sum()
            moved = np.sign(after[array] - before[array])
            at_end = (before[array] <= 2.0) | (before[array] >= 20.0)
            np.testing.assert_array_equal(moved[~at_end], moves[array][~at_end])
        pulsed += int(training.pulses.sum())
    assert pulsed == bench.pulses > 0


def test_labels_and_targets_that_say_the_same_teach_the_same() -> None:
    pixels, labels = images(40), np.arange(40) % 10
    targets = np.where(np.eye(10)[labels] == 1, 79, 0)
    by_label, by_target = Bench(Specimen(seed=3)), Bench(Specimen(seed=3))
    first = by_label.chip.train_step(pixels, labels=labels)
    second = by_target.chip.train_step(pixels, targets=targets)
    np.testing.assert_array_equal(first.pulses, second.pulses)
    np.testing.assert_array_equal(first.correct, second.correct)
    np.testing.assert_array_equal(
        by_label.emulated.chip.conductance_uS(1), by_target.emulated.chip.conductance_uS(1)
    )


def test_only_the_layers_that_are_asked_for_are_tuned(bench: Bench) -> None:
    scatter(bench)
    before = bench.emulated.chip.conductance_uS(1)
    training = bench.chip.train_step(images(20), labels=np.arange(20) % 10, layers=[2])
    np.testing.assert_array_equal(bench.emulated.chip.conductance_uS(1), before)
    assert training.pulses[:, 0].sum() == 0
    assert training.pulses[:, 1].sum() > 0


def test_the_pulses_of_a_batch_are_those_that_the_board_counts(bench: Bench) -> None:
    scatter(bench)
    training = bench.chip.train_step(images(100), labels=np.arange(100) % 10)
    counters = bench.board.counters()
    counted = [a.set + a.reset for a in (counters.array1, counters.array2)]
    assert training.pulses.sum(axis=0).tolist() == counted
    assert counters.operations.training == 100


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"labels": [1, 2, 3], "targets": np.zeros((3, 10), int)},
        {"labels": [1, 2]},
        {"labels": [1, 2, 10]},
        {"labels": [1, 2, 2.5]},
        {"targets": np.zeros((3, 9), int)},
        {"targets": np.full((3, 10), 1 << 17)},
        {"labels": [1, 2, 3], "layers": []},
        {"labels": [1, 2, 3], "layers": [0]},
        {"labels": [1, 2, 3], "inputs": np.full((3, 784), 2)},
        {"labels": [1, 2, 3], "inputs": np.full((3, 784), np.nan)},
        {"labels": [1, 2, 3], "inputs": np.zeros((3, 98), np.int64)},
    ],
)
def test_a_bad_batch_is_refused_before_anything_is_sent(
    bench: Bench, arguments: dict[str, Any]
) -> None:
    call = {"inputs": images(3), **arguments}
    inputs = call.pop("inputs")
    assert_no_pulse(bench, lambda: bench.chip.train_step(inputs, **call), SpecError)


# long batches


@pytest.fixture
def small_commands(monkeypatch: pytest.MonkeyPatch) -> int:
    """Commands that carry ten samples each."""
    monkeypatch.setattr(memory, "COMMAND_BYTES", 1000)
    return samples_per_command(TRAINING_RECORD)


def test_a_cut_batch_learns_the_same_as_a_whole_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels, labels = images(45), np.arange(45) % 10
    whole = Bench(Specimen(seed=3))
    expected = whole.chip.train_step(pixels, labels=labels)
    monkeypatch.setattr(memory, "COMMAND_BYTES", 1000)
    cut = Bench(Specimen(seed=3))
    told: list[tuple[int, int]] = []
    training = cut.chip.train_step(
        pixels, labels=labels, on_progress=lambda done, total: told.append((done, total))
    )
    np.testing.assert_array_equal(training.outputs, expected.outputs)
    np.testing.assert_array_equal(training.pulses, expected.pulses)
    np.testing.assert_array_equal(
        cut.emulated.chip.conductance_uS(2), whole.emulated.chip.conductance_uS(2)
    )
    assert told == sorted(told)
    assert set(told) >= {(done, 45) for done in (10, 20, 30, 40, 45)}


def test_an_aborted_batch_tells_how_many_samples_were_learned(
    bench: Bench, small_commands: int
) -> None:
    bench.chip.infer(images(1))

    def learned() -> int:
        return bench.emulated.chip.counters.training_steps

    bench.session.aborted = lambda: learned() >= 2 * small_commands
    with pytest.raises(Aborted, match=r"20 of 45 samples are done \(ABORTED\)") as stop:
        bench.chip.train_step(images(45), labels=np.arange(45) % 10)
    assert stop.value.done == learned() == 20


def test_a_fault_in_a_later_command_tells_how_many_samples_were_learned(
    bench: Bench, small_commands: int
) -> None:
    bench.chip.infer(images(1))

    def trip(transactions: Sequence[Transaction]) -> None:
        if bench.emulated.chip.counters.training_steps == 3 * small_commands:
            bench.session.before_execute = lambda _: None
            bench.board.emergency_stop()

    bench.session.before_execute = trip
    with pytest.raises(HardwareFault, match="30 of 45 samples are done") as refusal:
        bench.chip.train_step(images(45), labels=np.arange(45) % 10)
    assert refusal.value.done == 30


def test_a_tripped_limit_tells_how_many_samples_were_learned_and_which_in_part(
    small_commands: int,
) -> None:
    pixels, labels = images(45), np.arange(45) % 10
    pixels[:small_commands] = 0  # no pulse
    pixels[small_commands : small_commands + 3, 100:] = 0
    effects = Effects.read({"current_limit": {"limit_ma": 20.0}})
    bench = Bench(Specimen(seed=3, effects=effects))
    scatter(bench)
    bench.chip.change_settings(th=1, th1_uS=0.1)
    with pytest.raises(Compliance) as refusal:
        bench.chip.train_step(pixels, labels=labels)
    done = refusal.value.done
    pulses, text = bench.pulses, str(refusal.value)
    assert done == bench.emulated.chip.counters.training_steps
    assert done >= small_commands + 3
    assert f"{done} of 45 samples are done, sample {done} in part (COMPLIANCE)" in text
    within = done - small_commands
    assert f"for sample {within}, after {within} of 10 samples and " in text
    assert bench.board.faults() == ("over_current",)

    # the record after those of the complete samples accounts for the rest
    kept = bench.board.read_memory(memory.RECORDS.address, (within + 1) * TRAINING_RECORD.itemsize)
    records = np.frombuffer(kept, TRAINING_RECORD)["pulses"].sum(axis=1)
    assert records.sum() == pulses
    assert f" and {records[-1]} pulses for this one" in text


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (
            OutcomeUnknown("no reply", [(7, "START 0x8000000")]),
            OutcomeUnknown,
            r"^samples 10\.\.19 of 45 are in doubt, those before done: no reply$",
        ),
        (LinkLost("no answer"), LinkLost, r"^10 of 45 samples are done: no answer$"),
    ],
)
def test_a_failing_link_tells_which_samples_are_in_doubt(
    bench: Bench,
    small_commands: int,
    error: Exception,
    expected: type[Exception],
    message: str,
) -> None:
    bench.chip.infer(images(1))

    def fail(transactions: Sequence[Transaction]) -> None:
        if bench.emulated.chip.counters.training_steps == small_commands:
            raise error

    bench.session.before_execute = fail
    with pytest.raises(expected, match=message) as failure:
        bench.chip.train_step(images(45), labels=np.arange(45) % 10)
    if isinstance(failure.value, OutcomeUnknown):
        assert failure.value.commands == ((7, "START 0x8000000"),)


def test_nothing_runs_on_a_board_whose_supplies_are_off(bench: Bench) -> None:
    bench.chip.infer(images(1))
    bench.emulated.enter_safe("silence")
    with pytest.raises(NotReady, match="SAFE: silence"):
        bench.chip.train_step(images(3), labels=[1, 2, 3])
    assert bench.pulses == 0
