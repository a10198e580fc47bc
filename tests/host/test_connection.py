"""The host against an emulator in a process of its own, over UDP."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from starlab_host import (
    Aborted,
    Chip,
    HardwareFault,
    LinkError,
    connect,
)

MANY = 30_000
"""Samples that take about a second to learn: time enough to stop them."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """The URL of an emulated board with a formed chip."""
    command = [sys.executable, "-m", "starlab_sim", "--port", "0", "--exit-with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["listening"]
        process.terminate()


def images(count: int) -> NDArray[np.uint8]:
    """Packed pixels."""
    return np.random.default_rng(0).integers(0, 256, (count, 98), dtype=np.uint8)


def labels(count: int) -> NDArray[np.int64]:
    return np.arange(count) % 10


def test_connecting_brings_a_board_up_that_is_off_or_safe(emulator: str) -> None:
    with connect(emulator) as board:
        board.emulator(restart=True)
    with connect(emulator, bring_up=False) as board:
        assert not board.is_up()
        board.bring_up()
    # the end of a session sends the board to SAFE
    with connect(emulator) as board:
        assert board.is_up()


def test_an_address_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match=r"udp://host\[:port\]"):
        connect("tcp://127.0.0.1")


def test_a_batch_is_learned_with_progress(emulator: str) -> None:
    told: list[tuple[int, int]] = []
    with connect(emulator) as board:
        before = board.counters().operations.training
        training = Chip(board).train_step(
            images(MANY), labels=labels(MANY), on_progress=lambda *news: told.append(news)
        )
        assert board.counters().operations.training - before == MANY
    assert training.outputs.shape == (MANY, 10)
    assert told == sorted(told)
    assert told[-1] == (MANY, MANY)


@pytest.mark.parametrize("stop", ["abort", "emergency_stop"])
def test_another_thread_stops_learning_and_the_samples_done_are_told(
    emulator: str, stop: str
) -> None:
    started = threading.Event()
    with connect(emulator) as board:
        before = board.counters().operations.training

        def stop_when_started() -> None:
            started.wait()
            getattr(board, stop)()

        thread = threading.Thread(target=stop_when_started)
        thread.start()
        with pytest.raises((Aborted, HardwareFault)) as stopped:
            Chip(board).train_step(
                images(MANY), labels=labels(MANY), on_progress=lambda *news: started.set()
            )
        thread.join()
        assert 0 < stopped.value.done < MANY
        assert board.counters().operations.training - before == stopped.value.done
        assert board.faults() == (("emergency_stop",) if stop == "emergency_stop" else ())
        board.clear_faults()
        board.make_ready()
        assert board.is_up()


def test_after_a_restart_only_a_new_connection_helps(emulator: str) -> None:
    with connect(emulator) as board:
        old = board.boot_id
        board.emulator(restart=True)
        with pytest.raises(LinkError):
            board.counters()
        assert board.is_closed
    with connect(emulator) as board:
        assert board.boot_id != old
        assert board.is_up()
        assert Chip(board).settings().th == 56
