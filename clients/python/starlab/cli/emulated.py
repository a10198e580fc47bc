"""``advance`` and ``emulate``: what only an emulated board can be told. Touches no real one."""

import json
from typing import Annotated, Any

import typer

from starlab.cli.terminal import BoardId, Json, Terminal, Url, connected
from starlab.http import DEFAULT_URL
from starlab_contract import EmulatorReply


def advance(
    seconds: Annotated[
        float, typer.Argument(min=0, metavar="SECONDS", help="By how many seconds, more than 0.")
    ],
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Let the clock of an emulated chip run on: cells drift and relax, nothing else happens.

    Example: starlab advance 3600
    """
    with connected(url, board_id, as_json) as (board, terminal):
        _show(board.emulator(advance_s=seconds), terminal)


def emulate(
    seed: Annotated[int | None, typer.Option(min=0, help="A fresh chip of that seed.")] = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME|JSON", help="A fresh chip of cells of that model."),
    ] = None,
    virgin: Annotated[bool, typer.Option("--virgin", help="A fresh chip, unformed.")] = False,
    formed: Annotated[bool, typer.Option("--formed", help="A fresh chip, formed.")] = False,
    effects: Annotated[
        str | None,
        typer.Option(
            metavar="none|all|JSON",
            help="""What it does that an ideal board does not: '{"wires": true}'.""",
        ),
    ] = None,
    latch: Annotated[
        list[str] | None,
        typer.Option(metavar="FAULT", help="Trip a fault latch by name; may be repeated."),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="""How bad its network is: '{"loss": 0.05, "delay_s": 0.01}'; {}: good.""",
        ),
    ] = None,
    stall_s: Annotated[
        float | None,
        typer.Option("--stall-s", min=0, max=3600, help="Seconds without any network, from now."),
    ] = None,
    restart_after_pulses: Annotated[
        int | None,
        typer.Option(min=0, help="The power fails after so many more pulses; 0: it does not."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Power-cycle it now: cells stay, registers do not.")
    ] = False,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Tell an emulated board what no real one can do: a fresh chip, effects, faults, a restart.

    Example: starlab emulate --seed 5 --effects all
    """
    if virgin and formed:
        raise typer.BadParameter("give either --virgin or --formed")
    faults = {
        "latches": latch or None,
        "network": None if network is None else _object(network, "--network"),
        "stall_s": stall_s,
        "restart_after_pulses": restart_after_pulses,
    }
    told = {name: value for name, value in faults.items() if value is not None}
    commands: dict[str, Any] = {
        "seed": seed,
        "device_model": _object(device, "--device") if _is_object(device) else device,
        "virgin": True if virgin else False if formed else None,
        "effects": _object(effects, "--effects") if _is_object(effects) else effects,
        "faults": told or None,
        "restart": restart or None,
    }
    wanted = {name: value for name, value in commands.items() if value is not None}
    if not wanted:
        raise typer.BadParameter("give at least one option")
    with connected(url, board_id, as_json) as (board, terminal):
        _show(board.emulator(**wanted), terminal)


def _show(reply: EmulatorReply, terminal: Terminal) -> None:
    terminal.say(f"The chip's clock: {reply.emulated_time_s:.6g} s; boot id {reply.boot_id}")
    terminal.finish(reply.model_dump(mode="json"))


def _is_object(text: str | None) -> bool:
    return text is not None and text.lstrip().startswith("{")


def _object(text: str | None, option: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"{text!r} is no JSON: {error}", param_hint=option) from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{text!r} is no JSON object", param_hint=option)
    return found
