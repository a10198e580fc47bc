"""The server as a user starts it: `python -m starlab_api`, with its own emulator."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest


@contextmanager
def server(*options: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """A server process; killed if the test has left it alive."""
    with subprocess.Popen(
        [sys.executable, "-m", "starlab_api", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ready(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the server says when it is ready."""
    assert process.stdout is not None
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def refusal(options: Sequence[str], **environment: str) -> tuple[int, list[str]]:
    """Exit code and lines of standard error of a server that does not start."""
    with server(*options, **environment) as process:
        _, errors = process.communicate()
    return process.returncode, errors.splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_brings_its_own_emulator_and_takes_it_along(
    tmp_path: Path, number: signal.Signals
) -> None:
    with server("--port", "0", "--virgin", "--seed", "3", "--data", str(tmp_path)) as process:
        told = ready(process)
        assert told["boards"] == ["emu0"]
        with httpx2.Client(base_url=told["listening"]) as client:
            assert client.get("/readyz").json() == {"ready": True, "boards": {"emu0": "idle"}}
            board = client.get("/api/v1/boards/emu0").json()
            refused = client.post("/api/v1/boards/emu0/arrays/2/vmm", json={"inputs": [[0] * 100]})
            assert refused.json()["type"] == "not-formed"
        process.send_signal(number)
        assert process.wait() == 0
    assert (tmp_path / "emulator.log").exists()
    assert not answers(board["url"])


def answers(url: str) -> bool:
    """Whether anybody holds the UDP port of a board."""
    port = int(url.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def test_options_come_from_the_environment_too() -> None:
    with server(STARLAB_PORT="0", STARLAB_BOARD="udp://127.0.0.1:9,udp://127.0.0.1:10") as process:
        assert ready(process)["boards"] == ["board0", "board1"]
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0


def test_a_server_on_a_network_that_is_not_trusted_does_not_start() -> None:
    code, lines = refusal(["--host", "0.0.0.0", "--port", "0"])
    assert code == 4
    assert len(lines) == 1
    assert "STARLAB_TRUST_NETWORK=1" in lines[0]


def test_a_network_may_be_trusted() -> None:
    options = ("--host", "0.0.0.0", "--port", "0", "--board", "udp://127.0.0.1:9")
    with server(*options, STARLAB_TRUST_NETWORK="1") as process:
        assert ready(process)["listening"].startswith("http://0.0.0.0:")


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = refusal(["--port", str(port)])
    assert (code, len(lines)) == (1, 1)
    assert f"port {port}" in lines[0]


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "65536"],
        ["--host", "no such host"],
        ["--board", "tcp://127.0.0.1"],
        ["--device", "unobtainium"],
        ["--nonsense"],
    ],
)
def test_a_wrong_option_is_a_usage_error(options: list[str]) -> None:
    code, lines = refusal(["--port", "0", *options])
    assert code == 2
    assert lines
    assert not any(line.startswith("Traceback") for line in lines)


def test_limits_come_from_files_by_serial_number_or_for_all(tmp_path: Path) -> None:
    (tmp_path / "all.toml").write_text("supplies.VBLset.high = 2500\n")
    (tmp_path / "one=1.toml").write_text("pulses.array1.set.width_ns = 6000\n")
    files = [f"EMU-00000003={tmp_path}/one=1.toml", f"{tmp_path}/all.toml"]
    for seed, difference in (("3", "pulses.array1.set.width_ns"), ("4", "supplies.VBLset.high")):
        options = ["--port", "0", "--seed", seed]
        with server(*options, STARLAB_LIMITS=",".join(files)) as process:
            with httpx2.Client(base_url=ready(process)["listening"]) as client:
                told = client.get("/api/v1/boards/emu0/limits").json()["differences"]
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate()
        assert [line.split()[0] for line in told] == [difference]
        assert ("WIDER SAFE OPERATING AREA: pulses.array1" in said) == (seed == "3")
        # the embedded emulator's firmware has the same file
        chip_said = "starlab-chip: WIDER SAFE OPERATING AREA: pulses.array1"
        assert (chip_said in said) == (seed == "3")


def test_a_limits_file_that_makes_no_sense_is_a_usage_error(tmp_path: Path) -> None:
    file = tmp_path / "limits.toml"
    file.write_text("supplies.VBLset.high = 9000\n")
    code, lines = refusal(["--limits", f"EMU-1={file}"])
    assert (code, len(lines)) == (2, 1)
    assert lines[0].endswith("supplies.VBLset.high 9000 mV is above the 5670 mV limit")


def test_a_link_without_frames_cannot_be_captured(tmp_path: Path) -> None:
    board = "authors-tcp://127.0.0.1:7"
    code, errors = refusal(["--board", board, "--capture", str(tmp_path / "link.pcap")])
    assert (code, errors) == (
        2,
        [f"starlab-api: {board} cannot be captured: no frames travel there"],
    )
