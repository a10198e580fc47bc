"""Where a chip's cells and totals are kept, and what makes a chunk of pulses all or nothing.

Opens no file: here is the memory of the process, which takes everything along when it ends.
"""

from collections.abc import Mapping
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.counters import METER, Meter
from starlab_spec.geometry import ARRAY1, ARRAY2, ArrayGeometry


def _cells(geometry: ArrayGeometry) -> np.dtype[np.void]:
    """Conductance of each cell, how many pulses it has had, and the clock at the last of them."""
    shape = geometry.shape
    return np.dtype(
        [
            ("conductance_uS", "<f4", shape),
            ("pulses", "<u4", shape),
            ("pulsed_ticks", "<i8", shape),
        ],
        align=True,
    )


CHIP: Final = np.dtype(
    [("meter", METER), ("array1", _cells(ARRAY1)), ("array2", _cells(ARRAY2))], align=True
)
"""All that a chip consists of, but for what follows from its seed."""
ALL: Final = slice(None)
"""All rows of an array."""

Rows = Mapping[int, slice]
"""Consecutive rows, by array number."""


class Store(Protocol):
    """Keeps one chip. What changes between `begin` and `commit` is kept as a whole or not at all.

    Attributes:
        label: What whoever fitted the chip wants kept with it; kept at the next `commit`.
    """

    label: bytes

    @property
    def content(self) -> NDArray[np.void]:
        """The cells themselves, shape (), type :data:`CHIP`; its meter is as last committed."""

    def begin(self, rows: Rows) -> None:
        """These rows are about to change, and no others."""

    def commit(self, meter: Meter) -> None:
        """They have, and these are the totals now."""


class Volatile:
    """The memory of the process."""

    def __init__(self) -> None:
        self.label = b""
        self.content: NDArray[np.void] = np.zeros((), CHIP)

    def begin(self, rows: Rows) -> None:
        """Nothing outlives the process, so that nothing could be left in part."""

    def commit(self, meter: Meter) -> None:
        """See `begin`."""
