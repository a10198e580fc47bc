"""A chip on a board that speaks only the authors' protocol: what works, and what is refused."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.authors_bench import AuthorsBench

from starlab_host import (
    Aborted,
    Board,
    BoardAway,
    BoardRefused,
    Chip,
    Compliance,
    HardwareFault,
    Journal,
    LinkError,
    LinkLost,
    NotReady,
    OutcomeUnknown,
    calibrate,
    connect,
    memory,
)
from starlab_host.authors import AuthorsSession
from starlab_host.journal_entries import EntryState
from starlab_host.links import AuthorsAddress
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.emulator_commands import FaultRequest
from starlab_spec import LimitExceeded, Unsafe
from starlab_spec.operations import Operation, PulseKind, pack_mask
from starlab_spec.registers import register
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire import BoardState
from starlab_spec.wire.transactions import Status, set_supply, start, write_memory, write_registers


@pytest.fixture
def bench() -> Iterator[AuthorsBench]:
    """A formed chip whose second array is spread over the window."""
    with AuthorsBench(Specimen(seed=5)) as running:
        spread(running)
        yield running


@pytest.fixture
def board(bench: AuthorsBench) -> Iterator[Board]:
    """The board, up."""
    with connect(bench.url) as connected:
        yield connected


@pytest.fixture
def chip(board: Board) -> Chip:
    return Chip(board)


def spread(bench: AuthorsBench) -> None:
    spread_uS = np.random.default_rng(6).uniform(2, 20, (2, 100, 10))
    bench.board.chip.set_conductance_uS(2, spread_uS)


def digits(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return (np.random.default_rng(3).random((count, 784)) < 0.2).astype(np.uint8)


def test_a_connection_brings_all_supplies_up(board: Board) -> None:
    assert board.is_up()
    assert [state.code for state in board.supplies()] == [c.default_code for c in SUPPLIES]
    assert board.status().state is BoardState.IDLE
    assert not board.capabilities.exactly_once
    assert not board.capabilities.thresholds
    assert board.identity["firmware"] == "unknown"


def test_conductances_are_read_row_by_row(chip: Chip, bench: AuthorsBench) -> None:
    for array in (1, 2):
        read_uS = chip.read_conductance_uS(array)
        true_uS = bench.board.chip.conductance_uS(array)
        assert np.abs(read_uS - true_uS).max() <= 0.0501


def test_masks_of_any_shape_are_pulsed(chip: Chip, board: Board, bench: AuthorsBench) -> None:
    rng = np.random.default_rng(1)
    given = 0
    for array, shape in ((1, (2, 784, 100)), (2, (2, 100, 10))):
        mask = rng.random(shape) < 0.5
        mask[:, : shape[1] // 2] = False
        mask[:, 3] = True
        mask[0, 5] = True
        assert chip.pulse(array, PulseKind.SET, mask, count=3) == 3 * mask.sum()
        assert (bench.board.chip.pulses(array) == 3 * mask).all()
        given += 3 * int(mask.sum())
    assert board.status().lifetime_pulses == bench.board.lifetime_pulses == given
    counters = board.counters()
    assert counters.array1.set + counters.array2.set == given
    assert counters.operations.set == bench.board.chip.counters.set_operations


def test_a_virgin_array_is_formed_and_programmed() -> None:
    target_uS = np.random.default_rng(2).uniform(2, 20, (2, 100, 10))
    with AuthorsBench(Specimen(seed=1, virgin=True)) as bench, connect(bench.url) as board:
        chip = Chip(board)
        assert chip.form(2).newly_formed == 2000
        report = chip.program(2, target_uS, tolerance_uS=0.5)
        assert report.in_tolerance == 2000
        error_uS = bench.board.chip.conductance_uS(2) - target_uS
        assert np.abs(error_uS).max() <= 0.56


def test_inference_and_learning_are_the_same_as_over_our_own_protocol(
    bench: AuthorsBench, chip: Chip
) -> None:
    images, labels = digits(50), np.random.default_rng(4).integers(0, 10, 50)
    targets = np.random.default_rng(9).integers(-300, 300, (20, 10))
    with AuthorsBench(Specimen(seed=5)) as ours:
        spread(ours)
        with connect(ours.udp_url) as their_board:
            reference = Chip(their_board)
            for each in (reference, chip):
                each.change_settings(update_pulses_2=2, target_on=60, set_width_1_ns=200)
            assert (reference.infer(images).outputs == chip.infer(images).outputs).all()
            for each in (reference, chip):
                each.train_step(images, labels=labels)
                each.train_step(images[:25], labels=labels[:25], layers=[2])
                each.change_settings(phase="reset")
            learned = [each.train_step(images[:20], targets=targets) for each in (reference, chip)]
            assert (learned[0].outputs == learned[1].outputs).all()
            assert (learned[0].correct == learned[1].correct).all()
        for array in (1, 2):
            found = bench.board.chip.conductance_uS(array)
            assert (found == ours.board.chip.conductance_uS(array)).all()
            assert bench.board.chip.pulses(array).any()


def test_nothing_beyond_the_published_registers_is_asked_for(
    chip: Chip, bench: AuthorsBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    execute = bench.board.execute

    def noting(transactions, **options):  # type: ignore[no-untyped-def]
        asked.extend(t.address for t in transactions if t.opcode in (1, 2))
        return execute(transactions, **options)

    monkeypatch.setattr(bench.board, "execute", noting)
    chip.settings()
    chip.infer(digits(3))
    chip.train_step(digits(3), labels=[1, 2, 3])
    assert 0 < max(asked) <= 0xC8


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("th", 20, "TH cannot be 0x14: on a board of the authors' protocol the thresholds are"),
        ("th1_uS", 3.0, "TH1 cannot be 0xBB8: on a board"),
        ("c1", 0.4, "C1 cannot be"),
        ("c2", 9, "C2 cannot be 0x9"),
        ("output_activation", "relu", "ACTIVATION cannot be 0x1: .* the output activation is"),
        ("scheme", "non-cyclic", "SCHEME cannot be 0x1: .* so the scheme is the cyclic one"),
    ],
)
def test_what_is_fixed_in_hardware_cannot_be_set_and_nothing_else_of_the_call_is(
    chip: Chip, setting: str, value: float | str, why: str
) -> None:
    before = chip.settings()
    with pytest.raises(BoardRefused, match=why) as refused:
        chip.change_settings(**{"adc_bits_1": 4, "target_on": 7, setting: value})
    assert refused.value.status == Status.UNSUPPORTED
    assert chip.settings() == before


def test_settings_that_are_as_they_are_may_be_set_again(chip: Chip) -> None:
    now = chip.settings()
    assert chip.change_settings(th=now.th, c1=now.c1, scheme="cyclic", adc_bits_1=7).adc_bits_1 == 7


def test_what_the_published_block_cannot_do_is_refused_with_a_reason(
    chip: Chip, board: Board
) -> None:
    with pytest.raises(BoardRefused, match="does not give the hidden pulse counts"):
        chip.vmm(1, digits(2))
    with pytest.raises(BoardRefused, match="does not give the hidden pulse counts"):
        chip.infer(digits(2), hidden=True)
    with pytest.raises(BoardRefused, match="cannot multiply pulse counts with array 2 alone"):
        chip.vmm(2, np.zeros((1, 100)))
    with pytest.raises(BoardRefused, match="nothing in the authors' protocol tells") as refused:
        board.emulator(advance_s=1)
    assert refused.value.status == Status.UNSUPPORTED
    with pytest.raises(BoardRefused, match="operation 0x00000003 must be one bit of"):
        board.execute([write_registers(0x38, [3]), write_registers(0x3C, [8])])


def test_supplies_that_cannot_be_read_back_are_not_calibrated(board: Board) -> None:
    with pytest.raises(BoardRefused, match="the supplies of this board cannot be read back"):
        calibrate(board, now=datetime.now(UTC))


def test_rails_are_taken_down_at_an_orderly_end(board: Board, bench: AuthorsBench) -> None:
    board.power_down()
    low = bench.board._state.supplies.get(6, now_s=0)
    assert low is not None
    assert low.code == 0


def test_registers_memory_and_operations_are_open_to_an_engineer(board: Board) -> None:
    data = np.random.default_rng(1).bytes(3000)
    board.write_memory(0x300, data)
    assert board.read_memory(0x2FF, 3002) == b"\0" + data + b"\0"
    board.write_register("MODE", 0, mask=0x100)
    board.write_register("INFERENCE_RANGE", 4 << 16)
    assert len(board.run(Operation.INFERENCE)) == 5 * 8
    board.write_register("COLUMNS0", 0b1011)
    assert len(board.run(Operation.READ)) == 4 * 3
    assert board.read_register("SAMPLE_STRIDE") == 98
    assert board.read_register("IDENTITY") == 0
    with pytest.raises(BoardRefused, match="register INTERRUPT at 0x80 is read-only"):
        board.write_register("INTERRUPT", 1)


def test_unsafe_supplies_are_refused_before_the_board_hears_of_them(board: Board) -> None:
    with pytest.raises(LimitExceeded, match=r"VBLset 4581.9 mV is above the 2600 mV limit"):
        board.execute([set_supply(6, 200)])
    assert board.set_supplies({"VBLset": 2100})[0].code == SUPPLIES[6].nearest_code(2100)


def test_the_session_alone_refuses_unsafe_supplies_too(bench: AuthorsBench) -> None:
    session = AuthorsSession.open(AuthorsAddress.parse(bench.url))
    try:
        refused = session.execute([set_supply(6, 200)])[-1]
    finally:
        session.close()
    assert (refused.status, refused.data) == (
        Status.INTERLOCK,
        b"VBLset 4581.9 mV is above the 2600 mV limit",
    )


def test_a_board_of_the_authors_is_held_to_the_limits_of_its_file(bench: AuthorsBench) -> None:
    changes = {"VBLset": {"high": 2700}}
    area = SafeArea.of({"supplies": changes, "pulses": {"array2": {"set": {"pulses": 20}}}})
    with connect(bench.url, area_of=lambda serial: area) as board:
        chip = Chip(board)
        with pytest.raises(Unsafe, match="SET pulses 21 on array 2 is above the 20 limit"):
            chip.pulse(2, PulseKind.SET, np.ones((2, 100, 10)), count=21)
        assert bench.board.lifetime_pulses == 0
        chip.pulse(2, PulseKind.SET, np.ones((2, 100, 10)), count=20)
        # wider limits are the host's: the emulated firmware has its own, and keeps to it
        board.set_supplies({"VBLset": 2650})
    still = bench.board._state.supplies.get(6, now_s=0)
    assert still is not None
    assert still.code == SUPPLIES[6].default_code


def test_a_board_whose_rails_nobody_knows_is_sent_no_pulses(bench: AuthorsBench) -> None:
    with connect(bench.url):
        pass
    with connect(bench.url, bring_up=False) as board:
        with pytest.raises(NotReady, match="supply VBLset was not set by this host"):
            board.run(Operation.SET)
        board.run(Operation.READ)
        board.make_ready()
        Chip(board).pulse(2, PulseKind.SET, np.ones((2, 100, 10)))


def test_what_the_host_played_is_not_taken_for_what_was_written(
    board: Board, bench: AuthorsBench
) -> None:
    board.write_register("OPERATION", Operation.READ)
    too_wide = write_registers(register("PERIOD1").address, [255], mask=0xFF)
    # PULSE_MASK leaves SET in OPERATION, which nobody wrote: the bit of START runs that
    run = write_registers(register("START").address, [register("START").pack(start=1)])
    mask = np.zeros((2, 784, 100), np.bool_)
    mask[0, 3, 5] = True
    pulse = [
        write_memory(memory.MASKS.address, pack_mask(mask)),
        write_registers(register("MASK_KIND").address, [PulseKind.SET]),
        write_registers(register("MASK_ADDRESS").address, [memory.MASKS.address]),
        write_registers(register("MODE").address, [1], mask=1),
    ]
    before = bench.board.lifetime_pulses
    with pytest.raises(Unsafe, match="SET width 12800 ns on array 1"):
        board.execute([*pulse, start(Operation.PULSE_MASK), too_wide, run])
    assert bench.board.lifetime_pulses == before
    board.execute([*pulse, start(Operation.PULSE_MASK)])
    assert bench.board.lifetime_pulses > before
    with pytest.raises(Unsafe, match="SET width 12800 ns on array 1"):
        board.execute([too_wide, run])


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
