"""Several callers at once: state and emergency stop beside long work, one writer at a time."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from httpx2 import Response
from starlette.testclient import TestClient
from tests.api.conftest import Emulator
from tests.api.numpy_bodies import NPZ, WANT_NPZ, npz

from starlab_api import ServerSettings, create_app

RNG = np.random.default_rng(3)
PULSES = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}
LONG = npz(
    inputs=np.packbits(RNG.random((100_000, 784)) < 0.15, axis=1),
    labels=RNG.integers(0, 10, 100_000),
)


@pytest.fixture
def hasty(own_emulator: Emulator) -> Iterator[TestClient]:
    """A server whose writers do not wait for each other."""
    settings = ServerSettings(boards=(own_emulator.url,), busy_timeout_s=0.02)
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings), base_url=base) as client:
        yield client


@pytest.fixture
def learning(hasty: TestClient) -> Iterator[Future[Response]]:
    """A long step that has begun."""
    with ThreadPoolExecutor(1) as pool:
        headers = {**NPZ, **WANT_NPZ}
        future = pool.submit(hasty.post, "/train-step", content=LONG, headers=headers)
        while hasty.get("").json()["state"] != "executing" and not future.done():
            pass
        assert not future.done()
        yield future


def test_the_state_is_told_while_the_chip_learns(
    hasty: TestClient, learning: Future[Response]
) -> None:
    assert hasty.get(f"{hasty.base_url}".replace("/api/v1/boards/emu0/", "/healthz")).is_success
    assert hasty.get("").json()["id"] == "emu0"
    assert not learning.done()


def test_a_second_writer_is_told_that_the_board_is_busy(
    hasty: TestClient, learning: Future[Response]
) -> None:
    reply = hasty.post("/arrays/1/pulse", json=PULSES)
    assert (reply.status_code, reply.json()["type"]) == (409, "board-busy")
    assert not learning.done()


def test_the_emergency_stop_ends_what_runs(hasty: TestClient, learning: Future[Response]) -> None:
    assert hasty.post("/emergency-stop").json() == {
        "faults": ["emergency_stop"],
        "confirmed": True,
        "detail": "",
    }
    stopped = learning.result()
    assert stopped.status_code == 409
    assert stopped.json()["type"] in ("aborted", "fault-latched")
    assert hasty.get("/counters").json()["operations"]["training"] < 100_000
    assert hasty.delete("/emergency-stop").json() == {"faults": []}
    assert hasty.post("/arrays/1/pulse", json=PULSES).status_code == 200


def test_a_key_in_use_is_refused_while_its_call_runs(hasty: TestClient) -> None:
    headers = {**NPZ, **WANT_NPZ, "Idempotency-Key": "once"}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(hasty.post, "/train-step", content=LONG, headers=headers)
        while hasty.get("").json()["state"] != "executing" and not first.done():
            pass
        second = hasty.post("/train-step", content=LONG, headers=headers)
        assert (second.status_code, second.json()["type"]) == (409, "idempotency-key-in-use")
        assert first.result().status_code == 200
    third = hasty.post("/train-step", content=LONG, headers=headers)
    assert third.content == first.result().content
    assert hasty.get("/counters").json()["operations"]["training"] == 100_000
