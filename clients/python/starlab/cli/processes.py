"""``serve`` and ``emulator``: become the server or the emulator. Never a client of either."""

import os
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from starlab.cli.ending import ExitCode
from starlab.cli.terminal import Terminal


def become(module: str, options: list[str], what: str) -> None:
    """Replace this process by ``python -m module`` with options.

    Raises:
        typer.Exit: It is not installed.
    """
    if find_spec(module) is None:
        Terminal(as_json=False).note(
            f"{what} is not installed here: this is the light client. "
            "Install the distribution starlab to run it."
        )
        raise typer.Exit(ExitCode.FAILED)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *options])


Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
Seed = Annotated[int | None, typer.Option(help="Seed of the emulated chip.")]
Device = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.toml|FILE.csv",
        help="Device model of the emulated cells: a preset, or one of your own.",
        show_default="nonlinear-3",
    ),
]
Virgin = Annotated[
    bool,
    typer.Option("--virgin", help="Start with an unformed chip, not one formed at mid window."),
]
Effects = Annotated[
    str | None,
    typer.Option(
        metavar="none|all|JSON|FILE.toml",
        help="What the emulated board does that an ideal one does not, such as "
        """'{"wires": {"mode": "exact"}, "spread": true}'.""",
        show_default="none",
    ),
]
State = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Keep the emulated chip in this file, whatever becomes of its process; the chip that "
        "is in it already goes on.",
    ),
]
Announced = Annotated[
    bool, typer.Option("--json", help="Always so: it announces itself in one line of JSON.")
]


def serve(
    host: Host = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="TCP port; 0: a free one.", show_default="8000"),
    ] = None,
    board: Annotated[
        list[str] | None,
        typer.Option(
            help="Link to a board: udp://HOST[:PORT], eth://INTERFACE/MAC, "
            "serial://PORT[?baud=N], authors-tcp://HOST[:PORT]; may be repeated. None: an emulator."
        ),
    ] = None,
    limits: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SERIAL=]FILE",
            help="Limits file of the board with that serial number, or of all that have none of "
            "their own; may be repeated.",
        ),
    ] = None,
    data: Annotated[str | None, typer.Option(help="Folder for what the server keeps.")] = None,
    capture: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write all that travels to the board and back into this pcap file; one that is "
            "there is continued. Each further board has its own: link.pcap, link.1.pcap, ...",
        ),
    ] = None,
    seed: Seed = None,
    device: Device = None,
    virgin: Virgin = False,
    effects: Effects = None,
    state: State = None,
    trust_network: Annotated[
        bool,
        typer.Option(
            "--trust-network",
            help="Listen on other than loopback addresses: whoever reaches them drives the boards.",
        ),
    ] = False,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,NAME]",
            help="Further names and addresses under which this server may be reached; may be "
            "repeated.",
            show_default="loopback, --host and this machine's own",
        ),
    ] = None,
    allowed_origins: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL[,URL]",
            help="Web pages of others that may drive the boards; may be repeated.",
            show_default="none",
        ),
    ] = None,
    as_json: Announced = False,
) -> None:
    """Run the REST server; without a board it starts an embedded emulator."""
    options = [item for url in board or () for item in ("--board", url)]
    options += [item for one in limits or () for item in ("--limits", one)]
    options += [item for one in allowed_hosts or () for item in ("--allowed-hosts", one)]
    options += [item for one in allowed_origins or () for item in ("--allowed-origins", one)]
    options += given(host=host, port=port, data=data, capture=capture)
    options += given(seed=seed, device=device, effects=effects, state=state)
    options += ["--virgin"] * virgin + ["--trust-network"] * trust_network
    become("starlab_api", options, "The server")


def emulator(
    host: Host = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="UDP port; 0: a free one.", show_default="5716"),
    ] = None,
    pty: Annotated[
        bool, typer.Option("--pty", help="A serial line: a pseudo-terminal of this machine.")
    ] = False,
    eth: Annotated[
        str | None,
        typer.Option(metavar="INTERFACE", help="Raw Ethernet; needs CAP_NET_RAW."),
    ] = None,
    authors_tcp: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Speak the protocol of the chip authors' own board as well, on this TCP port "
            "(theirs is 7).",
        ),
    ] = None,
    seed: Seed = None,
    device: Device = None,
    virgin: Virgin = False,
    effects: Effects = None,
    limits: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Limits that the firmware holds, where they differ from those that were shipped.",
        ),
    ] = None,
    state: State = None,
    restore: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Go on as the board of this snapshot."),
    ] = None,
    faults: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="Faults from the start, as the REST API takes them: "
            """'{"network": {"loss": 0.05, "seed": 1}, "restart_after_pulses": 1000}'.""",
        ),
    ] = None,
    as_json: Announced = False,
) -> None:
    """Run one emulated board: on UDP, unless only other cables are asked for."""
    options = given(host=host, port=port, eth=eth, limits=limits, state=state, restore=restore)
    options += given(faults=faults)
    options += given(seed=seed, device=device, effects=effects)
    options += ["--pty"] * pty + ["--virgin"] * virgin
    options += ["--authors-tcp", authors_tcp] if authors_tcp is not None else []
    become("starlab_sim", options, "The emulator")


def given(**options: str | float | None) -> list[str]:
    """Options that were given, as arguments."""
    return [
        item
        for name, value in options.items()
        if value is not None
        for item in (f"--{name}", str(value))
    ]
