"""A board that speaks only the authors' protocol, stopped, lost or taken."""

import threading
from pathlib import Path

import numpy as np
import pytest
from tests.authors_bench import AuthorsBench
from tests.host.authors.samples import digits, spread

from starlab_host import (
    Aborted,
    Board,
    BoardAway,
    Chip,
    Compliance,
    HardwareFault,
    Journal,
    LinkError,
    LinkLost,
    OutcomeUnknown,
    connect,
)
from starlab_host.journal.entries import EntryState
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.requests.emulator import FaultRequest
from starlab_spec.operations import PulseKind
from starlab_spec.wire import BoardState


def test_an_emergency_stop_is_latched_by_the_host(
    chip: Chip, board: Board, bench: AuthorsBench
) -> None:
    board.emergency_stop()
    assert board.faults() == ("emergency_stop",)
    assert board.status().state is BoardState.FAULT
    low = bench.board._state.supplies.get(6, now_s=0)
    assert low is not None
    assert low.code == 0
    with pytest.raises(HardwareFault, match="latched: emergency_stop, by the host"):
        chip.pulse(1, PulseKind.SET, np.ones((2, 784, 100)))
    board.make_ready()
    assert not board.is_up()
    board.clear_faults()
    board.make_ready()
    assert chip.infer(digits(1)).outputs.shape == (1, 10)


def test_an_abort_stops_between_two_samples(chip: Chip, board: Board) -> None:
    chip.infer(digits(1))
    done: list[int] = []

    def stop(samples: int, _: int) -> None:
        done.append(samples)
        if samples == 5:
            board.abort()

    with pytest.raises(Aborted, match="BATCH_TRAINING stopped after 5 of 40 samples") as stopped:
        chip.train_step(digits(40), labels=[0] * 40, on_progress=stop)
    assert stopped.value.done == 5
    assert done == [1, 2, 3, 4, 5]


def test_a_limit_that_trips_while_it_learns_tells_which_sample_is_in_part() -> None:
    pixels = np.random.default_rng(3).random((8, 784)) < np.linspace(0.02, 0.5, 8)[:, None]
    effects = Effects.read({"current_limit": {"limit_ma": 30.0}})
    with AuthorsBench(Specimen(seed=5, effects=effects)) as bench:
        spread(bench)
        with connect(bench.url) as board:
            chip = Chip(board)
            chip.infer(digits(1))
            steps = bench.board.chip.counters.training_steps
            with pytest.raises(Compliance, match="BP ended without a result: COMPLI") as refusal:
                chip.train_step(pixels.astype(np.uint8), labels=[0] * 8)
            done = refusal.value.done
            assert 0 < done < 8
            assert bench.board.chip.counters.training_steps == steps + done
            assert f"; {done} of 8 samples are done, sample {done} in part" in str(refusal.value)


def test_status_is_told_while_a_command_runs(chip: Chip, board: Board) -> None:
    seen: list[BoardState] = []
    asking = threading.Thread(target=lambda: seen.append(board.status().state))

    def ask(done: int, _: int) -> None:
        if done == 1:
            asking.start()
            asking.join(10)

    chip.infer(digits(2))
    chip.infer(digits(2), on_progress=ask)
    assert seen == [BoardState.EXECUTING]


def test_a_connection_lost_in_a_command_that_changes_the_chip_leaves_it_in_doubt(
    chip: Chip, board: Board, bench: AuthorsBench
) -> None:
    chip.infer(digits(1))
    bench.board.fail(FaultRequest(restart_after_pulses=500))
    with pytest.raises(OutcomeUnknown, match=r"in doubt.* closed the connection.*: read back"):
        chip.train_step(digits(100), labels=[0] * 100)
    assert board.is_closed
    with pytest.raises(LinkError, match="the board has closed the connection"):
        board.status()


def test_a_connection_lost_in_a_read_is_lost_and_no_more(
    chip: Chip, board: Board, bench: AuthorsBench
) -> None:
    bench._authors.stop()
    with pytest.raises(LinkLost, match="closed the connection"):
        chip.read_conductance_uS(2)
    assert board.is_closed


def test_the_journal_knows_what_was_in_flight(bench: AuthorsBench, tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        with connect(bench.url, journal=journal) as board:
            chip = Chip(board)
            chip.train_step(digits(2), labels=[1, 2])
            bench.board.fail(FaultRequest(restart_after_pulses=1))
            with pytest.raises(OutcomeUnknown):
                chip.train_step(digits(50), labels=[0] * 50)
        (lost,) = journal.in_doubt()
        assert (lost.state, lost.serial) == (EntryState.UNKNOWN, bench.url.partition("//")[2])
        with connect(bench.url, journal=journal) as board:
            Chip(board).train_step(digits(2), labels=[1, 2])
        assert journal.newest(1)[0].state is EntryState.DONE
        assert journal.in_doubt() == [lost]


def test_a_board_that_somebody_else_has_is_away(board: Board, bench: AuthorsBench) -> None:
    board.close()
    with (
        connect(bench.udp_url),
        pytest.raises(BoardAway, match="no board answers at authors-tcp://127"),
    ):
        connect(bench.url)


def test_nobody_there_is_away() -> None:
    with pytest.raises(BoardAway, match=r"nobody answers at authors-tcp://\S+:1: Connection "):
        connect("authors-tcp://127.0.0.1:1")


def test_there_is_nothing_to_capture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be captured: no frames travel there"):
        connect("authors-tcp://127.0.0.1:1", capture=tmp_path / "link.pcap")
