"""The server's own emulator, killed under it: it is started again, and calls go on."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from tests.system.test_api_process import ready

PULSE = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}
T = TypeVar("T")


def children(pid: int) -> list[int]:
    """Processes whose parent is another one; those that have ended and wait for it are none."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, parent = text.rpartition(")")[2].split()[:2]
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


def until(what: Callable[[], T]) -> T:
    """What a look gives as soon as it gives anything; pytest's own limit ends what never does."""
    while not (found := what()):
        time.sleep(0.02)
    return found


class Bench:
    """A server with its own emulator, and a client of its board."""

    def __init__(self, pid: int, client: httpx2.Client, data: Path) -> None:
        self.client = client
        self._pid = pid
        self._said = data / "server.log"

    def kill_emulator(self) -> None:
        """As a crash would."""
        (pid,) = children(self._pid)
        os.kill(pid, signal.SIGKILL)

    def info(self) -> dict[str, Any]:
        """What the server says of the board."""
        told: dict[str, Any] = self.client.get("").raise_for_status().json()
        return told

    def back(self, restarts: int) -> dict[str, Any]:
        """What it says when the board has come back so many times."""

        def look() -> dict[str, Any] | None:
            told = self.info()
            return told if told["state"] == "idle" and told["restarts"] == restarts else None

        return until(look) or {}

    def said(self, text: str) -> bool:
        """Whether it has said so on standard error."""
        return text in self._said.read_text()


@contextmanager
def bench(data: Path, *options: str) -> Iterator[Bench]:
    """A server that is told to end at the end, and takes its emulator along."""
    command = [sys.executable, "-m", "starlab_api", "--port", "0", "--data", str(data), *options]
    with (
        open(data / "server.log", "ab") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            base = f"{ready(process)['listening']}/api/v1/boards/emu0"
            with httpx2.Client(base_url=base, follow_redirects=True, timeout=None) as client:
                yield Bench(process.pid, client, data)
            left = [Path(f"/proc/{pid}") for pid in children(process.pid)]
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0
        finally:
            process.kill()
        until(lambda: not any(path.exists() for path in left))


def test_a_killed_emulator_is_started_again_and_keeps_its_chip(tmp_path: Path) -> None:
    with bench(tmp_path, "--state", str(tmp_path / "chip.state")) as running:
        running.client.post("/arrays/1/pulse", json={**PULSE, "count": 7}).raise_for_status()
        before = running.info()
        for restarts in (1, 2):
            running.kill_emulator()
            after = running.back(restarts)
            assert after["boot_id"] != before["boot_id"]
            assert after["url"] == before["url"]
            assert after["lifetime_pulses"] == 6 + restarts
            pulsed = running.client.post("/arrays/1/pulse", json=PULSE)
            assert pulsed.json() == {"pulses": 1}
        assert running.said("the embedded emulator ended with exit code -9; it is started again in")


def test_without_a_file_it_comes_back_with_a_chip_that_is_new(tmp_path: Path) -> None:
    with bench(tmp_path, "--seed", "3") as running:
        running.client.post("/arrays/1/pulse", json=PULSE).raise_for_status()
        serial = running.info()["serial"]
        running.kill_emulator()
        after = running.back(1)
        assert (after["serial"], after["lifetime_pulses"]) == (serial, 0)


def test_a_command_under_way_when_it_is_killed_is_in_doubt_and_never_repeated(
    tmp_path: Path,
) -> None:
    with bench(tmp_path) as running:
        learned: list[httpx2.Response] = []
        body = {"inputs": [[1] * 784] * 5000, "labels": [3] * 5000}
        learning = threading.Thread(
            target=lambda: learned.append(running.client.post("/train-step", json=body))
        )
        learning.start()
        until(lambda: running.info()["state"] == "executing")
        running.kill_emulator()
        learning.join()
        (reply,) = learned
        assert (reply.status_code, reply.json()["type"]) == (502, "outcome-unknown")
        after = running.back(1)
        assert [command["state"] for command in after["in_doubt"]] == ["unknown"]
        counters = running.client.get("/counters").json()
        assert counters["operations"]["training"] == 0


def test_one_that_cannot_start_is_tried_less_and_less_eagerly(tmp_path: Path) -> None:
    state = tmp_path / "chip.state"
    with bench(tmp_path, "--state", str(state)) as running:
        state.rename(tmp_path / "kept")
        state.write_bytes(b"no chip")
        running.kill_emulator()
        until(lambda: running.said("started again in 1 s"))
        assert running.info()["state"] == "away"
        refused = running.client.get("/counters")
        assert (refused.status_code, refused.json()["type"]) == (503, "board-away")
        (tmp_path / "kept").rename(state)
        assert running.back(1)["state"] == "idle"
