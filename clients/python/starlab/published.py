"""Conductances as the chip's authors publish them: text files, one line a row. Sends nothing.

Source: chip facts, sections 1 and 3 [C]. A value is the current of a cell in nA at 0.2 V: 400 is
2 uS, 3500 is 17.5 uS. Array 1 has 784 lines of 200 values, even columns "+", odd ones "-"; array 2
has 100 lines of 20, and the other way round: even "-", odd "+". A line may end with a comma.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab.errors import InvalidInput
from starlab.writing import write

NA_PER_uS: Final = 200.0
"""Current in nA of a conductance of 1 uS at the 0.2 V of the published files."""
WINDOW_uS: Final = (2.0, 20.0)
"""What a cell can be programmed to."""

_SHAPES: Final = {1: (784, 100), 2: (100, 10)}
_PLUS_FIRST: Final = {1: True, 2: False}
_MOST_BYTES: Final = 64 << 20
"""Four hundred characters a value: what has more is no such file."""
_ROUNDING_NA: Final = 1e-6


def load_published(path: str | Path, array: int) -> NDArray[np.float64]:
    """Conductances from a published file.

    Args:
        path: The file.
        array: 1 or 2.

    Returns:
        Shape (2, inputs, outputs), uS: plane 0 holds the "+" cells.

    Raises:
        InvalidInput: It cannot be read, or is of another form: with file, line, column and value.
    """
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}: is not text") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise InvalidInput(f"{path}: has more than {_MOST_BYTES:,} bytes")
    inputs, outputs = _SHAPES[array]
    lines = text.rstrip().splitlines()
    if len(lines) != inputs:
        raise InvalidInput(f"{path}: has {len(lines)} lines, array {array} needs {inputs}")
    current_na = np.array(
        [_values(f"{path}, line {n}", line, 2 * outputs) for n, line in enumerate(lines, 1)]
    )
    pair = current_na.reshape(inputs, outputs, 2).transpose(2, 0, 1) / NA_PER_uS
    return pair if _PLUS_FIRST[array] else pair[::-1]


def save_published(path: str | Path, array: int, conductance_uS: ArrayLike) -> None:
    """Write conductances as a published file.

    Args:
        path: The file; one that is there is replaced.
        array: 1 or 2.
        conductance_uS: Shape (2, inputs, outputs).

    Raises:
        InvalidInput: Another shape, no numbers, or the file cannot be written.
    """
    pair = np.asarray(conductance_uS, np.float64)
    inputs, outputs = _SHAPES[array]
    if pair.shape != (2, inputs, outputs):
        shape = (2, inputs, outputs)
        raise InvalidInput(f"conductance_uS has shape {pair.shape}, array {array} needs {shape}")
    if not np.isfinite(pair).all():
        raise InvalidInput("conductance_uS must hold only finite numbers")
    ordered = pair if _PLUS_FIRST[array] else pair[::-1]
    rows = ordered.transpose(1, 2, 0).reshape(inputs, 2 * outputs) * NA_PER_uS
    text = "".join(",".join(f"{value:.9g}" for value in row) + "\n" for row in rows)
    try:
        write(Path(path), text.encode("ascii"))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error


def _values(place: str, line: str, wanted: int) -> list[float]:
    """The values of a line."""
    parts = line.split(",")
    if len(parts) > 1 and not parts[-1].strip():
        parts.pop()
    if len(parts) != wanted:
        raise InvalidInput(f"{place}: has {len(parts)} values, {wanted} are needed")
    return [_value(f"{place}, column {n}", part.strip()) for n, part in enumerate(parts, 1)]


def _value(place: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InvalidInput(f"{place}: {text!r} is not a number") from None
    low, high = (limit * NA_PER_uS for limit in WINDOW_uS)
    if not value <= high + _ROUNDING_NA:  # so that NaN is refused too
        raise InvalidInput(f"{place}: {text} nA is above the {high:g} nA limit (20 uS)")
    if value < low - _ROUNDING_NA:
        raise InvalidInput(f"{place}: {text} nA is below the {low:g} nA limit (2 uS)")
    return value
