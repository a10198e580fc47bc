"""A server that is too busy for seconds: its board must not miss it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest
from tests.system.board_process import BoardProcess

_SERVER = """
import sys, threading, time
from starlab_api.__main__ import main

def hold(seconds):
    '''Keep the interpreter to one thread, as one call into C may: no other runs meanwhile.'''
    began = time.perf_counter()
    sum(range(10**7))
    sum(range(round(10**7 * seconds / (time.perf_counter() - began))))

def work():
    for line in sys.stdin:
        hold(float(line))
        print('held', flush=True)

threading.Thread(target=work, daemon=True).start()
sys.exit(main(sys.argv[1:]))
"""
HELD_S = 5.0
"""Longer than the three seconds after which a board that hears nothing is SAFE."""


class Server:
    """A server that can be told to hold up all of its threads."""

    def __init__(self, board_url: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, "--port", "0", "--board", board_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        url = json.loads(self._line())["listening"]
        self.client = httpx2.Client(base_url=f"{url}/api/v1/boards", timeout=None)

    def hold(self, seconds: float) -> None:
        """Return when that is over."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        assert self._line() == "held\n"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server() -> Iterator[Server]:
    with BoardProcess() as board:
        started = Server(board.url)
        yield started
        started.end()


def supplies_are_on(server: Server) -> bool:
    states = server.client.get("/board0/supplies").json()
    return all(state["settled"] for state in states.values())


def test_a_server_that_is_held_up_does_not_lose_its_board(server: Server) -> None:
    assert supplies_are_on(server)
    big = json.dumps({"inputs": [[0, 1] * 392] * 2000})
    headers = {"Content-Type": "application/json"}

    def ask(_: int) -> int:
        return server.client.post("/board0/infer", content=big, headers=headers).status_code

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask, number) for number in range(8)]
        server.hold(HELD_S)
        assert {each.result() for each in asked} == {200}
    assert server.client.get("/board0").json()["state"] == "idle"
    assert supplies_are_on(server)
