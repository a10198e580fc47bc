"""What the host refuses before anything is sent: bad shapes, values, limits. Sends nothing itself.

Every check gives its argument back in the form in which it travels, or raises one of the errors of
:mod:`starlab_spec.errors` that names the argument, the value and the limit.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab_host.errors import BadArgument
from starlab_spec import MINUS, PLUS, ArrayGeometry, LimitExceeded, ShapeError
from starlab_spec.geometry import (
    ARRAY2,
    CONDUCTANCE_MAX_uS,
    CONDUCTANCE_MIN_uS,
    MID_WINDOW_uS,
    WINDOW_uS,
)
from starlab_spec.samples import SAMPLE_BYTES, first_of, pack_samples
from starlab_spec.units import TICK_NS

PULSES_MAX: Final = 10_000
"""Most pulses on a cell that one call may ask for [O]."""
TOLERANCE_MIN_uS: Final = 0.1
"""One code of READ: nothing finer can be verified."""

_UNPACKED_SAMPLES: Final = 4096
"""Samples that are unpacked at a time: 3 MB of bits, which a cache holds."""
_OUTPUT_LIMIT: Final = 1 << 16
_PULSE_WIDTH_MAX_NS: Final = 256 * TICK_NS


def check_whole(name: str, value: object, low: int, high: int, unit: str = "") -> int:
    """A whole number within bounds.

    Raises:
        BadArgument: It is no whole number.
        LimitExceeded: It is out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise BadArgument(name, f"{value!r} is not a whole number")
    number = int(value)
    if not low <= number <= high:
        raise LimitExceeded(name, number, low if number < low else high, unit)
    return number


def check_width_ns(name: str, width_ns: object) -> int:
    """A pulse width: a multiple of 50 ns, at most 12800 ns.

    Raises:
        BadArgument: It is no whole number, or no multiple of the clock cycle.
        LimitExceeded: It is out of bounds.
    """
    width = check_whole(name, width_ns, TICK_NS, _PULSE_WIDTH_MAX_NS, "ns")
    if width % TICK_NS:
        raise BadArgument(name, f"{width} ns is not a multiple of {TICK_NS} ns")
    return width


def check_indices(name: str, indices: Sequence[int] | None, size: int) -> NDArray[np.intp]:
    """Rows or columns of an array; all of them for None.

    Raises:
        BadArgument: There is none, one is no whole number, or comes twice.
        LimitExceeded: One of them does not exist.
    """
    if indices is None:
        return np.arange(size)
    if not len(indices):
        raise BadArgument(name, "selects nothing")
    chosen: dict[int, None] = {}
    for index in indices:
        whole = check_whole(name, index, 0, size - 1)
        if whole in chosen:
            raise BadArgument(name, f"selects {whole} twice")
        chosen[whole] = None
    return np.array(list(chosen), np.intp)


def cell_mask(
    array: ArrayGeometry,
    rows: Sequence[int] | None = None,
    columns: Sequence[int] | None = None,
    polarity: Literal["+", "-"] | None = None,
) -> NDArray[np.bool_]:
    """The cells at the crossings of rows and columns.

    Args:
        array: Their array.
        rows: Inputs; None: all.
        columns: Outputs; None: all.
        polarity: One cell of each pair; None: both.

    Returns:
        Shape (2, inputs, outputs).

    Raises:
        BadArgument: An empty selection, or another polarity.
        LimitExceeded: An index that does not exist.
    """
    planes = {"+": np.array([PLUS]), "-": np.array([MINUS]), None: np.array([PLUS, MINUS])}
    if polarity not in planes:
        raise BadArgument("polarity", f"{polarity!r} is neither '+' nor '-'")
    mask = np.zeros(array.shape, np.bool_)
    selected_rows = check_indices("rows", rows, array.inputs)
    selected_columns = check_indices("columns", columns, array.outputs)
    mask[np.ix_(planes[polarity], selected_rows, selected_columns)] = True
    return mask


def check_mask(array: ArrayGeometry, mask: ArrayLike) -> NDArray[np.bool_]:
    """Which cells of an array to pulse: booleans, or numbers 0 and 1.

    Raises:
        ShapeError: Another shape, a value that is neither 0 nor 1, or no cell at all.
    """
    cells = _numbers("mask", mask, array.shape)
    selected: NDArray[np.bool_] = cells == 1
    if not (selected | (cells == 0)).all():
        raise ShapeError("mask", "must hold only 0 and 1")
    if not selected.any():
        raise ShapeError("mask", "selects no cell")
    return selected


def check_samples(inputs: ArrayLike) -> NDArray[np.uint8]:
    """Input vectors of array 1 as the board's memory holds them.

    Args:
        inputs: Shape (batch, 784), values 0 and 1; or (batch, 98) bytes of eight pixels each, in
            the order of :func:`numpy.packbits`.

    Returns:
        Shape (batch, 98), in the board's own order.

    Raises:
        ShapeError: Another shape, or a value that is neither 0 nor 1.
    """
    array = _rectangle("inputs", inputs)
    if array.dtype == np.uint8 and array.ndim == 2 and array.shape[1] == SAMPLE_BYTES:
        samples = np.empty_like(array)
        for first in range(0, len(array), _UNPACKED_SAMPLES):
            block = slice(first, first + _UNPACKED_SAMPLES)
            samples[block] = pack_samples(np.unpackbits(array[block], axis=1))
        return samples
    return pack_samples(array)


def check_pulse_counts(counts: ArrayLike, bits: int) -> NDArray[np.uint8]:
    """Input vectors of array 2: hidden pulse counts.

    Args:
        counts: Shape (batch, 100), whole numbers 0 .. 2^bits - 1.
        bits: N1, the bits of the array-1 converter.

    Raises:
        ShapeError: Another shape, or no whole numbers.
        LimitExceeded: More pulses than the converter gives.
    """
    whole = _whole_numbers("inputs", counts, (None, ARRAY2.inputs))
    return _bounded("inputs", whole, 0, 2**bits - 1).astype(np.uint8)


def check_labels(labels: ArrayLike, batch: int) -> NDArray[np.uint8]:
    """The class of each sample.

    Args:
        labels: Shape (batch,), whole numbers 0..9.
        batch: Number of samples.

    Raises:
        ShapeError: Another shape, or no whole numbers.
        LimitExceeded: No such class.
    """
    whole = _whole_numbers("labels", labels, (batch,))
    return _bounded("labels", whole, 0, ARRAY2.outputs - 1).astype(np.uint8)


def check_targets(targets: ArrayLike, batch: int) -> NDArray[np.int32]:
    """The target of each output of each sample.

    Args:
        targets: Shape (batch, 10), whole numbers of 17 bits with sign.
        batch: Number of samples.

    Raises:
        ShapeError: Another shape, or no whole numbers.
        LimitExceeded: More than 17 bits.
    """
    whole = _whole_numbers("targets", targets, (batch, ARRAY2.outputs))
    return _bounded("targets", whole, -_OUTPUT_LIMIT, _OUTPUT_LIMIT - 1).astype(np.int32)


def check_layers(layers: Sequence[int]) -> tuple[bool, bool]:
    """Whether arrays 1 and 2 are to learn.

    Raises:
        BadArgument: None of them, or one twice.
        LimitExceeded: There are arrays 1 and 2 only.
    """
    chosen: set[int] = set()
    for layer in layers:
        whole = check_whole("layers", layer, 1, 2)
        if whole in chosen:
            raise BadArgument("layers", f"selects {whole} twice")
        chosen.add(whole)
    if not chosen:
        raise BadArgument("layers", "selects nothing")
    return 1 in chosen, 2 in chosen


def check_target_conductance(array: ArrayGeometry, target_uS: ArrayLike) -> NDArray[np.float64]:
    """Conductances to program, within the window of 2..20 uS.

    Args:
        array: Their array.
        target_uS: Shape (2, inputs, outputs).

    Raises:
        ShapeError: Another shape, or no numbers.
        LimitExceeded: A conductance outside the window.
    """
    name = "conductance_uS"
    target = _numbers(name, target_uS, array.shape)
    return _bounded(name, target, CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS, "uS").astype(np.float64)


def conductance_of_weights(
    array: ArrayGeometry, weights: ArrayLike, scale_uS: float | None
) -> NDArray[np.float64]:
    """The conductances that stand for signed weights: 11 uS plus and minus half the weight.

    Args:
        array: Their array.
        weights: Shape (inputs, outputs).
        scale_uS: Conductance difference of a weight of 1; None: such that the greatest weight
            takes the whole window of 18 uS.

    Returns:
        Shape (2, inputs, outputs).

    Raises:
        ShapeError: Another shape, or no numbers.
        BadArgument: The scale is no positive number.
        LimitExceeded: A weight that takes more than the window.
    """
    w = _numbers("weights", weights, array.shape[1:]).astype(np.float64)
    greatest = float(np.abs(w).max())
    if not np.isfinite(greatest):
        raise ShapeError("weights", "must hold only finite numbers")
    if scale_uS is None:
        scale_uS = WINDOW_uS / greatest if greatest else WINDOW_uS
    if not (np.isfinite(scale_uS) and scale_uS > 0):
        raise BadArgument("scale_uS", f"{scale_uS!r} uS is not a positive number")
    rounding = 1 + 1e-9
    if greatest * scale_uS > WINDOW_uS * rounding:
        raise LimitExceeded("weights * scale_uS", greatest * scale_uS, WINDOW_uS, "uS")
    half = w * (scale_uS / 2)
    pair = np.stack([MID_WINDOW_uS + half, MID_WINDOW_uS - half])
    return np.clip(pair, CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS)


def check_tolerance(tolerance_uS: float) -> float:
    """How near a cell is to come.

    Raises:
        LimitExceeded: Finer than a code of READ, or wider than the window.
    """
    if not tolerance_uS <= WINDOW_uS:  # so that NaN is refused too
        raise LimitExceeded("tolerance_uS", tolerance_uS, WINDOW_uS, "uS")
    if tolerance_uS < TOLERANCE_MIN_uS:
        raise LimitExceeded("tolerance_uS", tolerance_uS, TOLERANCE_MIN_uS, "uS")
    return float(tolerance_uS)


def _rectangle(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:
        raise ShapeError(name, "has rows of different lengths") from None


def _numbers(name: str, values: ArrayLike, shape: Sequence[int | None]) -> NDArray[Any]:
    array = _rectangle(name, values)
    fits = array.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("batch" if size is None else str(size) for size in shape)
        comma = "," if len(shape) == 1 else ""
        raise ShapeError(name, f"has shape {array.shape}, expected ({wanted}{comma})")
    if array.dtype.kind not in "buif":
        raise ShapeError(name, f"has type {array.dtype}, expected numbers")
    return array


def _whole_numbers(name: str, values: ArrayLike, shape: Sequence[int | None]) -> NDArray[Any]:
    array = _numbers(name, values, shape)
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise ShapeError(name, "must hold only whole numbers")
    return array


def _bounded(
    name: str, values: NDArray[Any], low: float, high: float, unit: str = ""
) -> NDArray[Any]:
    outside = ~((values >= low) & (values <= high))  # so that NaN is refused too
    if outside.any():
        where = first_of(outside)
        place = f"{name}[{', '.join(map(str, where))}]"
        value = values[where].item()
        if value != value:
            raise ShapeError(place, "is not a number")
        raise LimitExceeded(place, value, low if value < low else high, unit)
    return values
