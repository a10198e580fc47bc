"""Settings of STELLAR learning: thresholds, and which pulses a sample's update becomes.

Learns nothing itself: the kernels do, by the rules of `starlab_spec.stellar`.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.converters import Rails
from starlab_sim.devices import NOMINAL_WIDTH_NS, PulseConditions
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.geometry import ARRAY2, MINUS, PLUS
from starlab_spec.operations import Activation, PulseKind

PULSES_MAX: Final = 15
"""Greatest pulse count of a training step: four bits [C]."""
RISING: Final = 0
"""Index of weights whose update is positive."""
FALLING: Final = 1
"""Index of weights whose update is negative."""
PASSES: Final = (
    (int(PulseKind.SET), PLUS, RISING),
    (int(PulseKind.SET), MINUS, FALLING),
    (int(PulseKind.RESET), MINUS, RISING),
    (int(PulseKind.RESET), PLUS, FALLING),
)
"""Kind, plane and direction of the passes of a tuning step, in order [O]."""


class Rules(NamedTuple):
    """`Learning` as the kernels take it."""

    threshold: float
    hidden_threshold_uS: float
    c1: float
    c1_relative: bool
    c2: float
    activation: int
    scale: float
    amplitude: float


@dataclass(frozen=True, slots=True)
class Learning:
    """Thresholds and output activation [P; the hidden layer's: R]."""

    threshold: float = 56.0
    """Th: output errors below it count as 0, in output codes."""
    hidden_threshold_uS: float = 2.5
    """Th1: the same for the error driven back to the hidden layer."""
    c1: int = 250
    """C1: a hidden unit below it drives no update of array 2; 0: every unit that is on does."""
    c1_relative: bool = True
    """C1 is in thousandths of max(Y1); else in pulse counts."""
    c2: float = 0.0
    """C2: ReLU: in output codes. Sigmoid, tanh: relative to the derivative's maximum."""
    activation: Activation = Activation.NONE
    """Output activation."""
    activation_scale: float = 64.0
    """s of ``y2 = A * f(z / s)`` for sigmoid and tanh, in output codes."""
    activation_amplitude: float = 100.0
    """A of the same, in output codes."""

    def __post_init__(self) -> None:
        """Refuse negative thresholds and an activation without scale."""
        for name in ("threshold", "hidden_threshold_uS", "c1", "c2"):
            if not getattr(self, name) >= 0:
                raise LimitExceeded(name, getattr(self, name), 0)
        if not self.activation_scale > 0:
            raise LimitExceeded("activation_scale", self.activation_scale, 0)

    def rules(self) -> Rules:
        """These settings as the kernels take them."""
        return Rules(
            threshold=float(self.threshold),
            hidden_threshold_uS=float(self.hidden_threshold_uS),
            c1=float(self.c1),
            c1_relative=bool(self.c1_relative),
            c2=float(self.c2),
            activation=int(self.activation),
            scale=float(self.activation_scale),
            amplitude=float(self.activation_amplitude),
        )


@dataclass(frozen=True, slots=True)
class ArrayTuning:
    """One array's part of a tuning step. A count of 0 leaves these cells alone.

    SET pulses go to "+" cells where dW > 0 and to "-" cells where dW < 0; RESET pulses to "+"
    cells where dW < 0 and to "-" cells where dW > 0 [C].
    """

    plus_kind: PulseKind = PulseKind.SET
    """SET or RESET for "+" cells: upper ones of array 1, right ones of array 2."""
    minus_kind: PulseKind = PulseKind.SET
    """SET or RESET for "-" cells: lower ones of array 1, left ones of array 2."""
    plus_count: int = 0
    """Pulses on a selected "+" cell."""
    minus_count: int = 0
    """Pulses on a selected "-" cell."""

    def __post_init__(self) -> None:
        """Refuse FORM, and counts that the register does not hold."""
        if PulseKind.FORM in (self.plus_kind, self.minus_kind):
            raise ShapeError("kind of a tuning pulse", "is FORM, expected SET or RESET")
        for name in ("plus_count", "minus_count"):
            count = getattr(self, name)
            if not 0 <= count <= PULSES_MAX:
                raise LimitExceeded(name, count, 0 if count < 0 else PULSES_MAX, "pulses")


@dataclass(frozen=True, slots=True)
class TuningStep:
    """What a tuning step does to each array."""

    array1: ArrayTuning = field(default_factory=ArrayTuning)
    """Part of array 1."""
    array2: ArrayTuning = field(default_factory=ArrayTuning)
    """Part of array 2."""


def _both(kind: PulseKind, count1: int, count2: int) -> TuningStep:
    return TuningStep(
        ArrayTuning(kind, kind, count1, count1), ArrayTuning(kind, kind, count2, count2)
    )


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps that a sample applies, by phase. After every sample the phase advances by one."""

    phases: tuple[tuple[TuningStep, ...], ...]
    """One entry a phase, at least one; the phase after the last is the first."""

    @classmethod
    def cyclic(cls, count1: int = 1, count2: int = 1) -> "Schedule":
        """SET and RESET phases alternate from sample to sample: "stellar1" [C].

        Args:
            count1: Pulses per update of a cell of array 1; 0: array 1 is not tuned.
            count2: The same for array 2.
        """
        return cls(tuple((_both(kind, count1, count2),) for kind in _KINDS))

    @classmethod
    def non_cyclic(cls, count1: int = 1, count2: int = 1) -> "Schedule":
        """Each sample applies SET and RESET: "stellar2" [C]. Arguments as of :meth:`cyclic`."""
        return cls((tuple(_both(kind, count1, count2) for kind in _KINDS),))

    @classmethod
    def single(cls, step: TuningStep) -> "Schedule":
        """The published BP operation: one step, whatever the phase [C]."""
        return cls(((step,),))

    def pulse_counts(self) -> NDArray[np.int64]:
        """Pulses on a selected cell, shape (phases, arrays, planes, RISING or FALLING).

        Plane and direction imply the kind: SET moves "+" cells of rising and "-" cells of falling
        weights, RESET the other two.
        """
        counts = np.zeros((len(self.phases), 2, 2, 2), np.int64)
        for phase, steps in enumerate(self.phases):
            for step in steps:
                for index, tuning in enumerate((step.array1, step.array2)):
                    rising = tuning.plus_kind is PulseKind.SET
                    counts[phase, index, PLUS, RISING if rising else FALLING] += tuning.plus_count
                    falling = tuning.minus_kind is PulseKind.SET
                    counts[phase, index, MINUS, FALLING if falling else RISING] += (
                        tuning.minus_count
                    )
        return counts


_KINDS: Final = (PulseKind.SET, PulseKind.RESET)


@dataclass(frozen=True, slots=True)
class Tuning:
    """A schedule and the pulses that carry it out."""

    schedule: Schedule
    """Which cells get how many pulses."""
    set1: PulseConditions
    """SET pulses on array 1."""
    reset1: PulseConditions
    """RESET pulses on array 1."""
    set2: PulseConditions
    """SET pulses on array 2."""
    reset2: PulseConditions
    """RESET pulses on array 2."""

    @classmethod
    def at(
        cls,
        rails: Rails,
        schedule: Schedule,
        *,
        set1_ns: int = NOMINAL_WIDTH_NS[1, PulseKind.SET],
        reset1_ns: int = NOMINAL_WIDTH_NS[1, PulseKind.RESET],
        set2_ns: int = NOMINAL_WIDTH_NS[2, PulseKind.SET],
        reset2_ns: int = NOMINAL_WIDTH_NS[2, PulseKind.RESET],
    ) -> "Tuning":
        """A schedule with pulses of these widths from these rails."""
        return cls(
            schedule,
            set1=rails.pulse(PulseKind.SET, set1_ns),
            reset1=rails.pulse(PulseKind.RESET, reset1_ns),
            set2=rails.pulse(PulseKind.SET, set2_ns),
            reset2=rails.pulse(PulseKind.RESET, reset2_ns),
        )


def targets_of(labels: NDArray[np.integer], *, on: int, off: int = 0) -> NDArray[np.int32]:
    """Target vectors of class labels.

    Args:
        labels: Shape (n,), values 0..9.
        on: Target of the labelled class, in output codes.
        off: Target of the others.

    Returns:
        Shape (n, 10).

    Raises:
        LimitExceeded: A label is no class.
    """
    classes = ARRAY2.outputs
    for label in labels[(labels < 0) | (labels >= classes)]:
        raise LimitExceeded("label", int(label), 0 if label < 0 else classes - 1)
    targets = np.full((len(labels), classes), off, np.int32)
    targets[np.arange(len(labels)), labels] = on
    return targets
