"""What the host refuses before anything is sent, and in which words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from starlab_host import safety
from starlab_spec import ARRAY1, ARRAY2, MINUS, PLUS, LimitExceeded, ShapeError, SpecError
from starlab_spec.samples import pack_samples

ANYTHING: Any = "up"
BITS = npst.arrays(np.uint8, st.tuples(st.integers(0, 4), st.just(784)), elements=st.integers(0, 1))


@given(BITS)
def test_packed_pixels_and_plain_ones_are_the_same_samples(pixels: np.ndarray[Any, Any]) -> None:
    expected = pack_samples(pixels)
    for form in (pixels, pixels.astype(bool), pixels.astype(np.float64)):
        np.testing.assert_array_equal(safety.check_samples(form), expected)
    packed = np.packbits(pixels, axis=1)
    np.testing.assert_array_equal(safety.check_samples(packed), expected)


def test_a_cell_mask_is_the_cross_product() -> None:
    mask = safety.cell_mask(ARRAY2, rows=[3, 99], columns=[0, 4, 9], polarity="-")
    assert mask.shape == (2, 100, 10)
    assert sorted(map(tuple, np.argwhere(mask).tolist())) == [
        (MINUS, row, column) for row in (3, 99) for column in (0, 4, 9)
    ]
    assert safety.cell_mask(ARRAY1).all()
    assert not safety.cell_mask(ARRAY2, polarity="+")[MINUS].any()


def test_weights_lie_around_the_middle_of_the_window() -> None:
    weights = np.zeros((100, 10))
    weights[0, 0], weights[1, 1] = 2.0, -1.0
    pair = safety.conductance_of_weights(ARRAY2, weights, None)
    assert pair[:, 0, 0].tolist() == [20.0, 2.0]
    assert pair[:, 1, 1].tolist() == [6.5, 15.5]
    assert pair[:, 5, 5].tolist() == [11.0, 11.0]
    scaled = safety.conductance_of_weights(ARRAY2, weights, 4.0)
    assert scaled[PLUS, 0, 0] - scaled[MINUS, 0, 0] == pytest.approx(8.0)


def test_weights_that_are_all_zero_are_the_middle_of_the_window() -> None:
    assert (safety.conductance_of_weights(ARRAY2, np.zeros((100, 10)), None) == 11.0).all()


def with_value(shape: tuple[int, ...], value: float, base: float = 0.0) -> np.ndarray[Any, Any]:
    array = np.full(shape, float(base))
    array[(-1,) * len(shape)] = value
    return array


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: safety.check_whole("count", 0, 1, 9, "pulses"), "count 0 pulses is below the 1"),
        (lambda: safety.check_whole("count", 1.5, 1, 9), "count 1.5 is not a whole number"),
        (lambda: safety.check_whole("count", True, 1, 9), "count True is not a whole number"),
        (lambda: safety.check_width_ns("width_ns", 75), "width_ns 75 ns is not a multiple of 50"),
        (lambda: safety.check_width_ns("width_ns", 0), "width_ns 0 ns is below the 50 ns limit"),
        (lambda: safety.check_indices("rows", [], 9), "rows selects nothing"),
        (lambda: safety.check_indices("rows", [3, 9], 9), "rows 9 is above the 8 limit"),
        (lambda: safety.check_indices("rows", [-1], 9), "rows -1 is below the 0 limit"),
        (lambda: safety.check_layers([]), "layers selects nothing"),
        (lambda: safety.check_layers([1, 2, 1]), "layers selects 1 twice"),
        (lambda: safety.check_layers([3]), "layers 3 is above the 2 limit"),
        (lambda: safety.check_tolerance(0.05), "tolerance_uS 0.05 uS is below the 0.1 uS limit"),
        (
            lambda: safety.cell_mask(ARRAY1, polarity=ANYTHING),
            "polarity 'up' is neither '+' nor '-'",
        ),
        (
            lambda: safety.check_mask(ARRAY2, np.ones((2, 10, 100))),
            "mask has shape (2, 10, 100), expected (2, 100, 10)",
        ),
        (
            lambda: safety.check_mask(ARRAY2, with_value(ARRAY2.shape, 2)),
            "mask must hold only 0 and 1",
        ),
        (
            lambda: safety.check_mask(ARRAY2, with_value(ARRAY2.shape, float("nan"))),
            "mask must hold only 0 and 1",
        ),
        (lambda: safety.check_mask(ARRAY2, np.zeros(ARRAY2.shape)), "mask selects no cell"),
        (lambda: safety.check_samples([[0, 1], [1]]), "inputs has rows of different lengths"),
        (lambda: safety.check_samples(np.zeros((3, 783))), "inputs has shape (3, 783), expected"),
        (lambda: safety.check_samples(with_value((2, 784), 0.5)), "inputs holds 0.5 at [1, 783]"),
        (
            lambda: safety.check_samples(with_value((2, 784), float("nan"))),
            "inputs holds nan at [1, 783], expected only 0 and 1",
        ),
        (
            lambda: safety.check_pulse_counts(with_value((2, 100), 16), 4),
            "inputs[1, 99] 16 is above the 15 limit",
        ),
        (
            lambda: safety.check_pulse_counts(with_value((2, 100), 1.5), 8),
            "inputs must hold only whole numbers",
        ),
        (lambda: safety.check_labels([1, 2], 3), "labels has shape (2,), expected (3,)"),
        (lambda: safety.check_labels([1, 10], 2), "labels[1] 10 is above the 9 limit"),
        (lambda: safety.check_labels([-1], 1), "labels[0] -1 is below the 0 limit"),
        (
            lambda: safety.check_targets(with_value((1, 10), 65536), 1),
            "targets[0, 9] 65536 is above the 65535 limit",
        ),
        (
            lambda: safety.check_target_conductance(ARRAY2, with_value(ARRAY2.shape, 20.5, 5)),
            "conductance_uS[1, 99, 9] 20.5 uS is above the 20 uS limit",
        ),
        (
            lambda: safety.check_target_conductance(
                ARRAY2, with_value(ARRAY2.shape, float("nan"), 5)
            ),
            "conductance_uS[1, 99, 9] is not a number",
        ),
        (
            lambda: safety.conductance_of_weights(ARRAY2, with_value((100, 10), float("inf")), 1),
            "weights must hold only finite numbers",
        ),
        (
            lambda: safety.conductance_of_weights(ARRAY2, with_value((100, 10), 2.0), 10.0),
            "weights * scale_uS 20 uS is above the 18 uS limit",
        ),
        (
            lambda: safety.conductance_of_weights(ARRAY2, np.zeros((100, 10)), -1.0),
            "scale_uS -1.0 uS is not a positive number",
        ),
    ],
)
def test_a_refusal_names_what_was_asked_and_what_is_allowed(
    check: Callable[[], object], message: str
) -> None:
    with pytest.raises(SpecError) as refusal:
        check()
    assert str(refusal.value).startswith(message)


def test_a_limit_can_be_read_from_the_error() -> None:
    with pytest.raises(LimitExceeded) as refusal:
        safety.check_labels([0, 12], 2)
    assert (refusal.value.name, refusal.value.value, refusal.value.limit) == ("labels[1]", 12, 9)


def test_text_is_no_number() -> None:
    with pytest.raises(ShapeError, match=r"^labels has type <U1, expected numbers$"):
        safety.check_labels(np.array(["7"]), 1)


def test_a_weight_may_take_the_window_and_what_floats_round_and_no_more() -> None:
    most = 18.0 * (1 + 1e-9)
    weights = np.full((100, 10), most)
    assert safety.conductance_of_weights(ARRAY2, weights, 1.0).max() == 20.0
    with pytest.raises(LimitExceeded):
        safety.conductance_of_weights(ARRAY2, np.nextafter(weights, 100), 1.0)
