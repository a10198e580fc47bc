"""The command line and the SDK against a real server with a real emulated board."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from starlab import AsyncClient, Client, Conflict, LimitExceeded, ServerAway
from starlab.cli.local_server import local_server
from starlab.datasets import mnist
from starlab.working_point import MNIST_FROM_SCRATCH

STARLAB = [sys.executable, "-m", "starlab"]
Run = Callable[..., tuple[int, Any]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with a virgin chip; it ends cleanly when told to."""
    command = [*STARLAB, "serve", "--port", "0", "--seed", "1", "--virgin"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["listening"]
        finally:
            server.terminate()
        assert server.wait(20) == 0


@pytest.fixture
def run(url: str) -> Run:
    """Run a command to its end: exit code, and the last line of standard output."""

    def run(*arguments: str) -> tuple[int, Any]:
        done = subprocess.run(
            [*STARLAB, *arguments, "--json"],
            capture_output=True,
            check=False,
            text=True,
            env={**os.environ, "STARLAB_URL": url},
        )
        return done.returncode, json.loads(done.stdout.splitlines()[-1])

    return run


def test_a_virgin_chip_is_formed_programmed_and_taught_from_the_command_line(
    run: Run, tmp_path: Path
) -> None:
    code, listing = run("boards")
    assert (code, [board["emulated"] for board in listing["boards"]]) == (0, [True])

    code, refusal = run("infer", "--limit", "1")
    assert (code, refusal["error"]["type"]) == (4, "not-formed")
    code, refusal = run("supplies", "VBLset=3300")
    assert (code, refusal["error"]["detail"]) == (4, "VBLset 3300 mV is above the 2600 mV limit")

    code, formed = run("form")
    assert (code, formed["formed"], formed["failed"]) == (0, 158_800, 0)

    target = np.random.default_rng(1).uniform(5, 17, (2, 100, 10))
    np.save(tmp_path / "target.npy", target)
    code, report = run("program", "2", "--conductance", str(tmp_path / "target.npy"))
    assert (code, report["in_tolerance"]) == (0, 2000)
    code, read = run("read", "2", "--output", str(tmp_path / "cells.npy"))
    assert (code, read["shape"]) == (0, [2, 100, 10])
    assert np.abs(np.load(tmp_path / "cells.npy") - target).max() < 0.6

    code, trained = run("train", "--from-scratch", "--limit", "3000", "--seed", "1")
    assert (code, trained["train_steps"]) == (0, 3000)
    assert trained["pulses"] > 100_000
    code, evaluated = run("evaluate", "--limit", "2000")
    assert (code, evaluated["samples"]) == (0, 2000)
    assert evaluated["accuracy"] > 0.3


def test_a_fresh_chip_learns_without_further_ado(url: str, run: Run) -> None:
    with Client(url) as bench:
        bench.board("emu0").emulator(seed=4, virgin=False)
    code, trained = run("train", "--limit", "3000")
    assert (code, trained["from_scratch"]) == (0, True)
    code, again = run("train", "--limit", "1000")
    assert (code, again["from_scratch"]) == (0, False)
    assert again["accuracy"] > trained["accuracy"]


def test_the_sdk_learns_measures_and_refuses(url: str) -> None:
    training, test = mnist()
    rng = np.random.default_rng(2)
    with Client(url) as bench:
        board = bench.board("emu0")
        for array in board.arrays.values():
            array.form()
        board.arrays[2].program(MNIST_FROM_SCRATCH.array2_conductance_uS(rng))
        before = board.counters().pulses.array1
        part = training.head(500)
        steps = list(board.train(part.images, part.labels, batch=200, th=4))
        after = board.counters().pulses.array1
        assert [len(step) for step in steps] == [200, 200, 100]
        counted = after.set + after.reset - before.set - before.reset
        assert counted == sum(step.pulses[:, 0].sum() for step in steps)

        images = test.images[:20]
        outputs, hidden = board.infer_with_hidden(images)
        np.testing.assert_array_equal(hidden, board.arrays[1].vmm(images))
        np.testing.assert_array_equal(outputs, board.arrays[2].vmm(hidden))
        np.testing.assert_array_equal(outputs.argmax(axis=1), board.classify(images))

        with pytest.raises(LimitExceeded, match="th"):
            board.change_settings(th=10**6)
        board.emergency_stop()
        with pytest.raises(Conflict):
            board.infer(images)
        board.clear_emergency_stop()


@pytest.mark.anyio
async def test_the_asynchronous_sdk_reads_what_it_pulsed(url: str) -> None:
    async with AsyncClient(url) as bench:
        (info,) = await bench.boards()
        board = bench.board(info.id)
        array = board.arrays[2]
        await array.form()
        await board.set_supplies(mv=MNIST_FROM_SCRATCH.writing_mv)
        before = await array.conductance_uS(rows=[3], columns="0:5")
        assert await array.pulse("set", rows=[3], columns="0:5", polarity="+", count=20) == 100
        after = await array.conductance_uS(rows=[3], columns="0:5")
        assert (after[0] > before[0]).all()
        np.testing.assert_array_equal(after[1], before[1])


def test_the_demo_learns_and_draws_on_a_server_of_its_own(tmp_path: Path) -> None:
    command = [*STARLAB, "demo", "--limit", "2000", "--output", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["train_steps"], result["seed"]) == (2000, 1)
    assert result["test_accuracy"] > 0.3
    assert result["pulses"] > 0
    assert result["energy_j"] > 0
    assert (tmp_path / "learning.png").read_bytes().startswith(b"\x89PNG")


def test_an_own_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with (
        pytest.raises(ServerAway, match=r"the server ended with 2: .* \(all it said: .*\.log\)"),
        local_server(["--device", "no-such-model"], log),
    ):
        pass
    assert "no-such-model" in log.read_text()


def test_an_own_server_drives_no_board_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STARLAB_BOARD", "udp://127.0.0.1:9")
    with local_server([], tmp_path / "server.log") as url, Client(url) as bench:
        assert [board.emulated for board in bench.boards()] == [True]


def test_the_emulator_announces_itself_and_ends_when_told_to() -> None:
    command = [*STARLAB, "emulator", "--port", "0", "--seed", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as emulator:
        assert emulator.stdout is not None
        announced = json.loads(emulator.stdout.readline())
        assert announced["listening"].startswith("udp://127.0.0.1:")
        assert announced["pid"] == emulator.pid
        emulator.send_signal(signal.SIGTERM)
        assert emulator.wait(20) == 0
