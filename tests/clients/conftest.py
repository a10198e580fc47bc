"""A server that answers what a test tells it and remembers what it was asked."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.clients.command_line import Finished, Run
from typer.testing import CliRunner

from starlab import Client
from starlab.cli.app import app

NPY = "application/x-npy"
NPZ = "application/x-npz"


def npy_bytes(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz_bytes(**arrays: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


@dataclass
class FakeServer:
    """Gives the answers in order, the last one for ever."""

    requests: list[httpx2.Request] = field(default_factory=list)
    answers: list[httpx2.Response | Exception] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(
            answer.status_code, content=answer.content, headers=dict(answer.headers)
        )

    def will_answer_json(self, body: object, status: int = 200) -> None:
        self.answers.append(httpx2.Response(status, json=body))

    def will_answer(self, content: bytes, content_type: str) -> None:
        self.answers.append(
            httpx2.Response(200, content=content, headers={"content-type": content_type})
        )

    def will_refuse(self, status: int, **problem: object) -> None:
        body = json.dumps({"title": "No", "status": status, **problem}).encode()
        headers = {"content-type": "application/problem+json"}
        self.answers.append(httpx2.Response(status, content=body, headers=headers))

    def will_fail(self, error: Exception) -> None:
        self.answers.append(error)

    @property
    def request(self) -> httpx2.Request:
        """The last one."""
        return self.requests[-1]

    @property
    def query(self) -> list[tuple[str, str]]:
        """Of the last request."""
        return list(self.request.url.params.multi_items())

    @property
    def json(self) -> Any:
        """Body of the last request."""
        return json.loads(self.request.content)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Body of the last request: the arrays of an npz, or one array named "npy"."""
        loaded = np.load(io.BytesIO(self.request.content), allow_pickle=False)
        return {"npy": loaded} if isinstance(loaded, np.ndarray) else dict(loaded)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client("http://bench", transport=httpx2.MockTransport(server)) as client:
        yield client


@pytest.fixture
def run(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, talking to that server about emu0."""
    connect = partial(Client, transport=httpx2.MockTransport(server))
    monkeypatch.setattr("starlab.cli.terminal.Client", connect)
    for module in ("boards", "status", "stopping"):
        monkeypatch.setattr(f"starlab.cli.{module}.Client", connect)
    monkeypatch.setenv("STARLAB_BOARD_ID", "emu0")

    def run(*arguments: str) -> Finished:
        result = CliRunner().invoke(app, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Finished(result)

    return run


@pytest.fixture
def make_bits() -> Callable[[int], NDArray[np.uint8]]:
    def make(count: int) -> NDArray[np.uint8]:
        return np.random.default_rng(5).integers(0, 2, (count, 784), dtype=np.uint8)

    return make
