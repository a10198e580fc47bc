"""A server of one's own: a child process for as long as a command runs. Never outlives it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx2

from starlab.errors import ServerAway

START_LIMIT_S: Final = 120.0
"""The first start of an emulator compiles its kernels."""
STOP_LIMIT_S: Final = 10.0
_POLL_S: Final = 0.1


@contextmanager
def local_server(options: list[str], log: Path) -> Iterator[str]:
    """Run ``python -m starlab_api`` on a free port of this machine.

    Args:
        options: Its further options.
        log: File that takes what it says.

    Yields:
        Its URL, once it is ready.

    Raises:
        ServerAway: It is not installed, or does not come up.
    """
    if find_spec("starlab_api") is None:
        raise ServerAway(
            "no server is installed here to start: this is the light client; name a server by --url"
        )
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "starlab_api", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as stream:
        server = subprocess.Popen([*command, *options], stdout=stream, stderr=stream)
    try:
        _wait_until_ready(server, url, log)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_ready(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    with httpx2.Client(base_url=url, trust_env=False) as http:
        while time.monotonic() < deadline:
            if server.poll() is not None:
                last = (log.read_text(errors="replace").strip() or "it said nothing").splitlines()[
                    -1
                ]
                raise ServerAway(f"the server ended with {server.returncode}: {last} (see {log})")
            try:
                if http.get("/readyz").status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                pass  # not listening yet
            time.sleep(_POLL_S)
    raise ServerAway(f"the server was not ready within {START_LIMIT_S:g} s (see {log})")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
