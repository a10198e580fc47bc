"""Snapshots with a right checksum and wrong values: refused or restored, never a failure."""

import hashlib
import json
import random
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator
from tests.api.mutations import VALUES, Raw, dump

from starlab_api import ServerSettings, create_app

FILE = {"content-type": "application/x-starlab-snapshot"}
FRESH = {"seed": 1, "virgin": False, "restart": True}
SAMPLE = {"exact": 60, "read": 20}
"""Mutations in the short form, by kind; one that is programmed takes its time."""
MANY = {"exact": 10_000, "read": 400}


@pytest.fixture(scope="module")
def bench() -> Iterator[TestClient]:
    emulator = Emulator()
    base = "http://testserver/api/v1/boards/emu0"
    app = create_app(ServerSettings(boards=(emulator.url,)))
    with TestClient(app, base_url=base, raise_server_exceptions=False) as client:
        yield client
    emulator.kill()


def parts(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Header of a snapshot, and what follows it, without the hash."""
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[16 : 16 + length]), data[16 + length : -32]


def sealed(header: bytes, rest: bytes) -> bytes:
    """A snapshot of any header, with the right hash; arrays begin at multiples of eight bytes."""
    header += b" " * (-len(header) % 8)
    body = b"STLRSNAP" + struct.pack("<II", 1, len(header)) + header + rest
    return body + hashlib.sha256(body).digest()


def spoiled(value: Any) -> Iterator[tuple[str, Any]]:
    """A header with one of its leaves replaced, or left out."""
    for hostile in VALUES:
        yield f"={dump(hostile)[:30].decode()}", hostile
    if isinstance(value, dict):
        for name, inner in value.items():
            rest = {key: other for key, other in value.items() if key != name}
            yield f".{name} left out", rest
            yield f".{name} twice", {**value, Raw(json.dumps(name)): inner}
            for about, other in spoiled(inner):
                yield f".{name}{about}", {**value, name: other}
    if isinstance(value, list) and value:
        for about, other in spoiled(value[0]):
            yield f"[0]{about}", [other, *value[1:]]


def faults_of(bench: TestClient, some: int, kind: str) -> Iterator[str]:
    bench.post("/emulator", json=FRESH).raise_for_status()
    taken = bench.post("/snapshots", json={"kind": kind}).json()["id"]
    header, rest = parts(bench.get(f"/snapshots/{taken}/file").content)
    rest = rest[len(rest) % 8 :]  # as if the header had ended at a multiple of eight
    draw = random.Random(1)
    every = list(spoiled(header))
    for about, spoilt in draw.sample(every, min(some, len(every))):
        reply = bench.post("/snapshots/file", content=sealed(dump(spoilt), rest), headers=FILE)
        told = [reply]
        if reply.status_code == 201:
            told.append(bench.post(f"/snapshots/{reply.json()['id']}/restore", json={}))
            told.append(bench.get("/snapshots"))
            told.append(bench.get(""))
            bench.delete(f"/snapshots/{reply.json()['id']}").raise_for_status()
        for answer in told:
            if answer.status_code >= 500:
                yield f"{about}: {answer.request.url.path} {answer.status_code} {answer.text[:200]}"
        if len(told) > 1 and told[1].status_code == 200:
            bench.post(f"/snapshots/{taken}/restore", json={}).raise_for_status()


each_kind = pytest.mark.parametrize("kind", ["exact", "read"])


@each_kind
def test_some_wrong_values_are_no_failure(bench: TestClient, kind: str) -> None:
    assert list(faults_of(bench, SAMPLE[kind], kind)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@each_kind
def test_no_wrong_value_is_a_failure(bench: TestClient, kind: str) -> None:
    assert list(faults_of(bench, MANY[kind], kind)) == []


def test_a_header_without_end_is_not_read(bench: TestClient) -> None:
    for item in (b"[],", b'"x",', b"0,"):
        header = b'{"kind": "exact", "arrays": [' + item * (2 << 20) + b"0]}"
        reply = bench.post("/snapshots/file", content=sealed(header, b""), headers=FILE)
        assert reply.status_code == 422
        assert "above the 1048576 bytes limit" in reply.json()["detail"]
