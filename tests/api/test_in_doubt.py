"""What a server with a journal tells after a crash: of the board, and of its own."""

import io
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.conftest import Emulator

from starlab_api import ServerSettings, create_app
from starlab_host import Journal
from starlab_host.errors import JournalError
from starlab_host.journal.entries import SessionRecord
from starlab_spec.operations import Operation
from starlab_spec.wire import transactions as tr

PULSE = {"kind": "set", "rows": [0], "columns": [0], "polarity": "+"}
REQUEST = tr.encode_transactions([tr.start(Operation.SET)])


@contextmanager
def server(emulator: Emulator, data: Path | None) -> Iterator[TestClient]:
    settings = ServerSettings(boards=(emulator.url,), data=data)
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings), base_url=base) as client:
        yield client


def journal_of(emulator: Emulator, data: Path) -> Path:
    return data / "journals" / f"udp-127.0.0.1-{emulator.url.rpartition(':')[2]}.sqlite"


@pytest.fixture
def crashed(own_emulator: Emulator, tmp_path: Path) -> Path:
    """A folder left by a server that crashed with a pulse in flight; the board is another one."""
    (tmp_path / "journals").mkdir()
    with Journal(journal_of(own_emulator, tmp_path)) as journal:
        journal.begin_session(SessionRecord("EMU-00000001", 0xB007, 0x5E55))
        with journal.noted("POST /api/v1/boards/emu0/arrays/1/pulse"):
            journal.write(7, REQUEST, "START 0x40000")
    return tmp_path


def test_a_pulse_in_flight_at_a_crash_is_in_doubt_until_it_is_acknowledged(
    own_emulator: Emulator, crashed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), server(own_emulator, crashed) as board:
        told = board.get("").json()
        (doubt,) = told["in_doubt"]
        assert told["recovered"] == {
            "resumed": False,
            "executed": [],
            "not_sent": [],
            "unknown": [doubt],
        }
        assert doubt["call"] == "POST /api/v1/boards/emu0/arrays/1/pulse"
        assert (doubt["what"], doubt["message_id"]) == ("START 0x40000", 7)
        assert (doubt["state"], doubt["boot_id"]) == ("unknown", 0xB007)
        assert "to resume is not known" in doubt["detail"]
        assert board.get("/in-doubt").json() == [doubt]
        wrong = board.delete("/in-doubt", params={"entry": 99})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "entry")
        assert wrong.json()["detail"] == "entry 99 is not in doubt; in doubt: 1"
        (resolved,) = board.delete("/in-doubt", params={"entry": doubt["entry"]}).json()
        assert resolved["state"] == "resolved"
        told = board.get("").json()
        assert (told["in_doubt"], told["recovered"]["unknown"]) == ([], [])
        assert board.delete("/in-doubt").json() == []
    assert caplog.messages == [
        f"{own_emulator.url}: of the commands in flight when it was lost 0 were executed, "
        "0 were not sent, 1 are in doubt"
    ]


def test_a_board_that_is_away_leaves_open_what_became_of_its_commands(
    own_emulator: Emulator, crashed: Path
) -> None:
    own_emulator.kill()
    with server(own_emulator, crashed) as board:
        told = board.get("").json()
        assert (told["state"], told["recovered"]["resumed"]) == ("away", False)
        assert [doubt["state"] for doubt in told["in_doubt"]] == ["sent"]
        refused = board.delete("/in-doubt", params={"entry": 1})
        assert refused.json()["detail"] == "entry 1 is not in doubt; in doubt: none"


def test_every_change_of_the_chip_is_journaled_with_the_call_that_made_it(
    own_emulator: Emulator, tmp_path: Path
) -> None:
    with server(own_emulator, tmp_path) as board:
        board.post("/arrays/1/pulse", json=PULSE, headers={"Idempotency-Key": "abc"})
        board.get("/arrays/1/conductance", params={"rows": "0", "columns": "0"})
        board.patch("/settings", json={"th": 50})
        entries = board.get("/journal").json()
        assert board.get("/journal", params={"newest": 1}).json() == entries[-1:]
        assert board.get("/journal", params={"newest": 0}).status_code == 422
    # the first one is the server's own: it has switched the supplies on
    assert [(entry["call"], entry["state"]) for entry in entries] == [
        ("", "done"),
        ("POST /api/v1/boards/emu0/arrays/1/pulse (abc)", "done"),
    ]


def test_without_a_folder_nothing_is_kept(own_emulator: Emulator) -> None:
    with server(own_emulator, None) as board:
        told = board.get("").json()
        assert (told["in_doubt"], told["recovered"]) == ([], None)
        assert board.get("/in-doubt").json() == []
        assert board.delete("/in-doubt").json() == []
        assert board.get("/journal").json() == []


def test_two_servers_cannot_keep_their_journals_in_one_folder(
    emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "journals").mkdir()
    with Journal(journal_of(emulator, tmp_path)):
        with (
            pytest.raises(JournalError, match="in use by another process"),
            server(emulator, tmp_path),
        ):
            pass


def test_what_a_board_is_doing_is_not_in_doubt(own_emulator: Emulator, tmp_path: Path) -> None:
    stream = io.BytesIO()
    inputs, labels = np.zeros((200_000, 98), np.uint8), np.zeros(200_000, np.uint8)
    np.savez(stream, inputs=inputs, labels=labels)
    with server(own_emulator, tmp_path) as board, ThreadPoolExecutor(1) as pool:
        learning = pool.submit(
            board.post,
            "/train-step",
            content=stream.getvalue(),
            headers={"Content-Type": "application/x-npz"},
        )
        while board.get("/journal").json()[-1]["state"] != "sent" and not learning.done():
            pass
        assert board.get("/in-doubt").json() == []
        assert learning.result().status_code == 200


def test_another_device_model_is_shown_at_once(own_emulator: Emulator) -> None:
    with server(own_emulator, None) as board:
        assert board.post("/emulator", json={"device_model": "linear"}).status_code == 200
        assert board.get("").json()["device_model"] == "linear"
