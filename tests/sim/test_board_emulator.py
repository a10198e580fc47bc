"""What only an emulated board can be told, restarts, and commands as a whole."""

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from starlab_sim import Specimen
from starlab_spec.operations import Operation
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire.transactions import (
    Opcode,
    Status,
    Transaction,
    abort,
    emulator,
    get_supply,
    identify,
    json_object,
    read_memory,
    read_registers,
    set_supply,
    start,
    words,
    write_memory,
    write_registers,
)

if TYPE_CHECKING:
    from tests.sim.conftest import Bench


def ask(bench: "Bench", **request: Any) -> dict[str, Any]:
    return json_object(bench.do(emulator(request))[0])


def pulse_once(bench: "Bench") -> None:
    bench.select(1, 0, 1)
    bench.start(Operation.SET)


def test_time_can_be_advanced(bench: "Bench") -> None:
    assert ask(bench) == {"emulated_time_s": 0.0}
    assert ask(bench, advance_s=86_400)["emulated_time_s"] == pytest.approx(86_400)
    assert ask(bench, advance_s=0.5)["emulated_time_s"] == pytest.approx(86_400.5)
    assert bench.counter("EMULATED_TICKS") == 1_728_010_000_000


def test_a_restart_keeps_cells_and_lifetime_pulses_and_nothing_else(powered: "Bench") -> None:
    pulse_once(powered)
    powered.do(write_memory(0, b"gone"), emulator({"faults": ["over_voltage"]}))
    powered.write(TH=3)
    board, boot_id = powered.board, powered.board.boot_id
    cells = board.chip.conductance_uS(1)
    ask(powered, restart=True)
    assert board.boot_id not in (0, boot_id)
    assert powered.read("BOOT_ID") == board.identity()["boot_id"] == board.boot_id
    assert np.array_equal(board.chip.conductance_uS(1), cells)
    assert board.lifetime_pulses == 2
    assert (board.faults, board.is_safe) == (0, False)
    assert powered.read("TH") == 56
    assert powered.do(read_memory(0, 4))[0].data == bytes(4)
    assert powered.refusal(start(Operation.SET)) == (Status.NOT_READY, "supply VWLform is off")


def test_a_restart_that_is_not_wanted_does_not_happen(bench: "Bench") -> None:
    boot_id = bench.board.boot_id
    ask(bench, restart=False)
    assert bench.board.boot_id == boot_id


def test_another_chip_can_be_put_in(powered: "Bench") -> None:
    pulse_once(powered)
    board, boot_id = powered.board, powered.board.boot_id
    ask(powered, seed=5, device_model="linear")
    expected = Specimen(seed=5, device="linear").make()
    assert np.array_equal(board.chip.conductance_uS(1), expected.conductance_uS(1))
    assert board.identity()["device_model"] == "linear"
    assert powered.do(read_registers(0x120, 8))[0].data.rstrip(b"\0") == b"linear"
    assert board.boot_id == boot_id
    ask(powered, virgin=True)
    expected = Specimen(seed=5, device="linear", virgin=True).make()
    assert np.array_equal(board.chip.conductance_uS(2), expected.conductance_uS(2))
    assert board.chip.virgin(2).all()


def test_the_boards_lifetime_and_time_go_on_with_another_chip(powered: "Bench") -> None:
    pulse_once(powered)
    time_s = powered.board.emulated_time_s
    assert time_s > 0
    ask(powered, seed=5)
    assert powered.counter("ARRAY1_SET_PULSES") == 0
    assert powered.board.lifetime_pulses == 2
    assert powered.board.emulated_time_s == time_s
    pulse_once(powered)
    assert powered.board.lifetime_pulses == 4


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (
            {"advance": 1},
            Status.BAD_REQUEST,
            "unknown emulator command 'advance'; known: advance_s, ",
        ),
        ({"advance_s": "1"}, Status.BAD_REQUEST, "advance_s '1' is not a number of seconds"),
        ({"advance_s": True}, Status.BAD_REQUEST, "advance_s True is not a number of seconds"),
        (
            {"advance_s": float("nan")},
            Status.BAD_REQUEST,
            "not JSON in UTF-8: NaN is no finite number",
        ),
        ({"advance_s": -1}, Status.RANGE, "advance_s -1 s is below the 0 s limit"),
        ({"advance_s": 1e10}, Status.RANGE, r"advance_s 1e+10 s is above the 1e+09 s limit"),
        ({"seed": 1.5}, Status.BAD_REQUEST, "seed 1.5 is not an integer"),
        ({"seed": -1}, Status.RANGE, "seed -1 is below the 0 limit"),
        (
            {"device_model": "nonlinear-9"},
            Status.BAD_REQUEST,
            "device_model 'nonlinear-9' is not one of ",
        ),
        (
            {"device_model": ["linear"]},
            Status.BAD_REQUEST,
            "device_model ['linear'] is not one of ",
        ),
        ({"virgin": 1}, Status.BAD_REQUEST, "virgin 1 is not true or false"),
        ({"faults": "over_current"}, Status.BAD_REQUEST, "faults 'over_current' is not a list of "),
        (
            {"faults": ["fire"]},
            Status.BAD_REQUEST,
            "faults ['fire'] is not a list of over_current, ",
        ),
        ({"faults": [["fire"]]}, Status.BAD_REQUEST, "faults [['fire']] is not a list of "),
        ({"restart": "yes"}, Status.BAD_REQUEST, "restart 'yes' is not true or false"),
        ({"seed": None}, Status.BAD_REQUEST, "seed None is not an integer"),
    ],
)
def test_a_request_that_is_not_understood_does_nothing(
    bench: "Bench", request_: dict[str, Any], status: Status, message: str
) -> None:
    boot_id, chip = bench.board.boot_id, bench.board.chip
    found, said = bench.refusal(emulator({"restart": True, "faults": ["over_current"], **request_}))
    assert (found, said[: len(message)]) == (status, message)
    assert bench.board.boot_id == boot_id
    assert bench.board.chip is chip
    assert bench.board.faults == 0
    assert bench.board.emulated_time_s == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"seed":' + b"9" * 5000,
        b'{"\\ud800":1}',
        b'{"seed":"\\ud800"}',
    ],
)
def test_a_request_that_is_no_json_object_of_ours_is_refused(bench: "Bench", data: bytes) -> None:
    status, _ = bench.refusal(Transaction(Opcode.EMULATOR, 0, data))
    assert status is Status.BAD_REQUEST


def test_identify_answers_the_identity(bench: "Bench") -> None:
    (result,) = bench.do(identify())
    assert json_object(result) == bench.board.identity()


def test_an_abort_in_its_turn_finds_nothing_to_stop(bench: "Bench") -> None:
    assert bench.do(abort())[0].data == b""


def test_an_unknown_opcode_is_not_supported(bench: "Bench") -> None:
    message = "opcode 0x55 is not supported"
    assert bench.refusal(Transaction(0x55)) == (Status.UNSUPPORTED, message)


def test_a_command_stops_at_the_first_transaction_that_fails(bench: "Bench") -> None:
    results = bench.board.execute(
        [
            write_registers(0x140, [1]),
            write_registers(0x100, [1]),
            write_registers(0x144, [1]),
        ]
    )
    assert [(r.opcode, r.status, r.address) for r in results] == [
        (Opcode.WRITE_REG, Status.OK, 0x140),
        (Opcode.WRITE_REG, Status.RANGE, 0x100),
    ]
    assert (bench.read("TH"), bench.read("TH1")) == (1, 2500)


def test_a_dry_run_checks_each_step_on_what_the_ones_before_would_leave(bench: "Bench") -> None:
    command = [
        start(Operation.SET),
    ]
    assert bench.refusal(*command, dry_run=True)[0] is Status.NOT_READY
    command = [
        *(set_supply(c.index, c.default_code) for c in SUPPLIES),
        get_supply(0),
        write_registers(0x140, [1]),
        read_registers(0x140),
        write_memory(0x20_0000, b"\x05"),
        read_memory(0x20_0000, 1),
        write_registers(0x184, [1]),
        write_registers(0x190, [0x20_0000]),
        start(Operation.BATCH_TRAINING),
        write_registers(0x3C, [8]),
        emulator({"restart": True, "advance_s": 5, "seed": 4}),
        write_memory(0x20_0000, b"\x0a"),
        start(Operation.BATCH_TRAINING),
    ]
    refused = (Status.RANGE, "sample 0: label 10 is above the 9 limit")
    assert bench.refusal(*command, dry_run=True) == refused


def test_a_dry_run_changes_nothing(powered: "Bench") -> None:
    board = powered.board
    everything = [read_registers(0, 192), read_memory(0, 100), *(get_supply(i) for i in range(22))]
    before = (powered.do(*everything), board.chip.counters, board.boot_id, board.chip)
    results = board.execute(
        [
            write_registers(0x2C, [1]),
            write_memory(0, b"x" * 100),
            set_supply(6, 0),
            write_registers(0x1C, [0xFFFF]),
            start(Operation.SET),
            start(Operation.BATCH_INFERENCE),
            write_registers(0x1C4, [8]),
            emulator({"restart": True, "advance_s": 5, "seed": 4, "faults": ["over_current"]}),
        ],
        dry_run=True,
    )
    assert [result.status for result in results] == [Status.OK] * 8
    after = (powered.do(*everything), board.chip.counters, board.boot_id, board.chip)
    assert after == before
    assert (board.faults, board.is_safe) == (0, False)


def test_what_another_command_did_shows_in_the_next(bench: "Bench") -> None:
    bench.do(write_registers(0x140, [77]))
    assert words(bench.do(read_registers(0x140))[0]) == (77,)


def test_entering_safe_from_another_thread_stops_a_running_operation(powered: "Bench") -> None:
    board = powered.board
    powered.write(BATCH_COUNT=20_000, RESULT_ADDRESS=0x300_0000, SAMPLE_STRIDE=0)

    def lose_the_session(done: int, total: int, text: str) -> None:
        if not board.is_safe:
            rim = threading.Thread(target=board.enter_safe, args=("the session was lost",))
            rim.start()
            rim.join()

    (result,) = board.execute([start(Operation.BATCH_TRAINING)], progress=lose_the_session)
    done = powered.read("BATCH_DONE")
    assert 0 < done < 20_000
    assert result.status == Status.ABORTED
    assert result.message == (
        f"BATCH_TRAINING stopped after {done} of 20000 samples: the session was lost"
    )
    assert board.is_safe


def test_only_what_may_last_is_said_to_take_long(bench: "Bench") -> None:
    takes_long = bench.board.takes_long
    assert not takes_long([read_registers(0), write_registers(0x34, [1, 2]), identify()])
    assert not takes_long([start(Operation.SET)] * 16)
    assert takes_long([start(Operation.SET)] * 17)
    assert takes_long([start(Operation.BATCH_TRAINING)])
    assert takes_long([start(Operation.INFERENCE)])
    assert takes_long([write_registers(0x38, [1, 8])])
    assert takes_long([read_registers(0)] * 1001)
    assert not takes_long([write_registers(0x40, [8])])
    assert not takes_long([Transaction(Opcode.WRITE_REG, 0x3C)])


@pytest.mark.timeout(400)  # compiles kernels
def test_the_solutions_of_wires_are_accounted_for(powered: "Bench") -> None:
    """Steps and residuals: of the mode `exact`, those that the tolerance of 1e-9 asks for."""
    none = {"solutions": 0, "most_steps": 0, "greatest_residual": 0.0}
    told = ask(powered, effects={"wires": {"mode": "exact"}})["wires"]
    assert told == {"array1": none, "array2": none}
    powered.start(Operation.INFERENCE)
    told = ask(powered)["wires"]
    assert told["array1"]["solutions"] == 100  # one a column: the transfer matrix
    assert told["array2"]["solutions"] == 20
    for one in told.values():
        assert 0 < one["greatest_residual"] <= 1e-9
        assert 1 <= one["most_steps"] <= 5
    pulse_once(powered)
    again = ask(powered)["wires"]
    assert again["array1"]["solutions"] > 100
    assert "wires" not in ask(powered, effects="none")
