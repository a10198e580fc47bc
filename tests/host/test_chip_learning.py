"""Learning against the rules of the specification, whole and in parts, on the emulated board."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.host.bench import Bench
from tests.host.chips import assert_no_pulse, images, scatter

from starlab_host import Chip, Work
from starlab_host.board import memory
from starlab_host.board.commands import samples_per_command
from starlab_host.board.work import Extent
from starlab_host.chip.settings import Settings
from starlab_host.errors import Aborted, Compliance, HardwareFault, LinkLost, OutcomeUnknown
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_spec import MINUS, PLUS, SpecError, stellar
from starlab_spec.operations import TRAINING_RECORD, Activation, Operation, Scheme
from starlab_spec.wire.transactions import Opcode, Status, Transaction


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


@pytest.mark.parametrize(
    "error",
    [
        OutcomeUnknown("no reply", [(7, "START")]),
        LinkLost("no answer"),
        HardwareFault(Status.HARDWARE_FAULT, "stopped", opcode=Opcode.START),
    ],
)
@pytest.mark.parametrize("before", [0, 2])
def test_whatever_ends_a_batch_its_progress_is_of_the_samples_that_are_done(
    bench: Bench, small_commands: int, error: Exception, before: int
) -> None:
    bench.chip.infer(images(1))
    work = Work()
    chip = Chip(bench.board.during(work))
    during: list[Extent | None] = []

    def fail(transactions: Sequence[Transaction]) -> None:
        if starts_training(transactions):
            during.append(work.extent)
            if len(during) == before + 1:
                work.tell(before * small_commands + 3, 45, "samples")  # as the board told last
                raise error

    bench.session.before_execute = fail
    with pytest.raises(type(error)), work:
        chip.train_step(images(45), labels=np.arange(45) % 10)
    assert during == [Extent(done * small_commands, 45, "samples") for done in range(before + 1)]
    assert work.extent == Extent(before * small_commands, 45, "samples")


def starts_training(transactions: Sequence[Transaction]) -> bool:
    word = Operation.BATCH_TRAINING.to_bytes(4, "big")
    return any(one.opcode == Opcode.START and one.data == word for one in transactions)
