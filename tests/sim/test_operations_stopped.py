"""Each operation that is stopped says so; and what it draws is judged to the last bit."""

import numpy as np
import pytest
from tests.sim.conftest import Bench

from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.firmware.row_pulses import row_loads_uS, under_load
from starlab_spec.operations import Operation
from starlab_spec.registers import register
from starlab_spec.wire.transactions import (
    Status,
    emulator,
    get_supply,
    start,
    supply_reading,
    write_memory,
    write_registers,
)


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (Operation.SET, "SET stopped after 0 of 1 rows"),
        (Operation.RESET, "RESET stopped after 0 of 1 rows"),
        (Operation.FORM, "FORM stopped after 0 of 1 rows"),
        (Operation.READ, "READ stopped after 0 of 1 rows"),
        (Operation.INFERENCE, "INFERENCE stopped after 0 of 1 samples"),
        (Operation.BP, "BP stopped after 0 of 1 samples"),
        (Operation.PULSE_MASK, "PULSE_MASK stopped after 0 of 784 rows"),
        (Operation.READ_ARRAY, "READ_ARRAY stopped after 0 of 784 rows"),
        (Operation.BATCH_INFERENCE, "BATCH_INFERENCE stopped after 0 of 3 samples"),
        (Operation.BATCH_TRAINING, "BATCH_TRAINING stopped after 0 of 3 samples"),
        (Operation.VMM2, "VMM2 stopped after 0 of 3 samples"),
    ],
)
@pytest.mark.parametrize("sagging", [False, True])
def test_an_operation_that_is_stopped_before_its_first_chunk_says_so(
    operation: Operation, message: str, sagging: bool
) -> None:
    effects = {"load_regulation": {"output_ohm": 5.0}} if sagging else {}
    bench = Bench(Specimen(seed=1, effects=Effects.read(effects)))
    bench.power_up()
    bench.select(1, 3, 0b111)
    bench.do(write_memory(0x3000, b"\xff" * 19600))
    bench.write(
        MASK_ADDRESS=0x3000,
        BATCH_COUNT=3,
        SAMPLE_ADDRESS=0x1_0000,
        TARGET_ADDRESS=0x2_0000,
        RESULT_ADDRESS=0x3_0000,
        READ_ADDRESS=0x4_0000,
        INFERENCE_RANGE=0,
    )
    if operation == Operation.VMM2:
        bench.write(SAMPLE_STRIDE=100)
    before = bench.board.chip.conductance_uS(1)
    refused = bench.refusal(start(operation), aborted=lambda: True)
    assert refused == (Status.ABORTED, message)
    assert bench.board.lifetime_pulses == 0
    assert np.array_equal(bench.board.chip.conductance_uS(1), before)


def test_an_inference_over_a_range_tells_how_far_it_is() -> None:
    bench = Bench(Specimen(seed=1))
    bench.power_up()
    bench.write(INFERENCE_RANGE=register("INFERENCE_RANGE").pack(first=2, last=4))
    told: list[tuple[int, int, str]] = []
    bench.board.execute([start(Operation.INFERENCE)], progress=lambda *one: told.append(one))
    assert told[-1] == (3, 3, "INFERENCE")


def limited_to(limit_ma: float) -> Bench:
    effects = Effects.read({"current_limit": {"limit_ma": limit_ma}})
    bench = Bench(Specimen(seed=1, effects=effects))
    bench.board.chip.set_conductance_uS(1, np.full((2, 784, 100), 10.0))
    bench.power_up()
    return bench


def test_a_current_at_its_limit_trips_nothing() -> None:
    """64 cells of 10 uS in a row: 640 uS."""
    at_code = supply_reading(limited_to(9.0).do(get_supply(6))[0])
    assert at_code.settled
    (_, exact_ma) = under_load(605 * (1245 + 80 * 10000 / 255) / 1200, np.array([640.0]), 0.0)
    for limit_ma, trips in ((float(exact_ma[0]), False), (float(exact_ma[0]) - 1e-12, True)):
        bench = limited_to(limit_ma)
        bench.select(1, 5, (1 << 64) - 1, lower=False)
        (result,) = bench.board.execute([start(Operation.SET)])
        assert result.status == (Status.COMPLIANCE if trips else Status.OK)


def test_the_first_row_above_the_limit_trips_and_those_before_it_are_pulsed() -> None:
    (_, exact_ma) = under_load(605 * (1245 + 80 * 10000 / 255) / 1200, np.array([640.0]), 0.0)
    bench = limited_to(float(exact_ma[0]))
    mask = np.zeros((2, 784, 100), np.bool_)
    mask[0, 3, :64] = mask[0, 9, :65] = mask[0, 11, :3] = True
    bench.do(
        write_memory(0x3000, np.packbits(mask).tobytes()),
        write_registers(register("MODE").address, [1], mask=1),
    )
    bench.write(MASK_KIND=0, MASK_ADDRESS=0x3000)
    status, message = bench.refusal(start(Operation.PULSE_MASK))
    assert status == Status.COMPLIANCE
    # 2209.386 mV * 650 uS, and * 640 uS
    assert message == (
        "VBLset current 1.4361 mA is above the 1.41401 mA limit, in row 9, after 9 of 784 rows"
    )
    assert bench.board.lifetime_pulses == 64


def test_a_mask_whose_rows_sag_differently_stops_between_them() -> None:
    bench = Bench(Specimen(seed=1, effects=Effects.read({"load_regulation": {"output_ohm": 10.0}})))
    bench.power_up()
    mask = np.zeros((2, 784, 100), np.bool_)
    mask[0, 3, :2] = mask[0, 9, :50] = True
    bench.do(
        write_memory(0x3000, np.packbits(mask).tobytes()),
        write_registers(register("MODE").address, [1], mask=1),
    )
    bench.write(MASK_KIND=0, MASK_ADDRESS=0x3000)
    asked = iter(range(10_000))
    # asked once before each group of rows of one voltage
    status, _ = bench.refusal(start(Operation.PULSE_MASK), aborted=lambda: next(asked) >= 4)
    assert status == Status.ABORTED
    assert bench.board.lifetime_pulses in (2, 52)
    again = bench.board.lifetime_pulses
    assert bench.refusal(start(Operation.PULSE_MASK), aborted=lambda: True)[0] == Status.ABORTED
    assert bench.board.lifetime_pulses == again


def test_a_rows_load_is_summed_without_loss() -> None:
    cells = np.full((2, 1, 3), 0.1, np.float32)
    cells[0, 0] = [2.0**24, 1.0, 1.0]
    loads = row_loads_uS(cells, np.ones((2, 1, 3), np.bool_))
    assert loads.tolist() == [2.0**24 + 2]


def test_another_fault_leaves_the_generator_that_tripped_named() -> None:
    bench = limited_to(1.0)
    bench.select(1, 5, (1 << 64) - 1, lower=False)
    assert bench.refusal(start(Operation.SET))[0] == Status.COMPLIANCE

    def named() -> list[int]:
        return [i for i in range(22) if supply_reading(bench.do(get_supply(i))[0]).fault]

    assert named() == [6]
    bench.do(emulator({"faults": ["illegal_operation"]}))
    assert named() == [6]
