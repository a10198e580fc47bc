"""The arrays of the chip: how many rows, columns and cells. Never what the cells hold.

Source: chip facts, section 1 [P]. 784 inputs -> 100 hidden -> 10 outputs, 158,800 cells.
"""

from dataclasses import dataclass
from typing import Final, Literal

from starlab_spec.errors import LimitExceeded

PLUS: Final = 0
"""Plane of the cells that add to a weight: "upper" in array 1, odd columns in array 2."""
MINUS: Final = 1
"""Plane of the cells that subtract: "lower" in array 1, even columns in array 2."""

ArrayNumber = Literal[1, 2]

CONDUCTANCE_MIN_uS: Final = 2.0
"""Low end of the conductance window [C]."""
CONDUCTANCE_MAX_uS: Final = 20.0
"""High end of the conductance window [C]."""
VIRGIN_MAX_uS: Final = 0.1
"""A cell that was never formed conducts less than this [O]."""
WINDOW_uS: Final = CONDUCTANCE_MAX_uS - CONDUCTANCE_MIN_uS
MID_WINDOW_uS: Final = (CONDUCTANCE_MIN_uS + CONDUCTANCE_MAX_uS) / 2


@dataclass(frozen=True, slots=True)
class ArrayGeometry:
    """One array of differential weights, each of them two cells: G+ and G-."""

    number: ArrayNumber
    """1: 2T2R, between inputs and hidden layer. 2: 1T1R, between hidden and output layer."""
    inputs: int
    """Rows: what the array is multiplied with."""
    outputs: int
    """Signed weights per row."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array of cell values: planes (PLUS, MINUS), inputs, outputs."""
        return (2, self.inputs, self.outputs)

    @property
    def cells(self) -> int:
        """Number of memristors."""
        return 2 * self.inputs * self.outputs

    @property
    def columns(self) -> int:
        """Bits of the column mask that address it (registers 0x1C..0x28).

        Array 1 selects 100 columns and, with register 0x14, the upper or lower cell of each;
        array 2 selects 20 physical columns, even ones "-" and odd ones "+".
        """
        return self.outputs if self.number == 1 else 2 * self.outputs


ARRAY1: Final = ArrayGeometry(number=1, inputs=784, outputs=100)
ARRAY2: Final = ArrayGeometry(number=2, inputs=100, outputs=10)


def array_geometry(number: int) -> ArrayGeometry:
    """The array of that number.

    Raises:
        LimitExceeded: There are arrays 1 and 2 only.
    """
    if number == 1:
        return ARRAY1
    if number == 2:
        return ARRAY2
    raise LimitExceeded("array", number, 1 if number < 1 else 2)
