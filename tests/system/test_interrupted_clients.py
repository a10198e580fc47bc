"""Ctrl-C, SIGTERM and cancellation in the middle of a long call: the board stops, and says so."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.system.test_embedded_emulator import Bench, bench, until

from starlab import AsyncClient

STARLAB = [sys.executable, "-m", "starlab"]
TARGET_uS = np.random.default_rng(3).uniform(3, 19, (2, 784, 100))
SLOWLY = ("--device", "measured", "--effects", '{"cycle_noise": true, "read_noise": true}')


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A board on which array 1 takes minutes."""
    with bench(tmp_path_factory.mktemp("data"), *SLOWLY) as made:
        yield made


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("target") / "target.npy"
    np.save(path, TARGET_uS)
    return str(path)


def url(made: Bench) -> str:
    base = made.client.base_url
    return f"http://{base.host}:{base.port}"


def counted(made: Bench) -> int:
    total: int = made.info()["lifetime_pulses"]
    return total


def begin(made: Bench, *command: str, **how: Any) -> "subprocess.Popen[str]":
    """A client process whose call has given pulses."""
    how.setdefault("stderr", subprocess.PIPE)
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "STARLAB_URL": url(made), "TERM": "xterm", "COLUMNS": "120"},
        **how,
    )
    until(lambda: (made.info()["running"] or {"pulses": 0})["pulses"])
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_that_is_interrupted_stops_the_board_and_says_where(
    slow: Bench, target: str, number: signal.Signals, code: int
) -> None:
    before = counted(slow)
    process = begin(slow, *STARLAB, "program", "1", "--conductance", target, "--json")
    process.send_signal(number)
    said, errors = process.communicate()
    assert process.returncode == code
    told = json.loads(said.splitlines()[-1])["error"]
    assert told["kind"] == "Interrupted"
    # when the command has ended, so has its call
    info = slow.info()
    assert info["running"] is None
    assert told["pulses"] == info["lifetime_pulses"] - before > 0
    last = errors.splitlines()[-1]
    assert last.startswith("starlab: interrupted; program ended on the board after ")
    assert f"{told['pulses']:,} pulses" in last
    assert "Traceback" not in errors


def test_a_training_says_how_much_was_learned(slow: Bench) -> None:
    process = begin(slow, *STARLAB, "train", "--as-it-is", "--batch", "100")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "interrupted; " in errors.splitlines()[-1]
    assert " samples, " in errors or " images learned, " in errors
    assert slow.info()["running"] is None


def test_a_second_ctrl_c_leaves_at_once_and_the_board_stops_all_the_same(
    slow: Bench, target: str
) -> None:
    process = begin(slow, *STARLAB, "program", "1", "--conductance", target)
    process.send_signal(signal.SIGINT)
    until(lambda: process.poll() is not None or _interrupt(process))
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in errors
    until(lambda: not slow.info()["running"])


def _interrupt(process: "subprocess.Popen[str]") -> bool:
    process.send_signal(signal.SIGINT)
    return False


def test_a_long_call_shows_how_far_it_is(slow: Bench, target: str) -> None:
    ours, theirs = pty.openpty()
    process = begin(slow, *STARLAB, "program", "1", "--conductance", target, stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"on the board" not in seen or b" pulses" not in seen:
        seen += os.read(ours, 65536)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    os.close(ours)


def test_a_call_of_the_sdk_that_is_interrupted_is_stopped(
    slow: Bench, target: str, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, numpy\n"
        "from starlab import Client\n"
        "with Client(sys.argv[1]) as client:\n"
        "    client.board('emu0').arrays[1].program(numpy.load(sys.argv[2]))\n"
    )
    before = counted(slow)
    process = begin(slow, sys.executable, str(script), url(slow), target)
    process.send_signal(signal.SIGINT)
    process.communicate()
    until(lambda: not slow.info()["running"])
    told = slow.info()["last_stopped"]
    assert told["pulses"] == counted(slow) - before


def test_a_call_of_the_sdk_whose_task_is_cancelled_is_stopped(slow: Bench) -> None:
    async def call() -> tuple[str, Any]:
        async with AsyncClient(url(slow)) as client:
            board = client.board("emu0")
            task = asyncio.create_task(board.arrays[1].program(TARGET_uS))
            while (running := await board.running()) is None or not running.pulses:
                pass
            assert (running.request_id or "").startswith(client.request_ids.client)
            task.cancel()
            while await board.running() is not None:
                pass
            return client.request_ids.client, (await board.info()).last_stopped

    request_id, stopped = asyncio.run(call())
    assert stopped.request_id.startswith(request_id)
    assert stopped.pulses > 0
