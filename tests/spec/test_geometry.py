"""The arrays, the units and the errors that all packages share."""

import math

import pytest

from starlab_spec import ARRAY1, ARRAY2, LimitExceeded, SpecError, UnknownName, array_geometry
from starlab_spec.geometry import MID_WINDOW_uS, WINDOW_uS
from starlab_spec.units import current_ua, ns_to_ticks, ticks_to_ns


def test_the_chip_has_158800_memristors_in_two_arrays() -> None:
    assert ARRAY1.shape == (2, 784, 100)
    assert ARRAY2.shape == (2, 100, 10)
    assert ARRAY1.cells + ARRAY2.cells == 158_800


def test_array_1_has_100_columns_of_pairs_and_array_2_has_20_of_single_cells() -> None:
    assert ARRAY1.columns == 100
    assert ARRAY2.columns == 20


def test_arrays_are_found_by_number() -> None:
    assert array_geometry(1) is ARRAY1
    assert array_geometry(2) is ARRAY2


@pytest.mark.parametrize(
    ("number", "message"),
    [(0, "array 0 is below the 1 limit"), (3, "array 3 is above the 2 limit")],
)
def test_there_is_no_other_array(number: int, message: str) -> None:
    with pytest.raises(LimitExceeded, match=f"^{message}$"):
        array_geometry(number)


def test_the_window_reaches_from_2_to_20_microsiemens() -> None:
    assert WINDOW_uS == 18.0
    assert MID_WINDOW_uS == 11.0


def test_a_clock_cycle_is_50_ns() -> None:
    assert ticks_to_ns(6) == 300
    assert ns_to_ticks(300) == 6
    with pytest.raises(ValueError, match="120 ns is not a multiple of the 50 ns clock cycle"):
        ns_to_ticks(120)


def test_a_fifth_of_a_volt_drives_2_ua_through_10_microsiemens() -> None:
    assert current_ua(200.0, 10.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (LimitExceeded("VBLset", 3300, 2600, "mV"), "VBLset 3300 mV is above the 2600 mV limit"),
        (
            LimitExceeded("VBL27", 1000.5, 2300.0, "mV"),
            "VBL27 1000.5 mV is below the 2300 mV limit",
        ),
        (
            LimitExceeded("address", 134217729, 134217728),
            "address 134217729 is above the 134217728 limit",
        ),
        (LimitExceeded("V25", math.nan, 2800, "mV"), "V25 nan mV is not within the 2800 mV limit"),
        (
            UnknownName("supply", "VBL", ["VBL23", "VBL27"]),
            "unknown supply 'VBL'; known: VBL23, VBL27",
        ),
    ],
)
def test_an_error_names_what_was_asked_and_what_is_possible(error: SpecError, message: str) -> None:
    assert str(error) == message
    assert isinstance(error, ValueError)
