"""The cells that the published registers select: a row, columns, upper or lower. Touches none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starlab_sim.firmware.conditions import selected_array
from starlab_sim.firmware.register_file import RegisterFile
from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import ARRAY1, MINUS, PLUS, ArrayGeometry
from starlab_spec.registers import array1_row

_COLUMN_REGISTERS = ("COLUMNS0", "COLUMNS1", "COLUMNS2", "COLUMNS3")


@dataclass(frozen=True, slots=True)
class Selection:
    """Cells of one row of one array."""

    array: ArrayGeometry
    row: int
    mask: NDArray[np.bool_]
    """Shape (2, 1, outputs)."""

    @property
    def planes(self) -> tuple[int, ...]:
        """The planes with a selected cell."""
        return tuple(plane for plane in (PLUS, MINUS) if self.mask[plane].any())

    def in_reading_order(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Codes of the selected cells as READ returns them.

        Args:
            codes: Shape (2, outputs), of the whole row.

        Returns:
            Array 1: upper cells by rising column, then lower ones. Array 2: by rising physical
            column, of which even ones are "-".
        """
        mask = self.mask[:, 0]
        if self.array is ARRAY1:
            return codes[mask]
        order = [MINUS, PLUS]
        return codes[order].T[mask[order].T]


def selection(registers: RegisterFile) -> Selection:
    """What MODE, ROW, COLUMNS0..3 and, for array 1, CELL select.

    Raises:
        LimitExceeded: A row or a column that the array does not have.
    """
    array = selected_array(registers)
    if array is ARRAY1:
        row = array1_row(registers.word("ROW"))
    else:
        row = registers.get("ROW", "row")
    if row >= array.inputs:
        raise LimitExceeded(f"array {array.number}: row", row, array.inputs - 1)
    columns = _columns(registers, array)
    mask = np.zeros((2, 1, array.outputs), np.bool_)
    if array is ARRAY1:
        mask[PLUS, 0] = columns & bool(registers.get("CELL", "upper"))
        mask[MINUS, 0] = columns & bool(registers.get("CELL", "lower"))
    else:
        mask[MINUS, 0] = columns[0::2]
        mask[PLUS, 0] = columns[1::2]
    return Selection(array, row, mask)


def _columns(registers: RegisterFile, array: ArrayGeometry) -> NDArray[np.bool_]:
    word = 0
    for position, name in enumerate(_COLUMN_REGISTERS):
        word |= registers.get(name, "mask") << 32 * position
    highest = word.bit_length() - 1
    if highest >= array.columns:
        raise LimitExceeded(f"array {array.number}: column", highest, array.columns - 1)
    packed = np.frombuffer(word.to_bytes(13, "little"), np.uint8)
    return np.unpackbits(packed, count=array.columns, bitorder="little").astype(np.bool_)
