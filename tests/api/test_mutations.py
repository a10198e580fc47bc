"""Whatever is sent: no answer is a failure of the server, and each error is a documented one."""

import random
from collections.abc import Iterator, Sequence

import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator
from tests.api.mutations import RIGHT, Request, Right, content_of, mutations, url_of

from starlab_api import ServerSettings, create_app
from starlab_contract import Problem, ProblemKind

SAMPLE = 40
"""Mutations of each request in the short form."""
BOARD = "/api/v1/boards/emu0"
FRESH = {"seed": 1, "virgin": False, "effects": "none", "restart": True}


class Bench:
    """A server, one board, and a way back to a fresh one."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.path = {"board_id": "emu0", "array": "1", "address": "TH", "sid": "none"}
        self.refresh()

    def refresh(self) -> None:
        calm = {"faults": {"network": {}, "restart_after_pulses": 0}}
        self.client.post(f"{BOARD}/emulator", json={**FRESH, **calm}).raise_for_status()
        self.client.delete(f"{BOARD}/emergency-stop").raise_for_status()
        if self.client.get(f"{BOARD}/snapshots/{self.path['sid']}").status_code == 404:
            taken = self.client.post(f"{BOARD}/snapshots", json={"kind": "read"})
            self.path["sid"] = taken.json()["id"]

    def faults_of(self, requests: Sequence[Request]) -> Iterator[str]:
        """What is wrong with the answers."""
        for request in requests:
            reply = self.client.request(
                request.method,
                request.url,
                content=request.content,
                headers=[(n.encode(), t.encode("latin-1")) for n, t in request.headers.items()],
            )
            if reply.status_code >= 500:
                yield f"{request.about}: {reply.status_code} {reply.text[:200]}"
            elif reply.status_code >= 400:
                problem = Problem.model_validate_json(reply.content)
                if problem.type not in set(ProblemKind) or problem.status != reply.status_code:
                    yield f"{request.about}: {reply.text[:200]}"
                if len(reply.content) > 6000:
                    yield f"{request.about}: an answer of {len(reply.content)} bytes"
            elif request.method != "GET":
                self.refresh()


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    emulator = Emulator()  # of its own: another server may have the others' session
    app = create_app(ServerSettings(boards=(emulator.url,)))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Bench(client)
    emulator.kill()


def test_every_call_that_takes_something_is_among_them(bench: Bench) -> None:
    paths = bench.client.get("/openapi.json").json()["paths"]
    known = {(right.method, right.template) for right in RIGHT}
    every = {
        (method.upper(), path)
        for path, operations in paths.items()
        for method in operations
        if method != "get" or (path.endswith("}") or "parameters" in operations[method])
    }
    takes_nothing = {(m, p) for m, p in every if m == "GET" and not p.endswith("}")}
    assert every - known - takes_nothing == set()


def name_of(right: Right) -> str:
    return f"{right.method} {right.template.rpartition('}/')[2]} {right.media}"


each_call = pytest.mark.parametrize("right", RIGHT, ids=name_of)


@each_call
def test_a_right_request_is_answered(bench: Bench, right: Right) -> None:
    bench.refresh()
    content, headers = content_of(right)
    reply = bench.client.request(
        right.method, url_of(right, bench.path), content=content, headers=dict(headers)
    )
    assert reply.status_code == right.status, reply.text


@each_call
def test_some_of_all_that_may_be_wrong_is_no_failure(bench: Bench, right: Right) -> None:
    every = list(mutations(right, bench.path))
    some = random.Random(1).sample(every, min(SAMPLE, len(every)))
    assert list(bench.faults_of(some)) == []


@pytest.mark.slow
@each_call
def test_nothing_that_may_be_wrong_is_a_failure(bench: Bench, right: Right) -> None:
    assert list(bench.faults_of(list(mutations(right, bench.path)))) == []
