"""The embedded emulator: an emulated board in a process of its own. Speaks no protocol with it.

The process reads its standard input and ends when that does, so it cannot outlive the server.
"""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Final

from starlab_api.settings import EmulatorSettings

_START_TIMEOUT_S: Final = 120.0
"""The very first start compiles the kernels."""
_STOP_TIMEOUT_S: Final = 5.0
_USAGE: Final = 2
"""Exit code of a program that was started wrongly."""


class EmulatorFailed(Exception):
    """The embedded emulator did not start.

    Attributes:
        was_usage: It did not like how it was to start, such as an unknown device model.
    """

    def __init__(self, code: int, log: Path | None) -> None:
        self.was_usage = code == _USAGE
        where = "" if log is None else f"; see {log}"
        super().__init__(f"the embedded emulator ended with exit code {code}{where}")


class EmbeddedEmulator:
    """A running emulator process."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self._process = process
        self.url = url
        """Where the emulated board is reached."""

    @classmethod
    def start(cls, settings: EmulatorSettings, *, log: Path | None = None) -> "EmbeddedEmulator":
        """Start an emulator on a free port of the loopback interface and wait until it listens.

        Args:
            settings: Chip and cells.
            log: File for what it has to say; none: the server's standard error.

        Raises:
            EmulatorFailed: It ended, or said nothing in two minutes.
        """
        command = [sys.executable, "-m", "starlab_sim", "--host", "127.0.0.1", "--port", "0"]
        command += ["--seed", str(settings.seed), "--device", settings.device]
        command += ["--effects", settings.effects]
        command += [] if settings.limits is None else ["--limits", str(settings.limits)]
        command += ["--exit-with-parent", *(["--virgin"] if settings.virgin else [])]
        errors: IO[bytes] | None = log.open("ab") if log else None
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # a Ctrl-C at the terminal is the server's: it says good-bye to the board first
                start_new_session=True,
            )
        finally:
            if errors is not None:
                errors.close()
        assert process.stdout is not None  # noqa: S101 - a pipe, as asked
        overdue = threading.Timer(_START_TIMEOUT_S, process.kill)
        overdue.start()
        line = process.stdout.readline()
        overdue.cancel()
        if not line:
            code = process.wait()
            _close(process)
            raise EmulatorFailed(code, log)
        return cls(process, json.loads(line)["listening"])

    def stop(self) -> None:
        """End it, by force if it does not go."""
        _close(self._process)
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _close(process: "subprocess.Popen[str]") -> None:
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None  # noqa: S101 - a pipe, as asked
        pipe.close()
