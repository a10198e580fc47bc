"""Faults on request: latches, a bad network, a power failure in the middle of an operation."""

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from starlab_sim import Board, Specimen
from starlab_sim.serving.network_faults import Network
from starlab_spec.operations import Operation, pack_mask
from starlab_spec.wire.transactions import (
    Status,
    Transaction,
    emulator,
    start,
    write_memory,
    write_registers,
)

if TYPE_CHECKING:
    from tests.sim.conftest import Bench

SAMPLES, LABELS, RECORDS, MASK = 0, 0x10_0000, 0x100_0000, 0x20_0000
START, START_BIT = 0x3C, 8


def whole_array(bench: "Bench") -> None:
    """Select PULSE_MASK with SET on every cell of array 1."""
    bench.do(write_memory(MASK, pack_mask(np.ones((2, 784, 100), np.bool_))))
    bench.write(MODE=1, MASK_ADDRESS=MASK, MASK_KIND=0)


def power_fails(bench: "Bench", *transactions: Transaction) -> None:
    """Execute a command in which the power fails."""
    boot_id = bench.board.boot_id
    assert bench.board.execute(transactions) == []
    assert bench.board.boot_id not in (0, boot_id)
    assert bench.refusal(start(Operation.SET)) == (Status.NOT_READY, "supply VWLform is off")


def test_latches_are_tripped_by_a_list_or_within_an_object(bench: "Bench") -> None:
    bench.do(emulator({"faults": ["over_current"]}))
    assert bench.board.faults == 1
    bench.do(emulator({"faults": {"latches": ["over_voltage"]}}))
    assert bench.board.faults == 3


def test_the_power_fails_in_the_middle_of_an_operation(powered: "Bench") -> None:
    whole_array(powered)
    before = powered.board.chip.conductance_uS(1)
    powered.do(emulator({"faults": {"restart_after_pulses": 1000}}))
    power_fails(powered, start(Operation.PULSE_MASK))
    assert powered.board.lifetime_pulses == 1000
    moved = powered.board.chip.conductance_uS(1) != before
    assert moved[:, :5].mean() > 0.9
    assert not moved[:, 5:].any()


def test_the_power_fails_between_the_samples_of_a_batch(powered: "Bench") -> None:
    rng = np.random.default_rng(1)
    samples = rng.integers(0, 256, (50, 98), np.uint8)
    powered.do(write_memory(SAMPLES, samples.tobytes()), write_memory(LABELS, bytes(range(10)) * 5))
    powered.write(SAMPLE_ADDRESS=SAMPLES, SAMPLE_STRIDE=98, BATCH_COUNT=50, TH=0, TH1=0)
    powered.write(TARGET_ADDRESS=LABELS, RESULT_ADDRESS=RECORDS)
    powered.do(emulator({"faults": {"restart_after_pulses": 1}}))
    power_fails(powered, start(Operation.BATCH_TRAINING))
    assert powered.counter("TRAINING_OPERATIONS") < 50
    assert powered.board.lifetime_pulses >= 1


@pytest.mark.parametrize(
    "begin", [start(Operation.SET), write_registers(START - 4, [Operation.SET, START_BIT])]
)
def test_the_power_fails_after_the_last_pulse_and_before_the_answer(
    powered: "Bench", begin: Transaction
) -> None:
    powered.select(1, 3, 0b111, lower=False)
    powered.do(emulator({"faults": {"restart_after_pulses": 3}}))
    power_fails(powered, begin, write_registers(0x140, [1]))
    assert powered.board.lifetime_pulses == 3
    powered.power_up()
    powered.select(1, 3, 0b111, lower=False)
    powered.start(Operation.SET)
    assert powered.board.lifetime_pulses == 6


def test_a_power_failure_to_come_waits_for_its_pulses(powered: "Bench") -> None:
    powered.select(1, 3, 0b111, lower=False)
    powered.do(emulator({"faults": {"restart_after_pulses": 4}}))
    assert powered.start(Operation.SET) == b""
    power_fails(powered, start(Operation.SET))
    assert powered.board.lifetime_pulses == 6


@pytest.mark.parametrize("call_off", [{"faults": {"restart_after_pulses": 0}}, {"restart": True}])
def test_a_power_failure_to_come_can_be_called_off(
    powered: "Bench", call_off: dict[str, Any]
) -> None:
    powered.do(emulator({"faults": {"restart_after_pulses": 1}}), emulator(call_off))
    powered.power_up()
    powered.select(1, 3, 0b111)
    assert powered.start(Operation.SET) == b""


def test_a_dry_run_brings_no_fault(powered: "Bench") -> None:
    request = {"faults": {"restart_after_pulses": 1, "latches": ["over_current"]}}
    powered.board.execute([emulator(request)], dry_run=True)
    powered.select(1, 3, 0b111)
    assert powered.start(Operation.SET) == b""


def test_the_network_becomes_bad_and_good_again() -> None:
    network = Network(lambda: 0.0)
    board = Board(Specimen(), serial="EMU-1", rng=random.Random(1), network=network)

    def is_bad_after(**faults: Any) -> bool:
        (result,) = board.execute([emulator({"faults": faults})])
        assert result.status == Status.OK
        return network.bad

    assert is_bad_after(network={"loss": 0.05, "seed": 3})
    assert is_bad_after()
    assert not is_bad_after(network={})
    assert is_bad_after(stall_s=0.5)


def test_a_board_on_no_network_cannot_have_a_bad_one(bench: "Bench") -> None:
    boot_id = bench.board.boot_id
    requests: list[dict[str, Any]] = [{"network": {}}, {"stall_s": 1}]
    for faults in requests:
        refused = bench.refusal(emulator({"faults": faults, "restart": True}))
        assert refused == (Status.UNSUPPORTED, "this board is on no network that could be bad")
    assert bench.board.boot_id == boot_id


@pytest.mark.parametrize(
    ("faults", "status", "message"),
    [
        ({"fire": 1}, Status.BAD_REQUEST, "unknown fault 'fire'; known: latches, network, "),
        ({"latches": "x"}, Status.BAD_REQUEST, "faults latches 'x' is not a list of over_current"),
        ({"network": 1}, Status.BAD_REQUEST, "faults network 1 is not an object"),
        (
            {"network": {"lag": 1}},
            Status.BAD_REQUEST,
            "unknown network fault 'lag'; known: loss, duplication, ",
        ),
        (
            {"network": {"loss": "5 %"}},
            Status.BAD_REQUEST,
            "network loss '5 %' is not a number",
        ),
        ({"network": {"loss": 1}}, Status.RANGE, "network loss 1 is above the 0.3 limit"),
        ({"stall_s": 1e9}, Status.RANGE, "stall_s 1e+09 s is above the 60 s limit"),
        (
            {"restart_after_pulses": -1},
            Status.RANGE,
            "restart_after_pulses -1 pulses is below the 0 pulses limit",
        ),
        (5, Status.BAD_REQUEST, "faults 5 is not a list of over_current, "),
    ],
)
def test_faults_that_are_not_understood_do_nothing(
    bench: "Bench", faults: object, status: Status, message: str
) -> None:
    boot_id = bench.board.boot_id
    found, said = bench.refusal(emulator({"restart": True, "faults": faults}))
    assert (found, said[: len(message)]) == (status, message)
    assert bench.board.boot_id == boot_id


def test_an_operation_that_fails_latches_a_fault_and_switches_the_drivers_off(
    powered: "Bench", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    powered.select(1, 3, 0b111)
    with monkeypatch.context() as broken:
        broken.setattr(type(powered.board.chip), "pulse", lambda *_, **__: 1 / 0)
        status, said = powered.refusal(write_registers(0x140, [1]), start(Operation.SET))
    assert status == Status.HARDWARE_FAULT
    assert said == (
        "latched illegal_operation: the board itself failed (ZeroDivisionError: division by zero); "
        "what this operation has done is not known"
    )
    assert [record.message for record in caplog.records] == [
        "the emulated board failed; its drivers are off"
    ]
    assert powered.board.faults == 4
    assert powered.board.is_safe
    powered.do(write_registers(0x1C8, [0xF]))
    powered.power_up()
    assert powered.start(Operation.SET) == b""


def test_the_clock_ends_before_its_counters_do(powered: "Bench") -> None:
    refused = None
    for _ in range(300):
        (result,) = powered.board.execute([emulator({"advance_s": 1e9})])
        if result.status != Status.OK:
            refused = result
            break
        elapsed_s = powered.board.emulated_time_s
    assert refused is not None
    assert (refused.status, refused.message) == (
        Status.RANGE,
        "emulated time after advance_s 2.31e+11 s is above the 2.30584e+11 s limit",
    )
    assert powered.board.emulated_time_s == elapsed_s
    powered.select(1, 3, 0b111)
    assert powered.start(Operation.SET) == b""
    powered.do(emulator({"advance_s": 1.0}))
