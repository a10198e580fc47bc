"""A board that goes away and comes back under a running server."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator

from starlab_api import ServerSettings, create_app

UNHURRIED_S = 250.0
"""Calls wait for the outcome of an attempt to connect, however busy the machine is."""
NEVER_S = 1e6
PULSES = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}


SOON_S = 0.25
"""A board that is killed is missed after eight times this, not after eight seconds."""


@pytest.fixture
def board(own_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr("starlab_spec.wire.congestion.RTO_CAP_S", SOON_S)
    settings = ServerSettings(boards=(own_emulator.url,), connect_timeout_s=UNHURRIED_S)
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings), base_url=base) as client:
        yield client


def test_a_board_that_comes_back_is_met_again(board: TestClient, own_emulator: Emulator) -> None:
    first = board.get("").json()
    own_emulator.kill()
    away = board.get("").json()
    assert (away["id"], away["state"], away["serial"]) == ("emu0", "away", first["serial"])
    refused = board.get("/counters")
    assert (refused.status_code, refused.json()["type"]) == (503, "board-away")
    own_emulator.start()
    back = board.get("").json()
    assert back["state"] == "idle"
    assert back["boot_id"] != first["boot_id"]
    assert back["restarts"] == 1
    assert board.post("/arrays/1/pulse", json=PULSES).json() == {"pulses": 1}


def test_a_call_that_meets_a_restarted_board_fails_and_the_next_one_succeeds(
    board: TestClient, own_emulator: Emulator
) -> None:
    with pytest.MonkeyPatch.context() as quiet:
        # an idle session asks for the status, and so may notice the restart before the call does
        quiet.setattr("starlab_spec.wire.requester.keepalive.KEEPALIVE_S", NEVER_S)
        board.post("/arrays/1/pulse", json=PULSES).raise_for_status()
        own_emulator.kill()
        own_emulator.start()
        reply = board.post("/arrays/1/pulse", json=PULSES)
    assert reply.status_code in (502, 503, 504)
    assert board.post("/arrays/1/pulse", json=PULSES).json() == {"pulses": 1}
    assert board.get("").json()["restarts"] == 1
