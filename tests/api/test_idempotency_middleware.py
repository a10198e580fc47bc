"""What calls with a key are answered, whatever stands behind: counted call by call."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from starlab_api.idempotency import AnswerStore, Idempotency, StoredAnswer
from starlab_api.problems import AnswerNotKept, KeyReused

Answer = Callable[[], Response]
KEY = {"Idempotency-Key": "one"}
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class Counted:
    """An application that counts its calls and gives what a test wants."""

    def __init__(self, answer: Answer = lambda: JSONResponse({})) -> None:
        self.calls = 0
        self.bodies: list[bytes] = []
        self.answer = answer
        self.store = AnswerStore(count=10, size=10_000_000)

    async def serve(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.calls += 1
        return self.answer()

    def client(self) -> TestClient:
        app = Starlette(routes=[Route("/{path:path}", self.serve, methods=METHODS)])
        app.add_middleware(Idempotency, store=self.store)
        return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("method", METHODS)
def test_what_may_change_something_is_done_once_and_what_reads_is_read_again(method: str) -> None:
    counted = Counted(lambda: JSONResponse({"call": counted.calls}))
    client = counted.client()
    replies = [client.request(method, "/x", headers=KEY) for _ in range(3)]
    once = method != "GET"
    assert counted.calls == (1 if once else 3)
    assert [reply.json()["call"] for reply in replies] == ([1, 1, 1] if once else [1, 2, 3])


@pytest.mark.parametrize("size", [0, 100, 1 << 20, (1 << 20) + 1])
def test_a_body_of_any_size_arrives_whole_and_is_part_of_what_was_asked(size: int) -> None:
    counted, body = Counted(), bytes(size)
    client = counted.client()
    assert client.post("/x", content=body, headers=KEY).status_code == 200
    assert client.post("/x", content=body, headers=KEY).status_code == 200
    assert counted.bodies == [body]
    other = client.post("/x", content=body[:-1] + b"1", headers=KEY)
    assert (other.status_code, other.json()["type"]) == (422, "idempotency-key-reused")
    assert counted.calls == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"url": "/y"},
        {"url": "/x?a=1"},
        {"content": b"other"},
        {"headers": {**KEY, "content-type": "application/x-npz"}},
    ],
)
def test_another_call_with_the_same_key_is_refused_and_does_nothing(
    changed: dict[str, Any],
) -> None:
    counted = Counted()
    client = counted.client()
    asked: dict[str, Any] = {"method": "POST", "url": "/x", "content": b"body", "headers": KEY}
    client.request(**asked)
    reply = client.request(**(asked | changed))
    assert (reply.status_code, reply.json()["type"]) == (422, "idempotency-key-reused")
    assert counted.calls == 1


@pytest.mark.parametrize("status", [409, 500, 503, 507])
@pytest.mark.parametrize("nothing_done", [True, False, None])
def test_only_a_refusal_that_did_nothing_may_be_tried_again(
    status: int, nothing_done: bool | None
) -> None:
    body = {} if nothing_done is None else {"nothing_done": nothing_done}
    counted = Counted(lambda: JSONResponse(body, status))
    client = counted.client()
    assert client.post("/x", headers=KEY).status_code == status
    counted.answer = lambda: JSONResponse({})
    assert client.post("/x", headers=KEY).status_code == (200 if nothing_done else status)
    assert counted.calls == (2 if nothing_done else 1)


@pytest.mark.parametrize("status", [200, 201, 404, 422, 502, 504])
def test_any_other_answer_is_kept_whatever_it_says(status: int) -> None:
    counted = Counted(lambda: JSONResponse({"nothing_done": True}, status))
    client = counted.client()
    assert [client.post("/x", headers=KEY).status_code for _ in range(2)] == [status] * 2
    assert counted.calls == 1


def test_an_answer_that_breaks_off_is_not_given_a_second_chance_to_act() -> None:
    def broken() -> Response:
        def parts() -> Any:
            yield b"first"
            raise RuntimeError("a defect")

        return StreamingResponse(parts())

    counted = Counted(broken)
    client = counted.client()
    with pytest.raises(RuntimeError):
        TestClient(client.app).post("/x", headers=KEY)
    again = client.post("/x", headers=KEY)
    assert again.status_code == 500
    assert counted.calls == 1


def test_a_call_that_fails_before_it_answers_is_not_done_again() -> None:
    def defect() -> Response:
        raise RuntimeError("a defect")

    counted = Counted(defect)
    client = counted.client()
    assert [client.post("/x", headers=KEY).status_code for _ in range(2)] == [500, 500]
    assert counted.calls == 1


def stored(size: int) -> StoredAnswer:
    return StoredAnswer(b"call", [], size)


def kept(store: AnswerStore, *keys: str) -> list[str]:
    """What became of answers."""
    found = []
    for key in keys:
        try:
            answer = store.begin(key, b"call")
        except AnswerNotKept:
            found.append("dropped")
            continue
        found.append("forgotten" if answer is None else "there")
        if answer is None:
            store.end(key, None)
    return found


def ended(store: AnswerStore, key: str, size: int) -> None:
    store.begin(key, b"call")
    store.end(key, stored(size))


def test_as_many_keys_are_remembered_as_there_is_room_for_and_not_one_less() -> None:
    store = AnswerStore(count=3, size=100)
    for key in "abcd":
        ended(store, key, 25)
    assert kept(store, *"abcd") == ["forgotten", "there", "there", "there"]


def test_where_bytes_are_short_the_oldest_contents_go_and_no_key() -> None:
    store = AnswerStore(count=4, size=100)
    for key, size in (("a", 25), ("b", 26), ("c", 49)):
        ended(store, key, size)
    assert kept(store, *"abc") == ["there", "there", "there"]  # exactly as many bytes as there are
    ended(store, "d", 1)
    assert kept(store, *"abcd") == ["there", "dropped", "there", "there"]  # a has but its share
    with pytest.raises(KeyReused):
        store.begin("b", b"other")
    ended(store, "e", 101)  # more than there is room for at all: it drives out no content
    assert kept(store, *"abcde") == ["forgotten", "dropped", "there", "there", "dropped"]
    ended(store, "f", 100)
    assert kept(store, *"bcdef") == ["forgotten", "dropped", "there", "dropped", "dropped"]
    ended(store, "g", 99)
    assert kept(store, *"defg") == ["there", "dropped", "dropped", "there"]


def test_a_call_whose_answer_was_too_large_to_keep_is_not_executed_again() -> None:
    counted = Counted(lambda: Response(bytes(1000)))
    counted.store = AnswerStore(count=10, size=999)
    client = counted.client()
    assert client.post("/x", headers=KEY).status_code == 200
    again = client.post("/x", headers=KEY)
    assert (again.status_code, again.json()["type"]) == (409, "answer-not-kept")
    assert "nothing_done" not in again.json()
    other = client.post("/x", content=b"other", headers=KEY)
    assert (other.status_code, other.json()["type"]) == (422, "idempotency-key-reused")
    assert counted.calls == 1
