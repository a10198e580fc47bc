"""Whatever fails in the middle of a calibration or a balance, the rails are what they were."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tests.host.bench import Bench
from tests.host.generators import NOW, bench_of

from starlab_host import Board, LinkLost, balance, calibrate
from starlab_host.trimming.balance import measure
from starlab_spec.operations import Operation
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import supply
from starlab_spec.wire.transactions import Opcode, Transaction

DETUNED = supply("VBL27").default_code + 4


def codes(bench: Bench) -> dict[str, int]:
    return {state.name: state.code for state in bench.board.supplies()}


def requested(bench: Bench) -> dict[str, float | None]:
    return {state.name: state.requested for state in bench.board.supplies()}


def sets(*names: str) -> Callable[[Sequence[Transaction]], bool]:
    """Whether a command sets one of some supplies."""
    indices = {supply(name).index for name in names}
    return lambda command: any(
        one.opcode == Opcode.SET_SUPPLY and one.address in indices for one in command
    )


def reads_array(command: Sequence[Transaction]) -> bool:
    word = Operation.READ_ARRAY.to_bytes(4, "big")
    return any(one.opcode == Opcode.START and one.data == word for one in command)


def failing_at(
    bench: Bench, what: Callable[[Sequence[Transaction]], bool], number: int, error: BaseException
) -> None:
    """The so many-th command of a kind fails, and none after it."""
    seen = 0

    def look(command: Sequence[Transaction]) -> None:
        nonlocal seen
        seen += what(command)
        if what(command) and seen == number:
            raise error

    bench.session.before_execute = look


@pytest.mark.parametrize("number", [1, 5, 28, 30, 55])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), LinkLost("no answer")])
def test_a_balance_that_fails_leaves_all_rails_as_they_were(
    number: int, error: BaseException
) -> None:
    """28 readings come before the trim, 28 after it."""
    bench = detuned()
    before = codes(bench), requested(bench)
    failing_at(bench, reads_array, number, error)
    with pytest.raises(type(error)):
        balance(bench.board)
    bench.session.before_execute = lambda _: None
    assert (codes(bench), requested(bench)) == before


def detuned() -> Bench:
    bench = bench_of({}, 3)
    bench.board.set_supply_codes({"VBL27": DETUNED})
    return bench


def test_a_trim_that_makes_nothing_better_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = detuned()
    before = codes(bench)
    told: list[Any] = []

    def measured(*arguments: Any) -> Any:
        told.append(measure(*arguments))
        return told[0]  # the second measurement tells what the first one did: no better

    monkeypatch.setattr(sys.modules["starlab_host.trimming.balance"], "measure", measured)
    found = balance(bench.board)
    assert len(told) == 2
    assert abs(told[1].mismatch_mv) < 1  # the trim was another one
    assert found.before == found.after
    assert found.codes == {name: before[name] for name in ("VBL27", "VBL23")}
    assert codes(bench) == before


def test_a_trim_that_makes_it_better_is_kept() -> None:
    bench = detuned()
    found = balance(bench.board)
    assert abs(found.after.mismatch_mv) < abs(found.before.mismatch_mv)
    assert {name: codes(bench)[name] for name in found.codes} == found.codes
    assert codes(bench)["V25"] == supply("V25").default_code
    assert requested(bench)["V25"] == supply("V25").default


@pytest.mark.parametrize("number", [1, 3, 5, 6, 40])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), LinkLost("no answer")])
def test_a_calibration_that_fails_leaves_all_rails_as_they_were(
    number: int, error: BaseException
) -> None:
    bench = bench_of({"channel_errors": True}, 3)
    bench.board.set_supplies({"VBLset": 2000.0, "Iref_integ": 60.0})
    before = codes(bench), requested(bench)

    def asks_often(command: Sequence[Transaction]) -> bool:
        return len(command) == 8 and all(one.opcode == Opcode.GET_SUPPLY for one in command)

    failing_at(bench, asks_often, number, error)
    with pytest.raises(type(error)):
        calibrate(bench.board, now=NOW, readings=8)
    bench.session.before_execute = lambda _: None
    assert (codes(bench), requested(bench)) == before


def test_where_setting_back_fails_too_the_first_failure_is_told() -> None:
    bench = bench_of({"channel_errors": True}, 3)
    seen = 0

    def look(command: Sequence[Transaction]) -> None:
        nonlocal seen
        seen += len(command) == 8
        if seen >= 3:
            raise LinkLost("first" if len(command) == 8 else "second")

    bench.session.before_execute = look
    with pytest.raises(LinkLost, match="first"):
        calibrate(bench.board, now=NOW, readings=8)


def test_codes_beyond_the_limits_of_this_board_are_left_out() -> None:
    """V25 at 2564.6 mV may rise by one code of 19.8 mV here, and the others not at all."""
    bench = detuned()
    narrow = {"V25": {"high": 2580}, "VBL27": {"high": 2850}, "VBL23": {"low": 2300}}
    bench.board = Board(bench.session, SafeArea.of({"supplies": narrow}))
    seen: list[tuple[int, int]] = []

    def look(command: Sequence[Transaction]) -> None:
        seen.extend(
            (one.address, int.from_bytes(one.data, "big"))
            for one in command
            if one.opcode == Opcode.SET_SUPPLY
        )

    bench.session.before_execute = look
    found = balance(bench.board)
    assert abs(found.after.mismatch_mv) < abs(found.before.mismatch_mv)
    v25 = [code for index, code in seen if index == supply("V25").index]
    assert max(v25) == supply("V25").default_code + 1
    for index, code in seen:
        bench.board.channels[index].check_code(code)


def test_a_rail_is_trimmed_by_eight_codes_at_most_and_the_other_takes_the_rest() -> None:
    bench = bench_of({}, 3)
    bench.emulated.chip.set_conductance_uS(1, np.full((2, 784, 100), 8.0) + np.arange(100) / 50)
    nominal = {name: supply(name).default_code for name in ("VBL27", "VBL23")}
    bench.board.set_supply_codes({"VBL27": nominal["VBL27"] + 11})
    found = balance(bench.board)
    assert found.codes == {"VBL27": nominal["VBL27"] + 3, "VBL23": nominal["VBL23"] - 3}
    assert abs(found.after.mismatch_mv) < 1
