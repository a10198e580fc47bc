"""Calls with an Idempotency-Key: executed once, answered as often as asked."""

import pytest
from starlette.testclient import TestClient

from starlab_api.idempotency import AnswerStore, StoredAnswer
from starlab_api.problems import KeyInUse, KeyReused

PULSES = {"kind": "set", "rows": [0], "columns": [0, 1], "polarity": "+", "count": 5}
NAMES = (f"key {number}" for number in range(1_000_000))


@pytest.fixture
def key() -> dict[str, str]:
    """Headers with a key that no other test has."""
    return {"Idempotency-Key": next(NAMES)}


def set_pulses(board: TestClient) -> int:
    count: int = board.get("/counters").json()["pulses"]["array1"]["set"]
    return count


def test_the_same_call_is_executed_once_and_answered_twice(
    board: TestClient, key: dict[str, str]
) -> None:
    first = board.post("/arrays/1/pulse", json=PULSES, headers=key)
    second = board.post("/arrays/1/pulse", json=PULSES, headers=key)
    assert set_pulses(board) == 10
    assert (second.status_code, second.json()) == (200, first.json())
    assert second.headers["content-type"] == first.headers["content-type"]


def test_a_key_with_another_body_is_refused(board: TestClient, key: dict[str, str]) -> None:
    board.post("/arrays/1/pulse", json=PULSES, headers=key)
    reply = board.post("/arrays/1/pulse", json={**PULSES, "count": 6}, headers=key)
    assert (reply.status_code, reply.json()["type"]) == (422, "idempotency-key-reused")
    elsewhere = board.post("/arrays/2/pulse", json=PULSES, headers=key)
    assert elsewhere.status_code == 422
    assert set_pulses(board) == 10


def test_calls_without_a_key_are_executed_each_time(board: TestClient) -> None:
    for _ in range(2):
        board.post("/arrays/1/pulse", json=PULSES)
    assert set_pulses(board) == 20


def test_a_refusal_that_passes_may_be_tried_again_with_its_key(
    virgin_board: TestClient, key: dict[str, str]
) -> None:
    refused = virgin_board.post("/arrays/2/pulse", json=PULSES, headers=key)
    assert refused.status_code == 409
    virgin_board.post("/arrays/2/form").raise_for_status()
    assert virgin_board.post("/arrays/2/pulse", json=PULSES, headers=key).status_code == 200


def test_bad_input_is_answered_alike_each_time(board: TestClient, key: dict[str, str]) -> None:
    bad = {**PULSES, "rows": [784]}
    replies = [board.post("/arrays/1/pulse", json=bad, headers=key) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [422, 422]


def answer(size: int = 1) -> StoredAnswer:
    return StoredAnswer(b"call", [], size)


def test_a_key_in_use_is_refused_until_its_call_ends() -> None:
    store = AnswerStore(count=3, size=100)
    assert store.begin("k", b"call") is None
    with pytest.raises(KeyInUse):
        store.begin("k", b"call")
    with pytest.raises(KeyReused):
        store.begin("k", b"other")
    store.end("k", answer())
    assert store.begin("k", b"call") == answer()


def test_a_call_whose_answer_is_not_kept_may_run_again() -> None:
    store = AnswerStore(count=3, size=100)
    store.begin("k", b"call")
    store.end("k", None)
    assert store.begin("k", b"other") is None


def test_the_oldest_answers_are_forgotten_first() -> None:
    store = AnswerStore(count=2, size=100)
    for key in "abc":
        store.begin(key, b"call")
        store.end(key, answer())
    assert store.begin("a", b"call") is None
    assert store.begin("b", b"call") is not None
    for key, size in (("d", 60), ("e", 60)):
        store.begin(key, b"call")
        store.end(key, answer(size))
    assert store.begin("c", b"call") is None
    assert store.begin("e", b"call") is not None
