"""Mean READ codes of the planes of array 1: rails and cells are balanced by them. Reads nothing."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_host.errors import BadArgument

_LEAST_CODE: Final = 10
_GREATEST_CODE: Final = 250
"""Cells that read outside are virgin or saturated: they do not count."""
_LEAST_CELLS: Final = 100


def usable_cells(codes: NDArray[Any]) -> NDArray[np.bool_]:
    """Cells that every reading finds within the converters' range, (2, inputs, outputs).

    Args:
        codes: Shape (readings, 2, inputs, outputs).

    Raises:
        BadArgument: Too few cells of a plane.
    """
    usable: NDArray[np.bool_] = (codes.min(axis=0) >= _LEAST_CODE) & (
        codes.max(axis=0) <= _GREATEST_CODE
    )
    fewest = int(usable.sum(axis=(1, 2)).min())
    if fewest < _LEAST_CELLS:
        what = f"has {fewest} cells of a plane within the converters' range"
        raise BadArgument("array 1", f"{what}, fewer than {_LEAST_CELLS}: form or program it")
    return usable


def plane_means(codes: NDArray[Any], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean code of the usable cells of each plane, (readings, 2).

    Args:
        codes: Shape (readings, 2, inputs, outputs).
        usable: Shape (2, inputs, outputs), some of each plane.
    """
    means: NDArray[np.float64] = (codes * usable).sum(axis=(2, 3)) / usable.sum(axis=(1, 2))
    return means
