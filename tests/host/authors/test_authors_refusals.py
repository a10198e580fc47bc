"""A board that speaks only the authors' protocol: what it cannot do, and what it may not."""

from datetime import UTC, datetime

import numpy as np
import pytest
from tests.authors_bench import AuthorsBench
from tests.host.authors.samples import digits

from starlab_host import Board, BoardRefused, Chip, NotReady, calibrate, connect
from starlab_host.authors import AuthorsSession
from starlab_host.board import memory
from starlab_host.chip.snapshots import restore_snapshot, take_snapshot
from starlab_host.links import AuthorsAddress
from starlab_sim import Specimen
from starlab_spec import LimitExceeded, Unsafe
from starlab_spec.operations import Operation, PulseKind, pack_mask
from starlab_spec.registers import register
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire.transactions import Status, set_supply, start, write_memory, write_registers


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
    chip: Chip, board: Board, bench: AuthorsBench
) -> None:
    with pytest.raises(BoardRefused, match="does not give the hidden pulse counts"):
        chip.vmm(1, digits(2))
    with pytest.raises(BoardRefused, match="does not give the hidden pulse counts"):
        chip.infer(digits(2), hidden=True)
    with pytest.raises(BoardRefused, match="cannot multiply pulse counts with array 2 alone"):
        chip.vmm(2, np.zeros((1, 100)))
    assert bench.board.chip.counters.read_operations == 0
    with pytest.raises(BoardRefused, match="nothing in the authors' protocol tells") as refused:
        board.emulator(advance_s=1)
    assert refused.value.status == Status.UNSUPPORTED
    with pytest.raises(BoardRefused, match="operation 0x00000003 must be one bit of"):
        board.execute([write_registers(0x38, [3]), write_registers(0x3C, [8])])


def test_a_snapshot_with_other_thresholds_is_refused_before_a_cell_is_programmed(
    bench: AuthorsBench, chip: Chip, board: Board
) -> None:
    with AuthorsBench(Specimen(seed=7)) as ours, connect(ours.udp_url) as theirs:
        other = Chip(theirs)
        other.change_settings(th=99, set_width_1_ns=200)
        data = take_snapshot(theirs, other, kind="read")
    before, settings = bench.board.chip.counters, chip.settings()
    with pytest.raises(BoardRefused, match="the thresholds are fixed in hardware"):
        restore_snapshot(board, chip, data)
    assert bench.board.lifetime_pulses == 0
    assert bench.board.chip.counters == before
    assert chip.settings() == settings


def test_supplies_that_cannot_be_read_back_are_not_calibrated(board: Board) -> None:
    with pytest.raises(BoardRefused, match="the supplies of this board cannot be read back"):
        calibrate(board, now=datetime.now(UTC))


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
