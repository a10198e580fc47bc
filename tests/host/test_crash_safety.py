"""A host that is killed at any moment neither repeats nor loses a command."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.host.crash_bench import CrashBench, Life, journaled_host, pulse, steps_of

from starlab_host.journal.entries import EntryState
from starlab_host.journal.journal import Journal
from starlab_host.links import MemoryNetwork
from starlab_host.session import idle_thread


@pytest.fixture(autouse=True)
def only_callers_drive_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """No keepalive thread acts between a process's moments."""
    monkeypatch.setattr(idle_thread, "_STEP_S", 3600.0)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_a_host_killed_at_any_one_moment_goes_on_where_it_was(folder: Path) -> None:
    steps, moment, died = 3, 0, True
    while died:
        moment += 1
        bench = CrashBench()
        path = folder / f"{moment}.journal"
        life = bench.live(journaled_host(bench, path, steps), dies_at=moment)
        died = life.moments >= moment
        bench.live(journaled_host(bench, path, steps))
        assert steps_of(bench.board) == list(range(steps))
        with Journal(path) as journal:
            assert journal.in_doubt() == []
            done = [e.note for e in journal.newest() if e.state is EntryState.DONE]
            assert done == [str(step) for step in range(steps)]
    assert moment > 20


@settings(max_examples=50, deadline=None)
@given(
    network=st.builds(
        MemoryNetwork,
        loss=st.floats(0, 0.3),
        duplication=st.floats(0, 0.3),
        reordering=st.floats(0, 0.3),
        seed=st.integers(0, 2**32),
    ),
    lives=st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=6),
)
def test_whatever_dies_nothing_is_repeated_and_what_may_be_lost_is_named(
    network: MemoryNetwork, lives: list[tuple[int, bool]]
) -> None:
    steps = 8
    with tempfile.TemporaryDirectory() as folder:
        bench = CrashBench(network)
        path = Path(folder) / "board.journal"
        for dies_at, board_restarts in lives:
            bench.live(journaled_host(bench, path, steps), dies_at)
            if board_restarts:
                bench.restart_board()
        bench.live(journaled_host(bench, path, steps))
        with Journal(path) as journal:
            doubtful = {int(entry.note) for entry in journal.in_doubt()}
            assert journal.unsettled() == []
        executed = steps_of(bench.board)
        assert executed == sorted(set(executed))
        assert set(range(steps)) - set(executed) <= doubtful
        if not any(board_restarts for _, board_restarts in lives):
            assert not doubtful


def forgetful_host(
    bench: CrashBench, file: Path, steps: int, *, noted_before: bool
) -> Callable[[Life], None]:
    """A process that keeps its progress in a file, written before or after each command."""

    def work(life: Life) -> None:
        session = bench.open(life)
        begin = int(file.read_text()) if file.exists() else 0
        for step in range(begin, steps):
            if noted_before:
                file.write_text(str(step + 1))
                life.moment()
            session.execute(pulse(step))
            if not noted_before:
                life.moment()
                file.write_text(str(step + 1))
        session.close()

    return work


@pytest.mark.parametrize(
    ("noted_before", "wrong"),
    [(True, [0, 2]), (False, [0, 1, 1, 2])],
    ids=["progress noted before sending loses", "progress noted after the reply repeats"],
)
def test_without_a_journal_there_is_a_moment_that_breaks_the_promise(
    folder: Path, noted_before: bool, wrong: list[int]
) -> None:
    outcomes = []
    for moment in range(1, 40):
        bench = CrashBench()
        file = folder / f"{moment}.progress"
        host = forgetful_host(bench, file, 3, noted_before=noted_before)
        bench.live(host, dies_at=moment)
        bench.live(host)
        outcomes.append(steps_of(bench.board))
    assert wrong in outcomes
