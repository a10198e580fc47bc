"""``boards`` and ``supplies``: what is there and what feeds it. Never touches cells."""

import re
from typing import Annotated, Any, Final

import typer

from starlab.board import Board
from starlab.cli import link_watch
from starlab.cli.following import extent
from starlab.cli.journals import list_commands
from starlab.cli.status import show_calibration
from starlab.cli.terminal import BoardId, Json, Terminal, Url, connected, reporting, table
from starlab.client import Client
from starlab.http import DEFAULT_URL
from starlab_contract import Board as BoardInfo
from starlab_contract import FoundBoard, Supplies, VoltageSupply

_ASSIGNMENT: Final = re.compile(r"(?P<name>[^=]+)=(?P<value>[-+.\deE]+?)\s*(?P<unit>mV|uA)?")


def boards(
    one: Annotated[
        str | None,
        typer.Argument(metavar="BOARD", help="All that is known of it.", show_default="all"),
    ] = None,
    discover: Annotated[
        bool, typer.Option("--discover", help="Look for boards in the server's networks instead.")
    ] = False,
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="Where to look: udp://HOST[:PORT], a broadcast address too, or eth://INTERFACE; "
            "may be repeated. None: everywhere."
        ),
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", help="How long to wait for answers.")
    ] = 1.0,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="How their links do, anew each second; just once without a terminal."
        ),
    ] = False,
    in_doubt: Annotated[
        bool,
        typer.Option(
            "--in-doubt",
            help="List the commands that may have been executed when server or board crashed: "
            "read back what they change.",
        ),
    ] = False,
    acknowledge: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Say that what the commands in doubt of a board change was read back.",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """List the boards of the server, or those that can be found.

    Example: starlab boards --discover --at udp://10.0.0.255
    """
    if one is not None and (discover or at or watch or in_doubt or acknowledge is not None):
        raise typer.BadParameter("give BOARD alone, or none with these options")
    with reporting(as_json) as terminal, Client(url) as client:
        if one is not None:
            _show_one(client.board(one).info(), terminal)
            return
        if watch:
            link_watch.watch(client, terminal)
            return
        if acknowledge is not None:
            list_commands({acknowledge: client.board(acknowledge).acknowledge()}, terminal)
            return
        if in_doubt:
            list_commands({board.id: board.in_doubt for board in client.boards()}, terminal)
            return
        if discover or at:
            _list_found(client.discover(at or (), wait_s=wait), terminal)
            return
        found = client.boards()
        listing = table(
            "Boards", "id", "state", "serial", "device model", "firmware", "restarts", "faults",
            right=False,
        )  # fmt: skip
        for board in found:
            listing.add_row(
                board.id,
                board.state,
                board.serial or "?",
                _cells(board),
                board.firmware or "?",
                str(board.restarts),
                ", ".join(board.faults) or "none",
            )
        terminal.say(listing)
        for board in found:
            if board.running is not None:
                seconds = f"{board.running.seconds:.0f} s"
                terminal.say(
                    f"{board.id}: {board.running.call}, {seconds}: {extent(board.running)}"
                )
        terminal.finish({"boards": [board.model_dump(mode="json") for board in found]})


def _show_one(board: BoardInfo, terminal: Terminal) -> None:
    listing = table(f"Board {board.id}", "what", "", right=False)
    told = board.model_dump(mode="json")
    for name, value in told.items():
        if name == "link":
            continue
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for part, one in parts:
            listing.add_row(f"{name} {part}".strip(), "-" if one in (None, []) else str(one))
    terminal.say(listing)
    if board.link is not None:
        terminal.say(link_watch.links_of([board]))
    terminal.finish({"board": told})


def _cells(board: BoardInfo) -> str:
    """Device model of a board, and how many effects of real cells and generators are on."""
    effects = len(board.effects or ())
    return f"{board.device_model or '-'}{f' + {effects} effects' if effects else ''}"


def _list_found(found: list[FoundBoard], terminal: Terminal) -> None:
    listing = table("Boards found", "url", "serial", "device model", "in use", "here", right=False)
    listing.columns[0].no_wrap = True
    for board in found:
        listing.add_row(
            "\n".join((board.url, *board.other_urls)),
            board.serial or "?",
            board.device_model or "-",
            {None: "?", True: "yes", False: "no"}[board.in_use],
            board.id or "-",
        )
    terminal.say(listing if found else "No board has answered.")
    terminal.finish({"boards": [board.model_dump(mode="json") for board in found]})


def supplies(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Set these first, in mV or uA: VBLset=2209."),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Measure first what they really give: from then on they are set by it.",
        ),
    ] = False,
    uncalibrate: Annotated[
        bool, typer.Option("--uncalibrate", help="Forget what was measured.")
    ] = False,
    balance: Annotated[
        bool,
        typer.Option(
            "--balance",
            help="Trim VBL27 and VBL23 at the end, until balanced weights of array 1 read as 0.",
        ),
    ] = False,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Show the supplies; set some of them first, all or none. Or calibrate or balance them."""
    if calibrate and uncalibrate:
        raise typer.BadParameter("give either --calibrate or --uncalibrate")
    parsed = _parsed(settings or [])
    with connected(url, board_id, as_json) as (board, terminal):
        told: dict[str, Any] = {}
        if calibrate:
            told["calibration"] = _calibrate(board, terminal)
        if uncalibrate:
            board.remove_calibration()
        found = _set(board, parsed) if parsed else None
        if balance:
            told["balance"] = _balance(board, terminal)
        if found is None or balance:
            found = board.supplies()
        listing = table(
            "Supplies", "name", "requested", "measured", "unit", "code", "safe range", "state"
        )
        for name, supply in found.root.items():
            low, high, requested, measured = (
                (supply.low_mv, supply.high_mv, supply.requested_mv, supply.measured_mv)
                if isinstance(supply, VoltageSupply)
                else (supply.low_ua, supply.high_ua, supply.requested_ua, supply.measured_ua)
            )
            listing.add_row(
                name,
                "-" if requested is None else f"{requested:g}",
                f"{measured:.1f}",
                supply.unit,
                str(supply.code),
                f"{low:g} .. {high:g}",
                "fault" if supply.fault else "ok" if supply.settled else "settling",
            )
        terminal.say(listing)
        terminal.finish({"supplies": found.model_dump(mode="json"), **told})


def _calibrate(board: Board, terminal: Terminal) -> dict[str, Any]:
    with terminal.stages("calibrating the supplies"):
        found = board.calibrate()
    show_calibration(found, terminal)
    terminal.say("What is set stays as it is; from now on supplies are set by this.")
    return found.model_dump(mode="json")


def _balance(board: Board, terminal: Terminal) -> dict[str, Any]:
    with terminal.stages("balancing VBL27 and VBL23"):
        done = board.balance()
    before, after = done.before.mismatch_mv, done.after.mismatch_mv
    terminal.say(f"Mismatch of the read voltages: {before:+.1f} mV before, {after:+.1f} mV now.")
    return done.model_dump(mode="json")


def _parsed(settings: list[str]) -> list[tuple[str, float, str | None]]:
    """Names, values and units."""
    found = []
    for setting in settings:
        match = _ASSIGNMENT.fullmatch(setting)
        if match is None:
            raise typer.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="NAME=VALUE")
        try:
            found.append((match["name"], float(match["value"]), match["unit"]))
        except ValueError:
            raise typer.BadParameter(f"{match['value']!r} is no number") from None
    return found


def _set(board: Board, settings: list[tuple[str, float, str | None]]) -> Supplies:
    units = {name: supply.unit for name, supply in board.supplies().root.items()}
    wanted: dict[str, dict[str, float]] = {"mV": {}, "uA": {}}
    for name, value, unit in settings:
        # an unknown name goes to the server as it is, whose refusal lists the known ones
        wanted[unit or units.get(name, "mV")][name] = value
    return board.set_supplies(mv=wanted["mV"], ua=wanted["uA"])
