"""A call that changes several things, and is refused, has changed nothing."""

from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPZ, npz

SAMPLES = np.ones((2, 784), np.uint8)
LESSON = {"inputs": SAMPLES.tolist(), "labels": [1, 2]}
CHANGE = {"th": 5, "c1": 0.5, "scheme": "non-cyclic"}
ROWS = {"kind": "set", "rows": [1], "columns": [1], "polarity": "+"}
FRESH = {"seed": 3, "virgin": False}

REFUSED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PATCH", "/settings", {**CHANGE, "th1_uS": -1}),
    ("PATCH", "/settings", {**CHANGE, "set_width_1_ns": 75}),
    ("PATCH", "/settings", {**CHANGE, "update_pulses_2": 16}),
    ("PATCH", "/settings", {**CHANGE, "thh": 3}),
    ("PATCH", "/supplies", {"VBLset": {"mv": 2100}, "VSLreset": {"mv": 9999}}),
    ("PATCH", "/supplies", {"VBLset": {"mv": 2100}, "Iref_integ": {"mv": 10}}),
    ("PATCH", "/supplies", {"VBLset": {"mv": 2100}, "nothing": {"mv": 10}}),
    ("POST", "/train-step", {**LESSON, "settings": CHANGE, "labels": [1, 10]}),
    ("POST", "/train-step", {**LESSON, "settings": CHANGE, "labels": [1]}),
    ("POST", "/train-step", {**LESSON, "settings": CHANGE, "inputs": [[2] * 784] * 2}),
    ("POST", "/train-step", {**LESSON, "settings": {**CHANGE, "adc_bits_1": 9}}),
    ("POST", "/train-step", {**LESSON, "settings": CHANGE, "layers": [3]}),
    ("POST", "/arrays/1/pulse", {**ROWS, "width_ns": 150, "count": 10_001}),
    ("POST", "/arrays/1/pulse", {**ROWS, "width_ns": 12_800}),
    ("POST", "/arrays/1/pulse", {**ROWS, "width_ns": 150, "rows": [784]}),
    ("POST", "/arrays/2/program", {"weights": [[0] * 10] * 100, "tolerance_uS": 99}),
    ("POST", "/arrays/2/program", {"weights": [[0] * 10] * 100, "max_pulses": 10_001}),
    ("POST", "/arrays/2/program", {"weights": [[9] * 10] * 100, "scale_uS": 9}),
    ("POST", "/arrays/1/form", {"rows": [1], "columns": [100]}),
    ("POST", "/emulator", {**FRESH, "device_model": "none such"}),
    ("POST", "/emulator", {**FRESH, "effects": {"none such": True}}),
    ("POST", "/emulator", {**FRESH, "faults": ["none such"]}),
    ("POST", "/emulator", {"faults": {"latches": ["over_current"], "network": {"loss": 2}}}),
    ("POST", "/emulator", {"advance_s": -1, "restart": True}),
    ("POST", "/calibration", {"points": 3, "readings": 1001}),
)


def state(board: TestClient) -> dict[str, Any]:
    """All that such a call could have changed."""
    told = board.get("").json()
    return {
        "settings": board.get("/settings").json(),
        "requested": {
            name: one.get("requested_mv", one.get("requested_ua"))
            for name, one in board.get("/supplies").json().items()
        },
        "codes": [one["code"] for one in board.get("/supplies").json().values()],
        "pulses": board.get("/counters").json()["pulses"],
        "training": board.get("/counters").json()["operations"]["training"],
        "time": board.get("/counters").json()["emulated_time_s"],
        "board": [told[name] for name in ("state", "faults", "boot_id", "serial", "effects")],
    }


@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_a_refused_call_has_changed_nothing(
    board: TestClient, method: str, path: str, body: dict[str, Any]
) -> None:
    before = state(board)
    reply = board.request(method, path, json=body)
    assert reply.status_code == 422, reply.text
    assert state(board) == before


def test_a_lesson_of_arrays_has_changed_nothing_either(board: TestClient) -> None:
    before = state(board)
    for query, labels in (("th=5&c1=0.5", [1, 10]), ("th=5&c1=2", [1, 2]), ("th=5&x=1", [1, 2])):
        body = npz(inputs=SAMPLES, labels=np.array(labels))
        assert board.post(f"/train-step?{query}", content=body, headers=NPZ).status_code == 422
    assert state(board) == before


def test_a_virgin_chip_keeps_its_settings(virgin_board: TestClient) -> None:
    before = state(virgin_board)
    reply = virgin_board.post("/train-step", json={**LESSON, "settings": CHANGE})
    assert (reply.status_code, reply.json()["type"]) == (409, "not-formed")
    assert state(virgin_board) == before


def test_a_stopped_board_keeps_its_settings(board: TestClient) -> None:
    board.post("/train-step", json=LESSON).raise_for_status()
    before = board.get("/settings").json()
    board.post("/emergency-stop").raise_for_status()
    reply = board.post("/train-step", json={**LESSON, "settings": CHANGE})
    assert (reply.status_code, reply.json()["type"]) == (409, "fault-latched")
    assert board.get("/settings").json() == before
    board.delete("/emergency-stop").raise_for_status()
    assert board.get("/settings").json() == before


def test_a_restore_that_asks_too_much_changes_nothing(board: TestClient) -> None:
    taken = board.post("/snapshots", json={"kind": "read"}).json()["id"]
    board.patch("/settings", json=CHANGE).raise_for_status()
    before = state(board)
    for body in ({"tolerance_uS": 1e6}, {"tolerance_uS": 0.01}, {"max_pulses": 10_001}):
        assert board.post(f"/snapshots/{taken}/restore", json=body).status_code == 422
    assert state(board) == before
