"""What the SDK raises when things go wrong."""

import httpx2
import numpy as np
import pytest
from tests.clients.conftest import NPY, NPZ, FakeServer, npy_bytes

from starlab import (
    Aborted,
    AccessDenied,
    BoardAway,
    BoardError,
    Client,
    Conflict,
    InvalidInput,
    LimitExceeded,
    LinkLost,
    Locked,
    NotFound,
    OutcomeUnknown,
    Refused,
    ServerAway,
    ServerFailed,
    StarlabError,
)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (401, "unauthorized", AccessDenied),
        (403, "forbidden", AccessDenied),
        (404, "not-found", NotFound),
        (405, "method-not-allowed", InvalidInput),
        (409, "not-formed", Conflict),
        (409, "aborted", Aborted),
        (413, "body-too-large", InvalidInput),
        (422, "invalid-input", InvalidInput),
        (422, "limit-exceeded", LimitExceeded),
        (423, "locked", Locked),
        (429, "too-many", Refused),
        (500, "internal-error", ServerFailed),
        (502, "outcome-unknown", OutcomeUnknown),
        (503, "board-away", BoardAway),
        (504, "link-lost", LinkLost),
    ],
)
def test_each_problem_has_its_class(
    client: Client, server: FakeServer, status: int, kind: str, error: type[StarlabError]
) -> None:
    server.will_refuse(status, type=kind, detail="what was wrong", board="emu0")
    with pytest.raises(StarlabError, match=r"^what was wrong$") as caught:
        client.board("emu0").counters()
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.board) == (status, "emu0")


def test_a_limit_is_told_with_its_numbers(client: Client, server: FakeServer) -> None:
    server.will_refuse(
        422,
        type="limit-exceeded",
        detail="VBLset 3300 mV is above the 2600 mV limit",
        channel="VBLset",
        value=3300,
        limit=2600,
        unit="mV",
    )
    with pytest.raises(LimitExceeded, match="above the 2600 mV limit") as caught:
        client.board("emu0").set_supplies(mv={"VBLset": 3300})
    error = caught.value
    assert (error.channel, error.value, error.limit) == ("VBLset", 3300, 2600)
    assert isinstance(error, ValueError)
    assert error.problem["unit"] == "mV"


def test_commands_in_doubt_are_listed(client: Client, server: FakeServer) -> None:
    server.will_refuse(502, type="outcome-unknown", detail="?", commands=["BATCH_TRAINING"])
    with pytest.raises(OutcomeUnknown) as caught:
        client.board("emu0").train_step(np.zeros((1, 784)), [1])
    assert caught.value.commands == ["BATCH_TRAINING"]
    assert isinstance(caught.value, BoardError)


def test_a_server_that_is_not_there_is_away(client: Client, server: FakeServer) -> None:
    server.will_fail(httpx2.ConnectError("refused"))
    with pytest.raises(ServerAway, match="no server answers at http://bench: refused"):
        client.board("emu0").arrays[1].form()


def test_a_change_whose_answer_is_lost_has_an_unknown_outcome(
    client: Client, server: FakeServer
) -> None:
    server.will_fail(httpx2.ReadError("connection reset"))
    with pytest.raises(OutcomeUnknown, match="may have been executed") as caught:
        client.board("emu0").arrays[1].form()
    assert caught.value.commands == ["/api/v1/boards/emu0/arrays/1/form"]
    assert len(server.requests) == 1


def test_a_look_whose_answer_is_lost_has_just_failed(client: Client, server: FakeServer) -> None:
    server.will_fail(httpx2.ReadError("connection reset"))
    with pytest.raises(ServerFailed):
        client.board("emu0").counters()
    with pytest.raises(ServerFailed):
        client.board("emu0").infer(np.zeros((1, 784)))


def test_an_error_without_a_problem_document_is_an_error_all_the_same(
    client: Client, server: FakeServer
) -> None:
    for content in (b"<html>", b"[1]", b""):
        server.answers = [httpx2.Response(503, content=content)]
        with pytest.raises(BoardAway, match="the server answered 503"):
            client.boards()


def test_answers_that_make_no_sense_are_the_servers_failure(
    client: Client, server: FakeServer
) -> None:
    board = client.board("emu0")
    server.answers = [httpx2.Response(200, content=b"{}")]
    with pytest.raises(ServerFailed, match="no Counters"):
        board.counters()
    with pytest.raises(ServerFailed, match="lists no Board"):
        client.boards()
    server.answers = []
    server.will_answer(b"rubbish", NPY)
    with pytest.raises(ServerFailed, match="makes no sense"):
        board.arrays[1].conductance_uS()
    server.answers = []
    server.will_answer(npy_bytes(np.zeros(3)), NPZ)
    with pytest.raises(ServerFailed, match="one array, not outputs"):
        board.infer(np.zeros((1, 784)))


def test_pickled_objects_are_never_loaded(client: Client, server: FakeServer) -> None:
    server.will_answer(npy_bytes(np.array([{"a": 1}], dtype=object)), NPY)
    with pytest.raises(ServerFailed):
        client.board("emu0").arrays[1].conductance_uS()


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8000",
        "ftp://x",
        "",
        "http://",
        "http://..",
        "http://lab..example",
        f"http://{'a' * 64}.example",
        "http://localhost:8000/?board=emu0",
        "http://localhost/#x",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="no URL of a server"):
        Client(url)


@pytest.mark.parametrize("proxy", ["http://..", f"http://{'a' * 64}.example"])
def test_a_proxy_whose_name_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with (
        Client("http://lab.example") as client,
        pytest.raises(InvalidInput, match="proxies"),
    ):
        client.boards()
