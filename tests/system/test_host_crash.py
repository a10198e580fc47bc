"""A host process killed with SIGKILL, a real board process, UDP between them."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.system import journaled_host
from tests.system.journaled_host import Plan, progress_of

from starlab_host import Chip, Journal, connect

HOST = Path(journaled_host.__file__)
Process = subprocess.Popen[str]


@contextmanager
def started(*command: str) -> Iterator[Process]:
    """A child process; killed at the end if it still runs."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def emulator(port: int = 0) -> Iterator[tuple[Process, str]]:
    """An emulated board and its URL."""
    with started(sys.executable, "-m", "starlab_sim", "--port", str(port)) as process:
        yield process, next_event(process)["listening"]


@contextmanager
def host(url: str, journal: Path, pulses: int) -> Iterator[Process]:
    """The host program."""
    command = [sys.executable, str(HOST), "--board", url, "--journal", str(journal)]
    with started(*command, "--seed", "7", "--pulses", str(pulses)) as process:
        yield process


def next_event(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    event: dict[str, Any] = json.loads(process.stdout.readline())
    return event


def last_event(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    event: dict[str, Any] = json.loads(process.stdout.readlines()[-1])
    return event


def pulses_of(url: str) -> list[int]:
    """SET and RESET pulses that array 1 of a board has got."""
    with connect(url) as board:
        counts = board.counters().array1
        assert board.status().lifetime_pulses == counts.set + counts.reset
        return [counts.set, counts.reset]


def by_kind(counts: NDArray[np.int64]) -> list[int]:
    return [int(count) for count in counts.sum(axis=(1, 2, 3))]


def test_a_host_killed_again_and_again_gives_every_pulse_once(tmp_path: Path) -> None:
    journal, plan, rng = tmp_path / "board.journal", Plan(7, 600), random.Random(1)
    with emulator() as (_, url):
        for _ in range(6):
            with host(url, journal, plan.pulses) as process:
                assert next_event(process)["unknown"] == []
                try:
                    process.wait(rng.uniform(0.0, 0.15))
                except subprocess.TimeoutExpired:
                    process.kill()
        with host(url, journal, plan.pulses) as process:
            assert last_event(process) == {
                "event": "finished",
                "settled": plan.pulses,
                "in_doubt": [],
            }
        assert progress_of(journal).settled == plan.pulses
        assert pulses_of(url) == by_kind(plan.counts())


def test_host_and_board_killed_leave_what_was_in_flight_in_doubt(tmp_path: Path) -> None:
    journal, plan = tmp_path / "board.journal", Plan(7, 400)
    with emulator() as (board, url):
        with host(url, journal, plan.pulses) as process:
            while next_event(process)["event"] != "progress":
                pass
            next_event(process)
            board.send_signal(signal.SIGSTOP)
    with emulator(int(url.rpartition(":")[2])) as (_, url):
        with host(url, journal, plan.pulses) as process:
            connected = next_event(process)
            finished = last_event(process)
        pulses = pulses_of(url)
    assert not connected["resumed"]
    assert finished["in_doubt"] == connected["unknown"]
    # the second board got all steps but those that the first one got, or may have got
    begin = plan.pulses - sum(pulses)
    assert set(finished["in_doubt"]) <= {begin - 1}
    assert pulses == by_kind(plan.counts(range(begin, plan.pulses)))


PROGRAMMING = """
import sys
from pathlib import Path
import numpy as np
from starlab_host import Chip, Journal, connect
board = connect(sys.argv[1], journal=Journal(Path(sys.argv[2])))
target = np.random.default_rng(1).uniform(4, 18, (2, 100, 10))
Chip(board).program(2, target, on_progress=lambda *_: print("{}", flush=True))
"""


def test_a_host_killed_in_the_middle_of_programming_knows_what_was_executed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "board.journal"
    with emulator() as (_, url):
        with started(sys.executable, "-c", PROGRAMMING, url, str(path)) as process:
            next_event(process)
        with Journal(path) as journal, connect(url, journal=journal) as board:
            assert journal.unsettled() == []
            assert journal.in_doubt() == []
            found = journal.recovered
            assert found.resumed == bool(found.executed or found.not_sent)
            target = np.random.default_rng(1).uniform(4, 18, (2, 100, 10))
            report = Chip(board).program(2, target)
            assert report.in_tolerance == report.cells
            given = board.counters().array2
            assert given.set + given.reset == board.status().lifetime_pulses
