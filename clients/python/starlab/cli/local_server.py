"""A server of one's own: a child process for as long as a command runs. Serves nothing itself."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from starlab.errors import ServerAway

STOP_LIMIT_S: Final = 10.0


@contextmanager
def local_server(options: list[str], log: Path) -> Iterator[str]:
    """Run ``python -m starlab_api`` on a free port of this machine.

    No STARLAB_ variable of the environment reaches it: one that names a real board must not put
    that in its hands. While it runs, SIGTERM unwinds this process instead of ending it at once, so
    that the server is stopped too.

    Args:
        options: Its further options.
        log: File that takes what it says on standard error.

    Yields:
        Its URL, once it is ready.

    Raises:
        ServerAway: It is not installed, or does not come up.
    """
    if find_spec("starlab_api") is None:
        raise ServerAway(
            "no server is installed here to start: this is the light client; name a server by --url"
        )
    command = [sys.executable, "-m", "starlab_api", "--host", "127.0.0.1", "--port", "0", *options]
    environment = {name: value for name, value in os.environ.items() if "STARLAB_" not in name}
    before = signal.signal(signal.SIGTERM, _unwind)
    try:
        with (
            log.open("wb") as stream,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stream, env=environment
            ) as server,
        ):
            try:
                yield _url(server, log)
            finally:
                _stop(server)
    finally:
        signal.signal(signal.SIGTERM, before)


def _url(server: "subprocess.Popen[bytes]", log: Path) -> str:
    """What the server announces when it is ready: one line of JSON."""
    assert server.stdout is not None  # noqa: S101 - it was asked for
    try:
        url: str = json.loads(server.stdout.readline())["listening"]
    except (ValueError, KeyError, TypeError):
        server.wait(STOP_LIMIT_S)
        said = log.read_text(errors="replace").split("\n")
        last = next((line for line in reversed(said) if line.strip()), "it said nothing")
        raise ServerAway(
            f"the server ended with {server.returncode}: {last} (all it said: {log})"
        ) from None
    return url


def _stop(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    try:
        server.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        server.kill()


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
