"""Snapshots over REST: kept by the server, restored on the emulated board."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator

from starlab_api import ServerSettings, create_app
from starlab_api.boards.snapshots import SnapshotStore
from starlab_api.problems import NotFound
from starlab_spec.snapshot import READ, checksum, pack, unpack

TYPE = {"content-type": "application/x-starlab-snapshot"}
PULSE = {"kind": "set", "rows": [0, 1], "columns": [0], "polarity": "+", "count": 9}


@pytest.fixture
def board(board: TestClient) -> Iterator[TestClient]:
    yield board
    for snapshot in board.get("/snapshots").json():
        board.delete(f"/snapshots/{snapshot['id']}").raise_for_status()


def take(board: TestClient, **body: Any) -> dict[str, Any]:
    reply = board.post("/snapshots", json=body)
    assert reply.status_code == 201, reply.text
    taken: dict[str, Any] = reply.json()
    return taken


def cells(board: TestClient) -> Any:
    return board.get("/arrays/1/conductance?rows=0:3&columns=0:3").json()


def train(board: TestClient) -> Any:
    inputs = np.random.default_rng(1).integers(0, 2, (5, 784)).tolist()
    return board.post("/train-step", json={"inputs": inputs, "labels": [1, 2, 3, 4, 5]}).json()


def test_a_board_goes_on_from_its_snapshot(board: TestClient) -> None:
    train(board)
    taken = take(board, name="before")
    told = board.get("").json()
    learned, after = train(board), cells(board)
    reply = board.post(f"/snapshots/{taken['id']}/restore")
    assert reply.json() == {"snapshot": taken["id"], "exact": True, "arrays": {}}
    assert board.get("").json()["boot_id"] == told["boot_id"]
    assert board.get("").json()["restarts"] == told["restarts"]
    assert board.get("").json()["lifetime_pulses"] >= told["lifetime_pulses"]
    assert train(board) == learned
    assert cells(board) == after


def test_a_snapshot_is_listed_with_what_it_says_of_itself(board: TestClient) -> None:
    taken = take(board, name="first light")
    told = board.get("").json()
    assert board.get("/snapshots").json() == [taken]
    assert board.get(f"/snapshots/{taken['id']}").json() == taken
    for name in ("serial", "boot_id", "firmware", "device_model", "lifetime_pulses"):
        assert taken[name] == told[name]
    assert (taken["name"], taken["kind"], taken["memory"]) == ("first light", "exact", False)
    age = datetime.now(UTC) - datetime.fromisoformat(taken["taken_at"])
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_a_snapshot_is_downloaded_deleted_and_uploaded_again(board: TestClient) -> None:
    taken = take(board, memory=True)
    reply = board.get(f"/snapshots/{taken['id']}/file")
    assert reply.headers["content-type"] == TYPE["content-type"]
    assert (len(reply.content), checksum(reply.content)) == (taken["bytes"], taken["sha256"])
    assert board.delete(f"/snapshots/{taken['id']}").json() == taken
    assert board.get("/snapshots").json() == []
    again = board.post("/snapshots/file?name=again", content=reply.content, headers=TYPE).json()
    assert (again["sha256"], again["name"]) == (taken["sha256"], "again")
    assert board.post(f"/snapshots/{again['id']}/restore").json()["exact"]


def test_what_was_read_is_restored_by_write_verify(board: TestClient) -> None:
    taken = take(board, kind="read")
    before = np.array(cells(board)["conductance_uS"])
    board.post("/arrays/1/pulse", json=PULSE).raise_for_status()
    reply = board.post(f"/snapshots/{taken['id']}/restore", json={"tolerance_uS": 0.4}).json()
    assert not reply["exact"]
    assert {n: r["in_tolerance"] == r["cells"] for n, r in reply["arrays"].items()} == {
        "1": True,
        "2": True,
    }
    assert np.abs(np.array(cells(board)["conductance_uS"]) - before).max() <= 0.4 + 1e-3


def test_an_unknown_snapshot_is_not_found(board: TestClient) -> None:
    for method, path in (
        ("GET", "/snapshots/none"),
        ("GET", "/snapshots/..%2F..%2Fetc/file"),
        ("POST", "/snapshots/none/restore"),
        ("DELETE", "/snapshots/none"),
    ):
        assert board.request(method, path).status_code == 404
    refused = board.get("/snapshots/none").json()
    assert refused["detail"] == "unknown snapshot 'none'; known: none"


def test_what_is_no_snapshot_is_neither_kept_nor_restored(board: TestClient) -> None:
    taken = take(board)
    data = board.get(f"/snapshots/{taken['id']}/file").content
    refused = board.post("/snapshots/file", content=data[:-1], headers=TYPE)
    assert (refused.status_code, refused.json()["field"]) == (422, "snapshot")
    assert "is cut off or damaged" in refused.json()["detail"]
    other = board.post("/snapshots/file", content=data, headers={"content-type": "image/png"})
    assert other.status_code == 415
    assert len(board.get("/snapshots").json()) == 1

    file = unpack(data)
    wrong = pack({**file.header, "noise": {}}, file.arrays)
    kept = board.post("/snapshots/file", content=wrong, headers=TYPE).json()
    before = cells(board)
    refused = board.post(f"/snapshots/{kept['id']}/restore")
    assert refused.status_code == 422
    assert "sources of noise" in refused.json()["detail"]
    assert cells(board) == before


def test_bad_parameters_are_refused(board: TestClient) -> None:
    assert board.post("/snapshots", json={"kind": "rough"}).status_code == 422
    assert board.post("/snapshots", json={"kind": "read", "memory": True}).status_code == 422
    taken = take(board)
    path = f"/snapshots/{taken['id']}/restore"
    assert board.post(path, json={"tolerance_uS": 0}).status_code == 422


def test_an_emergency_stop_is_not_undone_by_restoring(board: TestClient) -> None:
    taken = take(board)
    board.post("/emergency-stop").raise_for_status()
    refused = board.post(f"/snapshots/{taken['id']}/restore")
    assert (refused.status_code, refused.json()["type"]) == (409, "fault-latched")
    board.delete("/emergency-stop").raise_for_status()


def test_snapshots_in_the_data_folder_outlive_the_server(
    own_emulator: Emulator, tmp_path: Path
) -> None:
    settings = ServerSettings(boards=(own_emulator.url,), data=tmp_path)
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings), base_url=base) as client:
        taken = take(client, name="kept")
    with TestClient(create_app(settings), base_url=base) as client:
        assert client.get("/snapshots").json() == [taken]
        assert client.post(f"/snapshots/{taken['id']}/restore").json()["exact"]


def data_of(serial: str) -> bytes:
    words = {"boot_id": 1, "firmware": "1", "device_model": "linear", "lifetime_pulses": 3}
    return pack({"kind": READ, "serial": serial, **words}, {})


def test_snapshots_of_one_second_have_ids_of_their_own_and_each_board_its_own(
    tmp_path: Path,
) -> None:
    store = SnapshotStore(tmp_path, lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    one, two = (store.keep("a", name, data_of("x")) for name in ("one", "two"))
    assert one.id.startswith("20260102T030405-")
    assert two.id == f"{one.id}-2"
    assert {found.name for found in store.list("a")} == {"one", "two"}
    assert store.list("b") == []
    with pytest.raises(NotFound):
        store.read("b", one.id)


def test_a_file_that_was_left_in_part_is_not_listed(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path, lambda: datetime(2026, 1, 2, tzinfo=UTC))
    kept = store.keep("a", "whole", data_of("x"))
    folder = tmp_path / "a"
    (folder / "orphan.snapshot").write_bytes(b"no list entry")
    (folder / "later.json.part").write_bytes(b"{")
    (folder / "broken.json").write_bytes(b"{")
    assert store.list("a") == [kept]
    assert sorted(path.name for path in folder.glob("*.part")) == ["later.json.part"]
