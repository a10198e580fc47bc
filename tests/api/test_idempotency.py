"""Calls with an Idempotency-Key: executed once, answered as often as asked."""

import json
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPY, NPZ, WANT_NPY, WANT_NPZ, array_in, arrays_in, npy, npz

from starlab_api.bodies.replies import ArrayReply
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


def test_a_key_with_another_method_is_refused(board: TestClient, key: dict[str, str]) -> None:
    board.delete("/emergency-stop", headers=key).raise_for_status()
    assert board.post("/snapshots", headers=key).status_code == 422


def test_an_emergency_stop_is_carried_out_whatever_its_key(
    board: TestClient, key: dict[str, str]
) -> None:
    board.post("/arrays/1/pulse", json=PULSES, headers=key).raise_for_status()
    for _ in range(2):
        stopped = board.post("/emergency-stop", headers=key)
        assert (stopped.status_code, stopped.json()["confirmed"]) == (200, True)
        assert board.get("").json()["faults"] == ["emergency_stop"]
        board.delete("/emergency-stop").raise_for_status()
    several = [("Idempotency-Key", "a"), ("Idempotency-Key", "")]
    assert board.post("/emergency-stop", headers=several).status_code == 200
    board.delete("/emergency-stop").raise_for_status()


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


LESSON = npz(inputs=np.eye(3, 784, dtype=np.uint8), labels=[1, 2, 3])
WANTED = [
    {},
    WANT_NPZ,
    WANT_NPY,
    {"accept": "application/json"},
    {"accept": "text/html, */*;q=0.1"},
]


def learned(board: TestClient) -> int:
    count: int = board.get("/counters").json()["operations"]["training"]
    return count


@pytest.mark.parametrize("first", WANTED)
def test_an_answer_is_given_again_in_whatever_media_type_is_asked_for(
    board: TestClient, key: dict[str, str], first: dict[str, str]
) -> None:
    def learn(wanted: dict[str, str]) -> Any:
        reply = board.post("/train-step", content=LESSON, headers={**NPZ, **key, **wanted})
        assert reply.status_code == 200
        return reply

    told = learn(first)
    once = learned(board)
    assert learn(first).content == told.content
    as_json = learn({}).json()
    arrays = arrays_in(learn(WANT_NPZ).content)
    assert {name: array.tolist() for name, array in arrays.items()} == as_json
    main = learn(WANT_NPY)
    assert main.headers["content-type"] == "application/x-npy"
    assert array_in(main.content).tolist() == as_json["outputs"]
    assert learned(board) == once


def test_a_media_type_that_nobody_can_give_binds_no_key_and_loses_no_answer(
    board: TestClient, key: dict[str, str]
) -> None:
    def learn(accept: str) -> int:
        headers = {**NPZ, **key, "accept": accept}
        status: int = board.post("/train-step", content=LESSON, headers=headers).status_code
        return status

    before = learned(board)
    assert [learn("image/png"), learn("*/*")] == [406, 200]
    once = learned(board)
    assert once > before
    assert [learn("image/png"), learn("application/json")] == [406, 200]
    assert learned(board) == once


def test_a_body_of_the_wrong_media_type_binds_no_key(
    board: TestClient, key: dict[str, str]
) -> None:
    body = json.dumps({"rows": [0]}).encode()
    for media, status in (("application/x-npy", 415), ("application/json", 200)):
        headers = {**key, "content-type": media}
        reply = board.post("/arrays/1/form", content=body, headers=headers)
        assert reply.status_code == status


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?kind=set&count=5", {"content-type": "application/x-npy"}),
        ("?count=5&kind=set", {"CONTENT-TYPE": "Application/X-NPY"}),
        ("?kind=%73et&count=5", {"content-type": "application/x-npy; charset=binary"}),
        ("?&count=5&&kind=set", {"content-type": "application/x-npy ;v=1", "accept": "*/*"}),
    ],
)
def test_how_a_call_is_written_is_no_part_of_it(
    board: TestClient, key: dict[str, str], query: str, headers: dict[str, str]
) -> None:
    mask = npy(np.eye(100, 10, dtype=bool)[None].repeat(2, axis=0))  # 20 cells
    url = "/arrays/2/pulse"
    done = board.post(f"{url}?kind=set&count=5", content=mask, headers={**key, **NPY})
    same = board.post(f"{url}{query}", content=mask, headers={**key, **headers})
    assert (done.json(), same.json()) == ({"pulses": 100}, {"pulses": 100})
    assert board.get("/counters").json()["pulses"]["array2"]["set"] == 100


def test_parameters_of_one_name_keep_their_order(board: TestClient, key: dict[str, str]) -> None:
    body = npz(mask=np.zeros((2, 100, 10), bool))
    replies = [
        board.post(f"/arrays/2/pulse?{query}", content=body, headers={**NPZ, **key})
        for query in ("kind=set&rows=1&rows=2", "kind=set&rows=2&rows=1")
    ]
    assert replies[1].json()["type"] == "idempotency-key-reused"


@pytest.mark.parametrize("keys", [[""], [" "], ["a", "b"], ["a", "a"]])
def test_a_call_has_one_key(board: TestClient, keys: list[str]) -> None:
    headers = [("Idempotency-Key", key) for key in keys]
    reply = board.post("/arrays/1/pulse", json=PULSES, headers=headers)
    assert (reply.status_code, reply.json()["field"]) == (422, "Idempotency-Key")
    assert set_pulses(board) == 0


def test_the_arrays_of_an_answer_count_too() -> None:
    values = {"codes": np.zeros((10, 10), np.int32), "rounds": 3}
    assert ArrayReply(values, "codes").size == 400


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
