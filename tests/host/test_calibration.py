"""Calibrating the generators, against the emulator's truth."""

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.bench import Bench
from tests.host.generators import NOW, REAL, bench_of, off, perfect, truth

from starlab_host import NotReady, calibrate
from starlab_host.board.calibration import fit, step
from starlab_host.trimming.calibrating import sweep_codes
from starlab_sim import Specimen
from starlab_sim.supplies import Generators
from starlab_spec import LimitExceeded
from starlab_spec.supplies import SUPPLIES, supply
from starlab_spec.wire.transactions import Opcode


def test_after_calibration_every_channel_is_right_to_less_than_a_code() -> None:
    bench = bench_of(REAL)
    before = truth(bench)
    worst = max(abs(before[c.name] - c.nominal) / step(c, c.default_code) for c in SUPPLIES)
    assert worst > 1

    bench.board.calibration = calibrate(bench.board, now=NOW)
    for part in (0.2, 0.5, 0.8):
        wanted = {c.name: c.low + part * (c.high - c.low) for c in SUPPLIES}
        bench.board.set_supplies(wanted)
        real = truth(bench)
        for state in bench.board.supplies():
            channel = supply(state.name)
            # half a code of rounding, and the error of the fit
            assert abs(real[state.name] - wanted[state.name]) < 0.6 * step(channel, state.code)


@pytest.mark.parametrize("seed", range(4))
def test_published_settings_are_met_to_less_than_a_code_wherever_they_can_be(seed: int) -> None:
    bench = bench_of(REAL, seed)
    bench.board.calibration = calibrate(bench.board, now=NOW)
    bench.board.bring_up()
    real = truth(bench, seed)
    for channel in SUPPLIES:
        least = Generators(seed, bench.emulated.chip.effects).value(channel.index, 0)
        wanted = max(channel.default, least) if channel.unit == "mV" else channel.default
        assert abs(real[channel.name] - wanted) < step(channel, channel.default_code)


def test_the_uncertainty_of_a_fit_covers_its_error() -> None:
    bench = bench_of(REAL)
    found = calibrate(bench.board, now=NOW)
    hidden = Generators(3, bench.emulated.chip.effects)
    pulls = []
    for channel in SUPPLIES:
        code = channel.default_code
        sigma = found.channels[channel.name].sigma(channel.value(code))
        pulls.append((found.real(channel, code) - hidden.value(channel.index, code)) / sigma)
    assert np.abs(pulls).max() < 5
    assert 0.4 < np.std(pulls) < 2


def test_calibrating_changes_no_setting_and_applies_no_pulse() -> None:
    bench = bench_of(REAL | {"settling": True})
    bench.board.set_supplies({"VBLset": 2000.0, "Iref_integ": 60.0})
    before = {s.name: (s.code, s.requested) for s in bench.board.supplies()}
    sent = len(bench.session.commands)
    told: list[tuple[int, int]] = []
    calibrate(bench.board, now=NOW, on_progress=lambda *done: told.append(done))
    assert {s.name: (s.code, s.requested) for s in bench.board.supplies()} == before
    assert told == [(done, 22) for done in range(1, 23)]
    opcodes = {t.opcode for command in bench.session.commands[sent:] for t in command}
    assert opcodes == {Opcode.GET_SUPPLY, Opcode.SET_SUPPLY}
    assert bench.pulses == 0


@pytest.mark.parametrize("seed", range(3))
def test_no_rail_leaves_the_safe_operating_area_in_a_sweep_even_with_great_errors(
    seed: int,
) -> None:
    effects = {"channel_errors": {"gain": 0.02, "offset_mv": 20}}
    bench = bench_of(effects, seed)
    seen: list[tuple[int, int]] = []

    def look(transactions: Any) -> None:
        seen.extend(
            (t.address, int.from_bytes(t.data, "big"))
            for t in transactions
            if t.opcode == Opcode.SET_SUPPLY
        )

    bench.session.before_execute = look
    calibrate(bench.board, now=NOW, readings=2)
    hidden = Generators(seed, bench.emulated.chip.effects)
    for index, code in seen:
        channel = SUPPLIES[index]
        if code != channel.default_code:
            assert channel.low <= hidden.value(index, code) <= channel.high


def test_a_sweep_that_fails_leaves_the_channel_as_it_was() -> None:
    bench = bench_of(REAL)
    before = [s.code for s in bench.board.supplies()]
    commands = 0

    def fail(transactions: Any) -> None:
        nonlocal commands
        commands += 1
        if commands == 40:
            raise KeyboardInterrupt

    bench.session.before_execute = fail
    with pytest.raises(KeyboardInterrupt):
        calibrate(bench.board, now=NOW)
    assert [s.code for s in bench.board.supplies()] == before


def test_a_board_that_is_off_is_not_calibrated() -> None:
    bench = Bench(Specimen(), up=False)
    with pytest.raises(NotReady, match="VWLform"):
        calibrate(bench.board, now=NOW)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"points": 2}, "points 2 is below the 3 limit"),
        ({"points": 65}, "points 65 is above the 64 limit"),
        ({"readings": 1}, "readings 1 is below the 2 limit"),
        ({"readings": 1001}, "readings 1001 is above the 1000 limit"),
    ],
)
def test_how_much_is_measured_has_bounds(
    bench: Bench, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(LimitExceeded) as refused:
        calibrate(bench.board, now=NOW, **values)
    assert str(refused.value) == message


def test_limits_hold_for_the_real_value() -> None:
    bench = Bench(Specimen(seed=3))
    bench.board.calibration = perfect(VBLset=off(1.1))
    sent = len(bench.session.commands)
    with pytest.raises(LimitExceeded, match="VBLset 2700 mV is above the 2600 mV limit"):
        bench.board.set_supplies({"VBLset": 2700.0})
    (state,) = bench.board.set_supplies({"VBLset": 2600.0})
    assert 2600 - 22 < state.measured * 1.1 <= 2600
    # what would be safe if it were exact needs a code beyond the nominal limit
    bench.board.calibration = perfect(VBLset=off(0.9))
    with pytest.raises(LimitExceeded, match=r"VBLset \(calibrated reach\) 2600 mV is above"):
        bench.board.set_supplies({"VBLset": 2600.0})
    assert len(bench.session.commands) == sent + 2


@given(
    st.sampled_from(SUPPLIES),
    st.floats(0.97, 1.03),
    st.floats(-1, 1),
    st.floats(0, 1),
)
@settings(max_examples=300, deadline=None)
def test_a_calibrated_code_is_safe_and_nearest_or_refused(
    channel: Any, gain: float, offset: float, part: float
) -> None:
    room = 30.0 if channel.unit == "mV" else 0.06
    calibration = perfect(**{channel.name: off(gain, offset * room)})
    value = channel.low + part * (channel.high - channel.low)
    try:
        code = calibration.code(channel, value)
    except LimitExceeded:
        least = min(calibration.real(channel, code) for code in (0, 255))
        greatest = max(calibration.real(channel, code) for code in (0, 255))
        nominal = (value - offset * room) / gain
        assert not (least < value < greatest and channel.low < nominal < channel.high)
        return
    channel.check_code(code)
    real = calibration.real(channel, code)
    assert channel.low <= real <= channel.high
    assert abs(real - value) <= step(channel, code)


@pytest.mark.parametrize("channel", SUPPLIES, ids=lambda channel: channel.name)
def test_sweeps_stay_safe_with_any_presumed_error(channel: Any) -> None:
    codes = sweep_codes(channel, 5)
    assert len(codes) >= 3
    for code in codes:
        for gain in (0.97, 1.03):
            assert channel.low <= channel.value(code) * gain <= channel.high


@given(st.floats(0.9, 1.1), st.floats(-100, 100))
def test_a_line_is_found_as_it_is(gain: float, offset: float) -> None:
    nominal = np.linspace(700, 5000, 5)
    found = fit(nominal, (gain * nominal + offset)[:, None], is_relative=False)
    assert found.gain == pytest.approx(gain, abs=1e-9)
    assert found.offset == pytest.approx(offset, abs=1e-5)
    assert found.residual < 1e-6


def test_conductances_are_scaled_by_what_the_rails_really_give() -> None:
    bench = bench_of({"channel_errors": True})
    true_uS = bench.emulated.chip.conductance_uS(2)
    uncalibrated = bench.chip.read_conductance_uS(2)
    bench.board.calibration = calibrate(bench.board, now=NOW)
    calibrated = bench.chip.read_conductance_uS(2)
    errors = [abs(float((read - true_uS).mean())) for read in (uncalibrated, calibrated)]
    assert errors[0] > 10 * errors[1]


def test_a_calibration_that_the_board_does_not_bear_out_is_put_out_of_use(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = bench_of(REAL)
    bench.board.calibration = calibrate(bench.board, now=NOW)
    bench.board.bring_up()
    assert bench.board.calibration is not None
    bench.board.emulator(effects={"channel_errors": {"gain": 0.05}})
    bench.board.bring_up()
    assert bench.board.calibration is None
    assert "calibration of bench of 2024-02-29T12:00:00+00:00 is out of use" in caplog.text
    assert [s.code for s in bench.board.supplies()] == [c.default_code for c in SUPPLIES]


def test_a_board_that_is_up_already_has_its_calibration_tried_too() -> None:
    bench = bench_of(REAL)
    bench.board.calibration = calibrate(bench.board, now=NOW)
    bench.board.make_ready()
    assert bench.board.calibration is not None
    bench.board.emulator(effects={"channel_errors": {"gain": 0.05}})
    bench.board.bring_up()
    bench.board.calibration = perfect(VBLset=off(1.1))
    bench.board.make_ready()
    assert bench.board.calibration is None


def test_when_it_was_made_is_told_to_the_second_and_in_utc() -> None:
    bench = bench_of({})
    there = timezone(timedelta(hours=2))
    now = datetime(2024, 2, 29, 14, 0, 0, 999_999, tzinfo=there)
    assert calibrate(bench.board, now=now, readings=2).made_at == "2024-02-29T12:00:00+00:00"


@pytest.mark.parametrize("seed", [3, 7, 12])
def test_from_the_third_point_on_what_was_measured_says_how_far_a_sweep_may_go(seed: int) -> None:
    """Of three points the last is an end: an error beyond what is allowed for shows before it."""
    bench = bench_of({"channel_errors": {"gain": 0.0, "offset_mv": 60}}, seed)
    codes: dict[int, list[int]] = {}

    def look(transactions: Any) -> None:
        for one in transactions:
            if one.opcode == Opcode.SET_SUPPLY:
                codes.setdefault(one.address, []).append(int.from_bytes(one.data, "big"))

    bench.session.before_execute = look
    calibrate(bench.board, now=NOW, points=3, readings=2)
    hidden = Generators(seed, bench.emulated.chip.effects)
    left_out = 0
    for index, set_codes in codes.items():
        channel = SUPPLIES[index]
        swept = [code for code in sweep_codes(channel, 3) if code in set_codes[:-1]]
        safe = channel.low <= hidden.value(index, sweep_codes(channel, 3)[2]) <= channel.high
        assert len(swept) == (3 if safe else 2)
        left_out += not safe
    assert left_out
