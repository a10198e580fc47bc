"""Snapshots in SDK and command line: what is sent, what is made of the answer."""

import inspect
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.clients.command_line import Run
from tests.clients.conftest import FakeServer

from starlab import AsyncClient, AsyncSnapshots, Client, InvalidInput, Snapshots

TYPE = "application/x-starlab-snapshot"
ROOT = "/api/v1/boards/emu0/snapshots"


def snapshot_of(identity: str = "20260102T030405-abcd") -> dict[str, Any]:
    return {
        "id": identity,
        "name": "first",
        "taken_at": "2026-01-02T03:04:05Z",
        "kind": "exact",
        "bytes": 1_285_000,
        "sha256": "ab" * 32,
        "serial": "EMU-1",
        "boot_id": 7,
        "firmware": "0.1.0",
        "device_model": "nonlinear-3",
        "lifetime_pulses": 12_345,
        "emulated_time_s": 1.5,
        "memory": False,
    }


def test_saving_sends_name_kind_and_memory(client: Client, server: FakeServer) -> None:
    server.will_answer_json(snapshot_of(), 201)
    taken = client.board("emu0").snapshots.save("first", kind="exact", memory=True)
    assert (server.request.method, server.request.url.path) == ("POST", ROOT)
    assert server.json == {"name": "first", "kind": "exact", "memory": True}
    assert taken.lifetime_pulses == 12_345


def test_the_other_calls_go_where_they_belong(client: Client, server: FakeServer) -> None:
    snapshots = client.board("emu0").snapshots
    server.will_answer_json([snapshot_of()])
    assert [one.id for one in snapshots.list()] == [snapshot_of()["id"]]
    server.answers = []
    server.will_answer_json(snapshot_of())
    snapshots.get("a b")
    assert (server.request.method, server.request.url.raw_path) == ("GET", f"{ROOT}/a%20b".encode())
    snapshots.delete("a")
    assert (server.request.method, server.request.url.path) == ("DELETE", f"{ROOT}/a")
    snapshots.upload(b"data", "mine")
    assert (server.request.url.path, server.query) == (f"{ROOT}/file", [("name", "mine")])
    assert (server.request.headers["content-type"], server.request.content) == (TYPE, b"data")
    server.answers = []
    server.will_answer(b"bytes", TYPE)
    assert snapshots.download("a") == b"bytes"
    assert server.request.url.path == f"{ROOT}/a/file"


def test_restoring_sends_what_write_verify_needs(client: Client, server: FakeServer) -> None:
    server.will_answer_json({"snapshot": "a", "exact": True, "arrays": {}})
    reply = client.board("emu0").snapshots.restore("a", tolerance_uS=0.5)
    assert reply.exact
    assert server.request.url.path == f"{ROOT}/a/restore"
    assert server.json == {"tolerance_uS": 0.5, "max_pulses": 2000}
    with pytest.raises(InvalidInput, match="tolerance_uS"):
        client.board("emu0").snapshots.restore("a", tolerance_uS=0.0)


def test_the_awaited_twin_has_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[tuple[str, object]]]:
        return {
            name: [(p.name, p.default) for p in inspect.signature(member).parameters.values()]
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(Snapshots) == methods(AsyncSnapshots)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_awaited_snapshots_send_the_same(server: FakeServer) -> None:
    server.will_answer_json(snapshot_of(), 201)
    async with AsyncClient("http://bench", transport=httpx2.MockTransport(server)) as client:
        snapshots = client.board("emu0").snapshots
        assert (await snapshots.save()).kind == "exact"
        assert (await snapshots.get("a")).name == "first"
        assert (await snapshots.delete("a")).name == "first"
        assert (await snapshots.upload(b"x")).name == "first"
        server.answers = []
        server.will_answer_json([])
        assert await snapshots.list() == []
        server.answers = []
        server.will_answer_json({"snapshot": "a", "exact": True, "arrays": {}})
        assert (await snapshots.restore("a")).exact
        server.answers = []
        server.will_answer(b"bytes", TYPE)
        assert await snapshots.download("a") == b"bytes"


def test_the_command_line_saves_and_writes_a_file(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.will_answer_json(snapshot_of(), 201)
    server.will_answer(b"the file", TYPE)
    finished = run("snapshot", "save", "first", "-o", str(tmp_path / "x.snapshot"))
    assert finished.words == "20260102T030405-abcd: exact, 1,285,000 bytes"
    assert (tmp_path / "x.snapshot").read_bytes() == b"the file"


def test_the_command_line_lists(run: Run, server: FakeServer) -> None:
    server.will_answer_json([snapshot_of()])
    assert snapshot_of()["id"] in run("snapshot", "list").words
    assert run("snapshot", "list", "--json").json["snapshots"][0]["serial"] == "EMU-1"
    server.answers = []
    server.will_answer_json([])
    assert run("snapshot", "list").words == "No snapshots."


def test_the_command_line_restores_by_id_or_file_and_deletes(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    done = {"snapshot": "a", "exact": True, "arrays": {}}
    server.will_answer_json(done)
    assert "The board is as a has it, to the last bit." in run("snapshot", "restore", "a").words
    (tmp_path / "file").write_bytes(b"data")
    server.answers = []
    server.will_answer_json(snapshot_of("b"), 201)
    report = {"cells": 9, "in_tolerance": 8, "pulses": 5, "rms_error_uS": 0.1, "rounds": 2}
    arrays = {"2": {**report, "failed": [[0, 1, 2]]}}
    server.will_answer_json({"snapshot": "b", "exact": False, "arrays": arrays})
    finished = run("snapshot", "restore", str(tmp_path / "file"), "--tolerance", "0.5")
    assert "Array 2: 8 of 9 cells within 0.5 uS" in finished.words
    assert [r.url.path for r in server.requests[-2:]] == [f"{ROOT}/file", f"{ROOT}/b/restore"]
    server.answers = []
    server.will_answer_json(snapshot_of("b"))
    assert run("snapshot", "delete", "b").words == "b is deleted."


def test_a_snapshot_that_there_is_not_ends_with_usage(run: Run, server: FakeServer) -> None:
    server.will_refuse(404, type="not-found", detail="unknown snapshot 'x'; known: none")
    assert run("snapshot", "restore", "x").code == 2
