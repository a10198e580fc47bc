"""An emulated board as a process that a test may kill and start again. Speaks to it by its options.

Imports nothing of the product.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self


class BoardProcess:
    """`python -m starlab_sim` on a free port, and on the same one when it is started again.

    Args:
        options: Its command line, but for the port.
        log: Takes what it says on standard error; default: ours does.

    Attributes:
        address: Where it listens.
        announced: What it said when it began to.
    """

    def __init__(self, *options: str, log: Path | None = None) -> None:
        self.address = ("127.0.0.1", 0)
        self.announced: dict[str, Any] = {}
        self._options = options
        self._log = log
        self.start()

    @property
    def url(self) -> str:
        """As a host takes it."""
        return "udp://{}:{}".format(*self.address)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def __enter__(self) -> Self:
        """The process; it is killed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it."""
        self.kill()

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [sys.executable, "-m", "starlab_sim", "--port", str(self.address[1])]
        with open(os.devnull if self._log is None else self._log, "ab") as log:
            self._process = subprocess.Popen(
                [*command, "--exit-with-parent", *self._options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if self._log is None else log,
                text=True,
            )
        assert self._process.stdout is not None
        self.announced = json.loads(self._process.stdout.readline())
        host, _, port = self.announced["listening"].removeprefix("udp://").rpartition(":")
        self.address = host, int(port)

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        self._process.kill()
        with self._process:
            pass
