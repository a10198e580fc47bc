"""Making a chip ready and teaching it by the working point."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.clients.conftest import NPY, NPZ, FakeServer, npy_bytes, npz_bytes

from starlab import Client, Conflict, learn, prepare
from starlab.learning import is_untaught
from starlab.working_point import MNIST_FROM_SCRATCH

FORMED = {"formed": 10, "newly_formed": 10, "failed": 0, "pulses": 10}
PROGRAMMED = {"cells": 9, "in_tolerance": 9, "pulses": 9, "rms_error_uS": 0, "rounds": 1}


def paths(server: FakeServer) -> list[str]:
    return [request.url.path.removeprefix("/api/v1/boards/emu0/") for request in server.requests]


def test_the_working_point_lowers_the_rails_and_raises_the_threshold() -> None:
    first, last = MNIST_FROM_SCRATCH.stage(0), MNIST_FROM_SCRATCH.stage(1)
    # 4 and 13 codes of 605 mV * 10,000 / (255 * 1200) each
    assert first.supplies_mv == pytest.approx({"VBLset": 2129.92, "VSLreset": 1520.92}, abs=0.01)
    assert last.supplies_mv == pytest.approx({"VBLset": 1951.98, "VSLreset": 1342.98}, abs=0.01)
    assert (first.settings["th"], last.settings["th"]) == (180, 270)


def test_learning_follows_the_working_point_between_batches(
    client: Client, server: FakeServer, make_bits: Callable[[int], Any]
) -> None:
    for _ in range(20):
        server.will_answer_json({})
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((2, 10), np.int32),
                correct=np.zeros(2, np.bool_),
                pulses=np.zeros((2, 2), np.uint32),
            ),
            NPZ,
        )
    for _ in learn(client.board("emu0"), make_bits(8), np.zeros(8), batch=2, c1=0.5):
        pass
    assert paths(server) == ["supplies", "train-step"] * 4
    rails = [json.loads(request.content)["VBLset"]["mv"] for request in server.requests[::2]]
    assert rails == sorted(rails, reverse=True)
    assert [request.url.params["th"] for request in server.requests[1::2]] == [
        "180",
        "202",
        "225",
        "248",
    ]
    assert {request.url.params["c1"] for request in server.requests[1::2]} == {"0.5"}


@pytest.mark.parametrize("newly_formed", [10, 3])
def test_preparing_wipes_array_1_unless_it_is_fresh_from_forming(
    client: Client, server: FakeServer, newly_formed: int
) -> None:
    is_fresh = newly_formed == 10
    server.will_answer_json({})
    server.will_answer_json({**FORMED, "newly_formed": newly_formed})
    server.will_answer_json(FORMED)
    for _ in range(1 if is_fresh else 2):
        server.will_answer_json({**PROGRAMMED, "failed": []})
    server.will_refuse(409, type="not-ready", detail="enough seen")
    stages: list[str] = []
    with pytest.raises(Conflict, match="enough seen"):
        prepare(client.board("emu0"), rng=np.random.default_rng(1), on_stage=stages.append)
    wiping = [] if is_fresh else ["arrays/1/program"]
    expected = ["supplies", "arrays/1/form", "arrays/2/form", *wiping, "arrays/2/program"]
    assert paths(server) == [*expected, "settings"]
    assert ("wiping array 1" in stages) is not is_fresh


def test_trimming_sets_calibrated_supplies_anew_and_balances_once_cells_are_formed(
    client: Client, server: FakeServer
) -> None:
    supply = {"index": 0, "code": 80, "settled": True, "fault": False}
    volts = {"unit": "mV", "measured_mv": 2200, "low_mv": 627, "high_mv": 2600}
    supplies = {
        "VBLset": {**supply, **volts, "requested_mv": 2209},
        "VWLset": {**supply, **volts, "requested_mv": None},
        "EXT_DL": {**supply, **volts, "requested_mv": 627},
    }
    calibration = {"serial": "EMU-1", "made_at": "2026-01-01T00:00:00Z", "in_use": True}
    voltages = {"plus_mv": 227, "minus_mv": 227, "mismatch_mv": 0}
    server.will_answer_json({**calibration, "readings": 32, "channels": {}})
    server.will_answer_json(supplies)
    server.will_answer_json(supplies)
    server.will_answer_json({})
    server.will_answer_json(FORMED)
    server.will_answer_json(FORMED)
    server.will_answer_json({"before": voltages, "after": voltages, "codes": {"VBL27": 108}})
    server.will_refuse(409, type="not-ready", detail="enough seen")
    with pytest.raises(Conflict, match="enough seen"):
        prepare(client.board("emu0"), rng=np.random.default_rng(1), trim=True)
    start = ["calibration", "supplies", "supplies", "supplies"]
    forming = ["arrays/1/form", "arrays/2/form", "supplies/balance", "arrays/2/program"]
    assert paths(server) == start + forming
    assert json.loads(server.requests[2].content) == {"VBLset": {"mv": 2209}}


def test_a_formed_chip_with_like_cells_is_untaught(client: Client, server: FakeServer) -> None:
    rng = np.random.default_rng(1)
    for middle_uS, spread_uS in ((11, 0.5), (11, 4), (0.05, 0.02)):
        cells = rng.normal(middle_uS, spread_uS, (2, 100, 10))
        server.will_answer(npy_bytes(cells.astype(np.float32)), NPY)
    board = client.board("emu0")
    assert [is_untaught(board) for _ in range(3)] == [True, False, False]
