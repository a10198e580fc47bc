"""What the server can be started with: options, each also from the environment. Starts nothing."""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

USAGE: Final = 2
"""Exit code of a program that was started wrongly."""
SEED_MAX: Final = (1 << 64) - 1
"""As of a seed on request."""
_NO: Final = ("0", "false", "no", "off")


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with an option in a line."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parse_options(
    arguments: Sequence[str] | None, environment: Mapping[str, str]
) -> argparse.Namespace:
    """What a server is started with, each from the command line or else from the environment."""

    def given(name: str, otherwise: str | None = None) -> str | None:
        return environment.get(f"STARLAB_{name}") or otherwise

    def flag(name: str) -> bool:
        return (given(name) or "no").lower() not in _NO

    parser = _Parser(
        prog="starlab-api",
        description="Serve the REST API for boards with STELLAR chips.",
        epilog="Each option can be set in the environment instead: --host as STARLAB_HOST, and so "
        "on. STARLAB_BOARD, STARLAB_LIMITS, STARLAB_ALLOWED_HOSTS and STARLAB_ALLOWED_ORIGINS may "
        "hold several, separated by commas.",
    )
    add = parser.add_argument
    add("--host", default=given("HOST", "127.0.0.1"), help="address (default: %(default)s)")
    add(
        "--port",
        type=partial(_whole, most=0xFFFF),
        default=given("PORT", "8000"),
        help="0: any (default: %(default)s)",
    )
    add(
        "--board",
        action="append",
        metavar="URL",
        help="link to a board: udp://host[:port], eth://interface/aa:bb:cc:dd:ee:ff, "
        "serial://port[?baud=N], authors-tcp://host[:port]; may be repeated; none: an embedded "
        "emulator",
    )
    add(
        "--limits",
        action="append",
        metavar="[SERIAL=]FILE",
        help="limits file of the board with that serial number, or of all that have none of their "
        "own; may be repeated. It holds what differs from the limits that were shipped",
    )
    add(
        "--data",
        type=Path,
        default=given("DATA"),
        metavar="DIR",
        help="folder for journals and logs",
    )
    add(
        "--capture",
        type=Path,
        default=given("CAPTURE"),
        metavar="FILE",
        help="write all that travels to the board and back into this pcap file; one that is there "
        "is continued",
    )
    add(
        "--seed",
        type=partial(_whole, most=SEED_MAX),
        default=given("SEED", "0"),
        help="emulator: seed of its chip",
    )
    add("--device", default=given("DEVICE", "nonlinear-3"), help="emulator: model of its cells")
    add("--virgin", action="store_true", default=flag("VIRGIN"), help="emulator: unformed cells")
    add(
        "--state",
        type=Path,
        default=given("STATE"),
        metavar="FILE",
        help="emulator: file that keeps its chip, whatever becomes of its process",
    )
    add(
        "--effects",
        default=given("EFFECTS", "none"),
        metavar="none|all|JSON|FILE.toml",
        help="emulator: what it does that an ideal board does not (default: %(default)s)",
    )
    add(
        "--trust-network",
        action="store_true",
        default=flag("TRUST_NETWORK"),
        help="listen on other than loopback addresses: whoever reaches them drives the boards",
    )
    add(
        "--allowed-hosts",
        action="append",
        metavar="NAME[,NAME]",
        help="names and addresses under which browsers and programs may reach this server, beside "
        "loopback ones, --host and this machine's own; may be repeated",
    )
    add(
        "--allowed-origins",
        action="append",
        metavar="URL[,URL]",
        help="web pages of others that may drive the boards, such as https://page.example; may be "
        "repeated",
    )
    options = parser.parse_args(arguments)
    for name in ("allowed_hosts", "allowed_origins"):
        texts = getattr(options, name) or [given(name.upper()) or ""]
        setattr(options, name, [one for text in texts for one in text.split(",") if one.strip()])
    if options.board is None:
        options.board = [url for url in (given("BOARD") or "").split(",") if url]
    if options.limits is None:
        options.limits = [one for one in (given("LIMITS") or "").split(",") if one]
    return options


def _whole(text: str, *, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {most}")
    return int(text)
