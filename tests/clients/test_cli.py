"""The command line: which board and server it asks, how it ends, what it becomes."""

from functools import partial
from typing import Any

import httpx2
import pytest
from tests.clients.command_line import Run
from tests.clients.conftest import FakeServer
from tests.clients.replies import board_of, supply_of
from typer.testing import CliRunner

from starlab.cli.app import app


def test_the_only_board_needs_no_name(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STARLAB_BOARD_ID")
    server.will_answer_json([board_of("board0")])
    server.will_answer_json({"VBLset": supply_of("mV")})
    assert run("supplies").code == 0
    assert server.request.url.path == "/api/v1/boards/board0/supplies"


def test_among_several_boards_one_must_be_named(
    run: Run, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STARLAB_BOARD_ID")
    server.will_answer_json([board_of("emu0"), board_of("board1")])
    finished = run("supplies")
    assert finished.code == 2
    assert "--board" in finished.words
    assert "emu0, board1" in finished.words


@pytest.mark.parametrize(
    ("status", "problem", "code"),
    [
        (500, {"type": "internal-error"}, 1),
        (409, {"type": "aborted"}, 1),
        (422, {"type": "invalid-input", "field": "rows"}, 2),
        (422, {"type": "limit-exceeded", "field": "th", "limit": 3, "value": 4}, 2),
        (404, {"type": "not-found"}, 2),
        (502, {"type": "outcome-unknown"}, 3),
        (503, {"type": "board-away"}, 3),
        (504, {"type": "link-lost"}, 3),
        (401, {"type": "unauthorized"}, 4),
        (409, {"type": "not-formed"}, 4),
        (422, {"type": "limit-exceeded", "channel": "VBLset", "limit": 2600, "value": 3300}, 4),
        (423, {"type": "locked"}, 4),
    ],
)
def test_exit_codes_tell_failed_usage_board_and_refused_apart(
    run: Run, server: FakeServer, status: int, problem: dict[str, Any], code: int
) -> None:
    server.will_refuse(status, detail="[what] was wrong", **problem)
    finished = run("form", "1", "--json")
    assert finished.code == code
    assert "[what] was wrong" in finished.result.stderr
    assert finished.json["error"]["detail"] == "[what] was wrong"
    assert finished.json["error"]["type"] == problem["type"]


def test_no_server_is_a_matter_of_board_or_link(run: Run, server: FakeServer) -> None:
    server.will_fail(httpx2.ConnectError("refused"))
    finished = run("boards", "--url", "http://nowhere")
    assert finished.code == 3
    assert "no server answers at http://nowhere" in finished.words


def test_serve_and_emulator_become_the_programs_with_the_options_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    became: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda program, arguments: became.append(arguments[1:]))
    invoke = partial(CliRunner().invoke, app)
    invoke(["serve", "--port", "0", "--board", "udp://a", "--board", "udp://b", "--virgin"])
    invoke(["emulator", "--host", "::1", "--seed", "3", "--device", "linear"])
    invoke(["emulator", "--state", "chip", "--faults", '{"stall_s": 1}'])
    invoke(["emulator", "--pty", "--eth", "eth1"])
    invoke(["emulator", "--authors-tcp", "127.0.0.1:7"])
    invoke(["serve"])
    invoke(["serve", "--state", "chip"])
    assert became == [
        [
            "-m",
            "starlab_api",
            "--board",
            "udp://a",
            "--board",
            "udp://b",
            "--port",
            "0",
            "--virgin",
        ],
        ["-m", "starlab_sim", "--host", "::1", "--seed", "3", "--device", "linear"],
        ["-m", "starlab_sim", "--state", "chip", "--faults", '{"stall_s": 1}'],
        ["-m", "starlab_sim", "--eth", "eth1", "--pty"],
        ["-m", "starlab_sim", "--authors-tcp", "127.0.0.1:7"],
        ["-m", "starlab_api"],
        ["-m", "starlab_api", "--state", "chip"],
    ]


def test_without_the_server_serve_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlab.cli.processes.find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 1
    assert "Install the distribution starlab" in " ".join(result.output.split())


def test_every_command_takes_json_and_has_help() -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.callback.__name__.replace("_", "-")
        result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0
        assert "--json" in result.output


def test_the_demo_refuses_effects_for_a_board_that_is_not_its_own() -> None:
    result = CliRunner().invoke(app, ["demo", "--effects", "all", "--url", "http://lab"])
    assert result.exit_code == 2
    assert "is for the demo's own chip" in " ".join(result.output.split())
