"""Extension operations: batches and whole arrays, against a twin chip that is driven directly."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from starlab_sim import Specimen
from starlab_sim.chip import (
    Chip,
    Converters,
    Learning,
    PulseKind,
    Rails,
    Schedule,
    Training,
    Tuning,
)
from starlab_sim.firmware import batches
from starlab_spec.operations import (
    INFERENCE_RECORD,
    TRAINING_RECORD,
    Activation,
    Operation,
    pack_mask,
    with_hidden,
)
from starlab_spec.samples import pack_samples
from starlab_spec.wire.transactions import (
    Status,
    read_memory,
    start,
    write_memory,
    write_registers,
)

if TYPE_CHECKING:
    from tests.sim.conftest import Bench

COUNT = 12
RNG = np.random.default_rng(7)
SAMPLES = pack_samples(RNG.integers(0, 2, (COUNT, 784)))
LABELS = RNG.integers(0, 10, COUNT).astype(np.uint8)
SAMPLE_ADDRESS = 0x0100_0000
TARGET_ADDRESS = 0x20_0000
RESULT_ADDRESS = 0x40_0000


@pytest.fixture
def twin() -> Chip:
    """The same chip as on the bench, without a board."""
    return Specimen(seed=1).make()


@pytest.fixture
def loaded(powered: "Bench") -> "Bench":
    """Samples and labels in memory, a batch of all of them, small thresholds."""
    powered.do(
        write_memory(SAMPLE_ADDRESS, SAMPLES.tobytes()),
        write_memory(TARGET_ADDRESS, LABELS.tobytes()),
    )
    powered.write(
        BATCH_COUNT=COUNT,
        TARGET_ADDRESS=TARGET_ADDRESS,
        RESULT_ADDRESS=RESULT_ADDRESS,
        TH=5,
        TH1=1000,
        ACTIVATION=Activation.NONE,
    )
    return powered


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches go to memory in blocks of 5 samples."""
    monkeypatch.setattr(batches, "BLOCK_SAMPLES", 5)


def learn(
    twin: Chip, targets: np.ndarray, samples: np.ndarray = SAMPLES, **changes: Any
) -> Training:
    """What the loaded bench should do."""
    schedule = changes.pop("schedule", Schedule.cyclic())
    tuning = Tuning.at(Rails(), schedule)
    return twin.train(
        samples,
        targets,
        rails=Rails(),
        converters=Converters(),
        learning=Learning(5, 1.0, activation=Activation.NONE),
        tuning=tuning,
        **changes,
    )


def targets_of(labels: np.ndarray, on: int = 100, off: int = -40) -> np.ndarray:
    targets = np.full((len(labels), 10), off, np.int32)
    for row, label in zip(targets, labels, strict=True):
        row[label] = on
    return targets


def records(bench: "Bench", dtype: np.dtype[np.void], count: int = COUNT) -> np.ndarray:
    (result,) = bench.do(read_memory(RESULT_ADDRESS, count * dtype.itemsize))
    return np.frombuffer(result.data, dtype)


def assert_learned(bench: "Bench", training: Training, twin: Chip) -> None:
    found = records(bench, TRAINING_RECORD, len(training.outputs))
    assert np.array_equal(found["outputs"], training.outputs)
    assert np.array_equal(found["pulses"][:, 0], training.pulses1)
    assert np.array_equal(found["pulses"][:, 1], training.pulses2)
    for array in (1, 2):
        assert np.array_equal(bench.board.chip.conductance_uS(array), twin.conductance_uS(array))
    assert bench.board.lifetime_pulses == twin.counters.pulses > 0


def done_and_pulses(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:4], "big"), int.from_bytes(data[4:], "big")


@pytest.mark.usefixtures("small_blocks")
def test_batch_training_learns_all_samples_in_order(loaded: "Bench", twin: Chip) -> None:
    found = done_and_pulses(loaded.start(Operation.BATCH_TRAINING))
    training = learn(twin, targets_of(LABELS))
    assert found == (COUNT, twin.counters.pulses)
    assert_learned(loaded, training, twin)
    assert loaded.read("BATCH_DONE") == COUNT
    assert loaded.counter("TRAINING_OPERATIONS") == COUNT


def test_the_phase_goes_on_from_batch_to_batch(loaded: "Bench", twin: Chip) -> None:
    loaded.write(BATCH_COUNT=5)
    loaded.start(Operation.BATCH_TRAINING)
    assert loaded.read("PHASE") == 1
    loaded.write(BATCH_FIRST=5, BATCH_COUNT=7)
    loaded.start(Operation.BATCH_TRAINING)
    assert loaded.read("PHASE") == 0
    training = learn(twin, targets_of(LABELS))
    found = records(loaded, TRAINING_RECORD, 7)
    assert np.array_equal(found["outputs"], training.outputs[5:])
    assert np.array_equal(loaded.board.chip.conductance_uS(1), twin.conductance_uS(1))


@pytest.mark.parametrize("scheme", ["cyclic", "non_cyclic"])
@pytest.mark.parametrize(("layers", "counts"), [(1, (2, 0)), (2, (0, 3)), (3, (2, 3))])
def test_scheme_layers_and_pulses_of_an_update_come_from_the_registers(
    loaded: "Bench", twin: Chip, scheme: str, layers: int, counts: tuple[int, int]
) -> None:
    loaded.write(SCHEME=scheme == "non_cyclic", LAYERS=layers, UPDATE_PULSES=3 << 8 | 2)
    loaded.start(Operation.BATCH_TRAINING)
    training = learn(twin, targets_of(LABELS), schedule=getattr(Schedule, scheme)(*counts))
    assert_learned(loaded, training, twin)
    assert loaded.read("PHASE") == 0


def test_the_non_cyclic_scheme_leaves_the_phase_alone(loaded: "Bench", twin: Chip) -> None:
    loaded.write(SCHEME=1, PHASE=1)
    loaded.start(Operation.BATCH_TRAINING)
    assert loaded.read("PHASE") == 1
    assert_learned(loaded, learn(twin, targets_of(LABELS), schedule=Schedule.non_cyclic()), twin)


def test_targets_of_labels_come_from_the_registers(loaded: "Bench", twin: Chip) -> None:
    loaded.write(TARGET_ON=200, TARGET_OFF=-30 & 0x1FFFF)
    loaded.start(Operation.BATCH_TRAINING)
    assert_learned(loaded, learn(twin, targets_of(LABELS, 200, -30)), twin)


def test_targets_may_be_ten_words_a_sample(loaded: "Bench", twin: Chip) -> None:
    targets = np.random.default_rng(3).integers(-300, 300, (COUNT, 10))
    loaded.do(write_memory(TARGET_ADDRESS + 1, targets.astype(">i4").tobytes()))
    loaded.write(TARGET_MODE=1, TARGET_ADDRESS=TARGET_ADDRESS + 1)
    loaded.start(Operation.BATCH_TRAINING)
    assert_learned(loaded, learn(twin, targets.astype(np.int32)), twin)


@pytest.mark.usefixtures("small_blocks")
def test_records_may_end_with_the_hidden_counts(loaded: "Bench", twin: Chip) -> None:
    loaded.write(RESULT_FORMAT=1)
    loaded.start(Operation.BATCH_INFERENCE)
    found = records(loaded, with_hidden(INFERENCE_RECORD))
    inference = twin.infer(SAMPLES, rails=Rails(), converters=Converters())
    assert np.array_equal(found["outputs"], inference.outputs)
    assert np.array_equal(found["hidden"], inference.hidden)
    loaded.start(Operation.BATCH_TRAINING)
    training = records(loaded, with_hidden(TRAINING_RECORD))
    assert np.array_equal(training["hidden"][0], inference.hidden[0])


@pytest.mark.usefixtures("small_blocks")
def test_batch_inference_changes_no_cell(loaded: "Bench", twin: Chip) -> None:
    loaded.write(BATCH_FIRST=2, BATCH_COUNT=9)
    assert done_and_pulses(loaded.start(Operation.BATCH_INFERENCE)) == (9, 0)
    inference = twin.infer(SAMPLES[2:11], rails=Rails(), converters=Converters())
    assert np.array_equal(records(loaded, INFERENCE_RECORD, 9)["outputs"], inference.outputs)
    assert np.array_equal(loaded.board.chip.conductance_uS(1), twin.conductance_uS(1))


def test_vmm2_multiplies_pulse_counts_with_array_2(loaded: "Bench", twin: Chip) -> None:
    counts = RNG.integers(0, 256, (COUNT, 100)).astype(np.uint8)
    loaded.do(write_memory(SAMPLE_ADDRESS, counts.tobytes()))
    loaded.write(SAMPLE_STRIDE=100)
    assert done_and_pulses(loaded.start(Operation.VMM2)) == (COUNT, 0)
    outputs = twin.vmm2(counts, rails=Rails(), converters=Converters())
    assert np.array_equal(records(loaded, INFERENCE_RECORD)["outputs"], outputs)


def test_an_empty_batch_does_nothing(loaded: "Bench") -> None:
    loaded.write(BATCH_COUNT=0)
    for operation in (Operation.BATCH_TRAINING, Operation.BATCH_INFERENCE, Operation.VMM2):
        assert done_and_pulses(loaded.start(operation)) == (0, 0)
    assert loaded.board.lifetime_pulses == 0


@pytest.mark.parametrize("array", [1, 2])
@pytest.mark.parametrize("kind", PulseKind, ids=lambda kind: kind.name)
def test_pulse_mask_pulses_the_cells_of_its_mask(
    virgin: "Bench", array: int, kind: PulseKind
) -> None:
    twin = Specimen(seed=1, virgin=True).make()
    mask = np.random.default_rng(5).random((2, 784, 100) if array == 1 else (2, 100, 10)) < 0.1
    width_ns, count = 450, 3
    virgin.do(write_memory(0x3001, pack_mask(mask)))
    virgin.write(
        MODE=array == 1,
        MASK_KIND=kind,
        MASK_ADDRESS=0x3001,
        **{f"PERIOD{array}": 0x080808, f"NUMBER{array}": 0x020202},
    )
    cells = int(mask.sum())
    assert done_and_pulses(virgin.start(Operation.PULSE_MASK)) == (cells, cells * count)
    twin.pulse(array, kind, mask, Rails().pulse(kind, width_ns), count=count)
    assert np.array_equal(virgin.board.chip.conductance_uS(array), twin.conductance_uS(array))
    assert virgin.counter(f"ARRAY{array}_{kind.name}_PULSES") == cells * count


@pytest.mark.parametrize("array", [1, 2])
def test_read_array_leaves_the_code_of_every_cell_in_memory(powered: "Bench", array: int) -> None:
    conductance_uS = powered.board.chip.conductance_uS(array)
    powered.write(MODE=array == 1, READ_ADDRESS=0x777)
    cells = conductance_uS.size
    assert done_and_pulses(powered.start(Operation.READ_ARRAY)) == (cells, 0)
    (result,) = powered.do(read_memory(0x777, cells))
    codes = np.frombuffer(result.data, np.uint8).reshape(conductance_uS.shape)
    assert np.abs(codes - 10 * conductance_uS).max() < 0.51


@pytest.mark.parametrize(
    ("words", "operation", "status", "message"),
    [
        (
            {"BATCH_COUNT": 0xFFFFFFFF},
            Operation.BATCH_INFERENCE,
            Status.RANGE,
            "memory end address 420923572126 is above the 134217728 limit",
        ),
        (
            {"BATCH_COUNT": 0xFFFFFFFF, "SAMPLE_STRIDE": 0},
            Operation.BATCH_INFERENCE,
            Status.RANGE,
            "memory end address 171802886104 is above the 134217728 limit",
        ),
        (
            {"RESULT_ADDRESS": SAMPLE_ADDRESS + 98},
            Operation.BATCH_TRAINING,
            Status.BAD_REQUEST,
            "result records at 0x1000062..0x10002A2 overlap the samples at 0x1000000",
        ),
        (
            {"RESULT_ADDRESS": TARGET_ADDRESS - 1},
            Operation.BATCH_TRAINING,
            Status.BAD_REQUEST,
            "result records at 0x1FFFFF..0x20023F overlap the labels at 0x200000",
        ),
        ({"LAYERS": 0}, Operation.BATCH_TRAINING, Status.RANGE, "LAYERS 0 is below the 1 limit"),
        (
            {"UPDATE_PULSES": 0x0001},
            Operation.BATCH_TRAINING,
            Status.RANGE,
            "UPDATE_PULSES array2 0 is below the 1 limit",
        ),
        ({"MASK_KIND": 3}, Operation.PULSE_MASK, Status.RANGE, "MASK_KIND 3 is above the 2 limit"),
        (
            {"MASK_ADDRESS": 0x07FFFFFF},
            Operation.PULSE_MASK,
            Status.RANGE,
            "memory end address 134217977 is above the 134217728 limit",
        ),
        (
            {"READ_ADDRESS": 0x07FFFFFF},
            Operation.READ_ARRAY,
            Status.RANGE,
            "memory end address 134219727 is above the 134217728 limit",
        ),
    ],
)
def test_a_batch_that_cannot_be_is_refused_before_anything_moves(
    loaded: "Bench", words: dict[str, int], operation: Operation, status: Status, message: str
) -> None:
    counters = loaded.board.chip.counters
    loaded.write(MODE=0, **words)
    assert loaded.refusal(start(operation)) == (status, message)
    assert loaded.board.chip.counters == counters


@pytest.mark.parametrize(
    ("mode", "bad", "message"),
    [
        (0, b"\x0a", "sample 9: label 10 is above the 9 limit"),
        (1, b"\x00\x01\x00\x00", "sample 0: target 65536 is above the 65535 limit"),
        (1, b"\xff\xfe\xff\xff", "sample 0: target -65537 is below the -65536 limit"),
    ],
)
def test_a_label_or_target_out_of_range_is_refused_by_sample(
    loaded: "Bench", mode: int, bad: bytes, message: str
) -> None:
    loaded.do(write_memory(TARGET_ADDRESS, bytes(40 * COUNT)))
    loaded.do(write_memory(TARGET_ADDRESS + (9 if mode == 0 else 36), bad))
    loaded.write(TARGET_MODE=mode)
    assert loaded.refusal(start(Operation.BATCH_TRAINING)) == (Status.RANGE, message)
    assert loaded.board.chip.counters.training_steps == 0


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("asked", [0, 1, 2])
def test_an_aborted_batch_leaves_what_was_done(loaded: "Bench", twin: Chip, asked: int) -> None:
    answers = iter([False] * asked + [True])
    refused = loaded.refusal(start(Operation.BATCH_TRAINING), aborted=lambda: next(answers))
    done = 5 * asked
    assert refused == (Status.ABORTED, f"BATCH_TRAINING stopped after {done} of 12 samples")
    assert loaded.read("BATCH_DONE") == done
    assert loaded.read("PHASE") == done % 2
    if done:
        assert_learned(loaded, learn(twin, targets_of(LABELS[:done]), SAMPLES[:done]), twin)
    assert records(loaded, TRAINING_RECORD)[done:].tobytes() == bytes(48 * (COUNT - done))


@pytest.mark.usefixtures("small_blocks")
def test_progress_counts_over_all_blocks(loaded: "Bench") -> None:
    told: list[tuple[int, int, str]] = []
    loaded.board.execute(
        [start(Operation.BATCH_TRAINING)], progress=lambda *report: told.append(report)
    )
    assert told == [(done, COUNT, "BATCH_TRAINING") for done in (5, 10, 12)]


def test_an_operation_that_is_not_aborted_reports_its_end(powered: "Bench") -> None:
    told: list[tuple[int, int, str]] = []
    powered.do(write_registers(0x2C, [1], mask=1))
    powered.board.execute([start(Operation.READ_ARRAY)], progress=lambda *r: told.append(r))
    assert told[-1] == (784, 784, "READ_ARRAY")
