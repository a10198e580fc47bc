"""What the SDK makes of answers, those of other servers too."""

import json
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.clients.conftest import FakeServer, npy_bytes, npz_bytes

from starlab import AsyncClient, Client, InvalidInput, ServerFailed, StarlabError
from starlab.bodies import Answer, npy, npz
from starlab_contract import Faults

HTML = "text/html"


@pytest.mark.parametrize("status", [200, 201, 299])
def test_below_300_an_answer_reports_no_problem(status: int) -> None:
    Answer(status, b"<p>", HTML).raise_for_problem()


@pytest.mark.parametrize("status", [300, 302, 400, 404, 499])
@pytest.mark.parametrize("body", [b"<p>", b"", b"[]", b'"no"', b"{}", b"[" * 100_000])
def test_a_refusal_that_is_no_problem_document_comes_from_another_server(
    status: int, body: bytes
) -> None:
    with pytest.raises(ServerFailed) as raised:
        Answer(status, body, HTML).raise_for_problem()
    assert str(raised.value) == (
        f"no starlab server answers there, but one with {status} and text/html"
    )
    with pytest.raises(ServerFailed, match=f"but one with {status}$"):
        Answer(status, body, "").raise_for_problem()


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failure_without_a_document_may_be_that_of_a_starlab_server(status: int) -> None:
    with pytest.raises(StarlabError) as raised:
        Answer(status, b"<p>", HTML).raise_for_problem()
    assert "no starlab server" not in str(raised.value)


def test_a_problem_document_is_told_in_its_own_words() -> None:
    body = json.dumps({"type": "not-found", "detail": "there is no board emu7"}).encode()
    with pytest.raises(StarlabError, match="there is no board emu7"):
        Answer(404, body, "application/problem+json").raise_for_problem()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no", "is no Faults"),
        (b'{"fault": []}', "is no Faults .*faults"),
        (b"[" * 100_000, "is no Faults"),
    ],
)
def test_an_answer_of_another_form_is_named(content: bytes, message: str) -> None:
    with pytest.raises(ServerFailed, match=message):
        Answer(200, content).model(Faults)


@pytest.mark.parametrize("content", [b"no", b"{}", b"[1]", b'[{"fault": []}]', b"[" * 100_000])
def test_a_list_of_another_form_is_named(content: bytes) -> None:
    with pytest.raises(ServerFailed, match="lists no Faults"):
        Answer(200, content).models(Faults)
    assert Answer(200, b"[]").models(Faults) == []


def test_arrays_come_back_by_name_and_in_order() -> None:
    answer = Answer(200, npz_bytes(a=np.arange(3), b=np.ones((2, 2), np.float32)))
    second, first = answer.arrays("b", "a")
    np.testing.assert_array_equal(first, [0, 1, 2])
    assert second.shape == (2, 2)
    assert second.dtype == np.float32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npz_bytes(a=np.arange(3)), "lacks an array"),
        (npz_bytes(a=np.arange(3), b=np.array(["x"])), "no array of numbers but of <U1"),
        (npy_bytes(np.arange(3)), "is one array, not a, b"),
        (npz_bytes(a=np.arange(3))[:-30], "makes no sense"),
        (b"", "makes no sense"),
        (b"no", "makes no sense"),
    ],
)
def test_what_is_no_archive_with_these_arrays_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ServerFailed, match=message):
        Answer(200, content, "application/x-npz").arrays("a", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npz_bytes(a=np.arange(3)), "is no array but application/x-npy"),
        (npy_bytes(np.array(["x"])), "no array of numbers but of <U1"),
        (npy_bytes(np.arange(3))[:-1], "makes no sense"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ServerFailed, match=message):
        Answer(200, content, "application/x-npy").array()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_what_is_written_is_read_again(dtype: Any) -> None:
    array = np.array([[0, 1], [1, 1]], dtype)
    for back in (Answer(200, npy(array)).array(), Answer(200, npz({"x": array})).arrays("x")[0]):
        np.testing.assert_array_equal(back, array)
        assert back.dtype == dtype


def test_the_media_type_is_told_without_its_parameters(client: Client, server: FakeServer) -> None:
    for media in ("text/html", "text/html; charset=utf-8", "text/html ;x=y;z=1"):
        server.answers.append(httpx2.Response(404, text="<p>", headers={"content-type": media}))
        with pytest.raises(ServerFailed, match=r"but one with 404 and text/html$"):
            client.board("emu0").settings()


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_proxy_of_the_environment_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> None:
    monkeypatch.setenv(name, "http://[::1")
    with pytest.raises(InvalidInput, match="environment's proxies or certificates"):
        kind("http://bench:8000")
