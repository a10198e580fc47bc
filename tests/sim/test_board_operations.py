"""Published operations through registers, each against a twin chip that is driven directly."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from starlab_sim import Specimen
from starlab_sim.chip import (
    ArrayTuning,
    Chip,
    Converters,
    Learning,
    PulseConditions,
    PulseKind,
    Rails,
    Schedule,
    Tuning,
    TuningStep,
)
from starlab_spec.operations import Activation, Operation
from starlab_spec.registers import register
from starlab_spec.samples import pack_samples, unpack_one_hot, unpack_outputs
from starlab_spec.supplies import supply
from starlab_spec.wire.transactions import (
    Opcode,
    Status,
    Transaction,
    set_supply,
    start,
    write_memory,
    write_registers,
)

if TYPE_CHECKING:
    from tests.sim.conftest import Bench

ALL_100 = (1 << 100) - 1
SAMPLES = pack_samples(np.random.default_rng(7).integers(0, 2, (5, 784)))
SAMPLE_ADDRESS = 0x0100_0000


@pytest.fixture
def twin() -> Chip:
    """The same chip as on the bench, without a board."""
    return Specimen(seed=1).make()


def assert_same_cells(bench: "Bench", twin: Chip) -> None:
    for array in (1, 2):
        assert np.array_equal(bench.board.chip.conductance_uS(array), twin.conductance_uS(array))
    assert bench.board.chip.counters == twin.counters


def one_row(array: int, plus: list[int], minus: list[int]) -> np.ndarray:
    mask = np.zeros((2, 1, 100 if array == 1 else 10), np.bool_)
    mask[0, 0, plus] = True
    mask[1, 0, minus] = True
    return mask


@pytest.mark.parametrize("row", [0, 195, 196, 783])
def test_set_moves_the_selected_cells_of_array_1(powered: "Bench", twin: Chip, row: int) -> None:
    powered.select(1, row, 1 << 0 | 1 << 31 | 1 << 32 | 1 << 99)
    powered.start(Operation.SET)
    columns = [0, 31, 32, 99]
    # published: VBLset 2209 mV at code 80, VWLset 1813 mV at code 60, 300 ns
    pulse = PulseConditions(
        supply("VBLset").value(80), gate_mv=supply("VWLset").value(60), width_ns=300
    )
    twin.pulse(1, PulseKind.SET, one_row(1, columns, columns), pulse, first_row=row)
    assert_same_cells(powered, twin)
    assert powered.board.lifetime_pulses == powered.counter("ARRAY1_SET_PULSES") == 8


@pytest.mark.parametrize(("upper", "lower"), [(True, False), (False, True), (False, False)])
def test_upper_and_lower_cells_of_array_1_are_selected_apart(
    powered: "Bench", upper: bool, lower: bool
) -> None:
    before = powered.board.chip.conductance_uS(1)
    powered.select(1, 5, 0b1110, upper=upper, lower=lower)
    powered.start(Operation.RESET)
    fallen = powered.board.chip.conductance_uS(1) < before
    expected = np.zeros_like(fallen)
    expected[0, 5, 1:4] = upper
    expected[1, 5, 1:4] = lower
    assert np.array_equal(fallen, expected)
    assert powered.counter("ARRAY1_RESET_PULSES") == 3 * (upper + lower)


def test_even_columns_of_array_2_are_minus_cells_and_odd_ones_plus_cells(
    powered: "Bench", twin: Chip
) -> None:
    powered.select(2, 42, 1 << 0 | 1 << 3 | 1 << 18 | 1 << 19)
    powered.start(Operation.RESET)
    pulse = PulseConditions(
        supply("VSLreset").value(49), gate_mv=supply("VWLvdd").value(179), width_ns=50
    )
    mask = one_row(2, plus=[1, 9], minus=[0, 9])
    twin.pulse(2, PulseKind.RESET, mask, pulse, first_row=42)
    assert_same_cells(powered, twin)
    assert powered.counter("ARRAY2_RESET_PULSES") == 4


def test_pulse_period_and_number_come_from_the_registers(powered: "Bench", twin: Chip) -> None:
    powered.write(PERIOD1=9, NUMBER1=4)
    powered.do(set_supply(supply("VBLset").index, 75))
    powered.select(1, 700, ALL_100)
    powered.start(Operation.SET)
    pulse = PulseConditions(
        supply("VBLset").value(75), gate_mv=supply("VWLset").value(60), width_ns=500
    )
    everything = list(range(100))
    twin.pulse(1, PulseKind.SET, one_row(1, everything, everything), pulse, count=5, first_row=700)
    assert_same_cells(powered, twin)
    assert powered.board.lifetime_pulses == 5 * 200


@pytest.mark.parametrize(("array", "number"), [(1, 256), (2, 64)])
def test_form_applies_the_published_number_of_pulses(
    virgin: "Bench", array: int, number: int
) -> None:
    virgin.select(array, 9, 0b11)
    virgin.start(Operation.FORM)
    formed = ~virgin.board.chip.virgin(array)
    assert formed.sum() == formed[:, 9].sum() == (4 if array == 1 else 2)
    assert virgin.counter(f"ARRAY{array}_FORM_PULSES") == number * formed.sum()
    assert virgin.counter("FORM_OPERATIONS") == 1


def test_read_gives_upper_cells_by_rising_column_and_then_lower_ones(powered: "Bench") -> None:
    conductance_uS = powered.board.chip.conductance_uS(1)
    powered.select(1, 300, 1 << 2 | 1 << 64 | 1 << 97)
    codes = np.frombuffer(powered.start(Operation.READ), ">u4")
    expected = conductance_uS[:, 300, [2, 64, 97]].reshape(-1) * 10
    assert codes == pytest.approx(expected, abs=0.51)
    powered.select(1, 300, 1 << 2 | 1 << 64, upper=False)
    codes = np.frombuffer(powered.start(Operation.READ), ">u4")
    assert codes == pytest.approx(conductance_uS[1, 300, [2, 64]] * 10, abs=0.51)


def test_read_gives_the_cells_of_array_2_by_rising_physical_column(powered: "Bench") -> None:
    plus, minus = np.linspace(2, 20, 1000), np.linspace(20, 2, 1000)
    powered.board.chip.set_conductance_uS(2, np.reshape([plus, minus], (2, 100, 10)))
    powered.select(2, 99, 1 << 0 | 1 << 1 | 1 << 18)
    codes = np.frombuffer(powered.start(Operation.READ), ">u4")
    assert codes == pytest.approx([10 * minus[990], 10 * plus[990], 10 * minus[999]], abs=0.51)


def test_read_of_no_cell_gives_no_word(powered: "Bench") -> None:
    powered.select(1, 0, 0)
    assert powered.start(Operation.READ) == b""


def load(bench: "Bench") -> None:
    bench.do(write_memory(SAMPLE_ADDRESS, SAMPLES.tobytes()))


def test_inference_in_y2_mode_gives_the_outputs_of_the_last_sample(
    powered: "Bench", twin: Chip
) -> None:
    load(powered)
    powered.write(INFERENCE_RANGE=3 << 16 | 1)
    block = powered.start(Operation.INFERENCE)
    outputs = twin.infer(SAMPLES[1:4], rails=Rails(), converters=Converters()).outputs
    assert unpack_outputs(block).tolist() == outputs[-1].tolist()
    assert powered.counter("INFERENCE_OPERATIONS") == 3


def test_inference_without_y2_mode_gives_a_one_hot_block_a_sample(
    powered: "Bench", twin: Chip
) -> None:
    load(powered)
    powered.write(INFERENCE_RANGE=4 << 16)
    powered.do(write_registers(register("MODE").address, [0], mask=0x100))
    blocks = powered.start(Operation.INFERENCE)
    winners = twin.infer(SAMPLES, rails=Rails(), converters=Converters()).winners
    found = [unpack_one_hot(blocks[i : i + 8]) for i in range(0, len(blocks), 8)]
    assert found == winners.tolist()


def test_converters_follow_bits_integration_times_and_bias_currents(
    powered: "Bench", twin: Chip
) -> None:
    load(powered)
    powered.write(ADC=6 << 4 | 5, INTEGRATOR1=2 << 8, INTEGRATOR2=0, SAMPLE_ADDRESS=SAMPLE_ADDRESS)
    powered.do(
        set_supply(supply("Iref_integ").index, 20),
        set_supply(supply("Iref_integ2").index, 30),
        set_supply(supply("VBL27").index, 110),
        set_supply(supply("V25").index, 97),
    )
    block = powered.start(Operation.INFERENCE)
    rails = Rails(bl27_mv=supply("VBL27").value(110), v25_mv=supply("V25").value(97))
    converters = Converters(
        bits1=6,
        bits2=7,
        integration1_ns=150,
        integration2_ns=50,
        iref1_ua=supply("Iref_integ").value(20),
        iref2_ua=supply("Iref_integ2").value(30),
    )
    outputs = twin.infer(SAMPLES[:1], rails=rails, converters=converters).outputs
    assert unpack_outputs(block).tolist() == outputs[0].tolist()


def test_samples_lie_a_stride_apart(powered: "Bench", twin: Chip) -> None:
    powered.do(write_memory(0x500 + 200, SAMPLES[3].tobytes()))
    powered.write(SAMPLE_ADDRESS=0x500, SAMPLE_STRIDE=100, INFERENCE_RANGE=2 << 16 | 2)
    block = powered.start(Operation.INFERENCE)
    outputs = twin.infer(SAMPLES[3:4], rails=Rails(), converters=Converters()).outputs
    assert unpack_outputs(block).tolist() == outputs[0].tolist()


def test_bp_learns_one_sample_with_kinds_and_counts_of_its_registers(
    powered: "Bench", twin: Chip
) -> None:
    load(powered)
    targets = [-70, 90, 0, 0, 200, -5, 0, 0, 300, 31]
    powered.do(write_registers(0x40, [target & 0x1FFFF for target in targets]))
    powered.write(
        TRAINING_INDEX=2,
        BP_ARRAY1=register("BP_ARRAY1").pack(upper_pulses=2, lower_pulses=1, upper_kind=1),
        BP_ARRAY2=register("BP_ARRAY2").pack(left_pulses=3, right_pulses=1, left_kind=1),
        TH=5,
        TH1=1500,
        C1=7,
        C2=2,
        ACTIVATION=0,
    )
    block = powered.start(Operation.BP)
    step = TuningStep(
        ArrayTuning(PulseKind.RESET, PulseKind.SET, plus_count=2, minus_count=1),
        ArrayTuning(PulseKind.SET, PulseKind.RESET, plus_count=1, minus_count=3),
    )
    training = twin.train(
        SAMPLES[2:3],
        np.array([targets], np.int32),
        rails=Rails(),
        converters=Converters(),
        learning=Learning(5, 1.5, c1=7, c1_relative=False, c2=2, activation=Activation.NONE),
        tuning=Tuning.at(Rails(), Schedule.single(step)),
    )
    assert unpack_outputs(block).tolist() == training.outputs[0].tolist()
    assert powered.counter("ARRAY1_SET_PULSES") > 0
    assert powered.counter("ARRAY2_RESET_PULSES") > 0
    assert_same_cells(powered, twin)


def test_writing_the_start_bit_runs_the_operation_of_its_register(powered: "Bench") -> None:
    powered.select(1, 0, 0b1)
    powered.write(OPERATION=Operation.SET)
    powered.do(write_registers(0x3C, [8]))
    assert powered.board.lifetime_pulses == 2
    powered.do(write_registers(0x3C, [0]))
    assert powered.read("START") == 0
    assert powered.board.lifetime_pulses == 2


def test_one_block_may_name_the_operation_and_start_it(powered: "Bench") -> None:
    powered.select(2, 0, 0b1)
    powered.do(write_registers(0x38, [Operation.RESET, 8]))
    assert powered.counter("ARRAY2_RESET_PULSES") == 1


def test_a_block_whose_start_is_refused_leaves_all_its_registers(bench: "Bench") -> None:
    status, message = bench.refusal(write_registers(0x34, [1, Operation.SET, 8, 5]))
    assert (status, message) == (Status.NOT_READY, "supply VWLform is off")
    assert [bench.read(n) for n in ("INTEGRATOR2", "OPERATION", "START", "TARGET0")] == [
        0x0071011F,
        0x00200000,
        0,
        0,
    ]


@pytest.mark.parametrize("word", [0, 1, Operation.SET | Operation.RESET, 1 << 23, 0x00200001])
def test_start_takes_exactly_one_known_operation(powered: "Bench", word: int) -> None:
    status, message = powered.refusal(start(word))
    assert status is Status.BAD_REQUEST
    assert message.startswith(f"operation 0x{word:08X} must be one bit of FORM, SET, RESET, BP, ")


@pytest.mark.parametrize(
    ("words", "operation", "message"),
    [
        ({"MODE": 1, "ROW": 196 << 2}, Operation.SET, "array 1: row 980 is above the 783 limit"),
        ({"MODE": 0, "ROW": 100}, Operation.READ, "array 2: row 100 is above the 99 limit"),
        (
            {"MODE": 0, "ROW": 0, "COLUMNS1": 1},
            Operation.FORM,
            "array 2: column 32 is above the 19 limit",
        ),
        (
            {"INFERENCE_RANGE": 3},
            Operation.INFERENCE,
            "last sample of INFERENCE_RANGE 0 is below the 3 limit",
        ),
        (
            {"SAMPLE_ADDRESS": 0x07FFFFFF},
            Operation.INFERENCE,
            "memory end address 134217825 is above the 134217728 limit",
        ),
        (
            {"SAMPLE_STRIDE": 0xFFFFFFFF, "TRAINING_INDEX": 1},
            Operation.BP,
            "memory end address 4311744609 is above the 134217728 limit",
        ),
        (
            {"BP_ARRAY1": 2 << 16},
            Operation.BP,
            "BP_ARRAY1 upper_kind 2 is above the 1 limit",
        ),
        (
            {"BP_ARRAY2": 15 << 16},
            Operation.BP,
            "BP_ARRAY2 left_kind 15 is above the 1 limit",
        ),
        ({"ACTIVATION_SCALE": 0}, Operation.BP, "ACTIVATION_SCALE 0 is below the 1 limit"),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_anything_moves(
    powered: "Bench", words: dict[str, int], operation: Operation, message: str
) -> None:
    counters = powered.board.chip.counters
    powered.write(**words)
    assert powered.refusal(start(operation)) == (Status.RANGE, message)
    assert powered.board.chip.counters == counters


def test_an_aborted_operation_says_so_and_ends_the_command(powered: "Bench") -> None:
    powered.select(1, 0, 1)
    results = powered.board.execute(
        [start(Operation.SET), start(Operation.SET)], aborted=lambda: True
    )
    assert [(r.status, r.message) for r in results] == [
        (Status.ABORTED, "SET stopped after 0 of 1 rows")
    ]
    assert powered.board.lifetime_pulses == 0


def test_start_carries_one_word(powered: "Bench") -> None:
    assert powered.refusal(Transaction(Opcode.START, 0, b"\0\4")) == (
        Status.BAD_REQUEST,
        "START with 2 bytes of data, expected 4",
    )
