"""``in-doubt``, ``acknowledge`` and ``journal``: commands that were to change the chip."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from starlab.cli.terminal import BoardId, Json, Terminal, Url, connected, table
from starlab.http import DEFAULT_URL
from starlab_contract import JournaledCommand


def in_doubt(url: Url = DEFAULT_URL, board_id: BoardId = None, as_json: Json = False) -> None:
    """List the commands of a board that may have been executed when it or the server crashed.

    Read back what they change, then: starlab acknowledge --all
    """
    with connected(url, board_id, as_json) as (board, terminal):
        list_commands({board.id: board.in_doubt()}, terminal)


def acknowledge(
    entries: Annotated[
        list[int] | None, typer.Argument(min=0, metavar="ENTRY", help="Which entries.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are in doubt.")] = False,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Say that what commands in doubt may have changed was read back.

    Example: starlab acknowledge 12 13
    """
    if bool(entries) == every:
        raise typer.BadParameter("give entries, as `starlab in-doubt` has them, or --all")
    with connected(url, board_id, as_json) as (board, terminal):
        list_commands({board.id: board.acknowledge(entries or None)}, terminal)


def journal(
    newest: Annotated[int, typer.Option(min=1, help="So many at most.")] = 100,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """List the newest commands that were to change the chip, and what became of them."""
    with connected(url, board_id, as_json) as (board, terminal):
        list_commands({board.id: board.journal(newest)}, terminal, none="The journal is empty.")


def list_commands(
    commands: Mapping[str, Sequence[JournaledCommand]],
    terminal: Terminal,
    *,
    none: str = "Nothing is in doubt.",
) -> None:
    """Commands by board."""
    listing = table("Commands", "board", "entry", "state", "call", "what", "at (UTC)", right=False)
    for board_id, found in commands.items():
        for command in found:
            listing.add_row(
                board_id,
                str(command.entry),
                command.state,
                command.call or "-",
                command.what,
                f"{command.written_at:%Y-%m-%d %H:%M:%S}",
            )
    terminal.say(listing if listing.rows else none)
    terminal.finish(
        {
            "commands": [
                {"board": board_id, **command.model_dump(mode="json")}
                for board_id, found in commands.items()
                for command in found
            ]
        }
    )
