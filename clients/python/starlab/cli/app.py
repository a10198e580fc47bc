"""The command line ``starlab``: its commands, by group. Does nothing itself."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Final

import typer

from starlab.cli import (
    arrays,
    bench,
    boards,
    captures,
    demo,
    emulated,
    energy,
    fitting,
    journals,
    learning,
    processes,
    snapshots,
    status,
    stopping,
)
from starlab.cli.commands import Command, Group

app = typer.Typer(
    name="starlab",
    cls=Group,
    help="Boards with STELLAR memristor chips, real and emulated.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_GROUPS: Final[dict[str, tuple[Callable[..., None], ...]]] = {
    "Processes": (processes.serve, processes.emulator, captures.capture, captures.replay),
    "Models": (fitting.fit_device,),
    "Emergency": (stopping.stop, stopping.clear),
    "Boards": (
        status.status,
        boards.boards,
        boards.supplies,
        status.calibration,
        status.limits,
        bench.settings,
        bench.registers,
        energy.counters,
        energy.energy,
    ),
    "After a crash": (journals.in_doubt, journals.acknowledge, journals.journal),
    "Arrays": (arrays.form, arrays.level, bench.pulse, arrays.program, arrays.read, arrays.vmm),
    "Network": (learning.infer, learning.train, learning.evaluate, demo.demo),
    "Emulated boards": (emulated.advance, emulated.emulate),
}
for group, commands in _GROUPS.items():
    for command in commands:
        app.command(cls=Command, rich_help_panel=group)(command)

app.add_typer(snapshots.app, name="snapshot", rich_help_panel="Boards")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(_version())
        raise typer.Exit


def _version() -> str:
    """Of the distribution that this package came with: the whole product or the light client."""
    try:
        return version("starlab")
    except PackageNotFoundError:
        return version("starlab-client")


@app.callback()
def _root(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass
