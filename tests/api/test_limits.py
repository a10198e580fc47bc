"""The safe operating area over REST: shown, never changed, and refused by in the same words."""

import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator

from starlab_api import ServerSettings, create_app
from starlab_api.settings import Limits
from starlab_spec.safe_area import SafeArea


def test_limits_are_shown_and_no_call_changes_them(board: TestClient) -> None:
    limits = board.get("/limits").json()
    assert limits["supplies"]["VBLset"] == {"unit": "mV", "low_mv": 627, "high_mv": 2600}
    assert limits["supplies"]["Iref_integ"] == {"unit": "uA", "low_ua": 6, "high_ua": 130}
    assert limits["array1"]["set"] == {
        "width_ns": 5000,
        "pulses": 256,
        "energy_pj": 500,
        "cell_ua": 55,
        "row_ma": 5.5,
    }
    assert limits["array2"]["form"]["pulses"] == 64
    assert limits["array1"]["rate"] == {"pulses": 100_000, "window_s": 0.1}
    assert (limits["differences"], limits["widened"]) == ([], [])
    for method in (board.put, board.patch, board.post):
        assert method("/limits", json=limits).status_code == 405


def test_an_unsafe_pulse_is_refused_with_channel_value_and_limit(board: TestClient) -> None:
    before = board.get("/counters").json()["pulses"]
    pulse = {"kind": "reset", "count": 1, "width_ns": 6000, "rows": [0], "columns": [0]}
    reply = board.post("/arrays/1/pulse", json=pulse | {"polarity": "+"})
    assert reply.status_code == 422
    problem = reply.json()
    assert problem["detail"] == "RESET width 6000 ns on array 1 is above the 5000 ns limit"
    told = {name: problem[name] for name in ("type", "channel", "field", "value", "limit", "unit")}
    assert told == {
        "type": "limit-exceeded",
        "channel": "VSLreset",
        "field": "RESET width",
        "value": 6000,
        "limit": 5000,
        "unit": "ns",
    }
    assert board.get("/counters").json()["pulses"] == before


def test_registers_are_no_way_round(board: TestClient) -> None:
    def write(address: int, value: int, mask: int = 0xFFFF_FFFF) -> int:
        body = {"value": value, "mask": mask}
        reply = board.put(f"/registers/0x{address:X}", json=body)
        return int(reply.status_code)

    assert write(0x2C, 1, 1) == 200  # array 1
    assert write(0x1C, 1) == 200  # column 0
    assert write(0x04, 0xFF, 0xFF) == 200  # SET period 12800 ns: as yet a number
    assert write(0x38, 1 << 18) == 200
    assert write(0x3C, 8) == 422
    assert write(0x04, 5, 0xFF) == 200
    assert write(0x3C, 8) == 200
    assert write(0x38, 1 << 17) == 200
    reply = board.put("/registers/0x3C", json={"value": 8})
    assert (reply.status_code, reply.json()["type"]) == (422, "invalid-input")
    assert "only the call that forms may do so" in reply.json()["detail"]


def test_a_board_has_the_limits_of_its_serial_number(
    own_emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    own = SafeArea.of(
        {"pulses": {"array1": {"reset": {"width_ns": 6000}, "set": {"width_ns": 400}}}}
    )
    others = SafeArea.of({"supplies": {"VBLset": {"high": 2300}}})
    limits = Limits(others, {"EMU-00000001": own})
    settings = ServerSettings(boards=(own_emulator.url,), limits=limits)
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings), base_url=base) as client:
        told = client.get("/limits").json()
        assert told["widened"] == ["pulses.array1.reset.width_ns 6000 instead of 5000"]
        assert len(told["differences"]) == 2
        assert "WIDER SAFE OPERATING AREA: pulses.array1.reset.width_ns 6000" in caplog.text
        pulse = {"kind": "reset", "rows": [0], "columns": [0], "polarity": "+", "count": 1}
        # the firmware has limits of its own, and says so in the same words
        reply = client.post("/arrays/1/pulse", json=pulse | {"width_ns": 6000})
        problem = reply.json()
        assert (reply.status_code, problem["type"]) == (422, "limit-exceeded")
        assert "RESET width 6000 ns on array 1 is above the 5000 ns limit" in problem["detail"]
        told = {name: problem[name] for name in ("channel", "value", "limit", "unit")}
        assert told == {"channel": "VSLreset", "value": 6000, "limit": 5000, "unit": "ns"}
        supplies = client.get("/supplies").json()
        assert supplies["VBLset"]["high_mv"] == 2600
    settings = ServerSettings(boards=(own_emulator.url,), limits=Limits(others))
    with TestClient(create_app(settings), base_url=base) as client:
        assert client.get("/supplies").json()["VBLset"]["high_mv"] == 2300
        reply = client.patch("/supplies", json={"VBLset": {"mv": 2400}})
        assert reply.json()["detail"] == "VBLset 2400 mV is above the 2300 mV limit"
