"""The learning rules as arrays, against the published rules written out one number at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from starlab_spec import stellar
from starlab_spec.operations import Activation, PulseKind, Scheme

SET, RESET = PulseKind.SET, PulseKind.RESET

thresholds = st.integers(0, 60)
codes = st.integers(-200, 200)
outputs = npst.arrays(np.int64, 4, elements=codes)
hidden = npst.arrays(np.int64, 5, elements=st.integers(0, 255))
signs = npst.arrays(np.int8, 4, elements=st.integers(-1, 1))
updates = npst.arrays(np.int8, (5, 4), elements=st.integers(-1, 1))


def se(error: float, th: float) -> int:
    if error == 0:
        return 0
    if error >= th:
        return 1
    return -1 if error <= -th else 0


def sy(activity: float, c: float) -> int:
    return int(activity > 0) if c == 0 else int(activity >= c)


def sigmoid(u: float) -> float:
    return 1 / (1 + math.exp(-u))


@given(outputs, thresholds)
def test_an_error_becomes_its_sign_if_it_reaches_the_threshold(errors: np.ndarray, th: int) -> None:
    assert stellar.ternary(errors, th).tolist() == [se(e, th) for e in errors]


def test_known_errors_at_a_threshold_of_5() -> None:
    assert stellar.ternary([-6, -5, -4, 0, 4, 5, 6], 5).tolist() == [-1, -1, 0, 0, 0, 1, 1]
    assert stellar.ternary([-1, 0, 1], 0).tolist() == [-1, 0, 1]


@given(hidden, thresholds)
def test_an_activity_is_on_if_it_reaches_its_threshold(y1: np.ndarray, c1: int) -> None:
    assert stellar.binary(y1, c1).tolist() == [sy(y, c1) for y in y1]


@given(outputs, outputs, thresholds, thresholds)
def test_with_relu_only_active_outputs_learn(
    z: np.ndarray, target: np.ndarray, th: int, c2: int
) -> None:
    found = stellar.output_error_sign(z, target, Activation.RELU, th=th, c2=c2)
    expected = [
        se(t - max(value, 0), th) * sy(max(value, 0), c2)
        for value, t in zip(z.tolist(), target.tolist(), strict=True)
    ]
    assert found.tolist() == expected


@given(outputs, outputs, thresholds, thresholds)
def test_without_activation_all_outputs_learn(
    z: np.ndarray, target: np.ndarray, th: int, c2: int
) -> None:
    found = stellar.output_error_sign(z, target, Activation.NONE, th=th, c2=c2)
    assert found.tolist() == [se(int(t) - int(v), th) for v, t in zip(z, target, strict=True)]


@pytest.mark.parametrize("z", [-150, -40, 0, 3, 40, 150])
@pytest.mark.parametrize("c2", [0.0, 0.3, 0.9])
def test_with_sigmoid_and_tanh_the_derivative_decides_what_learns(z: int, c2: float) -> None:
    y = sigmoid(z / 64)
    assert stellar.activate(z, Activation.SIGMOID, scale=64, amplitude=79) == pytest.approx(79 * y)
    gate = stellar.output_gate([z], Activation.SIGMOID, c2, scale=64)
    assert gate.tolist() == [sy(4 * y * (1 - y), c2)]
    u = math.tanh(z / 64)
    assert stellar.activate(z, Activation.TANH, scale=64, amplitude=79) == pytest.approx(79 * u)
    gate = stellar.output_gate([z], Activation.TANH, c2, scale=64)
    assert gate.tolist() == [sy(1 - u * u, c2)]


def test_the_sigmoid_does_not_overflow() -> None:
    ends = stellar.activate([-1e6, 1e6], Activation.SIGMOID, amplitude=79)
    assert ends.tolist() == [0.0, 79.0]


@given(hidden, signs, thresholds)
def test_the_output_update_is_an_outer_product(y1: np.ndarray, error: np.ndarray, c1: int) -> None:
    expected = [[sy(y, c1) * int(e) for e in error] for y in y1]
    assert stellar.output_update(y1, error, c1=c1).tolist() == expected


@given(
    npst.arrays(np.uint8, 6, elements=st.integers(0, 1)),
    hidden,
    npst.arrays(np.int64, (5, 4), elements=st.integers(-18, 18)),
    signs,
    st.integers(0, 20),
)
def test_the_hidden_update_drives_the_error_back_through_array_2(
    x: np.ndarray, y1: np.ndarray, w2: np.ndarray, error: np.ndarray, th1: int
) -> None:
    expected = []
    for pixel in x.tolist():
        row = []
        for j in range(5):
            back = sum(int(w2[j, k]) * int(error[k]) for k in range(4))
            row.append(pixel * se(back, th1) * int(y1[j] > 0))
        expected.append(row)
    assert stellar.hidden_update(x, y1, w2, error, th1_uS=th1).tolist() == expected


@given(updates)
def test_pulses_follow_the_published_table(update: np.ndarray) -> None:
    set_phase = stellar.pulse_plan(update, plus=SET, minus=SET)
    reset_phase = stellar.pulse_plan(update, plus=RESET, minus=RESET)
    assert np.array_equal(set_phase.set_mask, [update > 0, update < 0])
    assert not set_phase.reset_mask.any()
    assert np.array_equal(reset_phase.reset_mask, [update < 0, update > 0])
    assert not reset_phase.set_mask.any()


@given(updates)
def test_a_polarity_without_kind_is_left_alone(update: np.ndarray) -> None:
    plan = stellar.pulse_plan(update, plus=RESET, minus=None)
    assert np.array_equal(plan.reset_mask[0], update < 0)
    assert not plan.reset_mask[1].any()
    assert not plan.set_mask.any()


def test_an_update_of_nothing_gives_no_pulse() -> None:
    plan = stellar.pulse_plan(np.zeros((3, 2)), plus=SET, minus=RESET)
    assert not plan.set_mask.any()
    assert not plan.reset_mask.any()


def test_the_cyclic_scheme_alternates_and_the_non_cyclic_one_does_both() -> None:
    assert stellar.phases(Scheme.CYCLIC, 0) == ((SET,), 1)
    assert stellar.phases(Scheme.CYCLIC, 1) == ((RESET,), 0)
    assert stellar.phases(Scheme.NON_CYCLIC, 0) == ((SET, RESET), 0)
    assert stellar.phases(Scheme.NON_CYCLIC, 1) == ((SET, RESET), 1)
