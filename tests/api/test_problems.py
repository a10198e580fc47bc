"""What goes wrong on the way in and out: addresses, methods, media types, hostile bodies."""

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPY, NPZ, npy, npz

from starlab_api.problems import problem_of
from starlab_host import (
    Aborted,
    BoardAway,
    HardwareFault,
    JournalError,
    LinkLost,
    NotFormed,
    NotReady,
    OutcomeUnknown,
    SessionEnded,
    Work,
)
from starlab_spec.wire.transactions import Status

ROOT = "http://testserver"
HUGE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }"


def test_an_unknown_address_is_a_problem_document(board: TestClient) -> None:
    reply = board.get(f"{ROOT}/api/v1/nothing")
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.status_code, reply.json()["type"]) == (404, "not-found")


def test_a_method_that_an_address_does_not_take_names_those_it_does(board: TestClient) -> None:
    reply = board.delete("/supplies")
    assert (reply.status_code, reply.json()["type"]) == (405, "method-not-allowed")
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/infer", "/arrays/1/form", "/settings"])
def test_a_body_of_another_media_type_is_refused(board: TestClient, path: str) -> None:
    method = "PATCH" if path == "/settings" else "POST"
    reply = board.request(method, path, content=b"th=3", headers={"content-type": "text/plain"})
    assert (reply.status_code, reply.json()["type"]) == (415, "unsupported-media-type")
    assert "application/json" in reply.json()["detail"]


def test_a_reply_that_nobody_can_give_is_refused_before_anything_is_done(
    board: TestClient,
) -> None:
    body = {"inputs": [[0] * 784]}
    reply = board.post("/infer", json=body, headers={"accept": "image/png"})
    assert (reply.status_code, reply.json()["type"]) == (406, "not-acceptable")
    assert board.get("/counters").json()["operations"]["inference"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        npy(np.zeros(3))[:-1],
        npy(np.zeros(3)) + b"x",
        npy(np.array([["a"]])),
        npy(np.zeros(2, np.complex128)),
        b"\x93NUMPY\x01\x00\x76\x00" + HUGE.ljust(118),
        b"\x93NUMPY\x01\x00\x76\x00" + b"__import__('os')".ljust(118),
        b"\x93NUMPY\x03\x00\xff\xff\xff\xff" + b"x" * 99,
        b"\x93NUMPY\x09\x00\x76\x00" + HUGE.ljust(118),
    ],
    ids=["empty", "magic", "short", "long", "text", "complex", "huge", "code", "header", "version"],
)
def test_an_npy_body_that_is_none_names_the_field(board: TestClient, body: bytes) -> None:
    reply = board.post("/infer", content=body, headers=NPY)
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid-input")
    assert reply.json()["field"] in ("body", "inputs")


def test_pickled_objects_are_never_loaded(board: TestClient) -> None:
    body = npy(np.array([{"a": 1}], dtype=object))
    reply = board.post("/infer", content=body, headers=NPY)
    assert (reply.status_code, reply.json()["detail"]) == (
        422,
        "body has type object, expected numbers",
    )


def test_an_npz_body_that_is_none_is_refused(board: TestClient) -> None:
    whole = npz(inputs=np.zeros((1, 784)))
    damaged = whole.replace(b"\x93NUMPY", b"\x93NUMPX")
    for body in (b"PK", whole[:-20], damaged, npz(outputs=np.zeros(3))):
        reply = board.post("/infer", content=body, headers=NPZ)
        assert reply.status_code == 422, body


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"\xff", b'{"inputs": NaN}', b'{"inputs": [[1e400]]}']
)
def test_json_that_is_none_is_refused(board: TestClient, body: bytes) -> None:
    reply = board.post("/infer", content=body, headers={"content-type": "application/json"})
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid-input")


def test_settings_that_are_no_json_are_refused(board: TestClient) -> None:
    for body in (b"{", b"\xff\xfe{}", b"[]"):
        reply = board.patch("/settings", content=body, headers={"content-type": "application/json"})
        assert (reply.status_code, reply.json()["type"]) == (422, "invalid-input"), body


def test_every_wrong_field_is_listed(board: TestClient) -> None:
    reply = board.patch("/settings", json={"th": "high", "bits": 3})
    assert [error["field"] for error in reply.json()["errors"]] == ["th", "bits"]


def test_commands_in_doubt_are_listed() -> None:
    error = OutcomeUnknown("the board restarted", [(7, "START SET")])
    problem = problem_of(error, "emu0")
    assert (problem.status, problem.type) == (502, "outcome-unknown")
    assert problem.commands == ["message 7: START SET"]


def test_a_lost_link_is_a_gateway_timeout() -> None:
    problem = problem_of(LinkLost("no answer in 3 s"), "emu0")
    assert (problem.status, problem.type, problem.board) == (504, "link-lost", "emu0")


def test_a_defect_of_the_server_tells_nothing_of_its_inside() -> None:
    problem = problem_of(KeyError("secret"))
    assert (problem.status, problem.type) == (500, "internal-error")
    assert "secret" not in problem.model_dump_json()


def problem_after(error: Exception, *, pulses: int = 0) -> dict[str, Any]:
    """The document for an error of a call that had given some pulses before."""
    work = Work()
    work.pulses, work._changed = pulses, pulses > 0
    with pytest.raises(type(error)), work:
        raise error
    return problem_of(error).model_dump(exclude_none=True)


MANY = [
    (BoardAway("nobody answers"), 503, 504),
    (SessionEnded("the board restarted"), 503, 504),
    (LinkLost("silence"), 504, 504),
    (OutcomeUnknown("silence", [(7, "START")]), 502, 502),
    (NotReady(Status.NOT_READY, "off"), 409, 409),
    (HardwareFault(Status.HARDWARE_FAULT, "latched"), 409, 409),
    (Aborted(Status.ABORTED, "stopped"), 409, 409),
    (JournalError("the disk is full; nothing was sent"), 500, 500),
    (NotFormed(1, 3, 4), 409, 409),
]


@pytest.mark.parametrize(("error", "at_first", "later"), MANY)
def test_what_was_done_before_an_error_is_told(error: Exception, at_first: int, later: int) -> None:
    told = problem_after(error, pulses=1234)
    assert told["status"] == later
    assert (told["done"], told["done_unit"], told["pulses"]) == (1234, "pulses", 1234)
    assert "1,234 pulses" in told["detail"]
    assert "nothing_done" not in told
    assert problem_after(error)["status"] == at_first


@pytest.mark.parametrize(("error", "at_first", "later"), MANY)
def test_only_a_call_that_did_nothing_says_so(error: Exception, at_first: int, later: int) -> None:
    escapes = (BoardAway, SessionEnded, JournalError, NotFormed)
    assert problem_after(error).get("nothing_done", False) == isinstance(error, escapes)
