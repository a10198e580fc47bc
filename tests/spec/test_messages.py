"""Numbers in messages: short, and never so short that the sentence is no longer true."""

import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from starlab_spec import LimitExceeded
from starlab_spec.errors import apart, exact, rounded
from starlab_spec.operations import PulseKind
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import SUPPLIES

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(np.float32),
    st.integers(-(2**63), 2**63 - 1).map(np.int64),
)
SENTENCE = re.compile(r"x (\S+) mV is (above|below|not within) the (\S+) mV limit")


def real(number: Any) -> Decimal:
    return Decimal(int(number)) if isinstance(number, int | np.integer) else Decimal(float(number))


def check(value: Any, limit: Any) -> None:
    match = SENTENCE.fullmatch(str(LimitExceeded("x", value, limit, "mV")))
    assert match is not None
    order = (real(value) > real(limit)) - (real(value) < real(limit))
    assert match[2] == {1: "above", -1: "below", 0: "not within"}[order]
    told, bound = Decimal(match[1]), Decimal(match[3])
    assert (told > bound) - (told < bound) == order


@given(NUMBERS, NUMBERS)
@example(2600.001, 2600)
@example(2600.0000000001, 2600)
@example(math.nextafter(2600, 3000), 2600)
@example(-0.0, 0.0)
@example(5e-324, 0)
@example(-1e308, 1e308)
@example(1e15 + 0.5, 10**15)
@example(2**53 + 1, 2.0**53)
@example(np.float32(0.1), 0.1)
@example(np.int64(10_000_001), 1e7)
@example(10**4999, 10**5000)
def test_what_is_printed_stands_on_the_same_side_of_the_limit(value: Any, limit: Any) -> None:
    check(value, limit)


@given(NUMBERS, st.sampled_from([-1e-9, 1e-9, -1e-13, 1e-13]))
def test_near_the_limit_too(limit: Any, share: float) -> None:
    if isinstance(limit, float):
        check(limit * (1 + share), limit)


@pytest.mark.parametrize(
    ("value", "limit", "said"),
    [
        (3300, 2600, ("3300", "2600")),
        (3300.0, 2600.0, ("3300", "2600")),
        (5669.411764, 2600, ("5669.41", "2600")),
        (1e-7, 0.0, ("1e-07", "0")),
        (12345678, 255, ("12345678", "255")),
        (12345678.0, 255, ("1.23457e+07", "255")),
        (math.nan, 3, ("nan", "3")),
        (math.inf, 3, ("inf", "3")),
        (2600.001, 2600, ("2600.001", "2600")),
        (2600.0000004, 2600.0000003, ("2600.0000004", "2600.0000003")),
        (True, 0, ("1", "0")),
    ],
)
def test_digits_are_as_few_as_will_do(value: float, limit: float, said: tuple[str, str]) -> None:
    assert apart(value, limit) == said


@given(NUMBERS)
@example(50.0000001)
def test_an_exact_number_is_that_number(number: Any) -> None:
    assert Decimal(exact(number)) == real(number) or float(exact(number)) == float(number)
    assert exact(2600.0) == "2600"
    assert exact(50.0000001) == "50.0000001"


@given(
    st.floats(-1e9, 1e9, allow_nan=False), st.floats(-1e9, 1e9, allow_nan=False), st.integers(0, 4)
)
@example(2600.04, 2600.0, 1)
def test_rounding_keeps_a_number_on_its_side(value: float, limit: float, decimals: int) -> None:
    near = rounded(value, limit, decimals)
    assert (near > limit) - (near < limit) == (value > limit) - (value < limit)
    assert abs(near - value) <= 0.5 * 10**-decimals + 1e-6


@pytest.mark.parametrize("channel", SUPPLIES, ids=str)
def test_supplies_just_beyond_their_limits_say_so(channel: Any) -> None:
    for excess in (1e-3, 1e-6, 1e-9):
        with pytest.raises(LimitExceeded) as above:
            channel.check(channel.high + excess)
        with pytest.raises(LimitExceeded) as below:
            channel.check(channel.low - excess)
        for error in (above.value, below.value):
            match = re.search(r" (\S+) \S+ is (above|below) the (\S+) ", str(error))
            assert match is not None
            assert (Decimal(match[1]) > Decimal(match[3])) == (match[2] == "above")


def test_pulses_just_beyond_their_energy_say_so() -> None:
    area = SafeArea.shipped()
    low_mv, high_mv = 1.0, 2000.0
    refused = None
    while high_mv - low_mv > 1e-9:
        middle_mv = (low_mv + high_mv) / 2
        try:
            area.check_voltage(1, PulseKind.SET, middle_mv, 12_800, 1)
            low_mv = middle_mv
        except LimitExceeded as error:
            high_mv, refused = middle_mv, error
    assert refused is not None
    assert refused.value > refused.limit
    match = re.search(r"(\S+) \S+ on array 1 is above the (\S+) ", str(refused))
    assert match is not None
    assert Decimal(match[1]) > Decimal(match[2])


def test_limits_of_a_file_that_hardly_differ_are_told_apart() -> None:
    area = SafeArea.parse(b"[supplies.VBLset]\nhigh = 2599.9999\n")
    assert area.differences == ("supplies.VBLset.high 2599.9999 instead of 2600",)
