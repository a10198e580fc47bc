"""A chip on a board that speaks only the authors' protocol: what works."""

import numpy as np
import pytest
from tests.authors_bench import AuthorsBench
from tests.host.authors.samples import digits, spread

from starlab_host import Board, BoardRefused, Chip, connect
from starlab_sim import Specimen
from starlab_spec.operations import Operation, PulseKind
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire import BoardState


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
