"""Boards and supplies on the command line: what is asked, what is printed."""

from typing import Any

import pytest
from tests.clients.command_line import Run
from tests.clients.conftest import FakeServer
from tests.clients.replies import board_of, supply_of


def test_boards_are_listed(run: Run, server: FakeServer) -> None:
    server.will_answer_json([board_of("emu0")])
    assert "EMU-1" in run("boards").words
    finished = run("boards", "--json")
    assert (finished.code, finished.json["boards"][0]["id"]) == (0, "emu0")
    assert len(finished.result.stdout.splitlines()) == 1


LINK = {
    "round_trips": [{"up_to_us": 50.0, "count": 40}, {"up_to_us": None, "count": 2}],
    "recent": {
        "commands": 42,
        "minimum_us": 31.0,
        "mean_us": 250.0,
        "p50_us": 40.0,
        "p90_us": 61.0,
        "p99_us": 4700.0,
    },
    "smoothed_round_trip_us": 35.0,
    "frames_sent": 1001,
    "in_flight": 3,
    "frames_received": 1002,
    "resent": 60,
    "resent_lost": 10,
    "resent_probes": 20,
    "resent_timeouts": 30,
    "credit_stalls": 71,
    "replayed": 72,
    "duplicates": 73,
    "dropped": 75,
    "crc_errors": 74,
}


def test_links_are_shown_once_where_nobody_looks_on(run: Run, server: FakeServer) -> None:
    server.will_answer_json([{**board_of("emu0"), "link": LINK, "restarts": 76}, board_of("emu1")])
    words = run("boards", "--watch").words
    for part in (
        *("emu0", "emu1", "0.031 / 0.25", "0.04 / 0.061 / 4.7", "1001", "1002", "42"),
        *("71", "72", "73", "74", "75", "76"),
    ):
        assert part in words
    finished = run("boards", "--watch", "--json")
    assert finished.json["boards"][0]["link"]["resent_timeouts"] == 30
    assert len(server.requests) == 2


def test_on_a_terminal_links_are_shown_anew_until_interrupted(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("starlab.cli.link_watch.sleep", pause)
    for sent in (1001, 1002, 1003):
        server.will_answer_json([{**board_of("emu0"), "link": {**LINK, "frames_sent": sent}}])
    finished = run("boards", "--watch")
    assert (finished.code, pauses) == (0, [1.0, 1.0, 1.0])
    assert "1001" in finished.words
    assert "1003" in finished.words


def test_boards_are_looked_for(run: Run, server: FakeServer) -> None:
    udp, ethernet = "udp://10.0.0.5:5716", "eth://enp4s0/02:00:00:00:00:01"
    board = {"id": "emu0", "serial": "EMU-00000005", "device_model": "linear"}
    server.will_answer_json([{"url": udp, "other_urls": [ethernet], "in_use": True, **board}])
    words = run("boards", "--discover").words
    for part in (udp, ethernet, "EMU-00000005", "linear", "yes", "emu0"):
        assert part in words
    assert server.json == {"addresses": [], "wait_s": 1.0}
    finished = run(
        "boards", "--at", "udp://10.0.0.255", "--at", "eth://e1", "--wait", "0.5", "--json"
    )
    assert (finished.code, finished.json["boards"][0]["url"]) == (0, udp)
    assert server.json == {"addresses": ["udp://10.0.0.255", "eth://e1"], "wait_s": 0.5}


DOUBT = {
    "entry": 12,
    "state": "unknown",
    "detail": "",
    "call": "POST /pulse",
    "what": "START 0x40000",
    "written_at": "2026-03-01T10:20:30Z",
    "serial": "EMU-1",
    "boot_id": 7,
    "message_id": 3,
}


def test_commands_in_doubt_are_listed_and_acknowledged(run: Run, server: FakeServer) -> None:
    server.will_answer_json([{**board_of("emu0"), "in_doubt": [DOUBT]}, board_of("board1")])
    server.will_answer_json([{**DOUBT, "state": "resolved"}])
    server.will_answer_json([board_of("emu0")])
    words = run("boards", "--in-doubt").words
    for part in ("emu0", "12", "unknown", "START", "0x40000", "10:20:30"):
        assert part in words
    finished = run("boards", "--acknowledge", "emu0", "--json")
    assert server.request.method == "DELETE"
    assert server.request.url.path == "/api/v1/boards/emu0/in-doubt"
    (command,) = finished.json["commands"]
    assert (command["board"], command["entry"], command["state"]) == ("emu0", 12, "resolved")
    assert "Nothing is in doubt." in run("boards", "--in-doubt").words


def test_nothing_found_is_said(run: Run, server: FakeServer) -> None:
    server.will_answer_json([])
    assert "No board has answered." in run("boards", "--discover").words
    assert run("boards", "--discover", "--json").json == {"boards": []}


def test_supplies_are_set_in_the_unit_of_the_channel(run: Run, server: FakeServer) -> None:
    server.will_answer_json({"VBLset": supply_of("mV"), "Iref_integ": supply_of("uA")})
    assert run("supplies", "VBLset=2000", "Iref_integ=70", "V25=2565 mV").code == 0
    assert server.json == {"VBLset": {"mv": 2000}, "V25": {"mv": 2565}, "Iref_integ": {"ua": 70}}


def fit_of(unit: str) -> dict[str, Any]:
    values = {"offset": 3.0, "offset_sigma": 0.2, "residual": 0.1, "error": 25.5}
    suffix = unit.lower()
    named = {f"{name}_{suffix}": value for name, value in values.items()}
    named[f"error_sigma_{suffix}"] = 0.3
    return {"unit": unit, "gain": 1.0101, "gain_sigma": 0.001, "points": 5, **named}


def test_supplies_are_calibrated_set_and_balanced_in_that_order(
    run: Run, server: FakeServer
) -> None:
    voltages = {"plus_mv": 230.0, "minus_mv": 220.0, "mismatch_mv": 10.0}
    supplies = {"VBLset": supply_of("mV"), "Iref_integ": supply_of("uA")}
    calibration = {
        "serial": "B7",
        "made_at": "2024-02-29T12:00:00Z",
        "in_use": True,
        "readings": 32,
        "channels": {"VBLset": fit_of("mV"), "Iref_integ": fit_of("uA")},
    }
    server.will_answer_json(calibration)
    server.will_answer_json(supplies)
    server.will_answer_json(supplies)
    server.will_answer_json({"before": voltages, "after": voltages, "codes": {"VBL27": 108}})
    server.will_answer_json(supplies)
    finished = run("supplies", "VBLset=2000", "--calibrate", "--balance", "--json")
    assert finished.code == 0
    asked = [(r.method, r.url.path.rpartition("/")[2]) for r in server.requests]
    assert asked == [
        ("POST", "calibration"),
        ("GET", "supplies"),
        ("PATCH", "supplies"),
        ("POST", "balance"),
        ("GET", "supplies"),
    ]
    assert finished.json["calibration"]["channels"]["VBLset"]["error_mv"] == 25.5
    assert finished.json["balance"]["codes"] == {"VBL27": 108}


def test_a_calibration_is_shown_with_its_uncertainty(run: Run, server: FakeServer) -> None:
    channels = {"VBLset": fit_of("mV"), "Iref_integ": fit_of("uA")}
    made = {"serial": "B7", "made_at": "2024-02-29T12:00:00Z", "in_use": True, "readings": 2}
    server.will_answer_json({**made, "channels": channels})
    server.will_answer_json({"VBLset": supply_of("mV")})
    words = run("supplies", "--calibrate").words
    for part in ("1.0101", "+3.000", "+25.500", "0.300"):
        assert part in words


def test_a_calibration_is_forgotten(run: Run, server: FakeServer) -> None:
    made = {"serial": "B7", "made_at": "2024-02-29T12:00:00Z", "in_use": False, "readings": 2}
    server.will_answer_json({**made, "channels": {}})
    server.will_answer_json({"VBLset": supply_of("mV")})
    assert run("supplies", "--uncalibrate").code == 0
    assert server.requests[0].method == "DELETE"
    assert run("supplies", "--calibrate", "--uncalibrate").code == 2


@pytest.mark.parametrize("setting", ["VBLset", "VBLset=high", "=5", "VBLset=1e", "VBLset=2V"])
def test_what_is_no_setting_of_a_supply_is_a_usage_error(
    run: Run, server: FakeServer, setting: str
) -> None:
    server.will_answer_json({"VBLset": supply_of("mV")})
    assert run("supplies", setting).code == 2
    assert all(request.method == "GET" for request in server.requests)
