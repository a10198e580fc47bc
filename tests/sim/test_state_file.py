"""A chip that outlives its process: and processes that are killed."""

import multiprocessing
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.sim.conftest import Bench

from starlab_sim import Board, Specimen
from starlab_sim.chip import Chip, Converters, Learning, PulseKind, Rails, Schedule, Tuning, warm_up
from starlab_sim.errors import StateUnusable
from starlab_sim.keeping.state_file import StateFile
from starlab_spec.operations import Operation
from starlab_spec.wire.transactions import Status, emulator, read_memory, start

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from numpy.typing import NDArray

RAILS, READING = Rails(), Converters()
SET = RAILS.pulse(PulseKind.SET, 300)


@contextmanager
def kept(path: Path) -> Iterator[StateFile]:
    """The state in a file, as a process has it that ends with the block."""
    state = StateFile(path)
    try:
        yield state
    finally:
        state.close()


def mask_of(rows: int, seed: int = 0) -> "NDArray[np.bool_]":
    return np.random.default_rng(seed).random((2, rows, 100)) < 0.5


def everything(chip: Chip) -> list[Any]:
    """All that can be seen of a chip."""
    cells = [f(array).tolist() for f in (chip.conductance_uS, chip.pulses) for array in (1, 2)]
    return [chip.counters, *cells]


def train(chip: Chip, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    chip.train(
        rng.integers(0, 256, (20, 98), np.uint8),
        rng.integers(-50, 50, (20, 10), np.int32),
        rails=RAILS,
        converters=READING,
        learning=Learning(threshold=1, hidden_threshold_uS=0.1),
        tuning=Tuning.at(RAILS, Schedule.non_cyclic()),
    )


WORK: dict[str, Callable[[Chip], object]] = {
    "pulse": lambda chip: chip.pulse(1, PulseKind.SET, mask_of(3), SET, count=2, first_row=7),
    "form": lambda chip: chip.pulse(2, PulseKind.FORM, mask_of(10)[:, :, :10], SET),
    "train": train,
    "overwrite": lambda chip: chip.set_conductance_uS(2, np.full((2, 100, 10), 9.0)),
    "another chip": lambda chip: Chip(seed=9, store=chip._store),
}


def test_a_chip_is_found_as_it_was_left(tmp_path: Path) -> None:
    with kept(tmp_path / "chip") as state:
        chip = Chip(seed=3, formed=True, store=state)
        for work in ("pulse", "train", "overwrite"):
            WORK[work](chip)
        left = everything(chip)
    with kept(tmp_path / "chip") as state:
        assert everything(Chip(seed=3, formed=True, store=state, life=1)) == left


def test_a_chip_in_a_file_does_what_one_in_memory_does(tmp_path: Path) -> None:
    with kept(tmp_path / "chip") as state:
        chip, plain = Chip(seed=3, device="measured", store=state), Chip(seed=3, device="measured")
        for work in ("pulse", "form", "train"):
            WORK[work](chip)
            WORK[work](plain)
        assert everything(chip) == everything(plain)


def test_each_life_has_noise_of_its_own(tmp_path: Path) -> None:
    def after_pulses(life: int) -> "NDArray[np.float32]":
        shutil.copyfile(tmp_path / "fresh", tmp_path / "chip")
        with kept(tmp_path / "chip") as state:
            chip = Chip(seed=3, formed=True, device="measured", store=state, life=life)
            chip.pulse(1, PulseKind.SET, mask_of(3), SET)
            return chip.conductance_uS(1)

    with kept(tmp_path / "fresh") as state:
        Chip(seed=3, formed=True, device="measured", store=state)
    assert not np.array_equal(after_pulses(1), after_pulses(2))
    assert np.array_equal(after_pulses(2), after_pulses(2))


@pytest.mark.parametrize("work", WORK)
def test_a_chunk_that_did_not_end_has_not_begun(
    tmp_path: Path, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kept(tmp_path / "chip") as state:
        chip = Chip(seed=3, formed=True, store=state)
        WORK["pulse"](chip)
        left = everything(chip)
        monkeypatch.setattr(state, "commit", lambda meter: None)
        WORK[work](chip)
        assert everything(chip) != left or work == "another chip"
    with kept(tmp_path / "chip") as state:
        assert everything(Chip(seed=3, formed=True, store=state, life=1)) == left
        WORK[work](Chip(seed=3, formed=True, store=state, life=1))


def test_undoing_may_be_interrupted_too(tmp_path: Path) -> None:
    with kept(tmp_path / "chip") as state:
        chip = Chip(seed=3, formed=True, store=state)
        left = everything(chip)
        state.begin({1: slice(5, 9)})
        state.content["array1"]["conductance_uS"][:, 5:9] = 1.0
    halfway = tmp_path / "halfway"
    shutil.copyfile(tmp_path / "chip", halfway)
    with kept(tmp_path / "chip"):
        pass
    repaired, broken = (tmp_path / "chip").read_bytes(), bytearray(halfway.read_bytes())
    different = [i for i, (a, b) in enumerate(zip(repaired, broken, strict=True)) if a != b]
    for index in different[len(different) // 2 :]:
        broken[index] = repaired[index]
    halfway.write_bytes(broken)
    with kept(halfway) as state:
        assert everything(Chip(seed=3, formed=True, store=state, life=1)) == left


def test_a_file_in_use_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chip"
    with kept(path), pytest.raises(StateUnusable) as caught:
        StateFile(path)
    assert str(caught.value) == f"{path} is in use by another emulator"
    with kept(path):
        pass


@pytest.mark.parametrize("content", [b"something else", bytes(16), b"STLRCHIP" + bytes(8)])
def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(StateUnusable) as caught:
        StateFile(path)
    assert str(caught.value) == f"{path} is no state of an emulated board, or of another version"
    assert path.read_bytes() == content


def test_a_file_that_lost_its_end_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "chip"
    with kept(path) as state:
        state.label = b"a chip"
        Chip(seed=3, store=state)
    content = path.read_bytes()[:-1]
    path.write_bytes(content)
    with pytest.raises(StateUnusable, match="is no state of an emulated board"):
        StateFile(path)
    assert path.read_bytes() == content


def test_a_file_that_cannot_be_opened_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(StateUnusable, match="Is a directory"):
        StateFile(tmp_path)


# ---- a board


def bench_at(state: StateFile, specimen: Specimen) -> Bench:
    bench = Bench(specimen)
    bench.board = Board(specimen, serial="EMU-7", rng=random.Random(1), store=state)
    return bench


def test_a_board_goes_on_where_its_process_ended(tmp_path: Path) -> None:
    with kept(tmp_path / "chip") as state:
        first = bench_at(state, Specimen(seed=7, device="measured"))
        first.power_up()
        first.select(1, 3, 0b111)
        first.start(Operation.SET)
        first.do(emulator({"restart": True, "advance_s": 5}))
        cells = first.board.chip.conductance_uS(1)
        time_s = first.board.emulated_time_s
    with kept(tmp_path / "chip") as state:
        second = bench_at(state, Specimen(seed=8, virgin=True))
        board = second.board
        assert board.identity() | {"boot_id": 0} == {
            **first.board.identity(),
            "boot_id": 0,
            "boots": 3,
        }
        assert (board.serial, board.identity()["device_model"]) == ("EMU-7", "measured")
        assert board.lifetime_pulses == 6
        assert board.emulated_time_s == time_s > 5
        assert np.array_equal(board.chip.conductance_uS(1), cells)
        refused = (Status.NOT_READY, "supply VWLform is off")
        assert second.refusal(start(Operation.SET)) == refused


def test_another_chip_is_kept_with_the_lifetime_of_its_board(tmp_path: Path) -> None:
    with kept(tmp_path / "chip") as state:
        bench = bench_at(state, Specimen(seed=7))
        bench.power_up()
        bench.select(1, 3, 0b111)
        bench.start(Operation.SET)
        bench.do(emulator({"seed": 9}))
        bench.start(Operation.SET)
        cells = bench.board.chip.conductance_uS(1)
    with kept(tmp_path / "chip") as state:
        bench = bench_at(state, Specimen(seed=7))
        assert bench.board.lifetime_pulses == 12
        assert bench.counter("ARRAY1_SET_PULSES") == 6
        assert np.array_equal(bench.board.chip.conductance_uS(1), cells)


def test_pulses_of_each_cell_are_written_to_memory(powered: Bench) -> None:
    powered.select(1, 3, 0b101, upper=False)
    powered.write(NUMBER1=6)
    powered.start(Operation.SET)
    powered.start(Operation.FORM)
    powered.do(emulator({"pulse_counts": {"array": 1, "address": 0x1000}}))
    (result,) = powered.do(read_memory(0x1000, 4 * 2 * 784 * 100))
    counts = np.frombuffer(result.data, ">u4").reshape(2, 784, 100)
    assert np.argwhere(counts).tolist() == [[1, 3, 0], [1, 3, 2]]
    assert set(counts[counts > 0].tolist()) == {8}
    assert counts.sum() == powered.board.lifetime_pulses
    powered.do(emulator({"pulse_counts": {"array": 2, "address": 0x1000}}))
    assert not any(powered.do(read_memory(0x1000, 4 * 2 * 100 * 10))[0].data)


def test_which_cells_are_formed_is_written_to_memory(powered: Bench) -> None:
    powered.do(emulator({"virgin": True}))
    powered.select(1, 3, 0b101, upper=False)
    powered.write(NUMBER1=6)
    powered.start(Operation.FORM)
    powered.do(emulator({"formed": {"array": 1, "address": 0x1000}}))
    (result,) = powered.do(read_memory(0x1000, 2 * 784 * 100))
    formed = np.frombuffer(result.data, np.uint8).reshape(2, 784, 100)
    assert np.argwhere(formed).tolist() == [[1, 3, 0], [1, 3, 2]]
    assert formed.max() == 1
    (result, _) = powered.do(read_memory(0x1000 + 2 * 784 * 100, 4), read_memory(0, 4))
    assert not any(result.data), "not a byte more"


def test_pulses_of_learning_are_counted_cell_by_cell() -> None:
    chip = Chip(seed=3, formed=True, device="measured")
    train(chip)
    total = sum(int(chip.pulses(array).sum()) for array in (1, 2))
    assert total == chip.counters.pulses > 0


@pytest.mark.parametrize(
    ("wanted", "status", "message"),
    [
        (1, Status.BAD_REQUEST, "pulse_counts 1 is not an object with array and address"),
        ({"array": 1}, Status.BAD_REQUEST, "pulse_counts {'array': 1} is not an object with "),
        ({"array": 1, "address": "x"}, Status.BAD_REQUEST, "pulse_counts address 'x' is not an "),
        ({"array": 3, "address": 0}, Status.RANGE, "array 3 "),
        ({"array": 1, "address": 1 << 27}, Status.RANGE, "memory "),
        (
            {"array": 1, "address": 0, "a": 1},
            Status.BAD_REQUEST,
            "unknown key of pulse_counts 'a'; known: array, address",
        ),
    ],
)
@pytest.mark.parametrize("key", ["pulse_counts", "formed"])
def test_a_wish_for_what_is_known_of_cells_that_is_none_does_nothing(
    bench: Bench, key: str, wanted: object, status: Status, message: str
) -> None:
    boot_id = bench.board.boot_id
    message = message.replace("pulse_counts", key)
    found, said = bench.refusal(emulator({key: wanted, "restart": True}))
    assert (found, said[: len(message)]) == (status, message)
    assert bench.board.boot_id == boot_id


# ---- a process that is killed


def pulse_for_ever(path: Path, begun: "Connection") -> None:
    """What the process does that is to be killed: SET pulses of all sorts."""
    with kept(path) as state:
        chip = Chip(seed=3, formed=True, device="linear", store=state, life=1)
        for seed in count():
            if seed == 1:  # the kernels are loaded
                begun.send("begun")
            chip.pulse(1, PulseKind.SET, mask_of(784, seed), SET)
            chip.pulse(1, PulseKind.SET, mask_of(1, seed), SET, first_row=seed % 784)
            chip.pulse(2, PulseKind.SET, mask_of(100, seed)[:, :, :10], SET)


def test_a_process_killed_at_any_moment_leaves_whole_chunks(tmp_path: Path) -> None:
    path, rng, undone = tmp_path / "chip", random.Random(1), 0
    processes = multiprocessing.get_context("fork")
    with kept(path) as state:
        Chip(seed=3, formed=True, device="linear", store=state)
    warm_up()
    for _ in range(20):
        begun, telling = processes.Pipe(duplex=False)
        process = processes.Process(target=pulse_for_ever, args=(path, telling))
        process.start()
        begun.recv()
        time.sleep(rng.uniform(0, 0.005))
        process.kill()
        process.join()
        process.close()
        head = np.frombuffer(path.read_bytes()[16:32], "<u8")
        undone += bool(head[0] != head[1])
        with kept(path) as state:
            chip = Chip(seed=3, formed=True, device="linear", store=state, life=1)
            twin = Chip(seed=3, formed=True, device="linear")
            for array in (1, 2):
                pulses = chip.pulses(array)
                for done in range(int(pulses.max())):
                    twin.pulse(array, PulseKind.SET, pulses > done, SET)
                assert np.array_equal(chip.conductance_uS(array), twin.conductance_uS(array))
            assert chip.counters.set_pulses == twin.counters.set_pulses
    assert undone


def test_a_label_is_kept_with_the_chunk_that_it_belongs_to(tmp_path: Path) -> None:
    """A process that is killed while it commits leaves the label of the chunk before."""
    path = tmp_path / "chip"
    with kept(path) as state:
        chip = Chip(seed=1, formed=True, store=state)
        state.label = b"first"
        chip.save()
        state.begin({})
        state.label = b"second"

        class Cut:
            """A meter with which the power goes."""

            def save(self, content: "NDArray[np.void]") -> None:
                content["read_operations"] += 7
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            state.commit(Cut())  # type: ignore[arg-type]
    with kept(path) as state:
        assert state.label == b"first"
        assert state.content["meter"]["read_operations"] == 0
        state.begin({})
        state.label = b"third"
        state.commit(chip._meter)
    with kept(path) as state:
        assert state.label == b"third"
