"""Calibrating the generators, waiting for them and balancing them, against the emulator's truth."""

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.bench import Bench, DirectSession

from starlab_host import (
    BadArgument,
    Board,
    Calibration,
    CalibrationError,
    CalibrationStore,
    ChannelFit,
    Compliance,
    NotFormed,
    NotReady,
    balance,
    calibrate,
)
from starlab_host.calibrating import sweep_codes
from starlab_host.calibration import fit, step
from starlab_sim import Board as EmulatedBoard
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.supplies import Generators
from starlab_spec import LimitExceeded
from starlab_spec.operations import PulseKind
from starlab_spec.supplies import SUPPLIES, supply
from starlab_spec.wire.transactions import Opcode

NOW = datetime(2024, 2, 29, 12, tzinfo=UTC)
REAL = {"channel_errors": True, "channel_noise": True}


def bench_of(effects: Mapping[str, Any], seed: int = 3) -> Bench:
    return Bench(Specimen(seed=seed, effects=Effects.read(effects)))


def truth(bench: Bench, seed: int = 3) -> dict[str, float]:
    """What the generators really give, without noise: what no host can see."""
    hidden = Generators(seed, bench.emulated.chip.effects)
    return {s.name: hidden.value(s.index, s.code) for s in bench.board.supplies()}


def perfect(**changes: ChannelFit) -> Calibration:
    """All channels as they should be, but for some."""
    fits = {c.name: ChannelFit(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5) for c in SUPPLIES}
    return Calibration("bench", "2024-02-29T12:00:00+00:00", 8, fits | changes)


def off(gain: float, offset: float = 0.0) -> ChannelFit:
    return ChannelFit(gain, offset, 0.0, 0.0, 0.0, 0.0, 5)


# waiting


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


# calibration


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
        ({"readings": 2000}, "readings 2000 is above the 1000 limit"),
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


# files


def test_a_calibration_is_kept_by_serial_number_and_can_be_read_by_people(tmp_path: Path) -> None:
    bench = bench_of(REAL)
    found = calibrate(bench.board, now=NOW)
    store = CalibrationStore(tmp_path / "calibrations")
    assert store.load("bench") is None
    store.save(found)
    assert store.load("bench") == found
    (path,) = (tmp_path / "calibrations").iterdir()
    assert path.name == "bench.json"
    text = json.loads(path.read_text())
    assert (text["version"], text["serial"]) == (1, "bench")
    assert text["channels"]["VBLset"]["unit"] == "mV"
    store.remove("bench")
    store.remove("bench")
    assert store.load("bench") is None


def test_without_a_folder_calibrations_are_kept_in_memory() -> None:
    store = CalibrationStore()
    store.save(perfect())
    assert store.load("bench") == perfect()
    store.remove("bench")
    assert store.load("bench") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2 is not 1"),
        ({"serial": "other"}, "is of board other, not of bench"),
        ({"channels": {}}, "0 channels are not the 22 supplies"),
        ({"channels": None}, "malformed"),
    ],
)
def test_a_file_that_is_no_calibration_of_this_board_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(perfect().json() | change))
    with pytest.raises(CalibrationError) as refused:
        CalibrationStore(tmp_path).load("bench")
    assert str(path) in str(refused.value)
    assert message in str(refused.value)


def test_a_file_that_is_no_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text("{")
    with pytest.raises(CalibrationError, match=r"bench\.json"):
        CalibrationStore(tmp_path).load("bench")


def test_a_fit_that_no_generator_has_is_refused() -> None:
    text = perfect(VBLset=off(0.0)).json()
    with pytest.raises(CalibrationError, match="VBLset"):
        Calibration.of(text)


# balance


def mismatch_mv(bench: Bench, seed: int = 3) -> float:
    """The true one."""
    real = truth(bench, seed)
    clamp = real["V25"] + (supply("VBL27").nominal + supply("VBL23").nominal) / 2
    clamp -= supply("V25").nominal
    return real["VBL27"] + real["VBL23"] - 2 * clamp


def vmm_offset_ua(bench: Bench) -> float:
    """Mean current of the columns for an input of 30 pixels, as its codes tell it."""
    inputs = np.zeros((26, 784), np.uint8)
    for sample in range(26):
        inputs[sample, 30 * sample : 30 * sample + 30] = 1
    return float(bench.chip.vmm(1, inputs).current_ua.mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [False, True])
def test_balancing_leaves_half_a_code_of_mismatch_at_most(seed: int, noise: bool) -> None:
    effects = {"channel_errors": {"gain": 0.02, "offset_mv": 20}, "channel_noise": noise}
    bench = bench_of(effects, seed)
    before = mismatch_mv(bench, seed)
    found = balance(bench.board)
    after = mismatch_mv(bench, seed)
    assert found.before.mismatch_mv == pytest.approx(before, abs=4 if noise else 2)
    assert found.after.mismatch_mv == pytest.approx(after, abs=4 if noise else 2)
    assert abs(after) <= 19.8 / 2 + (4 if noise else 1)
    states = {s.name: s.code for s in bench.board.supplies()}
    assert {name: states[name] for name in ("VBL27", "VBL23")} == found.codes
    assert states["V25"] == supply("V25").default_code


def test_a_mismatch_shows_in_products_and_is_tuned_away() -> None:
    bench = Bench(Specimen(seed=3))
    quiet = vmm_offset_ua(bench)
    bench.board.set_supply_codes({"VBL27": supply("VBL27").default_code + 4})
    detuned = vmm_offset_ua(bench)
    # 30 cells of 11 uS under 79 mV: 26 uA
    assert detuned - quiet == pytest.approx(25, abs=3)
    found = balance(bench.board)
    assert found.before.mismatch_mv == pytest.approx(79.1, abs=1)
    assert abs(found.after.mismatch_mv) < 1
    assert vmm_offset_ua(bench) == pytest.approx(quiet, abs=0.5)
    requested = {s.name: s.requested for s in bench.board.supplies()}
    assert (requested["VBL27"], requested["V25"]) == (None, 2565)


def test_balanced_rails_stay_as_they_are(bench: Bench) -> None:
    before = [s.code for s in bench.board.supplies()]
    found = balance(bench.board)
    assert found.before == found.after
    assert abs(found.after.mismatch_mv) < 0.5
    assert found.after.plus_mv == pytest.approx(227.4, abs=1)
    assert [s.code for s in bench.board.supplies()] == before


def test_the_balance_does_not_depend_on_the_weights() -> None:
    bench = Bench(Specimen(seed=3))
    rng = np.random.default_rng(1)
    cells = rng.uniform(3, 12, (2, 784, 100))
    cells[0] += 6
    bench.emulated.chip.set_conductance_uS(1, cells)
    bench.board.set_supply_codes({"VBL23": supply("VBL23").default_code - 2})
    assert balance(bench.board).before.mismatch_mv == pytest.approx(-39.5, abs=1)


def test_virgin_cells_tell_nothing(virgin_bench: Bench) -> None:
    with pytest.raises(NotFormed):
        balance(virgin_bench.board)


def test_too_few_cells_within_range_are_refused(bench: Bench) -> None:
    cells = np.full((2, 784, 100), 20.0)
    bench.board.set_supplies({"Iref_integ": 62.0})
    bench.emulated.chip.set_conductance_uS(1, cells)
    before = [s.code for s in bench.board.supplies()]
    with pytest.raises(BadArgument, match="0 cells of a plane within the converters' range"):
        balance(bench.board)
    assert [s.code for s in bench.board.supplies()] == before
