"""A board that speaks only the authors' protocol, behind the REST API."""

from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.system.board_process import BoardProcess

from starlab_api import ServerSettings, create_app


@pytest.fixture(scope="module")
def process() -> Iterator[BoardProcess]:
    with BoardProcess("--seed", "1", "--authors-tcp", "127.0.0.1:0") as running:
        yield running


@pytest.fixture(scope="module")
def board(process: BoardProcess) -> Iterator[TestClient]:
    settings = ServerSettings(boards=(process.announced["links"][1],))
    base = "http://testserver/api/v1/boards/board0"
    with TestClient(create_app(settings), base_url=base) as client:
        yield client


def images(count: int) -> list[list[int]]:
    pixels = np.random.default_rng(1).random((count, 784)) < 0.2
    found: list[list[int]] = pixels.astype(int).tolist()
    return found


def test_a_board_tells_what_it_can_do(board: TestClient) -> None:
    board.get("/settings").raise_for_status()
    told = board.get("").json()
    assert (told["id"], told["state"], told["emulated"]) == ("board0", "idle", False)
    capabilities = told["capabilities"]
    assert capabilities["thresholds"] is capabilities["exactly_once"] is False
    assert set(capabilities.values()) == {False}
    assert told["geometry"] == {"array1": [784, 100], "array2": [100, 10]}


def test_inference_and_learning_work(board: TestClient) -> None:
    labels = [1, 2, 3]
    inferred = board.post("/infer", json={"inputs": images(3)}).json()
    learned = board.post("/train-step", json={"inputs": images(3), "labels": labels}).json()
    assert learned["outputs"][0] == inferred["outputs"][0]
    assert board.get("/counters").json()["operations"]["training"] == 3


def test_conductances_are_read_and_written(board: TestClient) -> None:
    target = np.random.default_rng(2).uniform(3, 19, (2, 100, 10))
    body = {"conductance_uS": target.tolist(), "tolerance_uS": 1.0}
    assert board.post("/arrays/2/program", json=body).json()["in_tolerance"] == 2000
    read = board.get("/arrays/2/conductance?rows=3,4").json()["conductance_uS"]
    assert np.abs(np.array(read) - target[:, 3:5]).max() < 1.2


@pytest.mark.parametrize(
    ("path", "body", "why"),
    [
        ("/arrays/1/vmm", {"inputs": images(1)}, "does not give the hidden pulse counts"),
        ("/arrays/2/vmm", {"inputs": [[0] * 100]}, "array 2 alone"),
        ("/emulator", {"advance_s": 1}, "nothing in the authors' protocol tells"),
    ],
)
def test_what_it_cannot_do_is_refused_with_the_reason(
    board: TestClient, path: str, body: dict[str, object], why: str
) -> None:
    reply = board.post(path, json=body)
    assert (reply.json()["type"], 400 <= reply.status_code < 500) == ("unsupported", True)
    assert why in reply.json()["detail"]


def test_thresholds_cannot_be_changed(board: TestClient) -> None:
    reply = board.patch("/settings", json={"th": 7, "adc_bits_1": 3})
    assert "the thresholds are fixed in hardware" in reply.json()["detail"]
    assert board.get("/settings").json()["adc_bits_1"] == 8
    assert board.patch("/settings", json={"adc_bits_1": 3}).json()["adc_bits_1"] == 3


def test_an_emergency_stop_holds_until_it_is_cleared(board: TestClient) -> None:
    assert board.post("/emergency-stop").json()["faults"] == ["emergency_stop"]
    assert board.get("").json()["state"] == "fault"
    refused = board.post("/train-step", json={"inputs": images(1), "labels": [1]})
    assert refused.json()["type"] == "fault-latched"
    assert board.delete("/emergency-stop").json() == {"faults": []}
    board.post("/infer", json={"inputs": images(1)}).raise_for_status()
