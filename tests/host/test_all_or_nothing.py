"""What is refused changes nothing: not before the fault, and not in the same command."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from tests.host.bench import Bench, as_real

from starlab_host.chip.snapshots import restore_snapshot, take_snapshot
from starlab_host.errors import Aborted, BoardRefused, Compliance, NotFormed, NotReady
from starlab_sim import Specimen
from starlab_spec import SpecError
from starlab_spec.registers import register
from starlab_spec.snapshot import pack, unpack
from starlab_spec.supplies import supply
from starlab_spec.wire.transactions import Opcode, Result, Status, set_supply

SAMPLES = np.ones((3, 784), np.uint8)
LABELS = np.array([1, 2, 3])


def refusing(bench: Bench, opcode: Opcode, number: int, status: Status = Status.RANGE) -> None:
    """Let the board refuse the n-th transaction of a kind; those before it are done."""
    execute = bench.emulated.execute
    seen = 0

    def refuse(transactions: Any, **how: Any) -> list[Result]:
        nonlocal seen
        for index, one in enumerate(transactions):
            if one.opcode != opcode or how.get("dry_run"):
                continue
            seen += 1
            if seen == number:
                before = execute(transactions[:index], **how) if index else []
                return [*before, Result(opcode, status, one.address, b"it does not like it")]
        return execute(transactions, **how)

    bench.emulated.execute = refuse  # type: ignore[method-assign]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_settings_are_put_back_where_the_board_refuses_one(bench: Bench, number: int) -> None:
    before = bench.chip.settings()
    refusing(bench, Opcode.WRITE_REG, number)
    with pytest.raises(BoardRefused, match="does not like it"):
        bench.chip.change_settings(th=77, c1=0.5, adc_bits_2=4, scheme="non-cyclic")
    assert bench.chip.settings() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": np.array([1, 2])},
        {"labels": np.array([1, 2, 10])},
        {"labels": LABELS, "targets": np.zeros((3, 10))},
        {"inputs": SAMPLES * 2},
        {"layers": (3,)},
        {"settings": {"th": 5, "th1_uS": -1.0}},
        {"settings": {"th": 5, "update_pulses_1": 99}},
    ],
)
def test_a_lesson_that_is_refused_leaves_the_settings(bench: Bench, wrong: dict[str, Any]) -> None:
    before = bench.chip.settings()
    asked = {"inputs": SAMPLES, "labels": LABELS, "settings": {"th": 5, "c1": 0.5}, **wrong}
    with pytest.raises(SpecError):
        bench.chip.train_step(asked.pop("inputs"), **asked)
    assert bench.chip.settings() == before


def test_a_lesson_and_its_settings_are_one_command(bench: Bench) -> None:
    bench.chip.train_step(SAMPLES, labels=LABELS)
    sent = len(bench.session.commands)
    bench.chip.train_step(SAMPLES, labels=LABELS, settings={"th": 5, "scheme": "non-cyclic"})
    writing = [
        command
        for command in bench.session.commands[sent:]
        if any(one.opcode == Opcode.WRITE_REG for one in command)
    ]
    assert len(writing) == 1
    assert writing[0][0].address == register("TH").address
    assert (bench.chip.settings().th, bench.chip.settings().scheme) == (5, "non-cyclic")


def test_settings_are_put_back_where_the_board_does_not_learn(bench: Bench) -> None:
    bench.chip.train_step(SAMPLES, labels=LABELS)
    before = bench.chip.settings()
    bench.board.execute([set_supply(supply("VBLset").index, 0)])
    refusing(bench, Opcode.START, 1, Status.NOT_READY)
    with pytest.raises(NotReady):
        bench.chip.train_step(SAMPLES, labels=LABELS, settings={"th": 5, "target_on": 99})
    assert bench.chip.settings() == before


def test_a_virgin_chip_keeps_its_settings() -> None:
    bench = Bench(Specimen(seed=1, virgin=True))
    before = bench.chip.settings()
    with pytest.raises(NotFormed):
        bench.chip.train_step(SAMPLES, labels=LABELS, settings={"th": 5})
    assert bench.chip.settings() == before


@pytest.mark.parametrize(
    ("status", "error", "th"), [(Status.COMPLIANCE, Compliance, 5), (Status.ABORTED, Aborted, None)]
)
def test_settings_that_something_was_learned_with_stay(
    bench: Bench, status: Status, error: type[Exception], th: int | None
) -> None:
    before = bench.chip.settings().th
    refusing(bench, Opcode.START, 1, status)
    with pytest.raises(error):
        bench.chip.train_step(SAMPLES, labels=LABELS, settings={"th": 5})
    assert bench.chip.settings().th == (before if th is None else th)


def test_settings_stay_where_a_lesson_is_stopped_after_some_samples(bench: Bench) -> None:
    bench.chip.train_step(SAMPLES, labels=LABELS)  # so that the board tells of three samples
    refusing(bench, Opcode.START, 1, Status.ABORTED)
    with pytest.raises(Aborted, match="3 of 3 samples are done"):
        bench.chip.train_step(SAMPLES, labels=LABELS, settings={"th": 5})
    assert bench.chip.settings().th == 5


def test_settings_of_an_empty_lesson_are_set(bench: Bench) -> None:
    done = bench.chip.train_step(np.zeros((0, 784)), labels=np.zeros(0), settings={"th": 5})
    assert done.outputs.shape == (0, 10)
    assert bench.chip.settings().th == 5


# --- snapshots of what can only be read


def spoiled(data: bytes, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    file = unpack(data)
    header, arrays = dict(file.header), {name: array.copy() for name, array in file.arrays.items()}
    header["settings"], header["supplies"] = dict(header["settings"]), dict(header["supplies"])
    header.pop("arrays", None)
    change(header, arrays)
    return pack(header, arrays)


def _nan(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["array2.conductance_uS"][0, 3, 4] = np.nan


def _infinite(header: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays["array1.conductance_uS"][0, 3, 4] = np.inf


def _of_setting(name: str, value: object) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, arrays: header["settings"].update({name: value})


def _of_supply(name: str, code: object) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    return lambda header, arrays: header["supplies"].update({name: code})


@pytest.mark.parametrize(
    "change",
    [
        _nan,
        _infinite,
        _of_setting("set_width_1_ns", 75),
        _of_setting("set_width_1_ns", None),
        _of_setting("scheme", ["cyclic"]),
        _of_setting("adc_bits_9", 3),
        _of_setting("th", 1 << 70),
        _of_supply("VBLset", 255),
        _of_supply("VBLset", 256),
        _of_supply("VBLset", "100"),
        _of_supply("VBLset", True),
        _of_supply("nothing", 3),
    ],
)
def test_a_snapshot_of_wrong_values_changes_nothing(
    change: Callable[[dict[str, Any], dict[str, Any]], None],
) -> None:
    bench = as_real(Bench(Specimen(seed=1)))
    data = spoiled(take_snapshot(bench.board, bench.chip), change)
    bench.chip.change_settings(th=5)
    before = asdict(bench.chip.settings()), bench.board.supplies(), bench.pulses
    with pytest.raises(SpecError):
        restore_snapshot(bench.board, bench.chip, data)
    assert (asdict(bench.chip.settings()), bench.board.supplies(), bench.pulses) == before


@pytest.mark.parametrize("how", [{"tolerance_uS": 1e9}, {"tolerance_uS": 0.01}, {"max_pulses": 0}])
def test_a_restore_that_asks_too_much_changes_nothing(how: dict[str, Any]) -> None:
    bench = as_real(Bench(Specimen(seed=1)))
    data = take_snapshot(bench.board, bench.chip)
    bench.chip.change_settings(th=5)
    with pytest.raises(SpecError):
        restore_snapshot(bench.board, bench.chip, data, **how)
    assert bench.chip.settings().th == 5


def test_a_virgin_chip_that_cannot_be_restored_keeps_its_settings() -> None:
    formed = as_real(Bench(Specimen(seed=1)))
    data = take_snapshot(formed.board, formed.chip)
    bench = as_real(Bench(Specimen(seed=1, virgin=True)))
    bench.chip.change_settings(th=5)
    with pytest.raises(NotFormed):
        restore_snapshot(bench.board, bench.chip, data)
    assert bench.chip.settings().th == 5
