"""Emergency stops over REST: whatever else is stuck, they end in time and say what is so."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient
from tests.api.conftest import Emulator
from tests.api.numpy_bodies import NPZ, WANT_NPZ, npz
from tests.system.wire_client import WireClient

from starlab_api import ServerSettings, create_app
from starlab_api.boards.stopping import Stopper
from starlab_host import LinkLost, Stopped
from starlab_host.journal.journal import Journal

FOR_EVER_S = 250.0
STOPPED = {"faults": ["emergency_stop"], "confirmed": True, "detail": ""}
BASE = "http://testserver/api/v1/boards/emu0"
PULSES = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}


def server_of(emulator: Emulator, data: Path | None = None, **settings: Any) -> FastAPI:
    how = {"connect_timeout_s": FOR_EVER_S, "stop_timeout_s": FOR_EVER_S, **settings}
    return create_app(ServerSettings(boards=(emulator.url,), data=data, **how))


@pytest.fixture
def board(own_emulator: Emulator, tmp_path: Path) -> Iterator[TestClient]:
    """A board of a server with a journal."""
    with TestClient(server_of(own_emulator, tmp_path), base_url=BASE) as client:
        yield client


def test_a_stop_is_confirmed_by_the_board_and_stays_until_cleared(board: TestClient) -> None:
    reply = board.post("/emergency-stop")
    assert (reply.status_code, reply.json()) == (200, STOPPED)
    shown = board.get("").json()
    assert (shown["state"], shown["faults"]) == ("fault", ["emergency_stop"])
    assert board.post("/arrays/1/pulse", json=PULSES).json()["type"] == "fault-latched"
    assert board.delete("/emergency-stop").json() == {"faults": []}
    assert board.post("/arrays/1/pulse", json=PULSES).json() == {"pulses": 1}


def test_a_stop_is_in_the_journal(board: TestClient) -> None:
    board.post("/emergency-stop", headers={"Idempotency-Key": "pressed"}).raise_for_status()
    last = board.get("/journal").json()[-1]
    assert last["call"] == "POST /api/v1/boards/emu0/emergency-stop (pressed)"
    assert "ABORT" in last["what"]


def test_a_full_disk_does_not_keep_a_board_from_being_stopped(
    board: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Journal, "_transaction", lambda journal: _failing(journal, full))
    reply = board.post("/emergency-stop")
    assert (reply.status_code, reply.json()["faults"]) == (200, ["emergency_stop"])
    assert reply.json()["detail"].startswith("stopped, but not written down: journal ")
    assert reply.json()["detail"].endswith("disk is full")


def test_a_disk_that_is_full_when_the_board_is_met_does_not_either(
    own_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Journal, "_transaction", lambda journal: _failing(journal, full))
    with TestClient(server_of(own_emulator, tmp_path), base_url=BASE) as client:
        assert "disk is full" in client.get("").json()["problem"]
        reply = client.post("/emergency-stop")
        assert (reply.status_code, reply.json()["confirmed"]) == (200, True)


def test_a_stop_waits_for_no_thread_that_is_stuck_in_the_journal(
    board: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, written = threading.Event(), threading.Event()
    write = Journal.write

    def hang(journal: Journal, *what: Any) -> int:
        if "ABORT" not in what[2]:
            writing.set()
            assert written.wait(FOR_EVER_S)
        return write(journal, *what)

    monkeypatch.setattr(Journal, "write", hang)
    with ThreadPoolExecutor(1) as pool:
        stuck = pool.submit(board.post, "/arrays/1/pulse", json=PULSES)
        assert writing.wait(FOR_EVER_S)
        assert board.post("/emergency-stop").json() == STOPPED
        written.set()
        assert stuck.result().json()["type"] == "fault-latched"


def test_a_stop_ends_every_training_that_it_meets(board: TestClient) -> None:
    rng = np.random.default_rng(1)
    inputs = np.packbits(rng.random((20_000, 784)) < 0.15, axis=1)
    body = npz(inputs=inputs, labels=rng.integers(0, 10, len(inputs)))
    headers = {**NPZ, **WANT_NPZ}
    with ThreadPoolExecutor(1) as pool:
        for _ in range(10):
            training = pool.submit(board.post, "/train-step", content=body, headers=headers)
            while board.get("").json()["state"] != "executing" and not training.done():
                pass
            assert board.post("/emergency-stop").json() == STOPPED
            assert training.result().status_code == 409
            board.delete("/emergency-stop").raise_for_status()
    assert board.get("/counters").json()["operations"]["training"] < 10 * len(inputs)


def test_a_stop_waits_for_no_pool_that_is_full(own_emulator: Emulator) -> None:
    app, released = server_of(own_emulator), threading.Event()
    with TestClient(app, base_url=BASE) as client:
        (slot,) = app.state.boards
        pools = [slot._work, slot._rim]
        waiting = [pool.submit(released.wait, FOR_EVER_S) for pool in pools for _ in range(99)]
        assert client.portal is not None
        for _ in range(99):
            client.portal.start_task_soon(asyncio.to_thread, released.wait, FOR_EVER_S)
        assert client.post("/emergency-stop").json() == STOPPED
        released.set()
        assert all(each.result() for each in waiting)


def test_a_board_that_is_away_is_stopped_as_soon_as_it_is_back(own_emulator: Emulator) -> None:
    app = server_of(own_emulator, stop_timeout_s=0.3)
    with TestClient(app, base_url=BASE) as client:
        own_emulator.kill()
        reply = client.post("/emergency-stop")
        assert (reply.status_code, reply.json()["type"]) == (504, "stop-unconfirmed")
        assert (reply.json()["confirmed"], reply.json()["faults"]) == (False, [])
        assert reply.json()["detail"].endswith("; the server goes on trying")
        assert client.get("").json()["stop_pending"]
        own_emulator.start()
        while client.get("").json()["stop_pending"]:
            pass
        assert client.get("").json()["faults"] == ["emergency_stop"]
        assert client.post("/arrays/1/pulse", json=PULSES).json()["type"] == "fault-latched"


def test_a_stop_that_is_pending_can_be_withdrawn() -> None:
    nobody = ServerSettings(("udp://127.0.0.1:9",), stop_timeout_s=0.1, connect_timeout_s=0.1)
    with TestClient(create_app(nobody), base_url=BASE) as client:
        assert client.post("/emergency-stop").status_code == 504
        assert client.get("").json()["stop_pending"]
        assert client.delete("/emergency-stop").status_code == 503
        assert not client.get("").json()["stop_pending"]


def test_a_board_that_somebody_else_has_is_not_said_to_be_stopped(
    own_emulator: Emulator,
) -> None:
    port = int(own_emulator.url.rpartition(":")[2])
    other = WireClient(("127.0.0.1", port))
    other.hello()
    with TestClient(server_of(own_emulator, stop_timeout_s=0.5), base_url=BASE) as client:
        reply = client.post("/emergency-stop")
        assert (reply.status_code, reply.json()["confirmed"]) == (504, False)
    other.close()


# ---- the thread that stops


class Target:
    """Something to stop."""

    def __init__(self) -> None:
        self.is_closed = False
        self.hangs = threading.Event()
        self.release = threading.Event()
        self.release.set()
        self.stops = 0

    def emergency_stop(self, timeout_s: float) -> Stopped:
        self.hangs.set()
        assert self.release.wait(FOR_EVER_S)
        self.stops += 1
        return Stopped(8, 1)


def stopper(timeout_s: float) -> Stopper:
    def reach() -> Any:
        raise LinkLost("there is no way")

    return Stopper("test", reach=reach, noted=lambda _: nullcontext(), timeout_s=timeout_s)


@pytest.mark.anyio
async def test_a_stop_that_hangs_is_answered_in_time_and_the_next_one_too() -> None:
    target, one = Target(), stopper(0.05)
    target.release.clear()
    one.meet(target)
    for _ in range(2):
        outcome = await one.stop("POST")
        assert not outcome.confirmed
        assert one.wanted
    target.release.set()
    while one.wanted:
        await asyncio.sleep(0)
    one.close()


@pytest.mark.anyio
async def test_a_stop_that_fails_is_answered_and_the_thread_goes_on() -> None:
    one = stopper(FOR_EVER_S)
    outcome = await one.stop("POST")
    assert not outcome.confirmed
    assert outcome.detail.startswith("this server failed: LinkLost: there is no way")
    target = Target()
    one.meet(target)
    assert target.stops == 1
    assert not one.wanted
    assert (await one.stop("POST")).confirmed
    one.close()


def _failing(journal: Journal, full: Any) -> Any:
    with journal._failing_as_journal_error():
        full()
