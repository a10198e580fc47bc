"""The STELLAR chip and its board as an executable data sheet. Does no input or output.

What host and emulator must agree on, owned by neither: geometry, units, supplies, registers,
operations, sample layouts, learning rules, and (in :mod:`starlab_spec.wire`) the wire protocol.
"""

from starlab_spec.errors import (
    BadLimits,
    LimitExceeded,
    ShapeError,
    SnapshotError,
    SpecError,
    UnknownName,
    Unsafe,
)
from starlab_spec.geometry import ARRAY1, ARRAY2, MINUS, PLUS, ArrayGeometry, array_geometry

__all__ = [
    "ARRAY1",
    "ARRAY2",
    "MINUS",
    "PLUS",
    "ArrayGeometry",
    "BadLimits",
    "LimitExceeded",
    "ShapeError",
    "SnapshotError",
    "SpecError",
    "UnknownName",
    "Unsafe",
    "array_geometry",
]
