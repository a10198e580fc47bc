"""The command line: what it asks the server, what it prints, how it ends."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.clients.conftest import NPY, NPZ, FakeServer, npy_bytes, npz_bytes
from tests.clients.replies import board_of, board_without_thresholds, supply_of
from typer.testing import CliRunner, Result

from starlab import Client, load_published, save_published
from starlab.cli.app import app
from starlab.datasets import mnist
from starlab.energy_report import Work, energy_report
from starlab_contract import Settings

Run = Callable[..., "Finished"]


@dataclass
class Finished:
    """A command that ended."""

    result: Result

    @property
    def code(self) -> int:
        return self.result.exit_code

    @property
    def json(self) -> Any:
        """Its last line on standard output."""
        return json.loads(self.result.stdout.splitlines()[-1])

    @property
    def words(self) -> str:
        """All that it said, as one line."""
        return " ".join(self.result.output.split())


@pytest.fixture
def run(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    connect = partial(Client, transport=httpx2.MockTransport(server))
    monkeypatch.setattr("starlab.cli.terminal.Client", connect)
    monkeypatch.setattr("starlab.cli.boards.Client", connect)
    monkeypatch.setenv("STARLAB_BOARD_ID", "emu0")

    def run(*arguments: str) -> Finished:
        result = CliRunner().invoke(app, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Finished(result)

    return run


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


def test_forming_takes_both_arrays_unless_one_is_named(run: Run, server: FakeServer) -> None:
    server.will_answer_json({"formed": 10, "newly_formed": 4, "failed": 1, "pulses": 5})
    finished = run("form", "--json")
    assert [request.url.path[-8:] for request in server.requests] == ["s/1/form", "s/2/form"]
    assert finished.json["formed"] == 20
    assert finished.json["arrays"]["2"]["failed"] == 1
    run("form", "2", "--rows", "0:3", "--columns", "1,2")
    assert len(server.requests) == 3
    assert server.json == {"rows": "0:3", "columns": "1,2"}


def test_programming_takes_weights_or_conductances_from_a_file(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.will_answer_json(
        {
            "cells": 2000, "in_tolerance": 1990, "pulses": 9, "rms_error_uS": 0.25, "rounds": 4,
            "failed": [],
        }
    )  # fmt: skip
    path = tmp_path / "weights.npy"
    np.save(path, np.ones((100, 10)))
    finished = run("program", "2", "--weights", str(path), "--scale-uS", "9", "--json")
    assert finished.json["in_tolerance"] == 1990
    assert ("scale_uS", "9.0") in server.query
    assert "1,990 of 2,000" in run("program", "2", "--weights", str(path)).words
    assert run("program", "2").code == 2
    path.write_bytes(b"no array")
    finished = run("program", "2", "--weights", str(path))
    assert finished.code == 2
    assert "--weights" in finished.words


def test_programming_takes_the_published_files_of_both_arrays(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.will_answer_json(
        {
            "cells": 2000, "in_tolerance": 1990, "pulses": 9, "rms_error_uS": 0.25, "rounds": 4,
            "failed": [],
        }
    )  # fmt: skip
    first, second = str(tmp_path / "w1.txt"), str(tmp_path / "w2.txt")
    target_uS = np.random.default_rng(1).uniform(2, 20, (2, 100, 10))
    save_published(first, 1, np.full((2, 784, 100), 17.5))
    save_published(second, 2, target_uS)
    finished = run("program", "--published-weights", first, second, "--json")
    assert (finished.code, finished.json["in_tolerance"], finished.json["cells"]) == (0, 3980, 4000)
    assert set(finished.json["arrays"]) == {"1", "2"}
    paths = [request.url.path for request in server.requests]
    assert [path[-9:] for path in paths] == ["1/program", "2/program"]
    np.testing.assert_allclose(server.arrays["conductance_uS"], target_uS, rtol=1e-8)
    assert run("program", "2", "--published-weights", first, second).code == 2
    swapped = run("program", "--published-weights", second, first)
    assert swapped.code == 2
    assert "w2.txt: has 100 lines, array 1 needs 784" in swapped.words
    assert len(server.requests) == 2


def test_reading_writes_a_published_file(run: Run, server: FakeServer, tmp_path: Path) -> None:
    cells_uS = np.random.default_rng(1).integers(20, 200, (2, 100, 10)) / np.float32(10)
    server.will_answer(npy_bytes(cells_uS), NPY)
    path = tmp_path / "w2.txt"
    finished = run("read", "2", "--published", str(path), "--json")
    assert (finished.code, finished.json["published"]) == (0, str(path))
    assert "conductance_uS" not in finished.json
    np.testing.assert_allclose(load_published(path, 2), cells_uS, atol=1e-6)
    assert run("read", "2", "--published", str(path), "--rows", "0:3").code == 2


def test_reading_gives_values_or_a_file(run: Run, server: FakeServer, tmp_path: Path) -> None:
    cells = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    server.will_answer(npy_bytes(cells), NPY)
    finished = run("read", "2", "--rows", "0:3", "--columns", "0:2", "--json")
    assert finished.json["conductance_uS"] == cells.tolist()
    assert (finished.json["min_uS"], finished.json["max_uS"]) == (0, 11)
    path = tmp_path / "cells.npy"
    finished = run("read", "2", "--output", str(path), "--json")
    assert finished.json["output"] == str(path)
    assert "conductance_uS" not in finished.json
    np.testing.assert_array_equal(np.load(path), cells)
    assert "8.50" in run("read", "2").words  # mean of G-


def test_multiplying_and_inferring_start_with_the_shipped_digits(
    run: Run, server: FakeServer
) -> None:
    _, test = mnist()
    server.will_answer(npy_bytes(np.full((3, 100), 5, np.uint8)), NPY)
    finished = run("vmm", "1", "--limit", "3", "--json")
    np.testing.assert_array_equal(server.arrays["npy"], test.images[:3])
    assert finished.json["codes"] == [[5] * 100] * 3
    assert run("vmm", "2").code == 2

    server.answers.clear()
    outputs = np.eye(10, dtype=np.int32)[[7, 2]]
    server.will_answer(npz_bytes(outputs=outputs), NPZ)
    finished = run("infer", "--limit", "2", "--json")
    assert finished.json == {"labels": [7, 2], "outputs": outputs.tolist()}


def test_training_sends_the_settings_that_were_given_and_sums_up(
    run: Run, server: FakeServer
) -> None:
    for correct in ([True, False], [False, False], [True, True], [True, False]):
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((2, 10), np.int32),
                correct=np.array(correct),
                pulses=np.full((2, 2), [100, 3], np.uint32),
            ),
            NPZ,
        )
    finished = run(
        "train", "--limit", "4", "--batch", "2", "--epochs", "2", "--th", "4", "--th1-uS", "2.5",
        "--c1-absolute", "--layers", "2", "--json",
    )  # fmt: skip
    assert dict(server.requests[0].url.params) == {
        "layers": "2",
        "th": "4",
        "th1_uS": "2.5",
        "c1_relative": "false",
    }
    result = finished.json
    assert (result["accuracy"], result["accuracy_by_epoch"]) == (0.75, [0.25, 0.75])
    assert (result["train_steps"], result["pulses"]) == (8, 824)
    assert result["pulses_by_array"] == {"array1": 800, "array2": 24}


@pytest.mark.parametrize(
    ("spread_uS", "middle_uS", "prepares"), [(0.5, 11, True), (4, 11, False), (0.03, 0.05, False)]
)
def test_training_prepares_a_chip_that_is_formed_but_has_learned_nothing(
    run: Run, server: FakeServer, spread_uS: float, middle_uS: float, prepares: bool
) -> None:
    cells = np.random.default_rng(1).normal(middle_uS, spread_uS, (2, 100, 10))
    server.will_answer(npy_bytes(cells.astype(np.float32)), NPY)
    if prepares:
        server.will_answer_json(board_of("emu0"))
    server.will_refuse(409, type="not-ready", detail="enough seen")
    assert run("train", "--limit", "4").code == 4
    seen = [request.url.path.rpartition("/")[2] for request in server.requests]
    assert seen == ["conductance", *(["emu0", "supplies"] if prepares else ["train-step"])]
    server.requests.clear()
    run("train", "--limit", "4", "--as-it-is")
    assert [request.url.path.rpartition("/")[2] for request in server.requests] == ["train-step"]


def test_learning_from_scratch_is_refused_before_anything_is_done_where_thresholds_are_fixed(
    run: Run, server: FakeServer
) -> None:
    server.will_answer_json(board_without_thresholds("emu0"))
    finished = run("train", "--limit", "4", "--from-scratch")
    assert finished.code == 4
    assert "emu0 cannot learn by a working point: its thresholds" in finished.words
    assert [request.method for request in server.requests] == ["GET"]


def test_evaluation_takes_own_images_with_labels(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.will_answer(npz_bytes(labels=np.array([1, 2])), NPZ)
    server.will_answer(npz_bytes(labels=np.array([3])), NPZ)
    images, labels = tmp_path / "images.npy", tmp_path / "labels.npy"
    np.save(images, np.zeros((3, 784)))
    np.save(labels, [1, 0, 3])
    own = ("evaluate", "--images", str(images), "--labels", str(labels), "--batch", "2")
    finished = run(*own, "--json")
    assert finished.json == {"accuracy": pytest.approx(2 / 3), "correct": 2, "samples": 3}
    assert run("evaluate", "--images", str(images)).code == 2
    np.save(labels, [1, 0])
    finished = run(*own)
    assert finished.code == 2
    assert "2 labels for 3 inputs" in finished.words


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


def counters_of(training: int) -> dict[str, Any]:
    shares = {"set": 2e-3, "reset": 1e-3, "form": 0.0}
    return {
        "pulses": {name: {"set": 300, "reset": 100, "form": 0} for name in ("array1", "array2")},
        "operations": dict.fromkeys(("form", "set", "reset", "read", "inference"), 4)
        | {"training": training},
        "energy_j": 1e-2,
        "emulated_time_s": 8.0,
        "energy_parts_j": {
            "array1": shares,
            "array2": shares,
            "cells": 1e-3,
            "converters": 2e-3,
            "lines": 1e-3,
        },
        "time_parts_s": {
            "array1": shares,
            "array2": shares,
            "read": 1.0,
            "forward": 2.0,
            "backward": 3.0,
            "waiting": 1.994,
        },
    }


def test_counters_shows_pulses_operations_and_what_took_energy_and_time(
    run: Run, server: FakeServer
) -> None:
    server.will_answer_json(counters_of(training=7))
    finished = run("counters")
    assert finished.code == 0
    assert "training │ 7 │ samples" in finished.words
    assert "SET pulses, array 1 │ 2 │ 20.0 %" in finished.words
    assert "waiting │ 1.994 │ 24.9 %" in finished.words
    assert server.request.url.path == "/api/v1/boards/emu0/counters"
    assert run("counters", "--json").json["counters"] == counters_of(training=7)


def test_energy_shows_the_published_method_its_comparison_and_what_it_rests_on(
    run: Run, server: FakeServer
) -> None:
    some = dict.fromkeys(Settings.model_fields, 1)
    words = {"output_activation": "none", "scheme": "cyclic", "phase": "set"}
    settings = {**some, **words, "adc_bits_1": 8, "adc_bits_2": 5}
    for _ in range(2):
        server.will_answer_json(counters_of(training=7))
        server.will_answer_json(settings)
    finished = run("energy")
    assert finished.code == 0
    assert "Energy of 7 learning steps by the published method" in finished.words
    assert re.search(r"published, of a digital accelerator[ │]+1/35 ", finished.words)
    assert "processor_power" in finished.words
    assert "130 nm [the " in finished.words
    told = run("energy", "--json").json
    work = Work((300, 300), (100, 100), steps=7, adc_bits_1=8, adc_bits_2=5)
    assert told == {**energy_report(work).json(), "emulated_j": 1e-2}
