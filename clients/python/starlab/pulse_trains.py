"""Measured pulse trains as CSV: the text that a bench writes, and `starlab.fitting` fits.

Opens no file. Each line is a pulse on a cell and what the cell conducted after it, in the order in
which they were applied; a cell's first line has the kind ``start``, before any pulse:

    cell,kind,conductance_uS
    0,start,2.1
    0,set,2.4
"""

import csv
import io
from collections.abc import Iterator
from typing import Final

from starlab.errors import InvalidInput
from starlab.fitting import KINDS

COLUMNS: Final = ("cell", "kind", "conductance_uS")
START: Final = "start"


def read_trains(text: str) -> tuple[list[list[float]], list[list[str]]]:
    """Trains and kinds as `starlab.fitting.fit_device` takes them, a cell each.

    A further ``start`` of a cell begins another train of it.

    Raises:
        InvalidInput: Another form; names the line.
    """
    rows = _rows(text)
    _, first = next(rows, (1, []))
    head = tuple(cell.strip() for cell in first)
    if head != COLUMNS:
        raise InvalidInput(f"line 1 is {','.join(head)!r}, expected {','.join(COLUMNS)}")
    trains: list[list[float]] = []
    kinds: list[list[str]] = []
    latest: dict[str, int] = {}
    for line, row in rows:
        if not row:
            continue
        where = f"line {line}"
        if len(row) != len(COLUMNS):
            raise InvalidInput(f"{where} has {len(row)} columns, expected {len(COLUMNS)}")
        cell, kind, number = (one.strip() for one in row)
        try:
            conductance_uS = float(number)
        except ValueError:
            raise InvalidInput(f"{where}: conductance {number!r} is not a number") from None
        if kind == START:
            latest[cell] = len(trains)
            trains.append([conductance_uS])
            kinds.append([])
            continue
        if kind not in KINDS:
            raise InvalidInput(f"{where}: kind {kind!r} is not {START}, {' or '.join(KINDS)}")
        if cell not in latest:
            raise InvalidInput(f"{where}: cell {cell} has no {START} before it")
        trains[latest[cell]].append(conductance_uS)
        kinds[latest[cell]].append(kind)
    return trains, kinds


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Numbers of lines, and what is in them."""
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise InvalidInput(f"line {reader.line_num} is no CSV: {error}") from None
