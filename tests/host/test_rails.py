"""Waiting for supplies, taking them down, and limits that trip."""

import random

import numpy as np
import pytest
from tests.host.bench import Bench, DirectSession
from tests.host.generators import bench_of

from starlab_host import Board, Compliance, NotReady
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_spec.operations import PulseKind
from starlab_spec.supplies import supply
from starlab_spec.wire.transactions import Opcode


class Time:
    """A clock that only moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, wait_s: float) -> None:
        self.slept.append(wait_s)
        self.now += wait_s


def slow_board(time_s: float) -> tuple[Board, EmulatedBoard, Time]:
    time = Time()
    effects = Effects.read({"settling": {"time_s": time_s}})
    emulated = EmulatedBoard(
        Specimen(seed=3, effects=effects), serial="bench", rng=random.Random(1), clock=time
    )
    return Board(DirectSession(emulated), clock=time, sleep=time.sleep), emulated, time


def test_setting_waits_until_the_supply_has_settled() -> None:
    board, _, time = slow_board(0.3)
    board.bring_up()
    assert board.is_up()
    assert 0.3 <= time.now < 0.4
    (state,) = board.set_supplies({"VBLset": 2000.0})
    assert state.settled
    assert 0.6 <= time.now < 0.8


def test_a_supply_that_does_not_settle_is_named_with_the_timeout() -> None:
    board, emulated, _ = slow_board(2.0)
    # the board's clock stands still, the host's goes on
    waited: list[float] = []
    stopped = Board(DirectSession(emulated), clock=lambda: sum(waited), sleep=waited.append)
    with pytest.raises(NotReady, match="supply VWLform has not settled within 5 s"):
        stopped.bring_up()
    assert not board.is_up()


def test_a_supply_that_goes_off_meanwhile_is_named() -> None:
    board, emulated, time = slow_board(0.5)
    board.bring_up()

    def trip(wait_s: float) -> None:
        time.sleep(wait_s)
        emulated.enter_safe("a test")

    failing = Board(DirectSession(emulated), clock=time, sleep=trip)
    with pytest.raises(NotReady, match="supply VBLset went off while it was settling"):
        failing.set_supplies({"VBLset": 2000.0})


def test_making_ready_waits_for_rails_that_are_on_and_leaves_them_as_they_are() -> None:
    board, emulated, time = slow_board(0.5)
    board.bring_up()
    board.set_supply_codes({"VBLset": 70})
    time.now -= 0.3
    other = Board(DirectSession(emulated), clock=time, sleep=time.sleep)
    other.make_ready()
    assert other.is_up()
    assert {s.name: s.code for s in other.supplies()}["VBLset"] == 70


# power down, compliance


def test_powering_down_goes_backwards_to_the_least_safe_values(bench: Bench) -> None:
    bench.board.power_down()
    command = bench.session.commands[-1]
    assert [(t.opcode, t.address) for t in command] == [
        (Opcode.SET_SUPPLY, i) for i in reversed(range(22))
    ]
    for state in bench.board.supplies():
        channel = supply(state.name)
        nearby = [channel.value(c) for c in (state.code - 1, state.code + 1) if 0 <= c <= 255]
        assert channel.low <= channel.value(state.code) <= channel.high
        assert all(value > channel.value(state.code) or value < channel.low for value in nearby)
        assert state.requested is None
    bench.board.bring_up()
    assert bench.board.is_up()


def test_a_tripped_limit_names_channel_current_and_limit_and_must_be_cleared() -> None:
    bench = bench_of({"current_limit": {"limit_ma": 1.0}})
    mask = np.zeros((2, 784, 100), np.bool_)
    mask[0, 4] = True
    with pytest.raises(Compliance, match=r"VBLset current 2\.\d+ mA is above the 1 mA limit"):
        bench.chip.pulse(1, PulseKind.SET, mask)
    assert bench.board.faults() == ("over_current",)
    bench.board.clear_faults()
    bench.board.bring_up()
    mask[0, 4, 10:] = False
    assert bench.chip.pulse(1, PulseKind.SET, mask) == 10
