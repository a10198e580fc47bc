"""The 22 generators against the published table and formulas, evaluated here a second time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_spec import LimitExceeded, UnknownName
from starlab_spec.supplies import (
    CLAMP_OFFSET_MV,
    NOMINAL_READ_MV,
    SUPPLIES,
    Channel,
    supply,
    supply_at,
)

PUBLISHED = [
    # name, chip select, register, default
    ("VWLform", 1, 0, 1220),
    ("VWLset", 1, 1, 1813),
    ("VWLvdd", 1, 2, 4166),
    ("VBL27", 1, 3, 2762),
    ("VBL23", 1, 4, 2308),
    ("VBLform", 1, 5, 5016),
    ("VBLset", 2, 0, 2209),
    ("VSLreset", 2, 1, 1600),
    ("Vref_ref_low", 2, 2, 2327),
    ("EXT_DL", 2, 3, 627),
    ("Vref<0>", 2, 4, 627),
    ("Vref<1>", 2, 5, 627),
    ("Vref_ref_high", 3, 0, 2706),
    ("Vref_DA", 3, 1, 5155),
    ("V25", 3, 4, 2565),
    ("Iref_integ", 4, 0, 81),
    ("Iref_integ2", 4, 1, 80),
    ("Iref_integ3", 4, 2, 80),
    ("Ibuf_DA", 5, 1, 201),
    ("IMP_IDC_test", 5, 2, 200),
    ("Test_integ_in", 6, 1, 1),
    ("Vbias_comp", 3, 2, 25),
]
POTENTIOMETERS = {
    # Rab, Rbase in Ohm
    "Iref_integ": (10_000, 420),
    "Iref_integ2": (10_000, 420),
    "Iref_integ3": (10_000, 420),
    "Ibuf_DA": (1_000, 220),
    "IMP_IDC_test": (1_000, 220),
    "Test_integ_in": (100_000, 220),
    "Vbias_comp": (10_000, 1_200),
}

channels = st.sampled_from(SUPPLIES)
codes = st.integers(0, 255)


def published_value(channel: Channel, code: int) -> float:
    if channel.unit == "mV":
        return 605 * (1200 + 45 + code * 10000 / 255) / 1200
    r_ab, r_base = POTENTIOMETERS[channel.name]
    return 66000 / (code * r_ab / 255 + 50 + r_base)


def step(channel: Channel, code: int) -> float:
    """The greater of the distances to the neighbouring codes."""
    return max(
        abs(published_value(channel, code) - published_value(channel, other))
        for other in (code - 1, code + 1)
    )


def test_the_channels_are_the_published_ones_in_the_published_order() -> None:
    found = [(c.name, c.chip_select, c.register, c.default) for c in SUPPLIES]
    assert found == PUBLISHED
    assert [c.index for c in SUPPLIES] == list(range(22))
    assert [c.unit for c in SUPPLIES] == ["mV"] * 15 + ["uA"] * 7


@given(channels, codes)
def test_values_follow_the_published_formulas(channel: Channel, code: int) -> None:
    assert channel.value(code) == pytest.approx(published_value(channel, code), rel=1e-12)


def test_the_ends_of_a_voltage_channel_are_the_published_ones() -> None:
    assert supply("VBLset").value(0) == pytest.approx(627.7, abs=0.05)
    assert supply("VBLset").value(255) == pytest.approx(5670, abs=1)


def test_defaults_have_the_codes_of_the_published_formulas() -> None:
    # (mV * 1200 / 605 - 1245) * 255 / 10000 and (66000 / uA - 50 - Rbase) * 255 / Rab, rounded
    assert [c.default_code for c in SUPPLIES] == [
        30, 60, 179, 108, 85, 222, 80, 49, 86, 0, 0, 0, 105, 229, 98,
        9, 9, 9, 15, 15, 168, 35,
    ]  # fmt: skip


@given(channels, codes)
def test_a_code_is_the_nearest_code_of_its_own_value(channel: Channel, code: int) -> None:
    assert channel.nearest_code(channel.value(code)) == code


@given(channels, st.floats(0, 1))
def test_a_safe_value_gets_a_code_that_the_board_finds_safe(channel: Channel, place: float) -> None:
    reach = sorted((channel.value(0), channel.value(255)))
    low, high = max(channel.low, reach[0]), min(channel.high, reach[1])
    value = min(low + place * (high - low), high)
    code = channel.code(value)
    channel.check_code(code)
    assert abs(channel.value(code) - value) <= step(channel, code) / 2 * (1 + 1e-9)


@given(channels, st.floats(min_value=0.01, max_value=1e6))
def test_a_value_beyond_a_limit_is_refused_with_that_limit(channel: Channel, excess: float) -> None:
    with pytest.raises(LimitExceeded) as above:
        channel.code(channel.high + excess)
    assert (above.value.name, above.value.limit) == (channel.name, channel.high)
    with pytest.raises(LimitExceeded) as below:
        channel.code(channel.low - excess)
    assert (below.value.name, below.value.limit) == (channel.name, channel.low)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(LimitExceeded):
        supply("VBLset").code(value)


def test_a_refusal_gives_name_value_limit_and_unit() -> None:
    with pytest.raises(LimitExceeded, match=r"^VBLset 3300 mV is above the 2600 mV limit$"):
        supply("VBLset").code(3300)
    with pytest.raises(LimitExceeded, match=r"^VBLset 5669\.4 mV is above the 2600 mV limit$"):
        supply("VBLset").check_code(255)
    with pytest.raises(LimitExceeded, match=r"^VBLset code 256 is above the 255 limit$"):
        supply("VBLset").check_code(256)
    with pytest.raises(LimitExceeded, match=r"^VBLset code -1 is below the 0 limit$"):
        supply("VBLset").check_code(-1)


def test_a_safe_value_that_no_code_reaches_is_refused() -> None:
    # the least current of Iref_integ is 66000 / (10000 + 420 + 50) = 6.304 uA
    with pytest.raises(
        LimitExceeded, match=r"^Iref_integ reach: 6 uA is below the 6\.304 uA limit$"
    ):
        supply("Iref_integ").code(6)


def test_every_published_default_is_safe() -> None:
    for channel in SUPPLIES:
        assert channel.code(channel.default) == channel.default_code
        channel.check_code(channel.default_code)


def test_channels_are_found_by_their_published_address() -> None:
    for name, chip_select, register, _ in PUBLISHED:
        assert supply_at(chip_select, register) is supply(name)
    with pytest.raises(UnknownName, match="unknown supply address '7/0'"):
        supply_at(7, 0)


def test_the_published_rails_are_balanced_around_the_clamp() -> None:
    # codes 108, 85, 98: 605 * (1245 + code * 10000 / 255) / 1200 mV
    vbl27, vbl23, v25 = (605 * (1245 + c * 10000 / 255) / 1200 for c in (108, 85, 98))
    assert v25 + CLAMP_OFFSET_MV == pytest.approx((vbl27 + vbl23) / 2)
    assert pytest.approx(-29.66, abs=0.005) == CLAMP_OFFSET_MV
    assert pytest.approx(227.37, abs=0.005) == NOMINAL_READ_MV
