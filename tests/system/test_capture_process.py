"""Capturing and replaying as a user does it: real processes, one training through the proxy."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.system.board_process import BoardProcess

from starlab_host import Chip, connect
from starlab_host.capture import read_pcap
from starlab_host.capture.__main__ import main
from starlab_spec.wire import FrameType

STARLAB = [sys.executable, "-m", "starlab"]
SEED = ("--seed", "11")


@contextmanager
def capturing(board: str, output: Path, *options: str) -> Iterator[dict[str, Any]]:
    """`starlab capture`, until the end of the block; what it announced."""
    command = [*STARLAB, "capture", board, "--output", str(output), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()


def replay(path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """`starlab replay --json`: exit code and what it says."""
    run = subprocess.run(
        [*STARLAB, "replay", str(path), *options, "--json"], stdout=subprocess.PIPE, check=False
    )
    return run.returncode, json.loads(run.stdout)


def train(url: str) -> None:
    """Three patterns, and a look at some cells."""
    images = [[(row * shift) % 7 == 0 for row in range(784)] for shift in (1, 2, 3)]
    with connect(url) as board:
        chip = Chip(board)
        chip.train_step(images, labels=[4, 5, 6])
        chip.read_conductance_uS(1, rows=[0])


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that went through the proxy."""
    path = tmp_path_factory.mktemp("capture") / "training.pcap"
    with BoardProcess(*SEED) as board, capturing(board.url, path) as announced:
        assert announced["board"] == board.url
        assert announced["output"] == str(path)
        train(announced["listening"])
    return path


def test_a_replay_on_a_board_of_the_same_seed_differs_nowhere(capture: Path) -> None:
    code, told = replay(capture, *SEED)
    assert (code, told["divergence"], told["sessions"], told["left_out"]) == (0, None, 1, 0)
    assert told["commands"] > 2


def test_a_replay_on_another_chip_names_the_first_reply_that_differs(capture: Path) -> None:
    with BoardProcess("--seed", "12") as board:
        code, told = replay(capture, "--board", board.url)
    assert code == 1
    assert set(told["divergence"]) == {
        *("session_id", "message_id", "command", "field", "expected", "got")
    }


def test_a_capture_holds_both_directions_from_first_to_last_frame(capture: Path) -> None:
    with capture.open("rb") as file:
        packets = list(read_pcap(file))
    kinds = {(one.to_board, FrameType(one.datagram[3])) for one in packets}
    assert {(True, FrameType.HELLO), (False, FrameType.HELLO_ACK)} <= kinds
    assert {(True, FrameType.COMMAND), (False, FrameType.REPLY)} <= kinds
    assert (packets[-1].to_board, packets[-1].datagram[3]) == (False, FrameType.BYE)
    assert [one.time_s for one in packets] == sorted(one.time_s for one in packets)


def test_one_host_after_the_other_goes_through_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "two.pcap"
    with BoardProcess(*SEED) as board, capturing(board.url, path) as announced:
        for _ in range(2):
            connect(announced["listening"], bring_up=False).close()
    with path.open("rb") as file:
        assert [one.datagram[3] for one in read_pcap(file)].count(FrameType.HELLO_ACK) == 2


def test_a_server_writes_down_what_travels(tmp_path: Path) -> None:
    path = tmp_path / "server.pcap"
    command = [*STARLAB, "serve", "--port", "0", "--capture", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as run:
        assert run.stdout is not None
        assert json.loads(run.stdout.readline())["boards"] == ["emu0"]
        run.terminate()
        assert run.wait(20) == 0
    code, told = replay(path)
    assert (code, told["divergence"]) == (0, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "starlab: cannot read {path}: No such file or directory\n"),
        (b"notes", "starlab: {path}: not a capture file in the form written here\n"),
    ],
)
def test_what_is_no_capture_is_not_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, said: str
) -> None:
    path = tmp_path / "x.pcap"
    if content is not None:
        path.write_bytes(content)
    assert main(["replay", str(path)]) == 1
    told = capsys.readouterr()
    assert told.err == said.format(path=path)
    assert told.out == ""
    assert main(["replay", str(path), "--json"]) == 1
    told = capsys.readouterr()
    assert told.err == said.format(path=path)
    error = json.loads(told.out)["error"]
    assert f"starlab: {error['detail']}\n" == told.err
    assert error["kind"] in ("FileNotFoundError", "ValueError")


def test_wrong_addresses_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.pcap"
    assert main(["record", "tcp://nowhere", "--output", str(path)]) == 2
    assert "is of none of the forms udp://host[:port]" in capsys.readouterr().err
    missing = tmp_path / "folder" / "y.pcap"
    assert main(["record", "udp://127.0.0.1:1", "--output", str(missing)]) == 1
    assert (
        capsys.readouterr().err == f"starlab: cannot write {missing}: No such file or directory\n"
    )
    assert main(["record", "udp://127.0.0.1:1", "--output", str(path), "--host", "192.0.2.1"]) == 1
    assert "cannot listen on 192.0.2.1 port 0: " in capsys.readouterr().err
