"""The STELLAR learning rules as pure functions of arrays. Knows no cell, no pulse, no board.

Source: Zhang et al., Science 381, 1205 (2023) [P]; the hidden layer's rule is a reconstruction [R]
from the chip's backward comparator path. The emulator has compiled kernels of its own, which are
tested against these.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab_spec.operations import Activation, PulseKind, Scheme

_DERIVATIVE_MAX: Final = {Activation.SIGMOID: 0.25, Activation.TANH: 1.0}


def ternary(error: ArrayLike, threshold: float) -> NDArray[np.int8]:
    """+1 where ``error >= threshold``, -1 where ``error <= -threshold``, else 0 [P].

    A threshold of 0 leaves an error of exactly 0 without update.
    """
    e = np.asarray(error)
    rising = (e >= threshold) & (e > 0)
    falling = (e <= -threshold) & (e < 0)
    return rising.astype(np.int8) - falling.astype(np.int8)


def binary(activity: ArrayLike, threshold: float) -> NDArray[np.int8]:
    """1 where ``activity >= threshold`` (``> 0`` where the threshold is 0), else 0 [P]."""
    y = np.asarray(activity)
    return (y > 0 if threshold == 0 else y >= threshold).astype(np.int8)


def activate(
    z: ArrayLike, activation: Activation, *, scale: float = 1.0, amplitude: float = 1.0
) -> NDArray[np.float64]:
    """Output activation ``y2``.

    Args:
        z: Outputs of array 2, any shape.
        activation: None, ReLU, sigmoid or tanh.
        scale: s of ``y2 = A * f(z / s)``, for sigmoid and tanh.
        amplitude: A of the same.
    """
    y2: NDArray[np.float64] = np.asarray(z, np.float64)
    if activation is Activation.RELU:
        y2 = np.maximum(y2, 0.0)
    elif activation is Activation.SIGMOID:
        y2 = amplitude * _sigmoid(y2 / scale)
    elif activation is Activation.TANH:
        y2 = amplitude * np.tanh(y2 / scale)
    return y2


def output_gate(
    z: ArrayLike, activation: Activation, c2: float, *, scale: float = 1.0
) -> NDArray[np.int8]:
    """``sy2``: which outputs may learn.

    ReLU: ``binary(y2, c2)``. Sigmoid and tanh: the activation's derivative at ``z / scale``,
    relative to its maximum, against ``c2`` [P: the derivative is quantised; its scale is O].
    None: all of them.
    """
    z = np.asarray(z, np.float64)
    if activation is Activation.NONE:
        return np.ones(z.shape, np.int8)
    if activation is Activation.RELU:
        return binary(np.maximum(z, 0.0), c2)
    if activation is Activation.SIGMOID:
        y = _sigmoid(z / scale)
        slope = y * (1.0 - y)
    else:
        slope = 1.0 - np.tanh(z / scale) ** 2
    return binary(slope / _DERIVATIVE_MAX[activation], c2)


def output_error_sign(
    z: ArrayLike,
    target: ArrayLike,
    activation: Activation,
    *,
    th: float,
    c2: float = 0.0,
    scale: float = 1.0,
    amplitude: float = 1.0,
) -> NDArray[np.int8]:
    """``sy2 * se``: the gated, ternary error of the output layer [P].

    Args:
        z: Outputs, shape (10,).
        target: Targets, shape (10,), in the same unit.
        activation: Output activation.
        th: Threshold of the error, same unit.
        c2: Threshold of the gate.
        scale: s of the activation.
        amplitude: A of the activation.
    """
    error = np.asarray(target) - activate(z, activation, scale=scale, amplitude=amplitude)
    return ternary(error, th) * output_gate(z, activation, c2, scale=scale)


def output_update(y1: ArrayLike, error_sign: ArrayLike, *, c1: float) -> NDArray[np.int8]:
    """``dW2 = sy1 x (sy2 * se)``, shape (100, 10) [P].

    Args:
        y1: Hidden activities, shape (100,).
        error_sign: Result of :func:`output_error_sign`, shape (10,).
        c1: Threshold of the hidden activity, same unit as ``y1``.
    """
    return np.outer(binary(y1, c1), np.asarray(error_sign, np.int8))


def hidden_update(
    x: ArrayLike, y1: ArrayLike, w2_uS: ArrayLike, error_sign: ArrayLike, *, th1_uS: float
) -> NDArray[np.int8]:
    """``dW1 = X x (tern(d1, Th1) * (y1 > 0))`` with ``d1 = W2 (sy2 * se)``, shape (784, 100) [R].

    Args:
        x: Binary inputs, shape (784,).
        y1: Hidden activities, shape (100,).
        w2_uS: Weights of array 2, G+ - G-, shape (100, 10), uS.
        error_sign: Result of :func:`output_error_sign`, shape (10,).
        th1_uS: Threshold of the driven-back error, uS.
    """
    back_uS = np.asarray(w2_uS, np.float64) @ np.asarray(error_sign, np.float64)
    sd1 = ternary(back_uS, th1_uS) * binary(y1, 0.0)
    return np.outer(np.asarray(x, np.int8), sd1)


@dataclass(frozen=True, slots=True)
class PulsePlan:
    """Which cells of an array get which pulse: masks of shape (2, inputs, outputs)."""

    set_mask: NDArray[np.bool_]
    """Cells that get SET pulses."""
    reset_mask: NDArray[np.bool_]
    """Cells that get RESET pulses."""


def pulse_plan(update: ArrayLike, *, plus: PulseKind | None, minus: PulseKind | None) -> PulsePlan:
    """Pulses of one pass of tuning, from the sign of the update.

    A "+" cell gets SET where dW > 0 or RESET where dW < 0, a "-" cell SET where dW < 0 or RESET
    where dW > 0, according to the kind that its polarity is set to (None: left alone) [C].

    Args:
        update: dW, shape (inputs, outputs), any sign convention of -1, 0, +1.
        plus: Kind of pulse on "+" cells.
        minus: Kind of pulse on "-" cells.
    """
    dw = np.asarray(update)
    set_mask = np.zeros((2, *dw.shape), np.bool_)
    reset_mask = np.zeros((2, *dw.shape), np.bool_)
    for plane, (kind, rising) in enumerate(((plus, dw > 0), (minus, dw < 0))):
        if kind is PulseKind.SET:
            set_mask[plane] = rising
        elif kind is PulseKind.RESET:
            reset_mask[plane] = (dw != 0) & ~rising
    return PulsePlan(set_mask, reset_mask)


def phases(scheme: Scheme, phase: int) -> tuple[tuple[PulseKind, ...], int]:
    """Kinds that one sample applies, and the phase of the next sample [C].

    Args:
        scheme: Cyclic (one kind a sample, alternating) or non-cyclic (both).
        phase: 0 for SET, 1 for RESET; the non-cyclic scheme leaves it as it is.
    """
    if scheme is Scheme.CYCLIC:
        return (PulseKind(phase),), 1 - phase
    return (PulseKind.SET, PulseKind.RESET), phase


def _sigmoid(u: NDArray[np.float64]) -> NDArray[np.float64]:
    # tanh form: no overflow at either end
    return 0.5 * (1.0 + np.tanh(0.5 * u))
