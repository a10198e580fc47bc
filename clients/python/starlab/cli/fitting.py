"""``fit-device``: from measured pulse trains to a device model. Asks no board and no server."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from starlab import fitting
from starlab.cli.files import read_text, writable
from starlab.cli.terminal import Json, Terminal, reporting
from starlab.fitting import KINDS, LEAST_PULSES, FittedDevice
from starlab.pulse_trains import read_trains
from starlab.writing import write


def fit_device(
    pulses: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            metavar="PULSES.csv",
            help="What cells conducted after each pulse: cell,kind,conductance_uS; kind is start, "
            "set or reset.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            dir_okay=False,
            callback=writable,
            help="The model; is overwritten.",
        ),
    ] = Path("device.toml"),
    name: Annotated[
        str | None, typer.Option(help="Name of the model.", show_default="of the file")
    ] = None,
    bins: Annotated[int, typer.Option(help="Equal bins of the window of 2 to 20 uS.")] = 10,
    read_noise: Annotated[
        float, typer.Option(metavar="MICROSIEMENS", help="Standard deviation of a reading.")
    ] = 0.0,
    least: Annotated[
        int, typer.Option(help="Fewer pulses make a bin an empty one.")
    ] = LEAST_PULSES,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="Fill empty bins from their neighbours.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fit a device model to measured pulse trains; `starlab emulator --device` takes it."""
    with reporting(as_json) as terminal:
        trains_uS, kinds = read_trains(read_text(pulses, "PULSES.csv"))
        fitted = fitting.fit_device(
            trains_uS,
            kinds,
            name=pulses.stem[:32] if name is None else name,
            bins=bins,
            read_noise_uS=read_noise,
            least_pulses=least,
            interpolate=interpolate,
        )
        write(output, fitted.toml().encode())
        _show(terminal, fitted, least)
        if interpolate:
            terminal.say(f"*: fewer than {least} pulses, interpolated")
        terminal.say(f"{fitted.still} cells stood still and were left out; model in {output}")
        terminal.finish({"file": str(output), "still": fitted.still, **fitted.json()})


def _show(terminal: Terminal, fitted: FittedDevice, least: int) -> None:
    """A table of what was found; bins that were interpolated have a star."""
    table = Table(title=fitted.name)
    table.add_column("bin", justify="right")
    for kind in KINDS:
        for column in (f"{kind} mean, uS", "std, uS", "pulses"):
            table.add_column(column, justify="right")
    for number in range(len(fitted.set.pulses)):
        row = [str(number + 1)]
        for found in (fitted.set, fitted.reset):
            mark = "" if found.pulses[number] >= least else "*"
            row += [
                f"{found.mean_uS[number]:.4f}",
                f"{found.std_uS[number]:.4f}",
                f"{found.pulses[number]}{mark}",
            ]
        table.add_row(*row)
    terminal.say(table)
