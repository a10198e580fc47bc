"""Snapshots on the real emulated board: exact ones, and those of a board that can only be read."""

from dataclasses import asdict

import numpy as np
import pytest
from tests.host.bench import Bench, as_real

from starlab_host.chip.snapshots import describe, restore_snapshot, take_snapshot
from starlab_host.errors import BadArgument, BoardRefused, HardwareFault
from starlab_sim import Specimen
from starlab_spec import SnapshotError, UnknownName
from starlab_spec.operations import PulseKind
from starlab_spec.snapshot import checksum, pack, unpack
from starlab_spec.wire.transactions import Opcode, Status


def images(count: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 2, (count, 784), dtype=np.uint8)


def learn(bench: Bench, count: int = 30) -> np.ndarray:
    return bench.chip.train_step(images(count), labels=np.arange(count) % 10).outputs


def test_an_emulated_board_goes_on_from_where_it_was_taken() -> None:
    bench = Bench(Specimen(seed=1, device="measured"))
    learn(bench)
    data = take_snapshot(bench.board, bench.chip)
    outputs, cells = learn(bench), bench.emulated.chip.conductance_uS(1)
    assert restore_snapshot(bench.board, bench.chip, data).exact
    assert np.array_equal(learn(bench), outputs)
    assert np.array_equal(bench.emulated.chip.conductance_uS(1), cells)
    assert bench.board.supplies()[0].requested is None


def test_a_snapshot_tells_whose_it_is(bench: Bench) -> None:
    bench.board.emulator(advance_s=2)
    data = take_snapshot(bench.board, bench.chip, memory=True)
    info = describe(data)
    assert (info.kind, info.serial, info.device_model) == ("exact", "bench", "nonlinear-3")
    assert (info.bytes, info.sha256) == (len(data), checksum(data))
    assert info.boot_id == bench.board.boot_id
    assert info.emulated_time_s == pytest.approx(2)
    assert info.memory
    read = describe(take_snapshot(bench.board, bench.chip, kind="read"))
    assert (read.kind, read.serial, read.emulated_time_s) == ("read", "bench", None)
    assert not read.memory


def test_a_real_board_is_read_and_then_programmed_to_what_was_read() -> None:
    bench = as_real(Bench(Specimen(seed=1)))
    bench.chip.change_settings(th=77, adc_bits_2=6)
    bench.board.set_supplies({"VBLset": 2150.0})
    data = take_snapshot(bench.board, bench.chip)
    assert describe(data).kind == "read"
    before_uS = {array: bench.chip.read_conductance_uS(array) for array in (1, 2)}
    settings = bench.chip.settings()

    bench.chip.change_settings(th=5, adc_bits_2=4)
    for array in (1, 2):
        mask = np.zeros(before_uS[array].shape, np.bool_)
        mask[:, ::3] = True
        bench.chip.pulse(array, PulseKind.SET, mask, count=20)
    report = restore_snapshot(bench.board, bench.chip, data)
    assert not report.exact
    for array, reached in report.arrays.items():
        error_uS = np.abs(bench.chip.read_conductance_uS(array) - before_uS[array])
        assert reached.in_tolerance == reached.cells
        assert error_uS.max() <= 0.3 + 5e-4
    assert report.arrays.keys() == {1, 2}
    assert asdict(bench.chip.settings()) == asdict(settings)
    states = {state.name: state for state in bench.board.supplies()}
    assert states["VBLset"].nominal == pytest.approx(2150, abs=10)


def test_an_exact_snapshot_is_programmed_into_a_real_board() -> None:
    donor = Bench(Specimen(seed=2))
    donor.chip.change_settings(th=66)
    learn(donor)
    data = take_snapshot(donor.board, donor.chip)
    real = as_real(Bench(Specimen(seed=3)))
    report = restore_snapshot(real.board, real.chip, data, tolerance_uS=0.5)
    assert not report.exact
    assert report.arrays[1].in_tolerance > 0.99 * report.arrays[1].cells
    error_uS = real.emulated.chip.conductance_uS(2) - donor.emulated.chip.conductance_uS(2)
    assert np.abs(error_uS).max() < 0.6
    assert real.chip.settings().th == 66


def test_arrays_that_were_virgin_are_left_alone() -> None:
    bench = as_real(Bench(Specimen(seed=1, virgin=True)))
    data = take_snapshot(bench.board, bench.chip)
    pulses = bench.pulses
    assert restore_snapshot(bench.board, bench.chip, data).arrays == {}
    assert bench.pulses == pulses


def test_what_cannot_be_taken_is_refused(bench: Bench) -> None:
    with pytest.raises(UnknownName, match="unknown kind of snapshot 'rough'; known: exact, read"):
        take_snapshot(bench.board, bench.chip, kind="rough")
    with pytest.raises(BadArgument, match="memory is not part of a snapshot of kind 'read'"):
        take_snapshot(bench.board, bench.chip, kind="read", memory=True)


def test_a_damaged_snapshot_is_refused_before_anything_is_sent(bench: Bench) -> None:
    data = take_snapshot(bench.board, bench.chip)
    sent = len(bench.session.commands)
    with pytest.raises(SnapshotError, match="cut off or damaged"):
        restore_snapshot(bench.board, bench.chip, data[:-1])
    assert len(bench.session.commands) == sent


def test_what_the_board_finds_wrong_reaches_the_caller(bench: Bench) -> None:
    file = unpack(take_snapshot(bench.board, bench.chip))
    data = pack({**file.header, "noise": {}}, file.arrays)
    with pytest.raises(BoardRefused, match="sources of noise") as caught:
        restore_snapshot(bench.board, bench.chip, data)
    assert caught.value.status == Status.BAD_REQUEST
    bench.board.emergency_stop()
    with pytest.raises(HardwareFault, match="emergency_stop"):
        restore_snapshot(bench.board, bench.chip, take_snapshot(bench.board, bench.chip))


def test_a_read_snapshot_of_another_shape_is_refused(bench: Bench) -> None:
    file = unpack(take_snapshot(bench.board, bench.chip, kind="read"))
    arrays = {**file.arrays, "array2.conductance_uS": np.zeros((2, 10, 10), np.float32)}
    sent = len(bench.session.commands)
    with pytest.raises(SnapshotError, match=r"has array2.* \(2, 10, 10\), expected \(2, 100, 10\)"):
        restore_snapshot(bench.board, bench.chip, pack(file.header, arrays))
    with pytest.raises(SnapshotError, match="lacks settings"):
        restore_snapshot(bench.board, bench.chip, pack({**file.header, "settings": 3}, file.arrays))
    assert len(bench.session.commands) == sent


def test_only_the_emulator_command_changes_an_emulated_board(bench: Bench) -> None:
    data = take_snapshot(bench.board, bench.chip)
    bench.session.commands.clear()
    restore_snapshot(bench.board, bench.chip, data)
    opcodes = {transaction.opcode for command in bench.session.commands for transaction in command}
    assert opcodes == {Opcode.WRITE_MEM, Opcode.EMULATOR}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boot_id": -1}, "has boot_id -1, expected a whole number 0 .. 4294967295"),
        ({"boot_id": True}, "has boot_id True, expected a whole number"),
        ({"lifetime_pulses": 1 << 64}, "has lifetime_pulses 18446744073709551616, expected "),
        ({"lifetime_pulses": 0.5}, "has lifetime_pulses 0.5, expected a whole number"),
        ({"emulated_ticks": float("nan")}, "NaN is not a number"),
        ({"emulated_ticks": float("inf")}, "Infinity is not a number"),
        ({"emulated_ticks": "1"}, "has emulated_ticks '1', expected a whole number"),
        ({"serial": 5}, "has serial 5, expected a short text"),
        ({"firmware": "\0"}, "has firmware "),
        ({"device_model": "x" * 1000}, "has device_model 'xxx"),
    ],
)
def test_what_a_snapshot_says_of_itself_is_checked(
    bench: Bench, change: dict[str, object], said: str
) -> None:
    file = unpack(take_snapshot(bench.board, bench.chip, kind="read"))
    with pytest.raises(SnapshotError, match=said):
        describe(pack({**file.header, **change}, file.arrays))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.1, 1e30])
def test_a_read_snapshot_with_impossible_cells_is_refused_before_anything_is_done(
    bench: Bench, value: float
) -> None:
    file = unpack(take_snapshot(bench.board, bench.chip, kind="read"))
    cells_uS = file.arrays["array2.conductance_uS"].copy()
    cells_uS[1, 2, 3] = value
    sent = len(bench.session.commands)
    with pytest.raises(SnapshotError, match=r"has array2\.conductance_uS "):
        restore_snapshot(
            bench.board,
            bench.chip,
            pack(file.header, {**file.arrays, "array2.conductance_uS": cells_uS}),
        )
    assert len(bench.session.commands) == sent
