"""``status``, ``limits`` and ``calibration``: what holds for a server or board. Changes nothing."""

from collections.abc import Mapping
from typing import Any

import typer

from starlab.cli.ending import ExitCode
from starlab.cli.terminal import BoardId, Json, Terminal, Url, connected, reporting, table
from starlab.client import Client
from starlab.http import DEFAULT_URL
from starlab_contract import Calibration, VoltageFit, VoltageLimits


def status(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Show whether the server lives and all of its boards answer; exit code 3 if one does not."""
    with reporting(as_json) as terminal, Client(url) as client:
        health, readiness = client.health(), client.readiness()
        terminal.say(f"starlab {health.version} at {url}")
        for name, state in readiness.boards.items():
            terminal.say(f"{name}: {state}")
        told = readiness.model_dump(mode="json")
        terminal.finish({**health.model_dump(mode="json"), **told})
        if not readiness.ready:
            raise typer.Exit(ExitCode.BOARD)


def limits(url: Url = DEFAULT_URL, board_id: BoardId = None, as_json: Json = False) -> None:
    """Show the safe operating area that the server holds a board to. No command changes it."""
    with connected(url, board_id, as_json) as (board, terminal):
        found = board.limits()
        listing = table("Supplies", "name", "least", "most", "unit")
        for name, one in found.supplies.items():
            low, high = (
                (one.low_mv, one.high_mv)
                if isinstance(one, VoltageLimits)
                else (one.low_ua, one.high_ua)
            )
            listing.add_row(name, f"{low:g}", f"{high:g}", one.unit)
        terminal.say(listing)
        for number, array in enumerate((found.array1, found.array2), 1):
            kinds = {"SET": array.set, "RESET": array.reset, "FORM": array.form}
            terminal.say(
                _columns(
                    f"Pulses on array {number}: most",
                    {kind: one.model_dump(mode="json") for kind, one in kinds.items()},
                )
            )
            rate = array.rate
            terminal.say(f"{rate.pulses:,} pulses on a cell in any {rate.window_s:g} s")
        terminal.say(f"Only FORM may drive cells from {found.forming_level_mv:g} mV on")
        for difference in found.differences:
            terminal.say(f"This board's own: {difference}")
        terminal.finish({"limits": found.model_dump(mode="json")})


def calibration(url: Url = DEFAULT_URL, board_id: BoardId = None, as_json: Json = False) -> None:
    """Show what was measured of the supplies last; `starlab supplies --calibrate` measures."""
    with connected(url, board_id, as_json) as (board, terminal):
        found = board.calibration()
        show_calibration(found, terminal)
        use = "supplies are set by it" if found.in_use else "out of use"
        terminal.say(f"Board {found.serial}, {found.made_at:%Y-%m-%d %H:%M:%S} (UTC); {use}")
        terminal.finish({"calibration": found.model_dump(mode="json")})


def show_calibration(found: Calibration, terminal: Terminal) -> None:
    """A row for each generator."""
    listing = table("Calibration", "name", "gain", "offset", "error at default", "unit")
    for name, fit in found.channels.items():
        offset, error, sigma = (
            (fit.offset_mv, fit.error_mv, fit.error_sigma_mv)
            if isinstance(fit, VoltageFit)
            else (fit.offset_ua, fit.error_ua, fit.error_sigma_ua)
        )
        listing.add_row(
            name, f"{fit.gain:.4f}", f"{offset:+.3f}", f"{error:+.3f} ± {sigma:.3f}", fit.unit
        )
    terminal.say(listing)


def _columns(title: str, columns: Mapping[str, Mapping[str, Any]]) -> Any:
    """A column for each mapping, a row for each of their names."""
    listing = table(title, "", *columns)
    for name in next(iter(columns.values())):
        listing.add_row(name, *(f"{one[name]:g}" for one in columns.values()))
    return listing
