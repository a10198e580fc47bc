"""Warnings travel with every kind of reply; what was asked is done all the same."""

import json

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPY, NPZ, WANT_NPY, WANT_NPZ, npy, npz

SAMPLES = (np.random.default_rng(4).random((3, 784)) < 0.15).astype(np.uint8)
ONE_HOT = np.eye(10, dtype=int)[[3, 1, 4]]
HEADER = "x-starlab-warnings"


@pytest.mark.parametrize("accept", [{}, WANT_NPY, WANT_NPZ])
def test_one_hot_labels_as_targets_are_doubted(board: TestClient, accept: dict[str, str]) -> None:
    body = npz(inputs=SAMPLES, targets=ONE_HOT)
    reply = board.post("/train-step", content=body, headers={**NPZ, **accept})
    (warning,) = json.loads(reply.headers[HEADER])
    assert "one-hot labels" in warning
    assert accept or reply.json()["warnings"] == [warning]
    assert board.get("/counters").json()["operations"]["training"] == 3


def test_what_is_not_doubted_says_nothing(board: TestClient) -> None:
    for path, body in (
        ("/train-step", {"inputs": SAMPLES.tolist(), "labels": [3, 1, 4]}),
        ("/infer", {"inputs": SAMPLES.tolist()}),
        ("/arrays/1/vmm", {"inputs": SAMPLES.tolist()}),
        ("/arrays/2/vmm", {"inputs": [[1] * 100]}),
        ("/arrays/2/program", {"weights": [[0] * 10] * 100, "max_pulses": 1}),
    ):
        reply = board.post(path, json=body)
        assert reply.status_code == 200
        assert HEADER not in reply.headers
        assert "warnings" not in reply.json()


@pytest.mark.parametrize("path", ["/infer", "/arrays/1/vmm"])
def test_bits_taken_for_packed_bytes_are_doubted(board: TestClient, path: str) -> None:
    reply = board.post(path, content=npy(SAMPLES[:, :98]), headers={**NPY, **WANT_NPY})
    assert "packed bytes" in json.loads(reply.headers[HEADER])[0]


def test_a_program_that_writes_nothing_is_doubted(board: TestClient) -> None:
    body = {"weights": [[0.1, *[0] * 9]] * 100, "scale_uS": 1e-6, "method": "open-loop"}
    reply = board.post("/arrays/2/program", json={**body, "max_pulses": 1}).json()
    assert "is scale_uS right?" in reply["warnings"][0]


def test_settings_are_doubted_alone_and_with_a_lesson(board: TestClient) -> None:
    reply = board.patch("/settings", json={"target_on": 1})
    assert json.loads(reply.headers[HEADER])[0].startswith("target_on: targets are output codes")
    assert HEADER not in board.patch("/settings", json={"th": 3}).headers
    lesson = {"inputs": SAMPLES.tolist(), "labels": [3, 1, 4], "settings": {"target_off": 5}}
    warnings = board.post("/train-step", json=lesson).json()["warnings"]
    assert warnings[0].startswith("target_on: 1 is not above target_off, 5")
