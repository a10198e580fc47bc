"""A board by hand on the command line: stop, clear, pulse, settings, registers, emulator."""

from pathlib import Path

import httpx2
import numpy as np
import pytest
from tests.clients.command_line import Run
from tests.clients.conftest import FakeServer
from tests.clients.replies import board_of
from typer.testing import CliRunner

from starlab import AsyncClient, Client
from starlab.cli.app import app
from starlab.errors import BoardAway
from starlab_contract import Stopped

STOPPED = {"faults": ["emergency_stop"], "confirmed": True, "detail": ""}
CELLS = ("--rows", "0:10", "--columns", "3", "--polarity", "+")


class Lab(FakeServer):
    """Two boards, one of which does not answer."""

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.url.path == "/api/v1/boards":
            return httpx2.Response(200, json=[board_of("emu0"), board_of("board1")])
        if "board1" in request.url.path:
            problem = {"type": "board-away", "detail": "board1 does not answer"}
            return httpx2.Response(503, json=problem)
        return httpx2.Response(200, json=STOPPED)


def test_a_stop_without_a_board_stops_all_and_tells_of_each(run: Run, server: FakeServer) -> None:
    lab = Lab()
    server.__class__, server.requests = Lab, lab.requests
    finished = run("stop", "--json")
    assert finished.code == 3
    assert finished.json["boards"]["emu0"] == STOPPED
    assert finished.json["boards"]["board1"]["error"]["kind"] == "BoardAway"
    assert finished.result.stderr == "starlab: board1: board1 does not answer\n"
    assert "emu0 is stopped; latched: emergency_stop" in run("stop").words
    stops = [one.url.path for one in server.requests if one.method == "POST"]
    assert sorted(stops) == [
        f"/api/v1/boards/{name}/emergency-stop" for name in ("board1", "board1", "emu0", "emu0")
    ]


@pytest.mark.anyio
async def test_both_clients_stop_all_boards_at_once(anyio_backend: str) -> None:
    with Client("http://bench", transport=httpx2.MockTransport(Lab())) as client:
        outcomes = client.emergency_stop()
    async with AsyncClient("http://bench", transport=httpx2.MockTransport(Lab())) as client:
        awaited = await client.emergency_stop()
    for found in (outcomes, awaited):
        assert isinstance(found["board1"], BoardAway)
        assert isinstance(found["emu0"], Stopped)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_a_stop_of_a_board_asks_nothing_else(run: Run, server: FakeServer) -> None:
    server.will_answer_json(STOPPED)
    for board in (("emu0",), ("--board", "emu0")):
        assert run("stop", *board, "--json").json == {"boards": {"emu0": STOPPED}}
        asked = [one.url.path for one in server.requests]
        assert asked == ["/api/v1/boards/emu0/emergency-stop"]
        server.requests.clear()
    assert list(run("stop", "emu0", "--board", "emu1", "--json").json["boards"]) == ["emu0", "emu1"]


def test_a_stop_that_is_not_confirmed_is_told_and_ends_with_3(run: Run, server: FakeServer) -> None:
    server.will_answer_json({"faults": [], "confirmed": False, "detail": "it does not answer"})
    finished = run("stop", "emu0")
    assert finished.code == 3
    assert "emu0: NOT CONFIRMED: it does not answer" in finished.words


def test_a_stop_of_no_board_says_so(run: Run, server: FakeServer) -> None:
    server.will_answer_json([])
    assert "no board to stop" in run("stop").words


def test_clearing_names_what_it_clears_and_what_stays(run: Run, server: FakeServer) -> None:
    server.will_answer_json({**board_of("emu0"), "faults": ["emergency_stop", "over_current"]})
    server.will_answer_json({"faults": ["over_current"]})
    words = run("clear").words
    assert words == "emu0: emergency_stop cleared; still latched: over_current"
    assert server.request.method == "DELETE"
    server.answers = []
    server.will_answer_json(board_of("emu0"))
    server.will_answer_json({"faults": []})
    finished = run("clear", "emu0", "--json")
    assert (finished.json["cleared"], finished.json["faults"]) == ([], [])


def test_cells_are_pulsed(run: Run, server: FakeServer, tmp_path: Path) -> None:
    server.will_answer_json({"pulses": 50})
    finished = run("pulse", "1", "set", *CELLS, "--count", "5", "--width-ns", "100", "--json")
    assert finished.json == {"array": 1, "kind": "set", "pulses": 50}
    assert server.json == {
        "kind": "set", "count": 5, "width_ns": 100, "rows": "0:10", "columns": "3",
        "polarity": "+",
    }  # fmt: skip
    mask = np.zeros((2, 100, 10), bool)
    mask[0, 1, 2] = True
    np.save(tmp_path / "mask.npy", mask)
    assert run("pulse", "2", "reset", "--mask", str(tmp_path / "mask.npy")).code == 0
    assert np.array_equal(server.arrays["npy"], mask)


@pytest.mark.parametrize(
    "arguments",
    [
        ("1", "set"),
        ("1", "set", *CELLS[:4]),
        ("1", "set", "--polarity", "+"),
        ("1", "set", *CELLS, "--count", "0"),
        ("1", "form", *CELLS),
        ("3", "set", *CELLS),
        ("1", "set", *CELLS[:4], "--polarity", "plus"),
        ("1", "set", *CELLS, "--mask", __file__),
        ("1", "set", "--mask", __file__),
    ],
)
def test_no_cell_is_pulsed_that_was_not_named(
    run: Run, server: FakeServer, arguments: tuple[str, ...]
) -> None:
    assert run("pulse", *arguments).code == 2
    assert server.requests == []


SETTINGS = {
    "adc_bits_1": 8, "adc_bits_2": 7, "integration_time_1_ns": 250, "integration_time_2_ns": 150,
    **{f"{kind}_{what}": 100 for kind in ("set", "reset", "form")
       for what in ("width_1_ns", "width_2_ns", "count_1", "count_2")},
    "th": 4, "th1_uS": 2.5, "c1": 0.25, "c1_relative": True, "c2": 0.0,
    "output_activation": "none", "activation_scale": 1, "activation_amplitude": 1,
    "scheme": "cyclic", "phase": "set", "update_pulses_1": 1, "update_pulses_2": 1,
    "target_on": 400, "target_off": -160,
}  # fmt: skip


def test_settings_are_shown_and_changed_with_their_types(run: Run, server: FakeServer) -> None:
    server.will_answer_json(SETTINGS)
    words = run("settings").words
    assert "th1_uS" in words
    assert "driven back, uS" in words
    finished = run(
        "settings", "th=4", "c1=2.5e-1", "c1_relative=true", "scheme=non-cyclic",
        "target_off=-160", "--json",
    )  # fmt: skip
    assert finished.json["settings"] == SETTINGS
    assert server.request.method == "PATCH"
    assert server.json == {
        "th": 4, "c1": 0.25, "c1_relative": True, "scheme": "non-cyclic", "target_off": -160,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes", [("th",), ("th=",), ("=4",), ("th=4", "th=5"), ("tth=4",), ("th=nan",), ("th=4 5",)]
)
def test_what_is_no_setting_is_refused(
    run: Run, server: FakeServer, changes: tuple[str, ...]
) -> None:
    assert run("settings", *changes).code == 2
    assert server.requests == []


def test_registers_are_read_and_written_in_order(run: Run, server: FakeServer) -> None:
    server.will_answer_json({"address": 260, "name": "X", "value": 3, "fields": {"low": 3}})
    words = run("registers", "0x104", "260=0x3", "8", "--mask", "0xF").words
    assert "0x00000003" in words
    assert [(one.method, one.url.path.rpartition("/")[2]) for one in server.requests] == [
        ("GET", "0x104"),
        ("PUT", "0x104"),
        ("GET", "0x8"),
    ]


@pytest.mark.parametrize(
    "accesses",
    [("x",), ("0x",), ("1_0",), ("4=",), ("=4",), ("4=0x100000000",), ("4", "--mask", "1")],
)
def test_what_is_no_register_is_refused(
    run: Run, server: FakeServer, accesses: tuple[str, ...]
) -> None:
    assert run("registers", *accesses).code == 2
    assert server.requests == []


def test_an_emulated_board_is_told_what_no_real_one_can_do(run: Run, server: FakeServer) -> None:
    server.will_answer_json({"emulated_time_s": 3600.5, "boot_id": 8})
    assert "3600.5 s; boot id 8" in run("advance", "3600.5").words
    assert server.json == {"advance_s": 3600.5}
    run(
        "emulate", "--seed", "5", "--device", "linear", "--virgin", "--effects", '{"wires": true}',
        "--latch", "over_current", "--network", '{"loss": 0.1}', "--stall-s", "2",
        "--restart-after-pulses", "9", "--restart",
    )  # fmt: skip
    assert server.json == {
        "seed": 5,
        "device_model": "linear",
        "virgin": True,
        "effects": {"wires": True},
        "faults": {
            "latches": ["over_current"],
            "network": {"loss": 0.1},
            "stall_s": 2.0,
            "restart_after_pulses": 9,
        },
        "restart": True,
    }
    run("emulate", "--formed")
    assert server.json == {"virgin": False}
    for wrong in (
        (),
        ("--virgin", "--formed"),
        ("--effects", "{"),
        ("--network", "[]"),
        ("--seed", "-1"),
    ):
        assert run("emulate", *wrong).code == 2
    assert run("advance", "nan").code == 2


def test_entries_in_doubt_are_acknowledged_only_when_named(run: Run, server: FakeServer) -> None:
    assert run("acknowledge").code == 2
    assert run("acknowledge", "3", "--all").code == 2
    assert server.requests == []
    server.will_answer_json([])
    assert run("acknowledge", "3", "4").code == 0
    assert server.query == [("entry", "3"), ("entry", "4")]
    assert run("acknowledge", "--all").code == 0
    assert server.query == []
    run("journal", "--newest", "7")
    assert server.query == [("newest", "7")]


def test_a_board_that_does_not_answer_is_a_status_and_no_problem(
    run: Run, server: FakeServer
) -> None:
    server.will_answer_json({"status": "ok", "version": "1.2"})
    server.will_answer_json({"ready": False, "boards": {"emu0": "away"}}, 503)
    finished = run("status", "--json")
    assert finished.code == 3
    assert finished.json["boards"] == {"emu0": "away"}


def test_flags_show_no_type() -> None:

    for name in ("train", "supplies", "emulate"):
        shown = CliRunner().invoke(app, [name, "--help"]).output
        assert "<bool>" not in shown
        assert "bool" not in shown.lower().split()
