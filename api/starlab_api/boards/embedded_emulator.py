"""The embedded emulator: an emulated board in a process of its own. Speaks no protocol with it.

The process reads its standard input and ends when that does, so it cannot outlive the server. One
that ends by itself is started again on the same port; what that means for a command under way is
up to the host, as for any board whose power failed.
"""

import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Final

from starlab_api.settings import EmulatorSettings

_log: Final = logging.getLogger(__name__)
_START_TIMEOUT_S: Final = 120.0
"""The very first start compiles the kernels."""
_STOP_TIMEOUT_S: Final = 5.0
_USAGE: Final = 2
"""Exit code of a program that was started wrongly."""
_LONGEST_PAUSE_S: Final = 60.0
_STEADY_S: Final = 60.0
"""A process that lived for longer was well: its end is the first of a row."""


def pause_s(failures: int) -> float:
    """How long to wait before another start after failures in a row: 0, 1, 2, 4 .. 60 s."""
    return 0.0 if failures == 1 else min(2.0 ** min(failures - 2, 10), _LONGEST_PAUSE_S)


class EmulatorFailed(Exception):
    """The embedded emulator did not start.

    Attributes:
        code: Its exit code.
        was_usage: It did not like how it was to start, such as an unknown device model.
    """

    def __init__(self, code: int, log: Path | None) -> None:
        self.code = code
        self.was_usage = code == _USAGE
        where = "" if log is None else f"; see {log}"
        super().__init__(f"the embedded emulator ended with exit code {code}{where}")


class EmbeddedEmulator:
    """An emulator process on a free port of the loopback interface, and its successors.

    Args:
        settings: Chip and cells.
        log: File for what it has to say; None: the server's standard error.

    Attributes:
        url: Where the emulated board is reached, whichever process it is.

    Raises:
        EmulatorFailed: It ended, or said nothing in two minutes.
    """

    def __init__(self, settings: EmulatorSettings, *, log: Path | None = None) -> None:
        self._settings = settings
        self._log_file = log
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process = _launch(settings, 0, log)
        self.url = self._announced()
        self._keeper = threading.Thread(target=self._keep, name="emulator", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """End it for good, by force if it does not go."""
        with self._lock:
            self._stopping.set()
        _end(self._process)
        self._keeper.join()

    def _announced(self) -> str:
        """The address that a process has said it listens on."""
        process = self._process
        assert process.stdout is not None  # noqa: S101 - a pipe, as asked
        overdue = threading.Timer(_START_TIMEOUT_S, process.kill)
        overdue.start()
        line = process.stdout.readline()
        overdue.cancel()
        if not line:
            _end(process)
            process.stdout.close()
            raise EmulatorFailed(process.returncode, self._log_file)
        url: str = json.loads(line)["listening"]
        return url

    def _keep(self) -> None:
        """Start it again whenever it ends, less and less eagerly, until it is to stop."""
        failures = 0
        while True:
            began = time.monotonic()
            process = self._process
            code = process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None  # noqa: S101 - a pipe, as asked
                pipe.close()
            failures = 1 if time.monotonic() - began > _STEADY_S else failures + 1
            while not self._started_again(code, failures):
                if self._stopping.is_set():
                    return
                code, failures = self._process.returncode, failures + 1

    def _started_again(self, code: int, failures: int) -> bool:
        """Whether it runs again, after a pause."""
        if self._stopping.is_set():
            return False
        wait_s = pause_s(failures)
        _log.warning(
            "the embedded emulator ended with exit code %d; it is started again in %g s%s",
            code,
            wait_s,
            "" if self._log_file is None else f"; see {self._log_file}",
        )
        if self._stopping.wait(wait_s):
            return False
        try:
            with self._lock:
                if self._stopping.is_set():
                    return False
                port = int(self.url.rpartition(":")[2])
                self._process = _launch(self._settings, port, self._log_file)
            self._announced()
        except EmulatorFailed:
            return False
        except Exception:  # no memory, a full disk, a word that is none: it is tried again
            _log.exception("the embedded emulator could not be started")
            return False
        _log.warning("the embedded emulator is back at %s", self.url)
        return True


def _launch(settings: EmulatorSettings, port: int, log: Path | None) -> "subprocess.Popen[str]":
    """A process that is about to listen; port 0 is a free one."""
    command = [sys.executable, "-m", "starlab_sim", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--seed", str(settings.seed), "--device", settings.device]
    command += ["--effects", settings.effects]
    command += [] if settings.limits is None else ["--limits", str(settings.limits)]
    command += [] if settings.state is None else ["--state", str(settings.state)]
    command += ["--exit-with-parent", *(["--virgin"] if settings.virgin else [])]
    errors: IO[bytes] | None = None
    if log is not None:
        try:
            errors = log.open("ab")
        except OSError as error:  # the board is worth more than its log
            _log.warning("the embedded emulator has no log: %s: %s", log, error.strerror)
    try:
        return subprocess.Popen(
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


def _end(process: "subprocess.Popen[str]") -> None:
    """Let a process go, by force if it does not."""
    assert process.stdin is not None  # noqa: S101 - a pipe, as asked
    process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
