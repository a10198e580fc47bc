"""Talks to a peer's worker process in the peers' own environment. Installs nothing."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
PYTHON = FOLDER / ".peers" / "bin" / "python"
"""Made by `make bench-peers`."""


class Peer:
    """A worker that measures on request and idles otherwise.

    Attributes:
        versions: Of what it measures.
    """

    def __init__(self, ask: IO[str], answers: IO[str]) -> None:
        """Take over a worker that has just started.

        Args:
            ask: Its standard input.
            answers: Its standard output.
        """
        self._ask = ask
        self._answers = answers
        self.versions: dict[str, str] = self._answer()

    def measure(self, work: str) -> float:
        """Let it do a piece of work; returns its own figure."""
        self._ask.write(work + "\n")
        self._ask.flush()
        return float(self._answer())

    def numbers(self, work: str) -> NDArray[np.float64]:
        """Let it do a piece of work; returns what it found."""
        self._ask.write(work + "\n")
        self._ask.flush()
        return np.array(self._answer(), np.float64)

    def _answer(self) -> Any:
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the peer's worker has ended")
        return json.loads(line)


def _installed(package: str) -> bool:
    if not PYTHON.exists():
        return False
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({package!r}) is None)"
    return subprocess.run([str(PYTHON), "-c", look], check=False).returncode == 0


@contextmanager
def worker(file: str, **arrays: NDArray[Any]) -> Iterator[Peer | None]:
    """Run a worker; gives None where `make bench-peers` has not installed its peer.

    Args:
        file: Its name in `benchmarks/peers`: that of the peer's package, then ``_worker.py``.
        arrays: What it works on.
    """
    if not _installed(file.removesuffix("_worker.py")):
        yield None
        return
    with tempfile.NamedTemporaryFile(suffix=".npz") as data:
        np.savez(data, allow_pickle=False, **arrays)
        data.flush()
        command = [str(PYTHON), str(FOLDER / "peers" / file), data.name]
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) as process:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("a pipe was asked for and is not there")
            try:
                yield Peer(process.stdin, process.stdout)
            finally:
                process.terminate()
