"""``snapshot``: save what a board is, list what was saved, go back to it. Keeps none itself."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from starlab.cli.commands import Command, Group
from starlab.cli.files import read_bytes, writable
from starlab.cli.terminal import BoardId, Json, Url, connected, table
from starlab.http import DEFAULT_URL
from starlab.writing import write

app = typer.Typer(
    cls=Group,
    help="Save what a board is, and go back to it: an emulated one to the last bit.",
    no_args_is_help=True,
)
Sid = Annotated[str, typer.Argument(metavar="ID", help="As `starlab snapshot list` has it.")]


@app.command(cls=Command)
def save(
    name: Annotated[str, typer.Argument(help="What to call it.")] = "",
    kind: Annotated[
        Literal["exact", "read"] | None,
        typer.Option(
            help="exact: all that an emulated board is. read: conductances, settings, supplies.",
            show_default="exact of an emulated board, read of any other",
        ),
    ] = None,
    memory: Annotated[
        bool, typer.Option("--memory", help="The board's memory too, of an emulated board.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            dir_okay=False,
            callback=writable,
            help="Write it to this file as well.",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Take a snapshot; the server keeps it."""
    with connected(url, board_id, as_json) as (board, terminal):
        taken = board.snapshots.save(name, kind=kind, memory=memory)
        if output is not None:
            write(output, board.snapshots.download(taken.id))
        terminal.say(f"{taken.id}: {taken.kind}, {taken.bytes:,} bytes")
        terminal.finish({"snapshot": taken.model_dump(mode="json")})


@app.command("list", cls=Command)
def list_(url: Url = DEFAULT_URL, board_id: BoardId = None, as_json: Json = False) -> None:
    """List the snapshots of a board; an id begins with the time (UTC)."""
    with connected(url, board_id, as_json) as (board, terminal):
        found = board.snapshots.list()
        listing = table("Snapshots", "id", "name", "kind", "serial", "pulses", "MB", right=False)
        for one in found:
            listing.add_row(
                one.id,
                one.name or "-",
                one.kind,
                one.serial,
                f"{one.lifetime_pulses:,}",
                f"{one.bytes / 1e6:.2f}",
            )
        listing.columns[0].no_wrap = True
        terminal.say(listing if found else "No snapshots.")
        terminal.finish({"snapshots": [one.model_dump(mode="json") for one in found]})


@app.command(cls=Command)
def restore(
    snapshot: Annotated[
        str,
        typer.Argument(metavar="ID|FILE", help="As `starlab snapshot list` has it, or a file."),
    ],
    tolerance_us: Annotated[
        float,
        typer.Option(
            "--tolerance",
            metavar="uS",
            min=0.1,
            help="How near write-verify brings cells, if not exact.",
        ),
    ] = 0.3,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Bring a board to what a snapshot holds."""
    with connected(url, board_id, as_json) as (board, terminal):
        identity = snapshot
        if os.sep in snapshot and not os.path.isfile(snapshot):
            raise typer.BadParameter(f"there is no file {snapshot}", param_hint="ID|FILE")
        if os.path.isfile(snapshot):
            identity = board.snapshots.upload(
                read_bytes(Path(snapshot), "ID|FILE"), name=Path(snapshot).name
            ).id
        with terminal.stages("restoring"):
            reply = board.snapshots.restore(identity, tolerance_uS=tolerance_us)
        if reply.exact:
            terminal.say(f"The board is as {identity} has it, to the last bit.")
        for number, reached in reply.arrays.items():
            terminal.say(
                f"Array {number}: {reached.in_tolerance:,} of {reached.cells:,} cells within "
                f"{tolerance_us:g} uS, rms {reached.rms_error_uS:.3f} uS, {reached.pulses:,} pulses"
            )
        terminal.finish({"restored": reply.model_dump(mode="json")})


@app.command(cls=Command)
def delete(
    snapshot: Sid, url: Url = DEFAULT_URL, board_id: BoardId = None, as_json: Json = False
) -> None:
    """Let the server keep a snapshot no longer."""
    with connected(url, board_id, as_json) as (board, terminal):
        terminal.say(f"{board.snapshots.delete(snapshot).id} is deleted.")
        terminal.finish({"deleted": snapshot})


@app.command(cls=Command)
def show(
    snapshot: Sid, url: Url = DEFAULT_URL, board_id: BoardId = None, as_json: Json = False
) -> None:
    """Show what is known of a snapshot."""
    with connected(url, board_id, as_json) as (board, terminal):
        told = board.snapshots.get(snapshot).model_dump(mode="json")
        listing = table("Snapshot", "what", "", right=False)
        for name, value in told.items():
            listing.add_row(name, "-" if value in (None, "", []) else str(value))
        terminal.say(listing)
        terminal.finish({"snapshot": told})


@app.command(cls=Command)
def download(
    snapshot: Sid,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", dir_okay=False, callback=writable, help="The file; is overwritten."
        ),
    ],
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Write a snapshot to a file, which `upload` and `restore` take."""
    with connected(url, board_id, as_json) as (board, terminal):
        content = board.snapshots.download(snapshot)
        write(output, content)
        terminal.say(f"{len(content):,} bytes in {output}")
        terminal.finish({"snapshot": snapshot, "output": str(output), "bytes": len(content)})


@app.command(cls=Command)
def upload(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A snapshot.")],
    name: Annotated[
        str | None, typer.Option(help="What to call it.", show_default="of the file")
    ] = None,
    url: Url = DEFAULT_URL,
    board_id: BoardId = None,
    as_json: Json = False,
) -> None:
    """Let the server keep a snapshot from a file."""
    content = read_bytes(file, "FILE")
    with connected(url, board_id, as_json) as (board, terminal):
        kept = board.snapshots.upload(content, name=file.name if name is None else name)
        terminal.say(f"{kept.id}: {kept.kind}, {kept.bytes:,} bytes")
        terminal.finish({"snapshot": kept.model_dump(mode="json")})
