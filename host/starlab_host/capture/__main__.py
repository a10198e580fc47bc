"""`python -m starlab_host.capture`: capture what travels to a board, or replay a capture.

`record` prints one line of JSON when it listens, `replay` one when it is through. Exit codes: 0
done, 1 the replies differ or the file is no capture, 2 usage, 3 board or link, 4 the board is real.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final, NoReturn

from starlab_host.capture.conversation import conversations
from starlab_host.capture.link import CapturingLink
from starlab_host.capture.pcap import PcapWriter, read_pcap
from starlab_host.capture.proxy import CaptureProxy
from starlab_host.capture.replay import NotEmulated, Replay, replay
from starlab_host.errors import LinkError
from starlab_host.links import open_link, parse_address
from starlab_host.session.session import Session

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
BOARD: Final = 3
REFUSED: Final = 4
INTERRUPTED: Final = 130
"""Ctrl-C, as a shell has it."""


class _Parser(argparse.ArgumentParser):
    """Tells what is wrong with an option in a line."""

    def error(self, message: str) -> NoReturn:
        """End the program."""
        self.exit(USAGE, f"starlab: {message}\n")


class _Stop(Exception):
    """Ends the program with one line and an exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Record or replay; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except _Stop as stop:
        _tell_failure(options, type(stop.__cause__ or stop).__name__, str(stop))
        return stop.code
    except KeyboardInterrupt:
        _tell_failure(options, "Interrupted", "interrupted")
        return INTERRUPTED
    return code


def _tell_failure(options: argparse.Namespace, kind: str, detail: str) -> None:
    print(f"starlab: {detail}", file=sys.stderr)
    if getattr(options, "json", False):
        print(json.dumps({"error": {"kind": kind, "detail": detail}}))


def _record(options: argparse.Namespace) -> int:
    try:
        link = open_link(options.board)
    except ValueError as error:
        raise _Stop(USAGE, str(error)) from error
    except OSError as error:
        raise _Stop(BOARD, f"there is no way to {options.board}: {error.strerror}") from error
    try:
        writer = PcapWriter.begin(options.output)
    except OSError as error:
        link.close()
        raise _Stop(FAILED, f"cannot write {options.output}: {error.strerror}") from error
    capturing = CapturingLink(link, writer, clock=time.time)
    try:
        proxy = CaptureProxy(capturing, options.host, options.port, clock=time.monotonic)
    except (OSError, UnicodeError) as error:
        capturing.close()
        where = f"{options.host} port {options.port}"
        said = getattr(error, "strerror", None) or str(error)
        raise _Stop(FAILED, f"cannot listen on {where}: {said}") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: proxy.stop())
    if options.duration is not None:
        end = threading.Timer(options.duration, proxy.stop)
        end.daemon = True
        end.start()
    line = {"listening": proxy.url, "board": options.board, "output": str(options.output)}
    print(json.dumps({**line, "pid": os.getpid()}), flush=True)
    proxy.serve()
    return DONE


def _replay(options: argparse.Namespace) -> int:
    try:
        with options.capture.open("rb") as file:
            talks = conversations(read_pcap(file))
    except OSError as error:
        raise _Stop(FAILED, f"cannot read {options.capture}: {error.strerror}") from error
    except ValueError as error:
        raise _Stop(FAILED, f"{options.capture}: {error}") from error
    with _board(options) as url:
        try:
            parse_address(url)
            found = replay(talks, lambda: Session.open(open_link(url), client_name="replay"))
        except ValueError as error:
            raise _Stop(USAGE, str(error)) from error
        except NotEmulated as error:
            raise _Stop(REFUSED, str(error)) from error
        except OSError as error:
            raise _Stop(BOARD, f"there is no way to {url}: {error.strerror}") from error
        except LinkError as error:
            raise _Stop(BOARD, str(error)) from error
    _tell(found, as_json=options.json)
    return DONE if found.divergence is None else FAILED


def _tell(found: Replay, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(found)))
        return
    print(f"{found.commands} commands in {found.sessions} sessions")
    if found.left_out:
        print(f"{found.left_out} commands without a captured reply were left out")
    print("no divergence" if found.divergence is None else found.divergence)


@contextmanager
def _board(options: argparse.Namespace) -> Iterator[str]:
    """The board to replay on: the one that was named, or a new emulator for as long as it takes."""
    if options.board is not None:
        yield options.board
        return
    command = [sys.executable, "-m", "starlab_sim", "--port", "0", "--exit-with-parent"]
    command += ["--seed", str(options.seed), "--device", options.device]
    command += ["--virgin"] * options.virgin
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as emulator:
        assert emulator.stdin is not None  # noqa: S101 - a pipe, as asked
        assert emulator.stdout is not None  # noqa: S101 - a pipe, as asked
        try:
            line = emulator.stdout.readline()
            if not line:
                raise _Stop(USAGE, f"the emulator ended with exit code {emulator.wait()}")
            yield json.loads(line)["listening"]
        finally:
            emulator.stdin.close()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="starlab", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    add = _command(commands.add_parser("record"), _record)
    add("board", metavar="URL", help="link to the board, by any cable")
    add("--output", type=Path, required=True, metavar="FILE", help="the capture; is overwritten")
    add("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=0, help="UDP port to listen on; 0: any (default)")
    add("--duration", type=_seconds, metavar="SECONDS", help="end after that; default: at Ctrl-C")
    add = _command(commands.add_parser("replay"), _replay)
    add("capture", type=Path, metavar="FILE", help="a capture made here")
    add("--board", metavar="URL", help="an emulated board; default: a new one")
    add("--seed", type=int, default=0, help="of the new chip (default: %(default)s)")
    add("--device", default="nonlinear-3", help="model of its cells (default: %(default)s)")
    add("--virgin", action="store_true", help="its cells are unformed")
    add("--json", action="store_true", help="one JSON object")
    return parser


def _seconds(text: str) -> float:
    """A time that a timer can wait for."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in seconds")
    return seconds


def _command(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int]
) -> Callable[..., argparse.Action]:
    parser.set_defaults(run=run)
    return parser.add_argument


if __name__ == "__main__":
    sys.exit(main())
