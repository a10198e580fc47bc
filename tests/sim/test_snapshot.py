"""A board goes on from its snapshot as if it had never been interrupted."""

import gc
import json
import multiprocessing
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sim.conftest import Bench
from tests.sim.snapshots import (
    AT,
    NOISY,
    ask,
    everything,
    learner,
    load,
    restore,
    restored,
    snapshot_of,
    train,
)

from starlab_sim import Board, Specimen
from starlab_sim.chip import CHIP, Chip, generators
from starlab_sim.effects import ALL, Effects, Retention, Wires
from starlab_sim.firmware.snapshot import Restorable
from starlab_sim.keeping.state_file import StateFile
from starlab_spec.operations import Operation
from starlab_spec.safe_area import SafeArea
from starlab_spec.snapshot import unpack
from starlab_spec.wire.transactions import (
    Status,
    emulator,
    get_supply,
    read_memory,
    set_supply,
    start,
    supply_reading,
    write_memory,
    write_registers,
)


def _trained_in_another_process(path: Path, answer: Path) -> None:
    bench = restored(path.read_bytes())
    load(bench)
    answer.write_bytes(train(bench, 500, 500) + snapshot_of(bench)[: 8 * 2**20])


@pytest.mark.timeout(300)  # the first one to use all effects compiles all kernels
@pytest.mark.parametrize(
    "specimen",
    [
        Specimen(seed=1, effects=NOISY),
        Specimen(seed=2, device="measured"),
        Specimen(seed=3, effects=ALL),
        Specimen(seed=4, effects=Effects(wires=Wires())),
        Specimen(seed=5, effects=Effects(retention=Retention())),
    ],
    ids=["cycle noise", "measured", "all effects", "wires", "retention"],
)
def test_training_goes_on_as_if_it_had_never_been_interrupted(specimen: Specimen) -> None:
    bench = learner(specimen)
    train(bench, 0, 500)
    data = snapshot_of(bench)
    uninterrupted = train(bench, 500, 500)
    other = restored(data)
    load(other)
    assert train(other, 500, 500) == uninterrupted
    assert everything(other) == everything(bench)


def test_training_goes_on_in_another_process(tmp_path: Path) -> None:
    bench = learner(Specimen(seed=1, effects=NOISY))
    train(bench, 0, 500)
    (tmp_path / "one").write_bytes(snapshot_of(bench))
    uninterrupted = train(bench, 500, 500)
    process = multiprocessing.get_context("spawn").Process(
        target=_trained_in_another_process, args=(tmp_path / "one", tmp_path / "answer")
    )
    process.start()
    process.join()
    answer = (tmp_path / "answer").read_bytes()
    assert answer[: len(uninterrupted)] == uninterrupted
    found, left = unpack(answer[len(uninterrupted) :]), unpack(snapshot_of(bench))
    assert found.header["noise"] == left.header["noise"]
    for name in ("array1.conductance_uS", "array2.conductance_uS", "array1.pulses"):
        assert np.array_equal(found.arrays[name], left.arrays[name])


def test_a_snapshot_holds_every_field_of_the_store_and_every_source_of_noise() -> None:
    bench = Bench(Specimen(seed=1, effects=ALL))
    file = unpack(snapshot_of(bench))

    def leaves(dtype: np.dtype[Any], prefix: str = "") -> set[str]:
        found = set()
        for name in dtype.names or ():
            inner = dtype[name]
            found |= leaves(inner, f"{prefix}{name}.") if inner.names else {f"{prefix}{name}"}
        return found

    wires = {f"wires.array{n}.{part}" for n in (1, 2) for part in ("gain", "steps_left")}
    assert file.arrays.keys() == leaves(CHIP) | {"registers"} | wires
    # whatever the chip reaches that draws numbers
    reached, todo = [], [bench.board.chip]
    seen: set[int] = set()
    while todo:
        thing: Any = todo.pop()
        if id(thing) in seen or isinstance(thing, type | np.ndarray):
            continue
        seen.add(id(thing))
        if isinstance(thing, np.random.Generator):
            reached.append(thing)
        elif hasattr(thing, "__dict__") and type(thing).__module__.startswith("starlab_sim"):
            todo += vars(thing).values()
        elif isinstance(thing, dict | list | tuple):
            todo += gc.get_referents(thing)
    assert {id(one) for one in reached} == {id(g) for g in generators(bench.board.chip).values()}
    assert file.header["noise"].keys() == generators(bench.board.chip).keys()


def test_supplies_registers_and_effects_come_back_and_the_session_stays(powered: Bench) -> None:
    powered.do(set_supply(6, 90), write_registers(0x140, [77]))
    ask(powered, effects={"cycle_noise": {"step_uS": 0.2}})
    ask(powered, advance_s=3.5)
    data, boot_id = snapshot_of(powered), powered.board.boot_id
    left = everything(powered)
    ask(powered, effects="none", device_model="linear", advance_s=10)
    powered.write(TH=5)
    powered.board.enter_safe("the host is gone")
    assert restore(powered, data) == {
        "emulated_time_s": pytest.approx(3.5),
        "restored": {"serial": "EMU-1"},
    }
    assert everything(powered) == left
    assert powered.board.boot_id == powered.read("BOOT_ID") == boot_id
    assert powered.board.identity()["effects"] == ["cycle_noise"]
    assert not powered.board.is_safe


def test_lifetime_pulses_never_fall_and_a_fresh_board_takes_those_of_the_snapshot(
    powered: Bench,
) -> None:
    data = snapshot_of(powered)
    powered.select(1, 3, 0b101)
    powered.start(Operation.SET)
    lifetime = powered.board.lifetime_pulses
    restore(powered, data)
    assert powered.board.lifetime_pulses == lifetime == 4
    assert powered.counter("ARRAY1_SET_PULSES") == 0
    powered.select(1, 3, 0b101)
    powered.start(Operation.SET)
    assert powered.board.lifetime_pulses == lifetime + 4
    assert restored(snapshot_of(powered)).board.lifetime_pulses == lifetime + 4


def test_memory_is_left_alone_unless_it_was_taken_along(powered: Bench) -> None:
    powered.do(write_memory(0x123, b"before"))
    without, with_it = snapshot_of(powered), snapshot_of(powered, memory=True)
    powered.do(write_memory(0x123, b"after!"), write_memory(0x700_0000, b"new"))
    restore(powered, without)
    assert powered.do(read_memory(0x123, 6))[0].data == b"after!"
    restore(powered, with_it)
    assert powered.do(read_memory(0x123, 6))[0].data == b"before"
    assert powered.do(read_memory(0x700_0000, 3))[0].data == bytes(3)
    # where the snapshot itself is written to, nothing is taken: it would grow from one to the next
    assert powered.do(read_memory(AT, 8))[0].data == bytes(8)


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    device=st.sampled_from(["linear", "nonlinear-5", "measured"]),
    virgin=st.booleans(),
    effects=st.sampled_from([Effects(), NOISY, ALL]),
    codes=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=4),
    words=st.dictionaries(
        st.sampled_from(["TH", "PHASE", "BATCH_COUNT", "PERIOD1"]), st.integers(0, 1)
    ),
    advance_s=st.floats(0, 1e6),
)
def test_what_is_restored_is_what_was_taken(
    seed: int,
    device: str,
    virgin: bool,
    effects: Effects,
    codes: list[tuple[int, int]],
    words: dict[str, int],
    advance_s: float,
) -> None:
    bench = Bench(Specimen(seed=seed, device=device, virgin=virgin, effects=effects))
    for index, code in codes:
        bench.board.execute([set_supply(index, code)])  # beyond the safe limits it is refused
    bench.write(**words)
    ask(bench, advance_s=advance_s)
    assert everything(restored(snapshot_of(bench))) == everything(bench)


def test_a_latched_fault_is_not_cleared_by_restoring(powered: Bench) -> None:
    data = snapshot_of(powered)
    powered.do(write_memory(AT, data), emulator({"faults": ["emergency_stop"]}))
    request = emulator({"restore": {"address": AT, "bytes": len(data)}})
    assert powered.refusal(request) == (Status.HARDWARE_FAULT, "latched: emergency_stop")
    assert powered.board.is_safe


def test_a_board_with_wider_limits_is_restored_within_them() -> None:
    area = SafeArea.of({"supplies": {"VBLset": {"high": 2700}}})
    wide = Bench(Specimen(seed=3))
    wide.board = Board(Specimen(seed=3), serial="EMU-3", rng=random.Random(3), area=area)
    wide.power_up()
    wide.do(set_supply(6, 103))
    data = snapshot_of(wide)
    wide.do(set_supply(6, 80))
    restore(wide, data)
    assert supply_reading(wide.do(get_supply(6))[0]).code == 103


def test_a_restored_chip_is_watched_from_its_restoration_on(powered: Bench) -> None:
    powered.select(1, 0, 1)
    most = [start(Operation.SET)] * 400
    powered.write(NUMBER1=255)
    data = snapshot_of(powered)
    while powered.board.execute(most)[-1].status == Status.OK:
        pass
    refused = powered.refusal(start(Operation.SET))
    assert refused[0] == Status.INTERLOCK
    restore(powered, data)
    assert powered.board.execute(most[:390])[-1].status == Status.OK
    assert powered.refusal(start(Operation.SET)) == refused


def test_a_chip_in_a_file_is_the_restored_one_from_then_on(tmp_path: Path) -> None:
    trained = learner(Specimen(seed=1, effects=NOISY))
    train(trained, 0, 100)
    data = snapshot_of(trained)
    state = StateFile(tmp_path / "chip")
    holding = Restorable.read(data).holding
    chip = Chip(seed=7, store=state)
    assert not np.array_equal(chip.conductance_uS(1), trained.board.chip.conductance_uS(1))
    board = Board(Specimen(seed=7), serial="EMU-7", rng=random.Random(1), store=state)
    board.restore(Restorable.read(data))
    state.close()
    state = StateFile(tmp_path / "chip")
    board = Board(Specimen(seed=8), serial="EMU-8", rng=random.Random(2), store=state)
    assert board.serial == "EMU-7"
    assert board.identity()["boots"] == 2
    assert board.lifetime_pulses == trained.board.lifetime_pulses
    assert np.array_equal(board.chip.conductance_uS(1), trained.board.chip.conductance_uS(1))
    assert holding.specimen.effects == NOISY
    state.close()


def test_the_header_is_plain_json_that_says_whose_snapshot_it_is(powered: Bench) -> None:
    data = snapshot_of(powered)
    length = int.from_bytes(data[12:16], "little")
    header = json.loads(data[16 : 16 + length])
    assert header["serial"] == "EMU-1"
    assert header["device_model"] == "nonlinear-3"
    assert header["boot_id"] == powered.board.boot_id
    assert header["memory"] is False
    assert header["arrays"][0] == {"name": "meter.pulses", "dtype": "<i8", "shape": [2, 3]}
