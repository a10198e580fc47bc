"""``pulse``, ``settings``, ``registers``: a board by hand, one call each. Knows no register map."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from starlab.cli.files import load_array
from starlab.cli.terminal import (
    ArrayNumber,
    BoardId,
    Columns,
    Json,
    Rows,
    Url,
    connected,
    table,
)
from starlab.http import DEFAULT_URL

_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_DECIMAL: Final = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
_LONGEST: Final = 400
_WORD_MAX: Final = 0xFFFF_FFFF


def pulse(
    array: ArrayNumber,
    kind: Annotated[
        Literal["set", "reset"],
        typer.Argument(metavar="set|reset", help="SET raises a conductance, RESET lowers it."),
    ],
    rows: Rows = None,
    columns: Columns = None,
    polarity: Annotated[
        Literal["+", "-"] | None,
        typer.Option(help="G+ or G- of each pair of rows times columns."),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Or which cells: bits, .npy of (2, inputs, outputs)."
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Pulses on each cell.")] = 1,
    width_ns: Annotated[
        int | None,
        typer.Option(
            "--width-ns",
            min=50,
            help="Width of each, ns, a multiple of 50.",
            show_default="of the settings",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Apply programming pulses to the cells that are named, and no others.

    Example: starlab pulse 1 set --rows 0:10 --columns 3 --polarity + --count 5
    """
    named = [value is not None for value in (rows, columns, polarity)]
    if mask is None and not all(named):
        raise typer.BadParameter("name the cells: --rows, --columns and --polarity, or --mask")
    if mask is not None and any(named):
        raise typer.BadParameter("give --mask, or --rows, --columns and --polarity")
    cells = None if mask is None else load_array(mask, "--mask")
    with connected(url, board_id, as_json) as (board, terminal):
        applied = board.arrays[array].pulse(
            kind,
            mask=cells,
            rows=rows,
            columns=columns,
            polarity=polarity,
            count=count,
            width_ns=width_ns,
        )
        terminal.say(f"{applied:,} {kind.upper()} pulses on array {array}")
        terminal.finish({"array": array, "kind": kind, "pulses": applied})


def settings(
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Change these first: th=4 c1=0.25."),
    ] = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Show, or change, converters, pulses and learning: all of the changes or none.

    Example: starlab settings th=4 set_width_1_ns=100 scheme=non-cyclic
    """
    wanted: dict[str, Any] = {}
    for change in changes or ():
        name, is_given, value = change.partition("=")
        if not (name and is_given and value):
            raise typer.BadParameter(f"{change!r} is not NAME=VALUE", param_hint="NAME=VALUE")
        if name in wanted:
            raise typer.BadParameter(f"{name} is given twice", param_hint="NAME=VALUE")
        wanted[name] = _value(value)
    with connected(url, board_id, as_json) as (board, terminal):
        found = board.change_settings(**wanted) if wanted else board.settings()
        told = found.model_dump(mode="json")
        listing = table("Settings", "name", "value", "what")
        listing.columns[2].justify = "left"
        for name, value in told.items():
            field = type(found).model_fields[name]
            listing.add_row(name, str(value), str(field.description or ""))
        terminal.say(listing)
        terminal.finish({"settings": told})


def registers(
    accesses: Annotated[
        list[str],
        typer.Argument(
            metavar="ADDRESS[=VALUE]", help="Byte address, to read or to write: 0x104 0x108=3."
        ),
    ],
    mask: Annotated[
        str | None,
        typer.Option(metavar="BITS", help="Bits to replace; the others stay.", show_default="all"),
    ] = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Read 32-bit registers, or write them, in the order given.

    Example: starlab registers 0x0 0x104=0x3 --mask 0xF
    """
    parsed = [_access(text) for text in accesses]
    bits = _WORD_MAX if mask is None else _word(mask, "--mask")
    if mask is not None and all(value is None for _, value in parsed):
        raise typer.BadParameter("is for writing: give ADDRESS=VALUE", param_hint="--mask")
    with connected(url, board_id, as_json) as (board, terminal):
        found = [
            board.read_register(address)
            if value is None
            else board.write_register(address, value, mask=bits)
            for address, value in parsed
        ]
        listing = table("Registers", "address", "name", "value", "fields", right=False)
        for one in found:
            fields = ", ".join(f"{name} {value}" for name, value in one.fields.items())
            listing.add_row(f"0x{one.address:X}", one.name or "-", f"0x{one.value:08X}", fields)
        terminal.say(listing)
        terminal.finish({"registers": [one.model_dump(mode="json") for one in found]})


def _value(text: str) -> bool | int | float | str:
    """What a setting is to be: true, false, a number, or a word."""
    if text in ("true", "false"):
        return text == "true"
    for pattern, kind in ((_INTEGER, int), (_DECIMAL, float)):
        if pattern.fullmatch(text) and len(text) < _LONGEST:
            return kind(text)
    return text


def _access(text: str) -> tuple[int, int | None]:
    address, is_written, value = text.partition("=")
    return _word(address, "ADDRESS"), _word(value, "VALUE") if is_written else None


def _word(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text) or len(text) > 10 or int(text, 0) > _WORD_MAX:
        raise typer.BadParameter(
            f"{text!r} is no whole number of 32 bits, such as 260 or 0x104", param_hint=what
        )
    return int(text, 0)
