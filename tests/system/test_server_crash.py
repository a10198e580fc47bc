"""A server process killed with SIGKILL while it pulses a board, and started again."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from tests.system.test_host_crash import emulator, started

PULSE = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}


@contextmanager
def server(board: str, data: Path) -> Iterator[tuple["subprocess.Popen[str]", httpx2.Client]]:
    """A server with a journal, and a client of its board."""
    command = [sys.executable, "-m", "starlab_api", "--port", "0", "--board", board]
    with started(*command, "--data", str(data)) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["listening"]
        base = f"{url}/api/v1/boards/board0"
        with httpx2.Client(base_url=base, follow_redirects=True) as client:
            yield process, client


def test_a_server_killed_while_it_pulses_accounts_for_every_pulse(tmp_path: Path) -> None:
    rng = random.Random(1)
    answered, kills = 0, 2
    with emulator() as (_, url):
        for _ in range(kills):
            with server(url, tmp_path) as (process, client):
                client.post("/arrays/1/pulse", json=PULSE).raise_for_status()
                answered += 1
                killer = threading.Timer(rng.uniform(0.0, 0.2), process.kill)
                killer.start()
                try:
                    while True:
                        client.post("/arrays/1/pulse", json=PULSE).raise_for_status()
                        answered += 1
                except httpx2.TransportError:
                    killer.join()
        with server(url, tmp_path) as (_, client):
            board = client.get("").json()
            entries = client.get("/journal", params={"newest": 1000}).json()
    executed = [e for e in entries if e["state"] == "done" and e["call"].endswith("/pulse")]
    assert board["in_doubt"] == []
    assert board["lifetime_pulses"] == len(executed)
    # a call may have been executed whose answer was lost with the server
    assert answered <= len(executed) <= answered + kills
