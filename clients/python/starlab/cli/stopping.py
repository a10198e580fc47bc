"""``stop`` and ``clear``: the emergency stop. Waits for no other call."""

from typing import Annotated, Any, Final

import typer

from starlab.cli.ending import ExitCode, ending_of, tell
from starlab.cli.terminal import BoardId, Json, Url, connected, reporting
from starlab.client import Client
from starlab.http import DEFAULT_URL
from starlab_contract import Stopped

STOP_TIMEOUT_S: Final = 15.0
"""Longest wait for the answer to a stop: then it is said that it is not known."""


def stop(
    boards: Annotated[
        list[str] | None, typer.Argument(metavar="BOARD", help="Which boards.", show_default="all")
    ] = None,
    board_id: Annotated[
        list[str] | None, typer.Option("--board", help="The same; may be repeated.")
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Emergency stop: switch all drivers off, now, whatever runs.

    It stays so until `starlab clear`. Example: starlab stop
    """
    with reporting(as_json) as terminal, Client(url, timeout_s=STOP_TIMEOUT_S) as client:
        outcomes = client.emergency_stop([*(boards or ()), *(board_id or ())])
        told: dict[str, Any] = {}
        code = 0
        for name, outcome in outcomes.items():
            if isinstance(outcome, Stopped):
                told[name] = outcome.model_dump(mode="json")
                latched = ", ".join(outcome.faults) or "nothing"
                detail = f": {outcome.detail}" if outcome.detail else ""
                if outcome.confirmed:
                    terminal.say(f"{name} is stopped; latched: {latched}{detail}")
                else:
                    terminal.say(f"{name}: NOT CONFIRMED{detail}; latched: {latched}")
                    code = max(code, ExitCode.BOARD)
            else:
                ending = ending_of(outcome)
                told[name] = {"error": {"kind": ending.kind, "detail": ending.detail}}
                tell(ending, as_json=False, of=name)
                code = max(code, ending.code)
        if not outcomes:
            terminal.say("The server has no board to stop.")
        terminal.finish({"boards": told})
        if code:
            raise typer.Exit(code)


def clear(
    board: Annotated[
        str | None,
        typer.Argument(
            metavar="BOARD",
            help="Which board; not needed for an only one.",
        ),
    ] = None,
    board_id: BoardId = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Clear the emergency stop and all other latched faults of a board; bring its supplies up.

    Says what it has cleared. Example: starlab clear emu0
    """
    with connected(url, board or board_id, as_json) as (found, terminal):
        before = found.info().faults
        after = found.clear_emergency_stop()
        cleared = [name for name in before if name not in after.faults]
        terminal.say(
            f"{found.id}: {', '.join(cleared) or 'nothing'} cleared; "
            f"still latched: {', '.join(after.faults) or 'nothing'}"
        )
        terminal.finish({"board": found.id, "cleared": cleared, **after.model_dump(mode="json")})
