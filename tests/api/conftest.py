"""A real emulated board behind the API's own test client: a child process over UDP."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from starlab_api import ServerSettings, create_app


class Emulator:
    """An emulator process that a test may end and start again on the same port."""

    def __init__(self) -> None:
        self._port = 0
        self.start()

    def start(self) -> None:
        """Start it; on the port that it had before, if it had one."""
        command = [sys.executable, "-m", "starlab_sim", "--port", str(self._port)]
        self._process = subprocess.Popen(
            [*command, "--seed", "1", "--exit-with-parent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["listening"]
        self._port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        with self._process:
            pass


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    emulator = Emulator()
    yield emulator
    emulator.kill()


@pytest.fixture
def own_emulator() -> Iterator[Emulator]:
    """One that the test may kill."""
    emulator = Emulator()
    yield emulator
    emulator.kill()


@pytest.fixture(scope="session")
def client(emulator: Emulator) -> Iterator[TestClient]:
    settings = ServerSettings(boards=(emulator.url,))
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings), base_url=base) as client:
        yield client


@pytest.fixture
def board(client: TestClient) -> TestClient:
    """A client whose paths are those of a board with a fresh, formed chip and default settings."""
    client.post("/emulator", json={"seed": 1, "virgin": False, "restart": True}).raise_for_status()
    return client


@pytest.fixture
def virgin_board(client: TestClient) -> TestClient:
    """The same, its chip unformed."""
    client.post("/emulator", json={"seed": 1, "virgin": True, "restart": True}).raise_for_status()
    return client
