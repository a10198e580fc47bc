"""``capture`` and ``replay``: become the program that does it. Clients of no server."""

from typing import Annotated

import typer

from starlab.cli.processes import Device, Host, Seed, Virgin, become, given
from starlab.cli.terminal import Json

_MODULE = "starlab_host.capture"


def capture(
    board: Annotated[
        str,
        typer.Argument(
            metavar="URL_OF_BOARD",
            help="udp://HOST[:PORT], eth://INTERFACE/MAC or serial://PORT[?baud=N].",
        ),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The pcap; is overwritten.")
    ],
    duration: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="End after that.", show_default="at Ctrl-C"),
    ] = None,
    host: Host = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="UDP port; 0: a free one.", show_default="0"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Always so: it says where it listens in a line of JSON.")
    ] = False,
) -> None:
    """Listen for hosts, carry all to the board and back, and write it into a capture file."""
    options = given(output=output, duration=duration, host=host, port=port)
    become(_MODULE, ["record", board, *options], "The capture")


def replay(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A capture made by starlab.")],
    board: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An emulated board, as the capture found it.",
            show_default="a new one",
        ),
    ] = None,
    seed: Seed = None,
    device: Device = None,
    virgin: Virgin = False,
    as_json: Json = False,
) -> None:
    """Execute the commands of a capture once more, up to the first reply that differs."""
    options = given(board=board, seed=seed, device=device)
    options += ["--virgin"] * virgin + ["--json"] * as_json
    become(_MODULE, ["replay", file, *options], "The replay")
