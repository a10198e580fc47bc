"""Which calls have the board for themselves: all that change it, and no others."""

from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient
from tests.api.conftest import Emulator
from tests.api.mutations import BOARD, RIGHT, Right, content_of, url_of

from starlab_api import ServerSettings, create_app

BESIDE = {
    ("POST", "/api/v1/boards/discover"),
    ("POST", f"{BOARD}/emergency-stop"),
    ("POST", f"{BOARD}/arrays/{{array}}/vmm"),
    ("POST", f"{BOARD}/infer"),
    ("POST", f"{BOARD}/snapshots/file"),
    ("DELETE", f"{BOARD}/snapshots/{{sid}}"),
    ("DELETE", f"{BOARD}/in-doubt"),
}
"""What is no GET and shares the board with others, or needs none."""


class Bench:
    """A server whose writers do not wait, and a snapshot that it keeps."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.path = {"board_id": "emu0", "array": "1", "address": "TH", "sid": "none"}
        self.path["sid"] = self.ask("POST", "/snapshots", json={"kind": "read"}).json()["id"]
        self.ask("POST", "/calibration", json={"points": 3, "readings": 2})
        app: Any = client.app
        self.slot = app.state.boards["emu0"]

    def ask(self, method: str, path: str, **how: Any) -> Response:
        return self.client.request(method, f"/api/v1/boards/emu0{path}", **how).raise_for_status()

    def send(self, right: Right) -> Response:
        content, headers = content_of(right)
        url = url_of(right, self.path)
        return self.client.request(right.method, url, content=content, headers=dict(headers))

    def registers(self) -> tuple[Any, ...]:
        """What calls change, seen without the server."""
        return tuple(
            self.ask("GET", path).json() for path in ("/settings", "/counters", "/calibration")
        )

    def lock(self) -> None:
        portal: Any = self.client.portal
        portal.call(self.slot._writing.acquire)

    def unlock(self) -> None:
        portal: Any = self.client.portal
        portal.call(self.release)

    async def release(self) -> None:
        self.slot._writing.release()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    emulator = Emulator()
    settings = ServerSettings(boards=(emulator.url,), busy_timeout_s=0.01)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield Bench(client)
    emulator.kill()


def is_beside(right: Right) -> bool:
    return right.method == "GET" or (right.method, right.template) in BESIDE


def name_of(right: Right) -> str:
    return f"{right.method} {right.template.rpartition('}/')[2]} {right.media}"


@pytest.mark.parametrize("right", [one for one in RIGHT if not is_beside(one)], ids=name_of)
def test_a_call_that_changes_the_board_is_refused_beside_another_and_does_nothing(
    bench: Bench, right: Right
) -> None:
    before = bench.registers()
    bench.lock()
    try:
        reply = bench.send(right)
    finally:
        bench.unlock()
    assert (reply.status_code, reply.json()["type"]) == (409, "board-busy")
    assert reply.json()["nothing_done"] is True
    assert bench.registers() == before


@pytest.mark.parametrize("right", [one for one in RIGHT if is_beside(one)], ids=name_of)
def test_a_call_that_changes_nothing_is_answered_beside_one_that_does(
    bench: Bench, right: Right
) -> None:
    bench.lock()
    try:
        assert bench.send(right).status_code == right.status
    finally:
        bench.unlock()
    bench.client.delete("/api/v1/boards/emu0/emergency-stop").raise_for_status()
    if right.method == "DELETE":
        bench.path["sid"] = bench.ask("POST", "/snapshots", json={"kind": "read"}).json()["id"]
