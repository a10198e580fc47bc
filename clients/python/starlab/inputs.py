"""What the caller gives, as the wire wants it: packed bits, labels, selections. Sends nothing."""

from collections.abc import Sequence
from operator import index
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab.errors import InvalidInput

PIXELS: Final = 784
"""Binary inputs of array 1."""
PACKED_BYTES: Final = PIXELS // 8
"""The same, eight a byte."""

Indices = Sequence[int] | range | slice | str
"""Rows or columns: indices from 0, a range, a slice, or text such as ``0:10,12`` (half-open)."""


def as_numbers(name: str, values: ArrayLike | None) -> NDArray[Any]:
    """An array of what was given.

    Raises:
        InvalidInput: It is none, or of texts, dates, complex numbers or other objects.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of unequal lengths
        raise InvalidInput(f"{name} are no array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise InvalidInput(f"{name} of shape {array.shape} are no numbers, but {array.dtype}")
    return array


def as_bits(inputs: ArrayLike) -> NDArray[np.uint8]:
    """Binary input vectors, packed.

    Args:
        inputs: Shape (batch, 784), zeros and ones of any number type, or (batch, 98), uint8,
            packed already in :func:`numpy.packbits` order; a single vector without the batch.

    Returns:
        Shape (batch, 98), uint8.

    Raises:
        InvalidInput: Another shape, or values other than 0 and 1.
    """
    array = as_numbers("inputs", inputs)
    if array.ndim == 1:
        array = array[np.newaxis]
    if array.ndim == 2 and array.shape[1] == PACKED_BYTES and array.dtype == np.uint8:
        return array
    if array.ndim != 2 or array.shape[1] != PIXELS:
        raise InvalidInput(
            f"inputs have shape {array.shape} of {array.dtype}; the chip takes (batch, {PIXELS})"
            f" zeros and ones, or (batch, {PACKED_BYTES}) packed bytes"
        )
    ones = array == 1
    if not np.array_equal(ones, array != 0):
        raise InvalidInput("inputs hold values other than 0 and 1; binarise them first")
    return np.packbits(ones, axis=1)


def as_integers(name: str, values: ArrayLike, width: int | None = None) -> NDArray[np.int64]:
    """Whole numbers.

    Args:
        name: What they are, for messages.
        values: Shape (batch,), or (batch, width) where a width is given.
        width: Numbers of a row.

    Raises:
        InvalidInput: Another shape, or numbers that are not whole.
    """
    array = as_numbers(name, values)
    expected = "(batch,)" if width is None else f"(batch, {width})"
    if array.ndim == 1 and width is not None:
        array = array[np.newaxis]
    if array.ndim != (1 if width is None else 2) or (width is not None and array.shape[1] != width):
        raise InvalidInput(f"{name} have shape {array.shape}; expected {expected}")
    with np.errstate(invalid="ignore"):
        whole = array.astype(np.int64)
    if not np.array_equal(whole, array):
        raise InvalidInput(f"{name} hold numbers that are not whole")
    return whole


def as_labels(labels: ArrayLike, batch: int) -> NDArray[np.int64]:
    """Classes, one for each of ``batch`` samples.

    Raises:
        InvalidInput: Another number of them, or others than 0..9.
    """
    whole = as_integers("labels", labels)
    if len(whole) != batch:
        raise InvalidInput(f"{len(whole)} labels for {batch} inputs")
    if whole.size and not (0 <= whole.min() and whole.max() <= 9):
        raise InvalidInput(f"labels lie in {whole.min()}..{whole.max()}; the classes are 0..9")
    return whole


def as_text(indices: Indices) -> str:
    """Rows or columns as text: ``0:10,12``.

    Raises:
        InvalidInput: A slice without an end, nothing, or what is no whole number: True and False
            too, as those of a mask.
    """
    if isinstance(indices, str):
        return indices
    if isinstance(indices, slice):
        if indices.stop is None:
            raise InvalidInput("a slice of rows or columns needs an end")
        indices = range(indices.start or 0, indices.stop, indices.step or 1)
    if isinstance(indices, range) and indices.step == 1 and indices:
        return f"{indices.start}:{indices.stop}"
    try:
        numbers = [index(one) for one in indices if not isinstance(one, bool | np.bool_)]
        if len(numbers) == len(indices) > 0:
            return ",".join(map(str, numbers))
    except TypeError:  # a fraction, a text, one number for a list of them, ...
        pass
    raise InvalidInput(f"rows or columns {indices!r:.60} are no list of whole numbers from 0")


def as_query(**values: Any) -> tuple[tuple[str, str], ...]:
    """Scalars for the query string; those that are None stay out.

    True and False become ``true`` and ``false``; a list or tuple repeats its name.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if item is not None:
                text = str(item).lower() if isinstance(item, bool) else str(item)
                pairs.append((name, utf8(name, text)))
    return tuple(pairs)


def utf8(name: str, text: str) -> str:
    """The same text.

    Raises:
        InvalidInput: It is not to be had in UTF-8, as what a shell gave in another encoding.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{name} {text!r} is not valid UTF-8") from None
    return text
