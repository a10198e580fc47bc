"""Device models of the user's own: as JSON or TOML objects, and from files. Makes no cell.

Two forms (docs/devices.md shows both): a table, with steps of SET and of RESET for each of some
equal bins, both from low to high conductance; or the parameters of `soft-bounds`.
"""

import csv
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from starlab_sim.devices.presets import PRESET_NAMES, preset
from starlab_sim.devices.soft_bounds import SoftBounds
from starlab_sim.devices.table import DeviceModel, StepTable
from starlab_sim.effects.parameters import read
from starlab_sim.errors import Refused
from starlab_spec.errors import LimitExceeded, apart
from starlab_spec.geometry import CONDUCTANCE_MIN_uS, WINDOW_uS
from starlab_spec.wire.transactions import Status

Device = str | Mapping[str, Any]
"""What a user says of the cells: the name of a preset, or a whole model as an object."""

NAME_MAX: Final = 32
"""Characters of a name: registers hold so many."""
BINS_MAX: Final = 40
"""Bins of a user's table: a state file keeps them with the chip."""
COLUMNS: Final = (
    "from_uS",
    "to_uS",
    "set_mean_uS",
    "set_std_uS",
    "reset_mean_uS",
    "reset_std_uS",
)
"""Columns of a CSV file, a row a bin, from low to high conductance."""
_EDGE_TOLERANCE_uS: Final = 0.01


def device_model(wanted: object, where: str = "device_model") -> DeviceModel:
    """The device model that a user wants.

    Args:
        wanted: The name of a preset, or an object: ``name``, and either ``set`` and ``reset``, each
            with ``mean_uS`` and ``std_uS``, or ``soft_bounds`` with its parameters.
        where: What messages call it.

    Raises:
        UnknownName: No such preset.
        Refused: BAD_REQUEST: another form, an unknown or missing key, a wrong type.
        LimitExceeded: A number out of bounds.
    """
    if isinstance(wanted, str):
        return preset(wanted)
    if not isinstance(wanted, Mapping):
        raise _bad(f"{where} {wanted!r} is neither the name of a device model nor an object")
    _check_keys(where, wanted, ("name",), ("set", "reset", "soft_bounds"))
    name = wanted["name"]
    if not isinstance(name, str) or not name or not name.isascii() or not name.isprintable():
        raise _bad(f"{where} name {name!r} is not a name of plain characters")
    if len(name) > NAME_MAX:
        raise LimitExceeded(f"{where} length of name", len(name), NAME_MAX, "characters")
    if name in PRESET_NAMES:
        raise _bad(f"{where} name {name!r} is that of a preset")
    if "soft_bounds" in wanted:
        if "set" in wanted or "reset" in wanted:
            raise _bad(f"{where} has both a table and soft_bounds")
        return read(f"{where} soft_bounds", SoftBounds, wanted["soft_bounds"]).model(name)
    _check_keys(where, wanted, ("name", "set", "reset"), ())
    rising, falling = (_table(f"{where} {kind}", wanted[kind]) for kind in ("set", "reset"))
    if len(rising.mean_uS) != len(falling.mean_uS):
        raise _bad(
            f"{where} has {len(rising.mean_uS)} bins for set and {len(falling.mean_uS)} for reset"
        )
    # a table begins at the end that its pulses leave: RESET at the top
    return DeviceModel(name, rising, StepTable(falling.mean_uS[::-1], falling.std_uS[::-1]))


def load_device(path: Path) -> dict[str, Any]:
    """The object of a file, checked: ``.toml`` holds the object itself, ``.csv`` a table.

    Raises:
        Refused, LimitExceeded: As of :func:`device_model`, with the name of the file; or the file
            is no TOML or CSV, or its name ends otherwise.
        OSError: It cannot be read.
    """
    load: Callable[[Path], dict[str, Any]] | None = _FORMATS.get(path.suffix)
    if load is None:
        raise _bad(f"{path} ends with neither {' nor '.join(_FORMATS)}")
    wanted = load(path)
    device_model(wanted, str(path))
    return wanted


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _bad(f"{path}: {error}") from None


def _csv(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(f"{path}: {error}") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
    if not rows or tuple(rows[0]) != COLUMNS:
        raise _bad(f"{path}: the first line is not {','.join(COLUMNS)}")
    values = [_numbers(f"{path} bin {number}", row) for number, row in enumerate(rows[1:], 1)]
    width_uS = WINDOW_uS / max(len(values), 1)
    for number, (low, high, *_) in enumerate(values):
        for edge, value, expected in (
            ("from_uS", low, CONDUCTANCE_MIN_uS + number * width_uS),
            ("to_uS", high, CONDUCTANCE_MIN_uS + (number + 1) * width_uS),
        ):
            if not abs(value - expected) <= _EDGE_TOLERANCE_uS:
                told, wanted = apart(value, expected)
                raise _bad(
                    f"{path} bin {number + 1}: {edge} {told} uS is not {wanted} uS, that of"
                    f" {len(values)} equal bins of the window"
                )
    columns = [list(column) for column in zip(*values, strict=True)] or [[]] * len(COLUMNS)
    return {
        "name": path.stem[:NAME_MAX],
        "set": {"mean_uS": columns[2], "std_uS": columns[3]},
        "reset": {"mean_uS": columns[4], "std_uS": columns[5]},
    }


_FORMATS: Final[Mapping[str, Callable[[Path], dict[str, Any]]]] = {".toml": _toml, ".csv": _csv}


def _numbers(where: str, row: Sequence[str]) -> list[float]:
    if len(row) != len(COLUMNS):
        raise _bad(f"{where} has {len(row)} columns, not {len(COLUMNS)}")
    found = []
    for name, text in zip(COLUMNS, row, strict=True):
        try:
            found.append(float(text))
        except ValueError:
            raise _bad(f"{where}: {name} {text!r} is not a number") from None
    return found


def _table(where: str, wanted: object) -> StepTable:
    if not isinstance(wanted, Mapping):
        raise _bad(f"{where} {wanted!r} is not an object")
    _check_keys(where, wanted, ("mean_uS", "std_uS"), ("pulses",))
    columns = []
    for key in ("mean_uS", "std_uS", *(["pulses"] if "pulses" in wanted else [])):
        values = wanted[key]
        if not isinstance(values, list | tuple):
            raise _bad(f"{where}.{key} {values!r} is not a list of numbers")
        if not 1 <= len(values) <= BINS_MAX:
            limit = BINS_MAX if values else 1
            raise LimitExceeded(f"{where}.{key}: number of bins", len(values), limit)
        for index, value in enumerate(values):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise _bad(f"{where}.{key}[{index}] {value!r} is not a number")
            if not value >= 0:  # so that NaN is refused too
                raise LimitExceeded(f"{where}.{key}[{index}]", value, 0, "uS")
            if key != "pulses" and value > WINDOW_uS:
                raise LimitExceeded(f"{where}.{key}[{index}]", value, WINDOW_uS, "uS")
        columns.append(tuple(float(value) for value in values))
    if len({len(column) for column in columns}) > 1:
        lengths = ", ".join(str(len(column)) for column in columns)
        raise _bad(f"{where} has lists of different lengths: {lengths}")
    return StepTable(columns[0], columns[1])


def _check_keys(
    where: str, wanted: Mapping[Any, Any], needed: Sequence[str], others: Sequence[str]
) -> None:
    known = (*needed, *others)
    for key in wanted:
        if key not in known:
            raise _bad(f"unknown key {where} {key}; known: {', '.join(known)}")
    for key in needed:
        if key not in wanted:
            raise _bad(f"{where} lacks {key}")


def _bad(message: str) -> Refused:
    return Refused(Status.BAD_REQUEST, message)
