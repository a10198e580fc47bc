"""What calls on a board or chip return. Computes nothing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SupplyState:
    """One voltage or current generator, read back."""

    name: str
    """Published name."""
    index: int
    """Position in the power-up order."""
    unit: str
    """``mV`` or ``uA``: of the three values."""
    requested: float | None
    """What this host asked for since it connected; None where it has not."""
    code: int
    """Code that is set, 0..255."""
    nominal: float
    """What the code stands for."""
    measured: float
    """What the board measures; 0 where it is off."""
    settled: bool
    """On, and at its value."""
    fault: bool
    """Its current limit tripped."""


@dataclass(frozen=True, slots=True)
class PulseCounts:
    """Pulses on the cells of one array: one for each pulse on each selected cell."""

    set: int
    reset: int
    form: int


@dataclass(frozen=True, slots=True)
class OperationCounts:
    """Operations: rows addressed by the first four, samples by the others."""

    form: int
    set: int
    reset: int
    read: int
    inference: int
    training: int


@dataclass(frozen=True, slots=True)
class PulseShares:
    """What pulses on the cells of one array took: joule or seconds."""

    set: float
    reset: float
    form: float


@dataclass(frozen=True, slots=True)
class EnergyParts:
    """Where the energy went, in joule: the parts add up to all of it."""

    array1: PulseShares
    """Programming of array 1, driving its lines included."""
    array2: PulseShares
    """Programming of array 2."""
    cells: float
    """Cells that were read, multiplied with, or driven back through."""
    converters: float
    """ADCs and comparators."""
    lines: float
    """Driving lines for reading."""


@dataclass(frozen=True, slots=True)
class TimeParts:
    """Where the emulated time went, in seconds: the parts add up to all of it."""

    array1: PulseShares
    """Programming of array 1."""
    array2: PulseShares
    """Programming of array 2."""
    read: float
    """READ."""
    forward: float
    """Multiplications, learning included."""
    backward: float
    """Driving errors back."""
    waiting: float
    """Time that was let pass, and all that chips before this one took."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What the board has done since it started."""

    array1: PulseCounts
    array2: PulseCounts
    operations: OperationCounts
    energy_j: float
    """Energy spent; emulated boards only."""
    emulated_time_s: float
    """Time that the chip was busy."""
    energy_parts_j: EnergyParts
    """Energy by what took it; emulated boards only."""
    time_parts_s: TimeParts
    """Time by what took it."""


@dataclass(frozen=True, slots=True, eq=False)
class FormReport:
    """How forming went."""

    formed: int
    """Addressed cells that are formed now."""
    newly_formed: int
    """Addressed cells that were not before."""
    failed: int
    """Addressed cells that are still virgin, or may be."""
    pulses: int
    """FORM pulses on all cells together."""
    unsure: NDArray[np.intp]
    """Shape (unsure, 3): plane, input, output of those that may be formed or virgin: nothing tells,
    so they got no FORM pulse."""


@dataclass(frozen=True, slots=True, eq=False)
class Vmm:
    """A batch of vector-matrix products."""

    codes: NDArray[np.int32]
    """Shape (batch, outputs). Array 1: 0 .. 2^N1 - 1; array 2: signed, 17 bits."""
    current_ua: NDArray[np.float64]
    """The same in microampere; array 2: summed over its slots."""


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """What the chip made of a batch of inputs."""

    outputs: NDArray[np.int32]
    """Shape (batch, 10): signed, 17 bits."""
    labels: NDArray[np.uint8]
    """Shape (batch,): the greatest output; the lowest index of equal ones."""
    hidden: NDArray[np.uint8] | None
    """Shape (batch, 100): hidden pulse counts, if they were asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """What the chip did while it learned a batch, one sample after the other."""

    outputs: NDArray[np.int32]
    """Shape (batch, 10): the outputs of each sample, from before its update."""
    correct: NDArray[np.bool_]
    """Shape (batch,): whether the greatest output was that of the greatest target."""
    pulses: NDArray[np.int64]
    """Shape (batch, 2): pulses on the cells of arrays 1 and 2."""


@dataclass(frozen=True, slots=True, eq=False)
class ProgramReport:
    """How near the cells of an array came to what they were to be."""

    cells: int
    """Cells that were to be programmed."""
    in_tolerance: int
    """Cells that read within the tolerance at the end."""
    pulses: int
    """Pulses on all cells together."""
    rms_error_uS: float
    """Root mean square of target minus reading, over all of these cells."""
    failed: NDArray[np.intp]
    """Shape (failed, 3): plane, input, output of the cells out of tolerance at the end."""
    rounds: int
    """How often pulses were given and cells read."""
