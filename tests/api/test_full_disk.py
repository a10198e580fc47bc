"""A server whose disk is full: it says so, leaves nothing half-written, and goes on afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator
from tests.full_disk import files_of_at_most

from starlab_api import ServerSettings, create_app

ROOM = 300_000
"""Less than a snapshot, and more than the journal of a few calls."""


@pytest.fixture
def bench(own_emulator: Emulator, tmp_path: Path) -> Iterator[TestClient]:
    app = create_app(ServerSettings(boards=(own_emulator.url,), data=tmp_path))
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(app, base_url=base, raise_server_exceptions=False) as client:
        yield client


def kept(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    apart = ("journals", "server.lock")
    return sorted(path.name for path in files if not set(apart) & set(path.parts))


def test_a_snapshot_that_does_not_fit_leaves_nothing(bench: TestClient, tmp_path: Path) -> None:
    first = bench.post("/snapshots", json={"kind": "exact"}).json()["id"]
    before = kept(tmp_path)
    data = bench.get(f"/snapshots/{first}/file").content
    upload = {"content-type": "application/x-starlab-snapshot"}
    with files_of_at_most(ROOM):
        replies = [
            bench.post("/snapshots", json={"kind": "exact"}),
            bench.post("/snapshots", json={"kind": "read"}),
            bench.post("/snapshots/file", content=data, headers=upload),
        ]
    for reply in replies:
        assert (reply.status_code, reply.json()["type"]) == (507, "insufficient-storage")
        assert reply.json()["title"] == "The server's disk does not take it"
        assert reply.json()["detail"].endswith(".snapshot: File too large")
    assert kept(tmp_path) == before
    assert [one["id"] for one in bench.get("/snapshots").json()] == [first]
    assert bench.post("/snapshots").status_code == 201


def test_a_snapshot_that_cannot_be_listed_is_not_kept(
    bench: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if target.suffix == ".json":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    assert bench.post("/snapshots").status_code == 507
    assert kept(tmp_path) == []


def test_a_calibration_that_cannot_be_kept_is_not_used(bench: TestClient, tmp_path: Path) -> None:
    asked = {"points": 3, "readings": 2}
    first = bench.post("/calibration", json=asked).json()
    with files_of_at_most(1000):
        reply = bench.post("/calibration", json=asked)
    assert (reply.status_code, reply.json()["type"]) == (507, "insufficient-storage")
    assert bench.get("/calibration").json() == first
    assert [name for name in kept(tmp_path) if "part" in name] == []


def test_a_pulse_that_cannot_be_written_down_is_not_given(bench: TestClient) -> None:
    pulse = {"kind": "set", "rows": [1], "columns": [1], "polarity": "+"}
    bench.post("/arrays/1/pulse", json=pulse).raise_for_status()
    key = {"idempotency-key": "later"}
    with files_of_at_most(0):
        reply = bench.post("/arrays/1/pulse", json=pulse, headers=key)
        state = bench.get("")
    assert (reply.status_code, reply.json()["type"]) == (507, "insufficient-storage")
    assert "journal" in reply.json()["detail"]
    assert reply.json()["nothing_done"] is True
    assert state.status_code == 200
    assert bench.get("/counters").json()["pulses"]["array1"]["set"] == 1
    assert bench.post("/arrays/1/pulse", json=pulse, headers=key).json() == {"pulses": 1}


def test_a_call_that_found_a_full_disk_may_be_tried_again_under_its_key(bench: TestClient) -> None:
    key = {"idempotency-key": "once"}
    with files_of_at_most(ROOM):
        assert bench.post("/snapshots", json={"name": "n"}, headers=key).status_code == 507
    assert bench.post("/snapshots", json={"name": "n"}, headers=key).status_code == 201
    assert bench.post("/snapshots", json={"name": "n"}, headers=key).status_code == 201
    assert len(bench.get("/snapshots").json()) == 1
