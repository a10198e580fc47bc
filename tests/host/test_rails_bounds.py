"""What is just within a bound of rails and calibrations, and what is just beyond it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.host.bench import Bench, DirectSession
from tests.host.generators import bench_of, off, perfect

from starlab_host import Board, NotReady, balance
from starlab_host.board.calibration import fit, step
from starlab_host.results import SupplyState
from starlab_host.trimming import levelling
from starlab_spec import LimitExceeded
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import supply
from starlab_spec.wire.transactions import Result, Transaction

VBLSET = supply("VBLset")


def test_a_calibration_bears_a_code_and_five_times_its_residual_out_and_no_more() -> None:
    found = perfect(VBLset=replace(off(1.0), residual=2.0))
    code = VBLSET.default_code
    most = step(VBLSET, code) + 10.0

    def reads(away: float) -> bool:
        real = VBLSET.value(code)
        state = SupplyState(
            "VBLset", VBLSET.index, "mV", None, code, real, real + away, True, False
        )
        return found.bears_out(state)

    assert reads(most - 1e-6)
    assert reads(1e-6 - most)
    assert not reads(most + 1e-6)
    assert not reads(-most - 1e-6)


def test_readings_without_noise_are_as_sure_as_their_resolution() -> None:
    """A microvolt, of which nobody knows more: its twelfth is the variance."""
    nominal = np.array([1000.0, 1500.0, 2000.0])
    found = fit(nominal, np.repeat(nominal[:, None], 8, axis=1), is_relative=False)
    sigma = 1e-3 / np.sqrt(12 * 8)
    assert found.gain_sigma == pytest.approx(sigma / np.sqrt(((nominal - 1500) ** 2).sum()))
    assert found.residual == pytest.approx(0, abs=1e-9)


def test_a_value_beyond_reach_is_told_to_as_many_digits_as_tell_it_apart() -> None:
    message = r"^VBLset \(calibrated reach\) 2590\.12 mV is above the 2376\.49 mV limit$"
    with pytest.raises(LimitExceeded, match=message):
        perfect(VBLset=off(0.9123456)).code(VBLSET, 2590.12345)


def test_a_supply_is_given_up_when_its_time_is_over_and_not_a_pause_later(bench: Bench) -> None:
    now = 0.0
    waited: list[float] = []

    def sleep(wait_s: float) -> None:
        nonlocal now
        waited.append(wait_s)
        now += 2.5

    class Unsettled(DirectSession):
        def execute(self, transactions: Sequence[Transaction], **how: Any) -> list[Result]:
            return [unsettled(one) for one in super().execute(transactions, **how)]

    board = Board(Unsettled(bench.emulated), clock=lambda: now, sleep=sleep)
    with pytest.raises(NotReady, match="VBLset has not settled within 5 s"):
        board.set_supply_codes({"VBLset": 70})
    assert waited == [0.001, 0.002]


def unsettled(result: Result) -> Result:
    """A supply's reading that says it has not settled."""
    if len(result.data) != 12:
        return result
    return result._replace(data=result.data[:-1] + bytes([result.data[-1] & ~1]))


def test_a_trim_keeps_within_the_limits_of_this_board_though_a_wider_one_were_better() -> None:
    """The clamp is three codes too high. VBL27 may rise by one: VBL23 rises by the other five."""
    bench = bench_of({}, 3)
    bench.board.set_supply_codes({"V25": supply("V25").default_code + 3})
    one_up = supply("VBL27").value(supply("VBL27").default_code + 1)
    bench.board = Board(bench.session, SafeArea.of({"supplies": {"VBL27": {"high": one_up + 1}}}))
    found = balance(bench.board)
    assert found.codes == {
        "VBL27": supply("VBL27").default_code + 1,
        "VBL23": supply("VBL23").default_code + 5,
    }
    assert abs(found.after.mismatch_mv) < 1


def test_levelling_reads_and_pulses_as_often_as_is_documented() -> None:
    assert (levelling.READINGS, levelling.PULSES_MAX) == (256, 256)
