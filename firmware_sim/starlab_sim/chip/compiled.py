"""The one typed door to numba. Holds no kernel."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Compile at first call, cache on disk, run without the interpreter lock.

    No fast-math: the order of operations, and so every bit of the result, is as written. The cache
    notices a change of the file that holds a kernel, not of the kernels that it calls: after
    editing those, remove ``__pycache__``.
    """
    return cast(
        "Callable[Parameters, Result]",
        numba.njit(cache=True, nogil=True, fastmath=False)(function),
    )
