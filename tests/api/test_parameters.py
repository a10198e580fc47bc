"""What no route knows: parameters with a typo, given twice, or no numbers; unasked bodies."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPY, NPZ, npy, npz

from starlab_api import ServerSettings, create_app
from starlab_contract import TEXT, EmulatorCommands, PulseParameters, nearest

APP = create_app(ServerSettings(boards=("udp://127.0.0.1:9",), connect_timeout_s=0.1))
VALUES = {"board_id": "board0", "array": "1", "address": "0x104", "sid": "x"}
OPERATIONS = [
    (method, path, operation)
    for path, operations in APP.openapi()["paths"].items()
    for method, operation in operations.items()
]
NO_INTEGERS = [
    "1_0",
    " 5",
    "5 ",
    "1e3",
    "1.0",
    "true",
    "\u0661",
    "0x5",
    "+5",
    "05",
    "",
    "5\n",
    "--5",
]


@pytest.fixture(scope="module")
def away() -> Iterator[TestClient]:
    """A server of a board that is away: a call that gets through is answered 503."""
    with TestClient(APP) as client:
        yield client


def query_names(operation: dict[str, Any]) -> dict[str, Any]:
    parameters = operation.get("parameters", [])
    return {one["name"]: one["schema"] for one in parameters if one["in"] == "query"}


def refusal(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json().get("field")


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_no_route_takes_a_parameter_that_it_does_not_know(
    away: TestClient, method: str, path: str, operation: dict[str, Any]
) -> None:
    url = re.sub(r"{(\w+)}", lambda found: VALUES[found[1]], path)
    for unknown in ("xyzzy", "board_id", ""):
        reply = away.request(method, url, params={unknown: "1"})
        assert refusal(reply) == (422, unknown)
    for name, schema in query_names(operation).items():
        reply = away.request(method, f"{url}?{name}s=1")
        assert refusal(reply) == (422, f"{name}s")
        assert f"did you mean {name}?" in reply.json()["detail"]
        if not any(kind.get("type") == "array" for kind in schema.get("anyOf", [schema])):
            reply = away.request(method, f"{url}?{name}=1&{name}=1")
            assert refusal(reply) == (422, name)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_a_call_without_a_body_takes_none(
    away: TestClient, method: str, path: str, operation: dict[str, Any]
) -> None:
    if "requestBody" in operation:
        return
    url = re.sub(r"{(\w+)}", lambda found: VALUES[found[1]], path)
    chunks = {"content": iter([b"{}"]), "headers": {"content-type": "application/json"}}
    unannounced = away.request(method, url, **chunks)  # type: ignore[arg-type]
    reply = away.request(method, url, json={"entry": 2})
    assert unannounced.json()["type"] == reply.json()["type"]
    if (method, path.rpartition("/")[2]) == ("post", "emergency-stop"):
        assert reply.json()["type"] == "stop-unconfirmed"  # whatever else it says, it is a stop
    else:
        assert refusal(reply) == (422, "body")


@pytest.mark.parametrize("text", NO_INTEGERS)
@pytest.mark.parametrize(
    ("method", "where"), [("GET", "journal?newest"), ("DELETE", "in-doubt?entry")]
)
def test_what_is_no_integer_in_a_query(
    away: TestClient, method: str, where: str, text: str
) -> None:
    path, _, name = where.partition("?")
    reply = away.request(method, f"/api/v1/boards/board0/{path}", params={name: text})
    assert refusal(reply) == (422, name)
    assert "should be an integer" in reply.json()["detail"]


@pytest.mark.parametrize("text", NO_INTEGERS)
def test_what_is_no_integer_beside_an_array(board: TestClient, text: str) -> None:
    mask = npy([[[True] * 10] * 100] * 2)
    for name in ("count", "width_ns"):
        query = {"kind": "set", name: text}
        reply = board.post("/arrays/2/pulse", content=mask, headers=NPY, params=query)
        assert refusal(reply) == (422, name)
    body = npz(inputs=[[0] * 784], labels=[1])
    for name in ("layers", "th", "adc_bits_1"):
        reply = board.post("/train-step", content=body, headers=NPZ, params={name: text})
        assert reply.status_code == 422
    assert board.get("/counters").json()["operations"]["training"] == 0


@pytest.mark.parametrize("text", ["9" * 400, "-" + "9" * 5000, str(1 << 64), str(-(1 << 63) - 1)])
def test_integers_of_a_query_string_have_64_bits(board: TestClient, text: str) -> None:
    body = npz(inputs=[[0] * 784], labels=[1])
    for name in ("th", "layers", "adc_bits_1", "target_on", "update_pulses_2"):
        reply = board.post("/train-step", content=body, headers=NPZ, params={name: text})
        assert refusal(reply) == (422, name)
        assert reply.json()["detail"] == f"{name} is a number beyond 64 bits"
    for text, limit in ((str((1 << 64) - 1), 131071.0), (str(-(1 << 63)), 0.0)):
        reply = board.post("/train-step", content=body, headers=NPZ, params={"th": text})
        assert (reply.json()["type"], reply.json()["limit"]) == ("limit-exceeded", limit)


@pytest.mark.parametrize("address", ["1_04", "0x1_04", "\u0661", " 256", "0b100", "0o400", "256 "])
def test_what_is_no_address_of_a_register(away: TestClient, address: str) -> None:
    reply = away.get(f"/api/v1/boards/board0/registers/{address}")
    assert (reply.status_code, reply.json()["value"]) == (404, address)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"count": True}, "count"),
        ({"count": "1"}, "count"),
        ({"count": "1_0"}, "count"),
        ({"count": 1.5}, "count"),
        ({"width_ns": False}, "width_ns"),
        ({"rows": [True]}, "rows.list.0"),
        ({"rows": ["1"]}, "rows.list.0"),
        ({"cuont": 5}, "cuont"),
    ],
)
def test_what_is_no_integer_in_json(board: TestClient, body: dict[str, Any], field: str) -> None:
    pulses = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}
    reply = board.post("/arrays/1/pulse", json={**pulses, **body})
    assert refusal(reply) == (422, field)
    assert board.get("/counters").json()["pulses"]["array1"]["set"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/settings", {"th": "3"}, "th"),
        ("PATCH", "/settings", {"th": True}, "th"),
        ("PATCH", "/settings", {"c1": "0.1"}, "c1"),
        ("PATCH", "/supplies", {"VBLset": {"mv": "2209"}}, "VBLset.mv"),
        ("PATCH", "/supplies", {"VBLset": {"mv": True}}, "VBLset.mv"),
        ("PUT", "/registers/0x104", {"value": "1"}, "value"),
        ("PUT", "/registers/0x104", {"value": True}, "value"),
        ("POST", "/emulator", {"seed": "3"}, "seed"),
        ("POST", "/emulator", {"restart": 1}, "restart"),
        ("POST", "/emulator", {"virgin": "true"}, "virgin"),
        ("POST", "/train-step", {"layers": [True, 2]}, "layers.0"),
        ("POST", "/train-step", {"layers": ["1"]}, "layers.0"),
        ("POST", "/train-step", {"settings": {"th": "3"}}, "settings.th"),
        ("POST", "/arrays/1/level", {"readings": "64"}, "readings"),
    ],
)
def test_numbers_and_truth_values_of_every_body_are_exact(
    board: TestClient, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    reply = board.request(method, path, json=body)
    assert refusal(reply) == (422, field)


def test_a_whole_number_may_be_written_with_a_point(board: TestClient) -> None:
    assert board.patch("/settings", json={"th": 5.0}).json()["th"] == 5


def test_a_typo_within_a_body_is_told_where_it_is(board: TestClient) -> None:
    reply = board.patch("/settings", json={"Th": 5, "th": "x"})
    errors = {error["field"]: error["message"] for error in reply.json()["errors"]}
    assert errors["Th"] == "unknown field; did you mean th?"
    assert errors["th"] == "input should be an integer"
    reply = board.post("/emulator", json={"faults": {"network": {"dleay_s": 1}}})
    errors = {error["field"]: error["message"] for error in reply.json()["errors"]}
    assert errors["faults.EmulatorFaults.network.dleay_s"] == "unknown field; did you mean delay_s?"


def test_a_limit_is_told_beside_a_typo() -> None:
    with pytest.raises(ValidationError) as caught:
        PulseParameters.model_validate({"kind": "set", "count": 0, "x": 1})
    first = caught.value.errors()[0]
    assert (first["type"], first["ctx"]) == ("greater_than_equal", {"ge": 1})


def test_text_is_a_number_only_where_all_is_text() -> None:
    asked = {"kind": "set", "count": "12", "rows": ["3", "4"]}
    found = PulseParameters.model_validate(asked, context=TEXT)
    assert (found.count, found.rows) == (12, [3, 4])
    with pytest.raises(ValidationError):
        PulseParameters.model_validate(asked)
    for yes in ("yes", "on", "True", "t", ""):
        with pytest.raises(ValidationError):
            EmulatorCommands.model_validate({"restart": yes}, context=TEXT)
    assert EmulatorCommands.model_validate({"advance_s": "1e-3"}, context=TEXT).advance_s == 1e-3
    for text in ("1_0.5", " 1", "0x1p3", "inf", "nan", ".5", "5."):
        with pytest.raises(ValidationError):
            EmulatorCommands.model_validate({"advance_s": text}, context=TEXT)


def test_the_nearest_name_is_one_that_is_known() -> None:
    assert nearest("entries", ["entry", "newest"]) == "did you mean entry?"
    assert nearest("TH1_us", ["th", "th1_uS"]) == "did you mean th1_uS?"
    assert nearest("xyz", ["a", "b"]) == "known: a, b"
    assert nearest("xyz", []) == "it takes none"
    many = nearest("th", [f"name_{number}" for number in range(9)])
    assert many.startswith("the nearest are name_")
    assert many.count("name_") == 3


def test_the_first_call_waits_for_no_description_to_be_made() -> None:
    app = create_app(ServerSettings(boards=("udp://127.0.0.1:9",), connect_timeout_s=0.1))
    with TestClient(app):
        assert app.openapi_schema is not None
