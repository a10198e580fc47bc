"""Starts the processes that are measured, and ends them. Measures nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from subprocess import PIPE


@contextmanager
def process(
    module: str, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run `python -m module`; gives the first line that it prints.

    Args:
        module: What to run.
        options: Its command line.
        environment: Its environment; none: ours.

    Raises:
        RuntimeError: It ends without a line.
    """
    command = [sys.executable, "-m", module, *options]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, env=environment) as child:
        try:
            line = child.stdout.readline() if child.stdout is not None else ""
            if not line:
                raise RuntimeError(f"{module} ended with exit code {child.wait()}")
            yield line
        finally:
            child.terminate()


@contextmanager
def emulator(*, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """An emulated board of its own; gives its address, udp://host:port."""
    options = ("--port", "0", "--seed", "1", "--exit-with-parent")
    with process("starlab_sim", *options, environment=environment) as line:
        yield json.loads(line)["listening"]
