"""Supplies that are not ideal, by the API: settling, calibration, balance, a current limit."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator

from starlab_api import ServerSettings, create_app
from starlab_api.settings import EmulatorSettings
from starlab_host import EntryState, Journal
from starlab_spec.supplies import SUPPLIES

GENERATORS = {
    "channel_errors": {"gain": 0.015},
    "channel_noise": True,
    "settling": {"time_s": 0.02},
    "load_regulation": True,
    "current_limit": True,
}


def settings_of(data: Path | None, effects: object = GENERATORS) -> ServerSettings:
    said = effects if isinstance(effects, str) else json.dumps(effects)
    return ServerSettings(emulator=EmulatorSettings(seed=5, effects=said), data=data)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def board(data: Path) -> Iterator[TestClient]:
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings_of(data)), base_url=base) as client:
        yield client


def worst_error_mv(board: TestClient, wanted: dict[str, float]) -> float:
    """Of some voltages that are set, by what the board measures."""
    body = {name: {"mv": mv} for name, mv in wanted.items()}
    told: dict[str, Any] = board.patch("/supplies", json=body).raise_for_status().json()
    assert all(told[name]["settled"] for name in wanted)
    return max(abs(float(told[name]["measured_mv"]) - mv) for name, mv in wanted.items())


WANTED = {c.name: (c.low + c.high) / 2 for c in SUPPLIES if c.unit == "mV"}


def test_a_calibration_is_made_kept_used_and_forgotten(board: TestClient, data: Path) -> None:
    reply = board.get("/calibration")
    assert (reply.status_code, reply.json()["type"]) == (404, "not-found")
    assert board.delete("/calibration").status_code == 404
    before = worst_error_mv(board, WANTED)
    assert before > 20

    codes = {name: s["code"] for name, s in board.get("/supplies").json().items()}
    made = board.post("/calibration").raise_for_status().json()
    assert made["in_use"]
    assert list(made["channels"]) == [c.name for c in SUPPLIES]
    assert made["channels"]["VBLset"]["offset_sigma_mv"] < 2
    assert {name: s["code"] for name, s in board.get("/supplies").json().items()} == codes
    assert board.get("/calibration").json() == made
    # half a code of 19.8 mV, and the noise of one measurement
    assert worst_error_mv(board, WANTED) < 13
    (path,) = (data / "calibrations").iterdir()
    assert json.loads(path.read_text())["serial"] == made["serial"]

    removed = board.delete("/calibration").raise_for_status().json()
    assert (removed["made_at"], removed["in_use"]) == (made["made_at"], False)
    assert worst_error_mv(board, WANTED) == pytest.approx(before, abs=4)
    assert not path.exists()


def test_a_calibration_is_used_again_by_the_next_server(board: TestClient, data: Path) -> None:
    made = board.post("/calibration", json={"points": 3, "readings": 4}).json()
    base = "http://testserver/api/v1/boards/emu0"
    folder = data / "next"
    (folder / "calibrations").mkdir(parents=True)
    (kept,) = (data / "calibrations").iterdir()
    (folder / "calibrations" / kept.name).write_bytes(kept.read_bytes())
    with TestClient(create_app(settings_of(folder)), base_url=base) as again:
        assert again.get("/calibration").json() == made
        assert worst_error_mv(again, WANTED) < 13
    with TestClient(create_app(settings_of(folder, "none")), base_url=base) as other:
        assert not other.get("/calibration").json()["in_use"]
        assert worst_error_mv(other, WANTED) < 10


def test_a_real_value_beyond_the_safe_operating_area_is_refused(board: TestClient) -> None:
    board.post("/calibration").raise_for_status()
    before = board.get("/supplies").json()["VBLset"]["code"]
    reply = board.patch("/supplies", json={"VBLset": {"mv": 2700}})
    assert (reply.status_code, reply.json()["channel"]) == (422, "VBLset")
    assert board.get("/supplies").json()["VBLset"]["code"] == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/calibration", {"points": 2}),
        ("/calibration", {"readings": 1001}),
        ("/supplies/balance", {"readings": 0}),
        ("/supplies/balance", {"colour": 1}),
    ],
)
def test_a_body_out_of_bounds_is_refused(
    board: TestClient, path: str, body: dict[str, object]
) -> None:
    reply = board.post(path, json=body)
    assert (reply.status_code, reply.json()["field"]) == (422, next(iter(body)))


def test_rails_are_balanced(board: TestClient) -> None:
    voltages = {"VBL27": {"mv": 2860}, "VBL23": {"mv": 2308}, "V25": {"mv": 2565}}
    board.patch("/supplies", json=voltages).raise_for_status()
    done = board.post("/supplies/balance").raise_for_status().json()
    assert done["before"]["mismatch_mv"] > 60
    assert abs(done["after"]["mismatch_mv"]) < 15
    told = board.get("/supplies").json()
    assert {name: told[name]["code"] for name in ("VBL27", "VBL23")} == done["codes"]


def test_a_tripped_current_limit_is_a_latched_fault(board: TestClient) -> None:
    effects = {**GENERATORS, "current_limit": {"limit_ma": 1}}
    board.post("/emulator", json={"effects": effects}).raise_for_status()
    pulse = {"kind": "set", "rows": [3], "columns": "0:100", "polarity": "+"}
    reply = board.post("/arrays/1/pulse", json=pulse)
    assert (reply.status_code, reply.json()["type"]) == (409, "fault-latched")
    assert "VBLset current 1." in reply.json()["detail"]
    told = board.get("/supplies").json()
    assert [name for name, supply in told.items() if supply["fault"]] == ["VBLset"]
    assert board.get("").json()["faults"] == ["over_current"]
    board.delete("/emergency-stop").raise_for_status()
    pulse["columns"] = "0:10"
    assert board.post("/arrays/1/pulse", json=pulse).json() == {"pulses": 10}
    board.post("/emulator", json={"effects": GENERATORS}).raise_for_status()


def test_a_limit_that_trips_while_a_batch_is_learned_tells_samples_and_pulses(
    tmp_path: Path,
) -> None:
    base = "http://testserver/api/v1/boards/emu0"
    pixels = np.random.default_rng(1).random((12, 784)) < np.linspace(0.02, 0.5, 12)[:, None]
    body = {"inputs": pixels.astype(int).tolist(), "labels": [*range(10), 0, 1]}
    settings = {"th": 1, "th1_uS": 0.1, "output_activation": "none"}
    effects = {"current_limit": {"limit_ma": 30}}
    with TestClient(create_app(settings_of(tmp_path, effects)), base_url=base) as board:
        board.patch("/settings", json=settings).raise_for_status()
        before = board.get("/counters").json()
        reply = board.post("/train-step", json=body)
        problem, after = reply.json(), board.get("/counters").json()
        assert (reply.status_code, problem["type"]) == (409, "fault-latched")
        done, detail = problem["done"], problem["detail"]
        assert 1 < done < 12
        assert after["operations"]["training"] - before["operations"]["training"] == done
        assert f"; {done} of 12 samples are done, sample {done} in part (COMPLIANCE)" in detail
        assert re.search(
            rf"for sample {done}, after {done} of 12 samples and \d+ pulses for", detail
        )
        assert board.get("").json()["faults"] == ["over_current"]
        refused = board.post("/train-step", json=body)
        assert (refused.json()["type"], refused.json().get("done")) == ("fault-latched", None)
        assert board.get("/counters").json()["pulses"] == after["pulses"]
    with Journal(tmp_path / "journals" / "emulator.sqlite") as kept:
        (entry,) = [e for e in kept.newest() if "mA is above the 30 mA limit" in e.detail]
    assert entry.state is EntryState.REFUSED
    assert entry.detail in detail


def test_a_server_with_all_effects_works() -> None:
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings_of(None, "all")), base_url=base) as board:
        assert board.get("").json()["state"] == "idle"
        assert all(supply["settled"] for supply in board.get("/supplies").json().values())
        made = board.post("/calibration", json={"readings": 8}).raise_for_status().json()
        assert board.get("/calibration").json() == made
        infer = board.post("/infer", json={"inputs": [[1, 0] * 392]})
        assert len(infer.raise_for_status().json()["outputs"][0]) == 10
        board.post("/emergency-stop").raise_for_status()
        board.delete("/emergency-stop").raise_for_status()
        assert all(supply["settled"] for supply in board.get("/supplies").json().values())


def test_a_server_that_ends_takes_the_rails_down_in_reverse_order(tmp_path: Path) -> None:
    with TestClient(create_app(settings_of(tmp_path, "none"))) as client:
        assert client.get("/readyz").status_code == 200
    with Journal(tmp_path / "journals" / "emulator.sqlite") as journal:
        (last,) = journal.newest(1)
        assert journal.in_doubt() == []
    assert last.description.startswith("SET_SUPPLY 0x15, SET_SUPPLY 0x14, SET_SUPPLY 0x13")
    assert last.state is EntryState.DONE


def test_a_server_whose_board_is_gone_ends_without_leaving_anything_in_doubt(
    own_emulator: Emulator, tmp_path: Path
) -> None:
    settings = ServerSettings(boards=(own_emulator.url,), data=tmp_path)
    with TestClient(create_app(settings)) as client:
        assert client.get("/readyz").status_code == 200
        own_emulator.kill()
    (path,) = (tmp_path / "journals").iterdir()
    with Journal(path) as journal:
        assert journal.in_doubt() == journal.unsettled() == []
