"""JSON, archives and selections of strangers: what is refused, in which words, at which bound."""

import io
import json
import struct
import tracemalloc
import zipfile
from collections.abc import Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pytest
from fastapi.routing import APIRoute
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPY, NPZ, npy, npz

from starlab_api import routes
from starlab_api.bodies import archives
from starlab_api.bodies.archives import Room, read_npz
from starlab_api.bodies.arrays import array_of_lists
from starlab_api.bodies.json_bodies import SMALL_BYTES, JsonRoute, check_plain, parse
from starlab_api.bodies.replies import array_response
from starlab_api.bodies.selections import indices
from starlab_api.problems import ApiProblem, BodyTooLarge, InvalidInput
from starlab_contract import nearest
from starlab_host.safety import check_samples
from starlab_spec import LimitExceeded
from starlab_spec.errors import SpecError

JSON = {"content-type": "application/json"}
INPUTS = {"inputs": Room(784, of_samples="inputs"), "labels": Room(1, of_samples="inputs")}
SAMPLES = np.zeros((2, 784), np.uint8)


def nested(depth: int) -> Any:
    """So many objects within each other."""
    return {"a": nested(depth - 1)} if depth else 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "body is not JSON"),
        (b"\xff\xfe{}", "body is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "body is not UTF-8"),
        ('{"a": 1}'.encode("utf-16-le"), "body is not JSON"),
        ("\ufeff{}".encode(), "body is not JSON: Unexpected UTF-8 BOM"),
        (b'{"a": NaN}', "body is not JSON: it holds NaN"),
        (b'{"a": -Infinity}', "body is not JSON: it holds -Infinity"),
        (b'{"count": 1, "count": 1000}', "count is given twice"),
        (b'{"a": {"b": 1, "b": 1}}', "b is given twice"),
        (b"9" * 5000, "body is not JSON"),
        (b"[" * 60_000, "body is nested deeper"),
        (b'"",' * 70_000, "body holds 70000 lists, objects and strings, above the 65536 limit"),
    ],
)
def test_json_is_refused_that_may_be_read_in_two_ways(content: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse(content)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": ["\ud800"]}, r"a\.0 holds half of a character"),
        ({"a\udfff": 1}, "body holds half of a character"),
        ({"a": 1 << 64}, "a is a number beyond 64 bits"),
        ({"a": -(1 << 63) - 1}, "a is a number beyond 64 bits"),
        ({"a": {"b": 1e400}}, r"a\.b is a number beyond the range"),
        ({"a": [0] * 2_000}, "a holds more than 2000 values"),
        ({"a": [[0] * 1_200, [0] * 1_200]}, "holds more than 2000 values"),
        (nested(33), "is nested deeper than 32 levels"),
    ],
)
def test_parameters_are_bounded(value: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        check_plain(value)


def test_what_is_just_within_bounds_is_taken() -> None:
    check_plain({"a": [(1 << 64) - 1, -(1 << 63), 1.7e308, "é"], "b": nested(31)})
    check_plain({"a": [0] * 1_999})


def test_a_body_without_arrays_has_a_limit_of_its_own(board: TestClient) -> None:
    for size, status in ((SMALL_BYTES, 200), (SMALL_BYTES + 1, 413)):
        body = b'{"th": 3}'.ljust(size)
        assert board.patch("/settings", content=body, headers=JSON).status_code == status


def test_an_answer_lists_twenty_errors_and_says_how_many_there_are(board: TestClient) -> None:
    reply = board.patch("/settings", json={f"no{number}": 1 for number in range(25)})
    assert len(reply.json()["errors"]) == 20
    assert reply.json()["detail"].endswith("; and 5 more")


def test_no_more_names_are_looked_up_than_an_answer_lists(
    board: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[str] = []

    def noted(name: str, known: Iterable[str]) -> str:
        looked_up.append(name)
        return nearest(name, known)

    monkeypatch.setattr("starlab_contract.exact.nearest", noted)
    unknown = {f"n{number}": 1 for number in range(1900)}
    for method, path in (("PATCH", "/settings"), ("POST", "/snapshots"), ("POST", "/train-step")):
        looked_up.clear()
        reply = board.request(method, path, json=unknown)
        errors = reply.json()["errors"]
        assert (reply.status_code, len(errors)) == (422, 20)
        assert "unknown field; " in errors[19]["message"]
        assert len(looked_up) == 20


def test_an_answer_shows_a_long_value_in_short(board: TestClient) -> None:
    name = "x" * 5000
    for reply in (
        board.patch("/settings", json={name: 1}),
        board.patch("/settings", json={"scheme": name}),
        board.patch("/supplies", json={name: {"mv": 1}}),
        board.get("/arrays/1/conductance", params={"rows": name}),
        board.get(f"/registers/{name}"),
        board.get(f"/snapshots/{name}"),
        board.get("/counters", headers={"accept": name}),
        board.post("/infer", content=npz(**{name: np.zeros(1)}), headers=NPZ),
        board.post("/infer", content=b"", headers={"content-type": name}),
    ):
        assert reply.status_code < 500
        assert len(reply.content) < 4000


def test_a_long_query_is_refused(board: TestClient) -> None:
    for size, status in ((16 * 1024, 422), (16 * 1024 + 1, 422)):
        reply = board.get("/arrays/1/conductance?" + "rows=".ljust(size, "1"))
        assert reply.status_code == status
        assert (reply.json()["field"] == "query") == (size > 16 * 1024)


def test_numbers_of_an_array_are_finite() -> None:
    for text in (b"[[1, 1e400]]", b"[-1e400]"):
        with pytest.raises(InvalidInput, match="inputs holds a number beyond the range"):
            array_of_lists("inputs", parse(text))


# --- archives


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_names_are_checked_before_anything_is_unpacked() -> None:
    body = packed({"inputs.npy": b"no array at all", "other.npy": npy(np.zeros(3))})
    with pytest.raises(InvalidInput, match="other is no field of this call; known: inputs, labels"):
        read_npz(body, arrays=INPUTS, limit_bytes=10_000)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": np.zeros((2, 785))}, "inputs has shape .2, 785.: more than the 1568 numbers"),
        ({"inputs": np.zeros(785)}, "inputs has shape .785,.: more than the 784 numbers"),
        ({"inputs": SAMPLES, "labels": np.zeros(3)}, "labels has shape .3,.: more than the 2"),
        ({"inputs": SAMPLES, "hidden": np.zeros(9000)}, "hidden has .* bytes, above the 65536"),
        ({"inputs": SAMPLES, "labels": np.array(["a", "b"])}, "labels has type <U1"),
    ],
)
def test_an_array_is_refused_by_its_header(arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_npz(npz(**arrays), arrays=INPUTS, parameters=["hidden"], limit_bytes=10**6)


def test_a_large_file_may_be_packed_a_hundredfold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_FREE_BYTES", 10_000)
    body = packed({"inputs.npy": npy(np.zeros((100, 784), np.uint8))})
    with pytest.raises(BodyTooLarge):
        read_npz(body, arrays=INPUTS, limit_bytes=10**6)
    monkeypatch.setattr(archives, "_FREE_BYTES", 100_000)
    assert read_npz(body, arrays=INPUTS, limit_bytes=10**6)["inputs"].shape == (100, 784)


def test_only_what_numpy_packs_with_is_unpacked() -> None:
    body = packed({"inputs.npy": npy(SAMPLES)}, zipfile.ZIP_BZIP2)
    with pytest.raises(InvalidInput, match="another method than deflate"):
        read_npz(body, arrays=INPUTS, limit_bytes=10**6)


def test_a_damaged_member_is_refused() -> None:
    body = bytearray(npz(inputs=SAMPLES + 1))
    body[-400] ^= 1
    with pytest.raises(InvalidInput, match="Bad CRC-32"):
        read_npz(bytes(body), arrays=INPUTS, limit_bytes=10**6)


def test_a_member_is_what_its_header_and_the_archive_say() -> None:
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 784), }"
    for rows in (1, 3, 10**15):
        forged = b"\x93NUMPY\x01\x00\x76\x00" + (header % rows).ljust(118) + bytes(2 * 784)
        with pytest.raises(InvalidInput, match=r"inputs has 1568 bytes of data, but shape"):
            read_npz(packed({"inputs.npy": forged}), arrays=INPUTS, limit_bytes=10**6)


def test_a_member_that_ends_early_is_not_filled_up() -> None:
    whole, short = npy(SAMPLES), npy(SAMPLES)[:-100]
    body = packed({"inputs.npy": short})
    sizes = struct.pack("<L", len(short))
    forged = body.replace(sizes, struct.pack("<L", len(whole)))
    assert forged.count(struct.pack("<L", len(whole))) == 2
    with pytest.raises(InvalidInput, match=r"inputs has 1468 bytes of data instead of 1568"):
        read_npz(forged, arrays=INPUTS, limit_bytes=10**6)


def test_a_long_list_of_members_is_not_read() -> None:
    body = npz(inputs=SAMPLES)
    at = body.rindex(b"PK\5\6")
    forged = body[: at + 12] + struct.pack("<L", 65 * 1024) + body[at + 16 :]
    wide = body[:at] + b"PK\6\7" + bytes(16) + body[at:]
    for content in (forged, wide, b"", b"PK", body[:-3]):
        with pytest.raises(InvalidInput, match=r"is not an \.npz file: it"):
            read_npz(content, arrays=INPUTS, limit_bytes=10**6)


def test_a_parameter_is_given_once(board: TestClient) -> None:
    body = npz(inputs=SAMPLES, labels=np.zeros(2), th=3)
    reply = board.post("/train-step?th=4", content=body, headers=NPZ)
    assert (reply.status_code, reply.json()["field"]) == (422, "th")


def test_settings_beside_an_array_go_by_their_own_names(board: TestClient) -> None:
    for query in ("settings={}&th=3", "th=3&settings={}", "settings={}"):
        body = npz(inputs=SAMPLES, labels=np.zeros(2))
        reply = board.post(f"/train-step?{query}", content=body, headers=NPZ)
        assert (reply.status_code, reply.json()["field"]) == (422, "settings")


# --- selections


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ("0:3,12", [0, 1, 2, 12]),
        (" 97: , 0", [97, 98, 99, 0]),
        (":2", [0, 1]),
        ("0:100", list(range(100))),
        ([5, 3], [5, 3]),
    ],
)
def test_a_selection_keeps_its_order(selection: Any, found: list[int]) -> None:
    assert indices("rows", selection, 100) == found


@pytest.mark.parametrize(
    "selection", ["0:3,2", "4,4", "0:100,0:100", ",".join(["0:100"] * 400), [7, 8, 7], [1] * 9_000]
)
def test_what_is_selected_twice_is_refused_by_name(selection: Any) -> None:
    with pytest.raises(SpecError, match=r"rows selects \d+ twice"):
        indices("rows", selection, 100)


@pytest.mark.parametrize(
    "text",
    ["", "x", "1_0", "\u0663", "+1", "01", "0:05", "0x1", "1e1", "0:1:2", "9" * 400],
)
def test_what_is_no_selection_is_refused(text: str) -> None:
    with pytest.raises(ApiProblem, match="is no selection such as 0:10,12"):
        indices("rows", text, 100)


@pytest.mark.parametrize("selection", ["0:101", "100", "-1:5", "-1", "999999999:", [100], [-1]])
def test_a_selection_beyond_the_array_is_refused(selection: Any) -> None:
    with pytest.raises(LimitExceeded, match="rows"):
        indices("rows", selection, 100)


def test_every_call_refuses_a_repeated_index(board: TestClient) -> None:
    pulse = {"kind": "set", "columns": [0], "polarity": "+"}
    for reply in (
        board.get("/arrays/1/conductance?rows=0:784,3"),
        board.get("/arrays/2/conductance?columns=1,1"),
        board.post("/arrays/1/form", json={"rows": [3, 3]}),
        board.post("/arrays/1/form", json={"columns": "0:9,8"}),
        board.post("/arrays/1/pulse", json={**pulse, "rows": [3, 3]}),
        board.post("/arrays/1/pulse", json={**pulse, "rows": "3,3"}),
    ):
        assert reply.status_code == 422
        assert "twice" in reply.json()["detail"]
    assert board.get("/counters").json()["pulses"]["array1"] == {"set": 0, "reset": 0, "form": 0}


# --- out and in between


def test_large_answers_are_made_in_pieces_of_the_same_json() -> None:
    outputs = np.arange(1_000_000).reshape(100_000, 10)
    cube = np.linspace(0, 20, 300_000, dtype=np.float32).reshape(3, 1000, 100)
    values = {"outputs": outputs, "labels": outputs[:, 0] % 10, "cube": cube, "cells": 3}
    found = json.loads(bytes(array_response("application/json", values, main="outputs").body))
    np.testing.assert_array_equal(found["outputs"], outputs)
    np.testing.assert_array_equal(found["labels"], values["labels"])
    np.testing.assert_allclose(found["cube"], cube, atol=1e-6)
    assert found["cells"] == 3


def test_wrong_values_of_a_large_array_are_not_listed() -> None:
    inputs = np.full((20_000, 784), 2, np.int8)
    tracemalloc.start()
    try:
        with pytest.raises(SpecError, match=r"holds 2 at \[0, 0\]"):
            check_samples(inputs)
        assert tracemalloc.get_traced_memory()[1] < 4 * inputs.nbytes
    finally:
        tracemalloc.stop()


def test_a_wrong_value_is_placed(board: TestClient) -> None:
    inputs = np.zeros((3, 784))
    inputs[2, 5] = 0.5
    reply = board.post("/infer", content=npy(inputs), headers=NPY)
    assert reply.json()["detail"] == "inputs holds 0.5 at [2, 5], expected only 0 and 1"


@pytest.mark.parametrize("text", ["0:0", "5:1", "783:0"])
def test_a_range_that_holds_nothing_is_told_as_that(text: str) -> None:
    with pytest.raises(SpecError, match="rows selects nothing"):
        indices("rows", text, 784)


def test_no_body_is_read_by_anybody_who_is_less_strict() -> None:
    modules = [
        import_module(f"{routes.__name__}.{one.name}") for one in iter_modules(routes.__path__)
    ]
    all_routes = [one for module in modules for one in module.router.routes]
    reading = [one for one in all_routes if isinstance(one, APIRoute) and one.body_field]
    assert len(reading) > 8
    assert all(isinstance(one, JsonRoute) for one in reading)
