"""The emulated board as a program: options in, one line of JSON out when it listens.

Prints nothing else on standard output.
"""

import argparse
import contextlib
import errno
import json
import os
import random
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from starlab_sim.authors import AuthorsServer, listener
from starlab_sim.chip import warm_up
from starlab_sim.devices import PRESET_NAMES, Device, device_model, load_device
from starlab_sim.effects import NONE, Effects
from starlab_sim.errors import Refused, StateUnusable
from starlab_sim.firmware.board import Board
from starlab_sim.firmware.snapshot import Restorable
from starlab_sim.keeping.kept_values import check_chip
from starlab_sim.keeping.state_file import StateFile
from starlab_sim.ports import EthernetPort, Port, PtyPort, UdpPort
from starlab_sim.requests.emulator import SEED_MAX, FaultRequest, fault_request
from starlab_sim.serving.network_faults import Network
from starlab_sim.serving.server import BoardServer
from starlab_sim.socket.specimen import Specimen
from starlab_spec.authors import TCP_PORT
from starlab_spec.errors import SpecError
from starlab_spec.safe_area import SafeArea
from starlab_spec.wire import UDP_PORT
from starlab_spec.wire.codec import decode_json

LARGEST_FILE_BYTES: Final = 256 << 20
"""No limits file and no snapshot comes near to that; a device that never ends does."""
EXIT_CANNOT_TELL: Final = 1
"""Exit code if standard output does not take where it listens."""
EXIT_USAGE: Final = 2
EXIT_CANNOT_LISTEN: Final = 3
"""Exit code if the address cannot be bound."""
EXIT_CANNOT_KEEP: Final = 4
"""Exit code if the file that is to keep the chip cannot."""


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with an option in a line."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until it is told to stop; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(SEED_MAX) if options.seed is None else options.seed
    specimen = Specimen(
        seed=seed, device=options.device, virgin=options.virgin, effects=options.effects
    )
    serial = f"EMU-{seed:08X}"
    try:
        restored = None if options.restore is None else _snapshot(options.restore, options.limits)
    except (OSError, SpecError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        parser.error(f"argument --restore: {options.restore}: {said}")
    if restored is not None:
        specimen, serial = restored.holding.specimen, restored.holding.serial
    # session and boot ids must differ from those of every earlier run, whatever the chip's seed
    rng = random.Random()
    network = Network(time.monotonic)
    try:
        store = None if options.state is None else _kept_chip(options.state)
    except StateUnusable as error:
        print(f"starlab-chip: cannot keep the chip: {error}", file=sys.stderr)
        return EXIT_CANNOT_KEEP
    for widened in options.limits.widened:
        print(f"starlab-chip: WIDER SAFE OPERATING AREA: {widened}", file=sys.stderr, flush=True)
    board = Board(
        specimen, serial=serial, rng=rng, network=network, store=store, area=options.limits
    )
    if restored is not None:
        board.restore(restored)
    board.fail(options.faults)
    ports: list[Port] = []
    try:
        address = options.authors_tcp
        listening = None if address is None else listener(*address)
    except (OSError, UnicodeError) as error:
        where = "{} port {}".format(*address)
        print(f"starlab-chip: cannot listen on {where}: {_reason(error)}", file=sys.stderr)
        return EXIT_CANNOT_LISTEN
    for cable, connect in _cables(options).items():
        try:
            ports.append(connect())
        except (OSError, UnicodeError) as error:
            print(f"starlab-chip: cannot listen on {cable}: {_reason(error)}", file=sys.stderr)
            return EXIT_CANNOT_LISTEN
    server = BoardServer(board, ports, rng=rng, network=network)
    authors = None if listening is None else AuthorsServer(board, listening, owner=server)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    warm_up(board.chip.effects)
    if options.exit_with_parent:
        threading.Thread(target=_stop_at_end_of_input, args=(server,), daemon=True).start()
    urls = [port.url for port in ports]
    if authors is not None:
        urls.append(authors.url)
        authors.start()
    line = {"listening": urls[0], "links": urls, "serial": board.serial, "pid": os.getpid()}
    try:
        _announce(line)
    except OSError as error:
        print(f"starlab-chip: cannot say where it listens: {error.strerror}", file=sys.stderr)
        return EXIT_CANNOT_TELL
    server.serve()
    if authors is not None:
        authors.stop()
    return 0


def _announce(line: dict[str, Any]) -> None:
    """Say in one line of JSON where it listens.

    Raises:
        OSError: Standard output does not take it.
    """
    try:
        print(json.dumps(line), flush=True)
    except OSError:
        # the interpreter would try what is left once more, and complain
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _cables(options: argparse.Namespace) -> dict[str, Callable[[], Port]]:
    """What opens each port that was asked for, by what to call it; UDP where there is no other."""
    cables: dict[str, Callable[[], Port]] = {}
    other = options.pty or options.eth
    if options.host is not None or options.port is not None or not other:
        host = "127.0.0.1" if options.host is None else options.host
        port = UDP_PORT if options.port is None else options.port
        cables[f"{host} port {port}"] = partial(UdpPort, host, port)
    if options.eth:
        cables[f"interface {options.eth}"] = partial(EthernetPort, options.eth)
    if options.pty:
        cables["a pseudo-terminal"] = PtyPort
    return cables


def _stop_at_end_of_input(server: BoardServer) -> None:
    # by number: at exit the interpreter would wait for a thread inside of sys.stdin
    while os.read(0, 4096):
        pass
    server.stop()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="starlab-chip",
        description="An emulated board with a STELLAR chip: on UDP, unless only other cables are "
        "asked for.",
    )
    parser.add_argument("--host", help="UDP address to listen on; default: 127.0.0.1")
    parser.add_argument(
        "--port",
        type=partial(_whole, most=0xFFFF),
        help=f"UDP port to listen on; 0 for any free one; default: {UDP_PORT}",
    )
    parser.add_argument(
        "--pty", action="store_true", help="a serial line: a pseudo-terminal of this machine"
    )
    parser.add_argument(
        "--eth", metavar="INTERFACE", help="raw Ethernet on an interface; needs CAP_NET_RAW"
    )
    parser.add_argument(
        "--authors-tcp",
        type=_tcp_address,
        metavar="HOST:PORT",
        help="speak the protocol of the chip authors' own board as well, on this TCP port; theirs "
        f"is {TCP_PORT}, 0 is any free one",
    )
    parser.add_argument(
        "--seed",
        type=partial(_whole, most=SEED_MAX),
        help="decides the cells and all noise; default: random",
    )
    parser.add_argument(
        "--device",
        type=_device,
        default="nonlinear-3",
        metavar="NAME|FILE.toml|FILE.csv",
        help=f"device model of the cells: {', '.join(PRESET_NAMES)}, or one of your own",
    )
    parser.add_argument("--virgin", action="store_true", help="a chip that was never formed")
    parser.add_argument(
        "--effects",
        type=_effects,
        default=NONE,
        metavar="none|all|JSON|FILE.toml",
        help="what the board does that an ideal one does not, such as "
        """'{"wires": {"mode": "exact"}, "spread": true}'""",
    )
    parser.add_argument(
        "--limits",
        type=_limits,
        default=SafeArea.shipped(),
        metavar="FILE",
        help="limits that the firmware holds, where they differ from those that were shipped",
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FILE",
        help="keep the chip in this file, whatever becomes of the process; if a chip is in it, it "
        "is the one, and --seed, --device, --virgin and --effects do not matter",
    )
    parser.add_argument(
        "--restore",
        type=Path,
        metavar="FILE",
        help="go on as the board of this snapshot; --seed, --device, --virgin and --effects do "
        "not matter",
    )
    parser.add_argument(
        "--faults",
        type=_faults,
        default=FaultRequest(),
        metavar="JSON",
        help="faults from the start, such as "
        """'{"network": {"loss": 0.05, "seed": 1}, "restart_after_pulses": 1000}'""",
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="exit when standard input ends"
    )
    return parser


def _whole(text: str, *, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {most}")
    return int(text)


def _bytes(path: Path) -> bytes:
    """What a file holds.

    Raises:
        OSError: It cannot be read, or never ends.
    """
    with path.open("rb") as stream:
        content = stream.read(LARGEST_FILE_BYTES + 1)
    if len(content) > LARGEST_FILE_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {LARGEST_FILE_BYTES:,} bytes")
    return content


def _device(text: str) -> Device:
    try:
        if text.endswith((".toml", ".csv")):
            return load_device(Path(text))
        device_model(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    except (Refused, SpecError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _tcp_address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isascii() and port.isdecimal() and int(port) <= 0xFFFF):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _effects(text: str) -> Effects:
    try:
        if text.endswith(".toml"):
            return Effects.load(Path(text))
        return Effects.read(text if text in ("none", "all") else decode_json(text.encode()))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None
    except (Refused, SpecError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _limits(text: str) -> SafeArea:
    try:
        return SafeArea.parse(_bytes(Path(text)))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error.strerror}") from None
    except SpecError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


def _kept_chip(path: Path) -> StateFile:
    """The file that is to keep the chip; what it keeps already is checked.

    Raises:
        StateUnusable: It cannot be used, or keeps what no chip is.
    """
    store = StateFile(path)
    try:
        check_chip(store.label, store.content)
    except StateUnusable as error:
        store.close()
        raise StateUnusable(f"{path} keeps no chip that can be: {error}") from error
    return store


def _snapshot(path: Path, limits: SafeArea) -> Restorable:
    return Restorable.read(_bytes(path), limits.channels)


def _faults(text: str) -> FaultRequest:
    try:
        return fault_request(decode_json(text.encode()))
    except (Refused, SpecError, UnicodeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
