"""What a call of many commands tells of what it has done, however it ends."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from tests.host.bench import Bench
from tests.host.chips import images

from starlab_host import Chip, Done, Work, balance, calibrate, level, so_far
from starlab_host.board.work import on_the_whole
from starlab_host.chip.snapshots import restore_snapshot, take_snapshot
from starlab_host.errors import (
    Aborted,
    BoardRefused,
    HardwareFault,
    JournalError,
    LinkLost,
    OutcomeUnknown,
    StarlabHostError,
)
from starlab_host.session.waiting import Stop
from starlab_sim import Specimen
from starlab_spec import ARRAY1, ARRAY2
from starlab_spec.operations import Operation, PulseKind
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.transactions import Opcode, Result, Status, Transaction


def target(array: int = 2) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    geometry = ARRAY1 if array == 1 else ARRAY2
    return np.random.default_rng(7).uniform(4, 18, geometry.shape)


CALLS: dict[str, Callable[[Bench, Work], object]] = {
    "form": lambda bench, work: chip(bench, work).form(2),
    "pulse": lambda bench, work: chip(bench, work).pulse(
        2, PulseKind.SET, np.ones(ARRAY2.shape), count=600
    ),
    "program": lambda bench, work: chip(bench, work).program(2, target()),
    "open-loop": lambda bench, work: chip(bench, work).program(2, target(), method="open-loop"),
    "cyclic": lambda bench, work: chip(bench, work).program(2, target(), method="stellar-cyclic"),
    "level": lambda bench, work: level(bench.board.during(work)),
    "train": lambda bench, work: chip(bench, work).train_step(images(50), labels=[1] * 50),
}


def chip(bench: Bench, work: Work) -> Chip:
    return Chip(bench.board.during(work))


def pulsing(transactions: Sequence[Transaction]) -> bool:
    pulses = (Operation.PULSE_MASK, Operation.BATCH_TRAINING)
    starts = [int.from_bytes(t.data, "big") for t in transactions if t.opcode == Opcode.START]
    return any(start in pulses for start in starts)


def bench_for(name: str) -> Bench:
    bench = Bench(Specimen(seed=3, virgin=name == "form"))
    if name == "level":
        bench.chip.pulse(1, PulseKind.SET, np.stack([np.ones((784, 100)), np.zeros((784, 100))]))
    return bench


def fail_at(
    bench: Bench, number: int, act: Callable[[], None], when: Callable[..., bool] = pulsing
) -> None:
    """Do something before the command of a kind of that number, counted from 1."""
    seen = 0

    def before(transactions: Sequence[Transaction]) -> None:
        nonlocal seen
        seen += when(transactions)
        if seen == number and when(transactions):
            act()

    bench.session.before_execute = before


def raising(error: Exception) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def fail_after_pulses(bench: Bench, act: Callable[[], object]) -> None:
    """Do something before the command that follows the first one with pulses."""
    has_pulsed = False

    def before(transactions: Sequence[Transaction]) -> None:
        nonlocal has_pulsed
        if has_pulsed:
            bench.session.before_execute = lambda _: None
            act()
        has_pulsed = pulsing(transactions)

    bench.session.before_execute = before


@pytest.mark.parametrize("name", CALLS)
def test_a_stopped_call_tells_the_pulses_that_the_chip_has_got(name: str) -> None:
    bench, work = bench_for(name), Work(name)
    before, settings = bench.pulses, bench.chip.settings()
    if name in ("form", "pulse", "train"):
        fail_at(bench, 1, work.stop.request)
    else:
        fail_after_pulses(bench, work.stop.request)
    with pytest.raises(Aborted) as stopped, work:
        CALLS[name](bench, work)
    done = so_far(stopped.value)
    assert done is not None
    assert done.pulses == bench.pulses - before
    assert done.changed or not done.pulses
    assert bench.chip.settings() == settings


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("pulse", "train")])
@pytest.mark.parametrize(
    "error",
    [
        LinkLost("the link was lost"),
        OutcomeUnknown("it may have been executed", [(7, "START")], pulses=7),
        JournalError("the disk is full"),
    ],
)
def test_whatever_ends_a_call_in_the_middle_the_pulses_before_are_told(
    name: str, error: StarlabHostError
) -> None:
    bench, work = bench_for(name), Work(name)
    before = bench.pulses
    fail_after_pulses(bench, raising(error))
    with pytest.raises(type(error)) as raised, work:
        CALLS[name](bench, work)
    done = so_far(raised.value)
    assert done is not None
    assert done.changed
    given = done.pulses - getattr(error, "pulses", 0)
    assert 0 < given == bench.pulses - before


def test_pulses_that_were_surely_given_by_a_command_in_doubt_are_a_change() -> None:
    bench, work = bench_for("program"), Work()
    fail_at(bench, 1, raising(OutcomeUnknown("perhaps", [(7, "START")], pulses=7)))
    with pytest.raises(OutcomeUnknown), work:
        CALLS["program"](bench, work)
    assert work.done == Done(True, 7, work.extent)


def test_what_was_changed_is_put_back_by_a_call_that_is_stopped_between_two_commands() -> None:
    bench, work = bench_for("program"), Work()
    settings = bench.chip.settings()
    rounds = 0

    def stop_in_the_third_round(*_: int) -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 3:
            work.stop.request()

    with pytest.raises(Aborted), work:
        chip(bench, work).program(2, target(), on_progress=stop_in_the_third_round)
    assert work.done.pulses
    assert bench.chip.settings() == settings


def test_a_command_that_puts_back_heeds_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, work = bench_for("program"), Work()
    stops: list[object] = []
    execute = bench.session.execute

    def noted(*asked: Any, stop: Stop | None = None, **how: Any) -> list[Result]:
        stops.append(stop)
        return execute(*asked, **how)

    monkeypatch.setattr(bench.session, "execute", noted)
    view = bench.board.during(work)
    view.read_register("TH")
    with view.putting_back():
        view.read_register("TH")
    view.read_register("TH")
    assert stops == [work.stop, None, work.stop]


def test_the_count_stays_exact_where_a_later_operation_is_ended_in_the_middle() -> None:
    bench, work = bench_for("program"), Work()
    before = bench.pulses
    asked = 0

    def after_some_rows() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    def begin() -> None:
        bench.session.aborted = after_some_rows

    fail_at(bench, 3, begin)
    with pytest.raises(Aborted), work:
        chip(bench, work).program(1, target(1))
    first_rounds = work.pulses_before
    assert first_rounds == before
    assert work.done.pulses == bench.pulses - before


def test_what_was_refused_or_only_rehearsed_is_no_change() -> None:
    bench, work = bench_for("program"), Work()
    view = bench.board.during(work)
    view.execute([tr.set_supply(0, bench.board.supplies()[0].code)], dry_run=True)
    with pytest.raises(BoardRefused):
        view.emulator(nonsense=1)
    assert not work.done.changed


@pytest.mark.parametrize("name", ["pulse", "program", "open-loop", "cyclic", "train"])
def test_a_call_whose_first_pulses_could_not_be_sent_has_changed_nothing(name: str) -> None:
    bench, work = bench_for(name), Work()
    registers = bench.chip.settings()
    fail_at(bench, 1, raising(JournalError("the journal is full")))
    with pytest.raises(JournalError), work:
        CALLS[name](bench, work)
    assert (work.done.changed, work.done.pulses) == (False, 0)
    assert bench.chip.settings() == registers


def test_operations_of_one_call_are_told_as_a_whole() -> None:
    told: list[tuple[int, int]] = []
    each: list[tuple[int, int]] = []
    tell = on_the_whole(2, lambda *done: told.append(done), lambda *done: each.append(done))
    for done in (300, 784, 300, 784):
        tell(done, 784)
    assert told == [(300, 1568), (784, 1568), (1084, 1568), (1568, 1568)]
    assert each == [(300, 784), (784, 784), (300, 784), (784, 784)]


def test_an_emergency_stop_in_the_middle_leaves_the_count_exact() -> None:
    bench, work = bench_for("program"), Work()
    before = bench.pulses
    fail_after_pulses(bench, bench.board.emergency_stop)
    with pytest.raises(BoardRefused) as raised, work:
        CALLS["program"](bench, work)
    assert isinstance(raised.value, HardwareFault | Aborted)
    done = so_far(raised.value)
    assert done is not None
    assert 0 < done.pulses == bench.pulses - before


def test_an_operation_that_is_stopped_in_the_middle_is_counted_by_the_board() -> None:
    bench, work = bench_for("train"), Work()
    before = bench.pulses
    asked = 0

    def after_some_samples() -> bool:
        nonlocal asked
        asked += 1
        if asked > 3:
            work.stop.request()
        return asked > 3

    def begin() -> None:
        bench.session.aborted = after_some_samples

    fail_at(bench, 1, begin)
    with pytest.raises(Aborted) as raised, work:
        chip(bench, work).train_step(images(4000), labels=[1] * 4000)
    done = so_far(raised.value)
    assert done is not None
    assert done.extent is not None
    assert 0 < done.extent.done < 4000
    assert (done.extent.done, done.extent.unit) == (raised.value.done, "samples")
    assert 0 < done.pulses == bench.pulses - before
    assert done.amount == (done.extent.done, "samples")


def test_a_call_that_fails_before_anything_says_that_nothing_was_done() -> None:
    bench, work = bench_for("program"), Work()
    fail_at(bench, 1, raising(LinkLost("the link was lost")))
    with pytest.raises(LinkLost) as raised, work:
        CALLS["program"](bench, work)
    done = so_far(raised.value)
    assert done is not None
    assert (done.changed, done.pulses) == (False, 0)


def test_reading_and_multiplying_change_nothing() -> None:
    bench, work = bench_for("program"), Work()
    with work:
        chip(bench, work).vmm(1, images(3))
        chip(bench, work).infer(images(3))
        chip(bench, work).read_conductance_uS(1)
        bench.board.during(work).supplies()
    assert work.done == Done(False, 0, work.extent)


@pytest.mark.parametrize(
    "change",
    [
        lambda board: board.write_register("C1", 5),
        lambda board: board.set_supplies({"VBLset": 2209}),
        lambda board: board.bring_up(),
        lambda board: Chip(board).change_settings(th=40),
        lambda board: board.clear_faults(),
    ],
)
def test_a_setting_or_a_supply_is_a_change(change: Callable[[object], object]) -> None:
    bench, work = bench_for("program"), Work()
    change(bench.board.during(work))
    assert work.done.changed
    assert work.done.pulses == 0


def test_a_stopped_calibration_sets_its_supply_back() -> None:
    bench, work = bench_for("program"), Work()
    codes = [state.code for state in bench.board.supplies()]
    sets = [Opcode.SET_SUPPLY]
    fail_at(bench, 5, work.stop.request, lambda ts: any(t.opcode in sets for t in ts))
    with pytest.raises(Aborted) as raised, work:
        calibrate(bench.board.during(work), now=datetime(2026, 1, 1, tzinfo=UTC))
    assert [state.code for state in bench.board.supplies()] == codes
    done = so_far(raised.value)
    assert done is not None
    assert done.changed


def test_a_stopped_balancing_sets_v25_back() -> None:
    bench, work = bench_for("program"), Work()
    codes = [state.code for state in bench.board.supplies()]
    fail_at(bench, 4, work.stop.request, lambda ts: any(t.opcode == Opcode.SET_SUPPLY for t in ts))
    with pytest.raises(Aborted), work:
        balance(bench.board.during(work))
    assert [state.code for state in bench.board.supplies()] == codes


def test_a_restore_by_programming_tells_its_pulses() -> None:
    bench, work = bench_for("program"), Work()
    data = take_snapshot(bench.board, bench.chip, kind="read")
    bench.chip.program(2, target())
    before = bench.pulses
    fail_at(bench, 3, work.stop.request)
    view = bench.board.during(work)
    with pytest.raises(Aborted) as raised, work:
        restore_snapshot(view, Chip(view), data)
    done = so_far(raised.value)
    assert done is not None
    assert 0 < done.pulses == bench.pulses - before


def test_a_call_tells_how_far_it_is_while_it_runs() -> None:
    bench, work = bench_for("program"), Work()
    seen: list[tuple[int, int, str]] = []

    def look(transactions: Sequence[Transaction]) -> None:
        if work.extent is not None:
            seen.append((work.extent.done, work.extent.total, work.extent.unit))

    bench.session.before_execute = look
    chip(bench, work).program(2, target())
    assert {(total, unit) for _, total, unit in seen} == {(ARRAY2.cells, "cells")}
    assert seen[0][0] < seen[-1][0]


def test_a_view_of_a_board_shares_what_is_known_of_it() -> None:
    bench = bench_for("program")
    view = bench.board.during(Work())
    view.set_supplies({"VBLset": 2209})
    requested = {state.name: state.requested for state in bench.board.supplies()}
    assert requested["VBLset"] == 2209
    view.calibration = found = calibrate(view, now=datetime(2026, 1, 1, tzinfo=UTC), readings=2)
    assert bench.board.calibration is found


def test_an_operation_that_was_ended_in_the_middle_is_a_change_though_no_pulse_was_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A board of the authors' does not say how many pulses a learning step gives."""
    bench, work = bench_for("train"), Work()
    results = [Result(Opcode.START, Status.ABORTED, 0, b"BP stopped after 3 of 5 samples")]
    monkeypatch.setattr(bench.session, "execute", lambda *_, **__: results)
    training = [tr.start(Operation.BATCH_TRAINING)]
    work.execute(
        bench.session, training, read_only=False, dry_run=False, on_progress=lambda _: None
    )
    assert work.done.changed
