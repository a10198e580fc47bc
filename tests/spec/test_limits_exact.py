"""A limit itself is allowed, and what lies beyond it by the least bit is not."""

import math
from typing import Any

import pytest

from starlab_spec.errors import BadLimits, LimitExceeded, Unsafe
from starlab_spec.operations import PulseKind
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import SUPPLIES, Channel, supply

SET = PulseKind.SET
VOLTAGES = [channel for channel in SUPPLIES if channel.unit == "mV"]


def area(**set1: float) -> SafeArea:
    """Limits of SET on array 1."""
    return SafeArea.of({"pulses": {"array1": {"set": set1}}})


def below(value: float) -> float:
    return math.nextafter(value, -math.inf)


def test_width_and_number_may_be_what_the_limit_says() -> None:
    limits = area(width_ns=1000, pulses=7)
    limits.check_width(1, SET, 1000)
    limits.check_count(1, SET, 7)
    with pytest.raises(Unsafe, match="SET width 1001 ns on array 1 is above the 1000 ns limit"):
        limits.check_width(1, SET, 1001)
    with pytest.raises(Unsafe, match="SET pulses 8 on array 1 is above the 7 limit"):
        limits.check_count(1, SET, 8)


@pytest.mark.parametrize(
    ("name", "exact"),
    # 2 V over 20 uS: 40 uA; for 1 us: 80 pJ; 50 cells: 2 mA. All of them are exact in binary
    [("energy_pj", 80.0), ("cell_ua", 40.0), ("row_ma", 2.0)],
)
def test_energy_and_currents_may_be_what_the_limit_says(name: str, exact: float) -> None:
    area(**{name: exact}).check_voltage(1, SET, 2000.0, 1000, 50)
    with pytest.raises(Unsafe):
        area(**{name: below(exact)}).check_voltage(1, SET, 2000.0, 1000, 50)


def test_a_row_matters_if_all_of_its_cells_would_be_too_many() -> None:
    # 100 cells of 40 uA, and 10 of array 2
    assert not area(row_ma=4.0).rows_matter(1, SET, 2000.0)
    assert area(row_ma=below(4.0)).rows_matter(1, SET, 2000.0)
    small = SafeArea.of({"pulses": {"array2": {"set": {"row_ma": 0.4}}}})
    assert not small.rows_matter(2, SET, 2000.0)
    assert small.rows_matter(2, SET, math.nextafter(2000.0, 3000.0))


@pytest.mark.parametrize("kind", [PulseKind.SET, PulseKind.RESET])
def test_set_and_reset_must_stay_below_the_forming_level(kind: PulseKind) -> None:
    generous = {
        key: {"cell_ua": 120, "row_ma": 12, "energy_pj": 10_000} for key in ("set", "reset")
    }
    limits = SafeArea.of({"pulses": {"array1": generous}, "forming": {"level_mv": 3000}})
    limits.check_voltage(1, kind, below(3000.0), 50, 1)
    with pytest.raises(Unsafe) as refused:
        limits.check_voltage(1, kind, 3000.0, 50, 1)
    assert refused.value.name == f"{kind.name} voltage"


@pytest.mark.parametrize(
    ("table", "is_allowed"),
    [
        ({"supplies": {"VBLset": {"high": 2209}}}, True),
        ({"supplies": {"VBLset": {"high": 2208.99}}}, False),
        ({"supplies": {"VBLset": {"low": 2209}}}, True),
        ({"supplies": {"VBLset": {"low": 2209.01}}}, False),
        ({"supplies": {"VBLset": {"low": 0}}}, True),
        ({"supplies": {"VBLset": {"low": -0.01}}}, False),
        ({"supplies": {"VWLset": {"high": 5670}}}, True),  # what code 255 gives, rounded up
        ({"supplies": {"VWLset": {"high": 5670.01}}}, False),
        ({"rails": {"trip_margin": 0.01}}, True),
        ({"rails": {"trip_margin": 0.2}}, True),
        ({"rails": {"trip_margin": 0.201}}, False),
        # SET may really reach 2600 mV and 5 % of it: 2730 mV
        ({"forming": {"level_mv": 2730.01}}, True),
        ({"forming": {"level_mv": 2730}}, False),
        ({"forming": {"level_mv": 4500}}, True),
        ({"forming": {"level_mv": 4500.1}}, False),
        ({"pulses": {"array1": {"set": {"width_ns": 50}}}}, True),
        ({"pulses": {"array1": {"set": {"width_ns": 49}}}}, False),
        ({"pulses": {"array1": {"set": {"width_ns": 12_800}}}}, True),
        ({"pulses": {"array1": {"set": {"width_ns": 12_801}}}}, False),
        ({"pulses": {"array1": {"set": {"pulses": 1}}}}, True),
        ({"pulses": {"array1": {"set": {"pulses": 0}}}}, False),
        ({"pulses": {"array1": {"set": {"pulses": 256}}}}, True),
        ({"pulses": {"array1": {"set": {"pulses": 257}}}}, False),
        ({"pulses": {"array1": {"set": {"energy_pj": 10_000}}}}, True),
        ({"pulses": {"array1": {"set": {"energy_pj": 10_001}}}}, False),
        ({"pulses": {"array1": {"set": {"energy_pj": 0.001}}}}, True),
        ({"pulses": {"array1": {"set": {"energy_pj": 0.0009}}}}, False),
        ({"pulses": {"array1": {"set": {"cell_ua": 120}}}}, True),
        ({"pulses": {"array1": {"set": {"cell_ua": 120.1}}}}, False),
        ({"pulses": {"array1": {"set": {"row_ma": 12}}}}, True),
        ({"pulses": {"array1": {"set": {"row_ma": 12.1}}}}, False),
        ({"rate": {"array1": {"pulses": 1}}}, True),
        ({"rate": {"array1": {"pulses": 0}}}, False),
        ({"rate": {"array1": {"pulses": 10**9}}}, True),
        ({"rate": {"array1": {"pulses": 10**9 + 1}}}, False),
        ({"rate": {"array1": {"window_s": 0.001}}}, True),
        ({"rate": {"array1": {"window_s": 0.0009}}}, False),
        ({"rate": {"array1": {"window_s": 10}}}, True),
        ({"rate": {"array1": {"window_s": 10.1}}}, False),
    ],
)
def test_limits_themselves_have_bounds_that_are_allowed(
    table: dict[str, Any], is_allowed: bool
) -> None:
    if is_allowed:
        SafeArea.of(table)
    else:
        with pytest.raises((LimitExceeded, BadLimits)):
            SafeArea.of(table)


@pytest.mark.parametrize(("level_mv", "is_allowed"), [(2500, True), (2499.9, False)])
def test_a_forming_level_has_a_least_value(level_mv: float, is_allowed: bool) -> None:
    rails = {"VBLset": {"high": 2300}, "VSLreset": {"high": 2300}}
    table = {"supplies": rails, "forming": {"level_mv": level_mv}}
    if is_allowed:
        assert SafeArea.of(table).forming_level_mv == level_mv
    else:
        with pytest.raises(LimitExceeded, match="is below the 2500 mV limit"):
            SafeArea.of(table)


def test_what_allows_more_is_told_and_what_allows_less_is_not() -> None:
    more = {
        "supplies": {"VBLset": {"low": 600, "high": 2700}},
        "rails": {"trip_margin": 0.1},
        "rate": {"array2": {"window_s": 0.01}},
    }
    assert SafeArea.of(more).widened == SafeArea.of(more).differences
    less = {
        "supplies": {"VBLset": {"low": 700, "high": 2500}},
        "rails": {"trip_margin": 0.02},
        "rate": {"array2": {"window_s": 1}},
    }
    assert len(SafeArea.of(less).differences) == 4
    assert SafeArea.of(less).widened == ()


def test_a_rail_trips_a_share_above_its_own_limit() -> None:
    limits = SafeArea.of({"rails": {"trip_margin": 0.125}, "supplies": {"VBLset": {"high": 2400}}})
    assert limits.trip_mv(supply("VBLset")) == 2700


# ---- generators


@pytest.mark.parametrize("channel", SUPPLIES, ids=lambda channel: channel.name)
def test_the_limits_of_a_generator_may_be_asked_for(channel: Channel) -> None:
    for limit in (channel.low, channel.high):
        channel.check(limit)
    for beyond in (below(channel.low), math.nextafter(channel.high, math.inf)):
        with pytest.raises(LimitExceeded):
            channel.check(beyond)


@pytest.mark.parametrize("channel", SUPPLIES, ids=lambda channel: channel.name)
def test_a_code_may_be_off_a_limit_by_half_a_step_and_no_more(channel: Channel) -> None:
    """Of all codes those are safe that a value within the limits may be rounded to."""
    for code in range(256):
        value = channel.value(code)
        half = abs(value - channel.value(code - 1 if code else 1)) / 2
        is_safe = channel.low - half <= value <= channel.high + half
        if is_safe:
            channel.check_code(code)
        else:
            with pytest.raises(LimitExceeded):
                channel.check_code(code)


def test_the_codes_at_both_ends_of_a_generator_are_known() -> None:
    """By hand: 605 (1245 + code * 10000 / 255) / 1200 mV, 19.77 mV apart."""
    at = supply("VBLset")
    at.check_code(100)  # 2604.8 mV: 2600 mV is nearest to it
    with pytest.raises(LimitExceeded, match=r"VBLset 2624\.6 mV is above the 2600 mV limit"):
        at.check_code(101)
    at = supply("VBL27")
    at.check_code(85)  # 2308.2 mV
    with pytest.raises(LimitExceeded, match=r"VBL27 2288\.5 mV is below the 2300 mV limit"):
        at.check_code(84)


@pytest.mark.parametrize("channel", VOLTAGES, ids=lambda channel: channel.name)
def test_a_voltage_half_a_step_beyond_the_first_code_still_gets_it(channel: Channel) -> None:
    loose = type(channel)(  # a generator that is allowed more than it can give
        channel.index, channel.name, channel.chip_select, channel.register, 1000, 0, 9000
    )
    first, step = loose.value(0), loose.value(1) - loose.value(0)
    assert loose.code(first - 0.499 * step) == 0
    with pytest.raises(LimitExceeded, match="reach"):
        loose.code(first - 0.501 * step)
    last, step = loose.value(255), loose.value(255) - loose.value(254)
    assert loose.code(last + 0.499 * step) == 255
    with pytest.raises(LimitExceeded, match="reach"):
        loose.code(last + 0.501 * step)
