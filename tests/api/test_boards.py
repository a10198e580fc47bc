"""Who and how the boards are; supplies, settings, registers, counters; the emergency stop."""

import pytest
from starlette.testclient import TestClient

from starlab_api import ServerSettings, create_app
from starlab_spec.supplies import SUPPLIES

ROOT = "http://testserver"


def test_a_board_tells_who_it_is_and_how_its_link_does(board: TestClient) -> None:
    told = board.get("").json()
    assert (told["id"], told["emulated"], told["state"]) == ("emu0", True, "idle")
    assert told["geometry"] == {"array1": [784, 100], "array2": [100, 10]}
    assert told["device_model"] == "nonlinear-3"
    assert told["faults"] == []
    link = told["link"]
    assert link["frames_sent"] > 0
    replies = sum(b["count"] for b in link["round_trips"])
    recent = link["recent"]
    assert recent["commands"] == min(replies, 1000) > 0
    assert 0 < recent["minimum_us"] <= recent["p50_us"] <= recent["p90_us"] <= recent["p99_us"]
    assert recent["minimum_us"] <= recent["mean_us"]
    assert link["crc_errors"] == 0
    assert board.get(f"{ROOT}/api/v1/boards").json()[0]["serial"] == told["serial"]


def test_a_board_has_a_neutral_name_too(board: TestClient) -> None:
    assert board.get(f"{ROOT}/api/v1/boards/board0").json()["id"] == "emu0"


def test_a_board_that_is_not_there_is_unknown(board: TestClient) -> None:
    reply = board.get(f"{ROOT}/api/v1/boards/emu1/counters")
    assert reply.status_code == 404
    assert reply.json()["detail"] == "unknown board 'emu1'; known: emu0"


def test_the_server_is_ready_when_all_its_boards_answer(board: TestClient) -> None:
    assert board.get(f"{ROOT}/healthz").json()["status"] == "ok"
    reply = board.get(f"{ROOT}/readyz")
    assert (reply.status_code, reply.json()) == (200, {"ready": True, "boards": {"emu0": "idle"}})


def test_all_supplies_are_on_at_their_published_settings(board: TestClient) -> None:
    supplies = board.get("/supplies").json()
    assert list(supplies) == [channel.name for channel in SUPPLIES]
    vbl_set = supplies["VBLset"]
    assert (vbl_set["requested_mv"], vbl_set["unit"], vbl_set["settled"]) == (2209, "mV", True)
    assert vbl_set["code"] == 80
    assert abs(vbl_set["measured_mv"] - 2209) < 15
    assert supplies["Iref_integ"]["requested_ua"] == 81


def test_a_supply_is_set_by_name(board: TestClient) -> None:
    reply = board.patch("/supplies", json={"VBLset": {"mv": 2000}, "Iref_integ": {"ua": 70}})
    assert reply.json()["VBLset"]["requested_mv"] == 2000
    assert abs(board.get("/supplies").json()["Iref_integ"]["measured_ua"] - 70) < 2


def test_an_unsafe_voltage_is_refused_with_channel_value_and_limit(board: TestClient) -> None:
    before = board.get("/supplies").json()
    reply = board.patch("/supplies", json={"VBL27": {"mv": 2700}, "VBLset": {"mv": 3300}})
    problem = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert (reply.status_code, problem["type"]) == (422, "limit-exceeded")
    assert problem["detail"] == "VBLset 3300 mV is above the 2600 mV limit"
    told = {name: problem[name] for name in ("channel", "value", "limit", "unit", "board")}
    assert told == {
        "channel": "VBLset",
        "value": 3300,
        "limit": 2600,
        "unit": "mV",
        "board": "emu0",
    }
    assert board.get("/supplies").json() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"VBLset": {"ua": 5}}, "VBLset.mv"),
        ({"VBLset": {}}, "VBLset"),
        ({"VBLset": {"volt": 2}}, "VBLset.volt"),
        ({"Vxyz": {"mv": 2}}, "Vxyz"),
    ],
)
def test_a_supply_setting_that_makes_no_sense_names_its_field(
    board: TestClient, body: dict[str, object], field: str
) -> None:
    reply = board.patch("/supplies", json=body)
    assert (reply.status_code, reply.json()["field"]) == (422, field)


def test_settings_change_together_or_not_at_all(board: TestClient) -> None:
    changed = board.patch("/settings", json={"th": 31, "scheme": "non-cyclic", "th1_uS": 4.5})
    assert (changed.json()["th"], changed.json()["scheme"]) == (31, "non-cyclic")
    refused = board.patch("/settings", json={"th": 12, "adc_bits_1": 9})
    assert (refused.status_code, refused.json()["field"]) == (422, "adc_bits_1")
    assert (refused.json()["value"], refused.json()["limit"]) == (9, 8)
    assert board.get("/settings").json() == changed.json()


def test_a_pulse_width_that_is_no_multiple_of_the_clock_is_refused(board: TestClient) -> None:
    reply = board.patch("/settings", json={"set_width_1_ns": 120})
    assert reply.status_code == 422
    assert reply.json()["detail"] == "set_width_1_ns 120 ns is not a multiple of 50 ns"


def test_a_register_is_read_by_address_or_name(board: TestClient) -> None:
    by_hex = board.get("/registers/0xC8").json()
    assert (by_hex["name"], by_hex["value"]) == ("SAMPLE_STRIDE", 98)
    assert board.get("/registers/200").json() == by_hex
    assert board.get("/registers/SAMPLE_STRIDE").json() == by_hex
    assert board.get("/registers/ADC").json()["fields"]["array1_bits"] == 7


def test_a_register_write_replaces_the_bits_under_the_mask(board: TestClient) -> None:
    board.patch("/settings", json={"th": 27})
    reply = board.put("/registers/0x140", json={"value": 0xFF, "mask": 0x0F})
    assert reply.json()["value"] == 27 & ~0x0F | 0x0F
    assert board.get("/settings").json()["th"] == 31


@pytest.mark.parametrize(
    ("address", "status"),
    [("0x100", 422), ("0x1000", 422), ("3", 422), ("-4", 422), ("NONE", 404)],
)
def test_a_register_that_cannot_be_written_is_refused(
    board: TestClient, address: str, status: int
) -> None:
    assert board.put(f"/registers/{address}", json={"value": 1}).status_code == status


def test_an_emergency_stop_is_latched_until_it_is_cleared(board: TestClient) -> None:
    pulses = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}
    assert board.post("/emergency-stop").json()["faults"] == ["emergency_stop"]
    told = board.get("").json()
    assert (told["state"], told["faults"]) == ("fault", ["emergency_stop"])
    refused = board.post("/arrays/1/pulse", json=pulses)
    assert (refused.status_code, refused.json()["type"]) == (409, "fault-latched")
    assert "emergency_stop" in refused.json()["detail"]
    assert board.delete("/emergency-stop").json() == {"faults": []}
    assert board.post("/arrays/1/pulse", json=pulses).json() == {"pulses": 1}


def test_an_emulated_fault_latches_and_clears(board: TestClient) -> None:
    board.post("/emulator", json={"faults": ["over_current"]}).raise_for_status()
    assert board.get("").json()["faults"] == ["over_current"]
    board.delete("/emergency-stop").raise_for_status()
    assert board.get("").json()["state"] == "idle"


def test_an_emulated_network_becomes_bad_and_commands_get_through(board: TestClient) -> None:
    network = {"loss": 0.2, "duplication": 0.2, "reordering": 0.2, "corruption": 0.05, "seed": 1}
    before = board.get("").json()["lifetime_pulses"]
    board.post("/emulator", json={"faults": {"network": network}}).raise_for_status()
    pulse = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}
    for _ in range(20):
        assert board.post("/arrays/1/pulse", json=pulse).json() == {"pulses": 1}
    board.post("/emulator", json={"faults": {"network": {}}}).raise_for_status()
    told = board.get("").json()
    assert told["lifetime_pulses"] == before + 20
    link = told["link"]
    assert link["resent"] > 0
    assert link["resent"] == sum(link[f"resent_{why}"] for why in ("lost", "probes", "timeouts"))
    assert 0 < link["crc_errors"] <= link["dropped"]


def test_a_power_failure_in_the_middle_leaves_the_outcome_unknown(board: TestClient) -> None:
    before = board.get("").json()
    faults = {"faults": {"restart_after_pulses": 1}}
    board.post("/emulator", json=faults).raise_for_status()
    pulse = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}
    refused = board.post("/arrays/1/pulse", json=pulse)
    assert refused.json()["type"] == "outcome-unknown"
    assert board.post("/arrays/1/pulse", json=pulse).json() == {"pulses": 1}
    after = board.get("").json()
    assert after["restarts"] == before["restarts"] + 1
    assert after["lifetime_pulses"] == before["lifetime_pulses"] + 2


def test_an_emulated_board_lets_time_pass(board: TestClient) -> None:
    before = board.get("/counters").json()["emulated_time_s"]
    reply = board.post("/emulator", json={"advance_s": 3600})
    assert reply.json()["emulated_time_s"] == pytest.approx(before + 3600)


def test_an_emulated_board_takes_another_chip(board: TestClient) -> None:
    commands = {"device_model": "linear", "virgin": True, "seed": 5}
    board.post("/emulator", json=commands).raise_for_status()
    assert board.get("").json()["device_model"] == "linear"
    assert board.post("/arrays/2/vmm", json={"inputs": [[0] * 100]}).status_code == 409
    board.post("/emulator", json={"device_model": "nonlinear-3"}).raise_for_status()


def test_an_emulator_command_that_is_none_is_refused(board: TestClient) -> None:
    faults = [{"fire": 1}, {"latches": ["fire"]}, {"network": {"loss": 1}}, {"stall_s": -1}]
    nonsense = [{"explode": True}, {"device_model": "none"}, {"advance_s": -1}]
    for body in nonsense + [{"faults": each} for each in faults]:
        assert board.post("/emulator", json=body).status_code == 422


def test_a_restart_gives_a_new_boot_id_and_is_counted(board: TestClient) -> None:
    before = board.get("").json()
    reply = board.post("/emulator", json={"restart": True}).json()
    after = board.get("").json()
    assert after["boot_id"] == reply["boot_id"] != before["boot_id"]
    assert after["restarts"] == before["restarts"] + 1
    assert after["state"] == "idle"


def test_a_board_that_nobody_reaches_is_away_and_the_server_lives() -> None:
    # port 9 of the loopback address: nobody listens there
    settings = ServerSettings(boards=("udp://127.0.0.1:9",), connect_timeout_s=0.1)
    with TestClient(create_app(settings)) as client:
        told = client.get("/api/v1/boards").json()[0]
        assert (told["id"], told["state"]) == ("board0", "away")
        assert told["problem"]
        reply = client.get("/api/v1/boards/board0/counters")
        assert (reply.status_code, reply.json()["type"]) == (503, "board-away")
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
