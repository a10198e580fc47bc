"""Long work in chunks, what it takes and what it gives. Does none of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_spec.errors import ShapeError
from starlab_spec.operations import PulseKind

Aborted = Callable[[], bool]
"""Asked between chunks of a few milliseconds; True stops the operation there."""
Progress = Callable[[int, int], None]
"""Told after each chunk: how much is done, and of how much."""

CHUNK_SAMPLES: Final = 512
"""Samples a chunk: 2 to 10 ms."""
CHUNK_ROWS: Final = 128
"""Rows that READ and FORM take a chunk: about a millisecond, and little memory."""
CHUNK_PULSES: Final = 1_000_000
"""Cell pulses a chunk, at most (but at least one row): 2 to 10 ms."""


@dataclass(frozen=True, slots=True)
class Inference:
    """Result of an inference, one row per sample done."""

    hidden: NDArray[np.uint8]
    """Hidden pulse counts, (done, 100)."""
    outputs: NDArray[np.int32]
    """Outputs, (done, 10)."""

    @property
    def winners(self) -> NDArray[np.intp]:
        """Class of the greatest output, (done,); the lowest one of equals."""
        winners: NDArray[np.intp] = self.outputs.argmax(axis=1)
        return winners


@dataclass(frozen=True, slots=True)
class Trip:
    """Where a generator's current limit ended learning: the pass was not applied."""

    array: int
    """1 or 2."""
    kind: PulseKind
    """SET or RESET."""
    plane: int
    """PLUS or MINUS: the cells of the pass."""
    current_ma: float
    """What it would have drawn."""


@dataclass(frozen=True, slots=True)
class Training:
    """Result of learning steps, one row per sample begun."""

    hidden: NDArray[np.uint8]
    """Hidden pulse counts before the update, (done, 100)."""
    outputs: NDArray[np.int32]
    """Outputs before the update, (done, 10)."""
    pulses1: NDArray[np.int32]
    """Pulses on array 1, (done,)."""
    pulses2: NDArray[np.int32]
    """Pulses on array 2, (done,)."""
    phase: int
    """Phase of the next sample; after a trip that of the sample which it ended."""
    trip: Trip | None = None
    """What ended the last sample, which then has had the passes before it; None: nothing did."""

    @property
    def done(self) -> int:
        """How many samples were learned in full."""
        return len(self.outputs) - (self.trip is not None)


def chunks(
    total: int, size: int | Callable[[int], int], aborted: Aborted | None, progress: Progress | None
) -> Iterator[slice]:
    """Cut ``total`` items into slices; ends early when ``aborted`` says so.

    Args:
        total: How many items.
        size: Greatest size of a slice, or what gives it for the slice that begins somewhere.
        aborted: Asked before each.
        progress: Told after each.
    """
    stop = 0
    while stop < total:
        if aborted is not None and aborted():
            return
        start = stop
        stop = min(start + (size if isinstance(size, int) else size(start)), total)
        yield slice(start, stop)
        if progress is not None:
            progress(stop, total)


def batch(name: str, values: NDArray[Any], dtype: type[np.generic], width: int) -> NDArray[Any]:
    """Rows of ``width`` items, as the kernels take arrays.

    Raises:
        ShapeError: Another shape or type, in the words of ``name``.
    """
    if values.ndim != 2 or values.shape[1] != width:
        raise ShapeError(name, f"have shape {values.shape}, expected (n, {width})")
    if values.dtype != dtype:
        raise ShapeError(name, f"have type {values.dtype}, expected {np.dtype(dtype)}")
    return plain(values)


def plain(values: NDArray[Any]) -> NDArray[Any]:
    """The array itself, or a copy where it is not contiguous, aligned and writable.

    Each other kind of array would be a kernel of its own, to be compiled on first use.
    """
    return np.require(values, requirements=["C", "A", "W"])
