"""Line resistance as a chip with all its operations shows it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from starlab_sim.chip import (
    Chip,
    Converters,
    Learning,
    PulseKind,
    Rails,
    Schedule,
    Training,
    Tuning,
)
from starlab_sim.chip.wires import EXACT, Grid, Layout, block_scratch, drops, pulsed_lines
from starlab_sim.devices import STEP_VOLTAGE_MV
from starlab_sim.effects import (
    Array1Wires,
    Array2Wires,
    Effects,
    LoadRegulation,
    ReadNoise,
    Spread,
    Wires,
)
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.samples import unpack_samples

# the first test that needs them compiles kernels, and that may take a minute on a busy machine
pytestmark = pytest.mark.timeout(400)

RAILS = Rails()
CONVERTERS = Converters(bits2=6, integration1_ns=250)
FREE: Mapping[str, Any] = {
    "bl_segment_ohm": 0.0,
    "sl_segment_ohm": 0.0,
    "bl_driver_ohm": 0.0,
    "sl_driver_ohm": 0.0,
}
SAMPLES: NDArray[np.uint8] = np.random.default_rng(3).integers(0, 256, (12, 98), np.uint8)
SAMPLES &= np.uint8(0x11)
SILENT = ReadNoise(temperature_k=0.0, converter_codes=0.0, comparator_uS=0.0)
TARGETS = np.random.default_rng(4).integers(-400, 400, (12, 10), np.int32)


def chip_with(wires: Wires | None, **effects: Any) -> Chip:
    chip = Chip(seed=2, formed=True, effects=Effects(wires=wires, **effects))
    rng = np.random.default_rng(1)
    for geometry in (ARRAY1, ARRAY2):
        cells = rng.normal(11, 4, geometry.shape).clip(2, 20)
        chip.set_conductance_uS(geometry.number, cells)
    return chip


def learn(
    chip: Chip, part: slice = slice(None), schedule: Schedule | None = None, phase: int = 0
) -> Training:
    return chip.train(
        SAMPLES[part],
        TARGETS[part],
        rails=RAILS,
        converters=CONVERTERS,
        learning=Learning(threshold=1, hidden_threshold_uS=0.1),
        tuning=Tuning.at(RAILS, Schedule.non_cyclic(2, 1) if schedule is None else schedule),
        phase=phase,
    )


def codes(currents_ua: NDArray[np.float64], full_scale_ua: float) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.floor(currents_ua * 255 / full_scale_ua + 0.5).clip(0, 255)
    return found


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_wires_without_resistance_change_no_bit(mode: str) -> None:
    ideal = chip_with(None)
    wired = chip_with(Wires(mode=mode, array1=Array1Wires(**FREE), array2=Array2Wires(**FREE)))
    for chip in (ideal, wired):
        every = np.ones(ARRAY1.shape, np.bool_)
        chip.pulse(1, PulseKind.SET, every, RAILS.pulse(PulseKind.SET, 100))
    assert np.array_equal(learn(ideal).outputs, learn(wired).outputs)
    assert np.array_equal(ideal.conductance_uS(1), wired.conductance_uS(1))
    seen = [
        (
            chip.read(1, rails=RAILS, converters=CONVERTERS).tolist(),
            chip.infer(SAMPLES, rails=RAILS, converters=CONVERTERS).outputs.tolist(),
            chip.counters,
        )
        for chip in (ideal, wired)
    ]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("mode", ["fast", "exact"])
@pytest.mark.parametrize("topology", ["2T2R", "1T1R"])
def test_an_inference_has_the_currents_of_the_nodal_solution(topology: str, mode: str) -> None:
    wires = Wires(mode=mode, array1=Array1Wires(topology=topology))
    chip = chip_with(wires)
    hidden = chip.infer(SAMPLES, rails=RAILS, converters=CONVERTERS).hidden
    layout = Layout.of(ARRAY1, wires)
    grid = Grid(layout)
    grid.load(chip.conductance_uS(1))
    for sample, found in zip(unpack_samples(SAMPLES), hidden, strict=True):
        plus_v = sample * (RAILS.read_plus_mv * 1e-3)
        minus_v = sample * (-RAILS.read_minus_mv * 1e-3)
        rows_v = [plus_v, minus_v][: layout.rows_per_node]
        exact = codes(grid.solve(*rows_v).currents_ua, CONVERTERS.full_scale1_ua)
        assert np.abs(found - exact).max() <= (0 if mode == "exact" else 1)
        assert (found != exact).mean() < 0.02
    ideal = chip_with(None).infer(SAMPLES, rails=RAILS, converters=CONVERTERS).hidden
    assert hidden.mean() < 0.9 * ideal.mean()


def test_array_2_is_read_through_its_wires_as_well() -> None:
    counts = np.full((1, 100), 1, np.uint8)
    outputs = [
        chip_with(wires).vmm2(counts, rails=RAILS, converters=CONVERTERS)
        for wires in (
            Wires(array2=Array2Wires(bl_segment_ohm=100.0, sl_segment_ohm=50.0)),
            Wires(),
        )
    ]
    layout = Layout.of(ARRAY2, Wires(array2=Array2Wires(bl_segment_ohm=100.0, sl_segment_ohm=50.0)))
    grid = Grid(layout)
    grid.load(chip_with(None).conductance_uS(2))
    columns_ua = grid.solve(np.full(100, RAILS.read_plus_mv * 1e-3)).columns_ua
    levels = np.floor(columns_ua * 63 / CONVERTERS.full_scale2_ua + 0.5).clip(0, 63)
    assert outputs[0][0].tolist() == (levels[1::2] - levels[0::2]).tolist()
    assert outputs[0].tolist() != outputs[1].tolist()


def test_read_sees_less_of_cells_that_are_farther_away() -> None:
    wires = Wires(array1=Array1Wires(sl_segment_ohm=20.0, bl_segment_ohm=20.0))
    chip = chip_with(wires)
    chip.set_conductance_uS(1, np.full(ARRAY1.shape, 15.0))
    read = chip.read(1, rails=RAILS, converters=CONVERTERS).astype(int)
    assert read[0, 783, 0] >= 148  # 150 codes without wires
    assert read[0, 0, 0] < read[0, 400, 0] < read[0, 783, 0]
    assert read[1, 783, 99] < read[1, 783, 50] < read[1, 783, 0]


def test_rows_of_a_read_are_the_same_alone_and_together() -> None:
    chip = chip_with(Wires())
    together = chip.read(1, rails=RAILS, converters=CONVERTERS)
    alone = chip.read(1, rows=range(300, 310), rails=RAILS, converters=CONVERTERS)
    assert np.array_equal(alone, together[:, 300:310])


@pytest.mark.parametrize("kind", [PulseKind.SET, PulseKind.RESET])
def test_a_pulse_moves_cells_as_far_as_the_voltage_that_reaches_them(kind: PulseKind) -> None:
    wires = Wires(mode="exact", array1=Array1Wires(bl_segment_ohm=5.0))
    wired, ideal = chip_with(wires), chip_with(None)
    mask = np.zeros(ARRAY1.shape, np.bool_)
    mask[0, 5, ::2] = True
    pulse = RAILS.pulse(kind, 100)
    before = ideal.conductance_uS(1).astype(np.float64)
    for chip in (wired, ideal):
        chip.pulse(1, kind, mask, pulse)
    drop_mv = np.zeros((1, 100), np.float32)
    layout = Layout.of(ARRAY1, wires)
    columns = np.arange(0, 100, 2, dtype=np.uint64)
    drops(
        before[0].astype(np.float32),
        np.array([5]),
        1,
        columns,
        50,
        pulse.amplitude_mv,
        pulsed_lines(layout, 0, EXACT, 0.0),
        block_scratch(layout),
        5,
        drop_mv,
    )
    step_uS, full_uS = ((chip.conductance_uS(1) - before)[0, 5, ::2] for chip in (wired, ideal))
    free = (ideal.conductance_uS(1)[0, 5, ::2] > 2.0) & (ideal.conductance_uS(1)[0, 5, ::2] < 20)
    expected = full_uS * np.exp(-drop_mv[0, ::2].astype(np.float64) / STEP_VOLTAGE_MV)
    assert step_uS[free] == pytest.approx(expected[free], abs=4e-6)
    assert drop_mv.max() > 50
    assert wired.counters.energy_j < ideal.counters.energy_j


def test_forming_needs_the_voltage_that_reaches_the_cell() -> None:
    """Half a volt in hand; formed neighbours draw current, virgin ones do not."""
    wires = Wires(array1=Array1Wires(bl_driver_ohm=500.0))
    chip = Chip(seed=1, effects=Effects(wires=wires))
    everything = np.ones(ARRAY1.shape, np.bool_)
    forming = RAILS.pulse(PulseKind.FORM, 12_800)
    chip.pulse(1, PulseKind.FORM, everything, forming)
    assert not chip.virgin(1).any()
    chip = chip_with(wires)
    array = chip._array1
    array.conductance_uS[0, 3, 50] = 0.02
    array.changed()
    row = np.zeros(ARRAY1.shape, np.bool_)
    row[0, 3] = True
    chip.pulse(1, PulseKind.FORM, row, forming)
    assert chip.virgin(1)[0, 3, 50]
    row[0, 3] = np.arange(100) == 50
    chip.pulse(1, PulseKind.FORM, row, forming)
    assert not chip.virgin(1).any()


def test_learning_reads_what_inference_reads() -> None:
    """Without pulses: in the exact mode by a solution each, in the fast one by gains."""
    exact, fast = chip_with(Wires(mode="exact")), chip_with(Wires())
    still = Schedule.cyclic(0, 0)
    inferred = exact.infer(SAMPLES, rails=RAILS, converters=CONVERTERS)
    for chip in (exact, fast):
        learnt = learn(chip, schedule=still)
        assert np.abs(learnt.hidden.astype(int) - inferred.hidden).max() <= 1
        assert (learnt.hidden != inferred.hidden).mean() < 0.01
        assert not learnt.pulses1.any()
    assert np.array_equal(learn(exact, schedule=still).hidden, inferred.hidden)
    assert np.array_equal(learn(exact, schedule=still).outputs, inferred.outputs)


def test_the_fast_mode_learns_nearly_what_the_exact_one_does() -> None:
    exact, fast, ideal = chip_with(Wires(mode="exact")), chip_with(Wires()), chip_with(None)
    before = ideal.conductance_uS(1).astype(np.float64)
    results = [learn(chip, slice(0, 1)) for chip in (exact, fast, ideal)]
    assert results[0].pulses1.tolist() == results[1].pulses1.tolist()
    assert results[0].pulses1[0] > 1000
    steps = [chip.conductance_uS(1) - before for chip in (exact, fast, ideal)]
    assert np.abs(steps[0] - steps[1]).max() < 1e-3 * np.abs(steps[0]).max()
    assert np.abs(steps[0]).sum() < 0.9 * np.abs(steps[2]).sum()


@pytest.mark.parametrize("mode", ["fast", "exact"])
@pytest.mark.parametrize("effects", [{}, {"spread": Spread()}])
def test_two_calls_do_what_one_would(mode: str, effects: dict[str, Any]) -> None:
    wires = Wires(mode=mode, refresh_steps=4)
    whole, halves = chip_with(wires, **effects), chip_with(wires, **effects)
    once = learn(whole)
    first = learn(halves, slice(0, 5))
    second = learn(halves, slice(5, None), phase=first.phase)
    assert np.array_equal(once.hidden, np.concatenate([first.hidden, second.hidden]))
    for array in (1, 2):
        assert np.array_equal(whole.conductance_uS(array), halves.conductance_uS(array))


@pytest.mark.parametrize("effects", [{}, {"read_noise": SILENT, "spread": Spread()}])
@pytest.mark.parametrize("refresh_steps", [3, 4])
def test_an_inference_between_learning_steps_changes_nothing(
    refresh_steps: int, effects: dict[str, Any]
) -> None:
    """Neither where gains hold, nor where it is the first to need new ones."""
    wires = Wires(refresh_steps=refresh_steps)
    calm, curious = chip_with(wires, **effects), chip_with(wires, **effects)
    curious.infer(SAMPLES, rails=RAILS, converters=CONVERTERS)
    mask = np.ones(ARRAY1.shape, np.bool_)
    for part in (slice(0, 3), slice(3, 9), slice(9, 12)):
        seen = [learn(chip, part) for chip in (calm, curious)]
        assert np.array_equal(seen[0].outputs, seen[1].outputs)
        curious.infer(SAMPLES, rails=RAILS, converters=CONVERTERS)
        curious.read(1, rails=RAILS, converters=CONVERTERS)
        for chip in (calm, curious):
            chip.pulse(1, PulseKind.SET, mask[:, :9], RAILS.pulse(PulseKind.SET, 100))
        curious.infer(SAMPLES, rails=RAILS, converters=CONVERTERS)
    for array in (1, 2):
        assert np.array_equal(calm.conductance_uS(array), curious.conductance_uS(array))


def test_while_gains_hold_an_inference_uses_them() -> None:
    """So it reads what the learning steps read, and needs no transfer matrix of its own."""
    chip = chip_with(Wires(refresh_steps=100))
    gain = chip._array1.forward_uS / chip._array1.conductance_uS
    learn(chip)
    seen_uS = chip._array1.forward_uS
    assert seen_uS == pytest.approx(gain * chip._array1.conductance_uS, rel=1e-6)
    mask = np.zeros(ARRAY1.shape, np.bool_)
    mask[0, 783, 3] = True
    chip.pulse(1, PulseKind.SET, mask, RAILS.pulse(PulseKind.SET, 50))
    assert not np.array_equal(chip._array1.forward_uS / chip._array1.conductance_uS, gain)


@pytest.mark.parametrize("topology", ["2T2R", "1T1R"])
def test_transfer_matrices_of_the_fast_mode_err_by_less_than_a_thousandth_of_a_code(
    topology: str,
) -> None:
    wires = {
        mode: Wires(mode=mode, array1=Array1Wires(topology=topology)) for mode in ("fast", "exact")
    }
    bits = np.random.default_rng(1).random((500, 784)) < 0.13
    found = {}
    for mode, one in wires.items():
        array = chip_with(one)._array1
        assert array.wires is not None
        plus, minus = bits @ array.forward_uS.astype(np.float64)
        minus_v = RAILS.read_minus_mv if array.differential else RAILS.read_plus_mv
        current_ua = (RAILS.read_plus_mv * plus - minus_v * minus) * 1e-3
        found[mode] = current_ua * 255 / CONVERTERS.full_scale1_ua
    error = np.abs(found["fast"] - found["exact"]).max()
    assert 0 < error < 1e-3


def test_transfer_matrices_are_kept_until_cells_change() -> None:
    chip = chip_with(Wires())
    array = chip._array1
    first = array.forward_uS
    chip.infer(SAMPLES, rails=RAILS, converters=CONVERTERS)
    assert array.forward_uS is first
    mask = np.zeros(ARRAY1.shape, np.bool_)
    mask[0, 783, 3] = True
    chip.pulse(1, PulseKind.SET, mask, RAILS.pulse(PulseKind.SET, 3000))
    again = array.forward_uS
    assert again is not first
    assert again[0, 783, 3] > first[0, 783, 3]


def test_as_1t1r_both_cells_of_a_pair_are_read_with_one_voltage() -> None:
    wires = Wires(array1=Array1Wires(topology="1T1R"))
    other = Rails(bl23_mv=2100.0)
    chip = chip_with(wires)
    for one, same in ((chip, True), (chip_with(Wires()), False)):
        hidden = [one.vmm(SAMPLES, rails=rails, converters=CONVERTERS) for rails in (RAILS, other)]
        assert np.array_equal(hidden[0], hidden[1]) is same


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_one_array_may_be_wired_and_the_other_not(mode: str) -> None:
    ideal = chip_with(None)
    wired = chip_with(Wires(mode=mode, array1=Array1Wires(**FREE)))
    one, other = learn(ideal, slice(0, 1)), learn(wired, slice(0, 1))
    assert np.array_equal(one.hidden, other.hidden)
    assert not np.array_equal(one.outputs, other.outputs)


def test_a_rail_that_sags_moves_cells_less_while_learning() -> None:
    stiff, soft = (
        chip_with(Wires(), load_regulation=LoadRegulation(output_ohm=ohm)) for ohm in (0.0, 5.0)
    )
    before = stiff.conductance_uS(1).astype(np.float64)
    for chip in (stiff, soft):
        learn(chip, slice(0, 1))
    steps = [np.abs(chip.conductance_uS(1) - before).sum() for chip in (stiff, soft)]
    assert 0.1 < steps[1] / steps[0] < 0.95


def test_wires_can_be_switched_off_again() -> None:
    chip = chip_with(Wires())
    wired = chip.vmm(SAMPLES, rails=RAILS, converters=CONVERTERS)
    chip.change_effects(Effects())
    free = chip.vmm(SAMPLES, rails=RAILS, converters=CONVERTERS)
    assert np.array_equal(free, chip_with(None).vmm(SAMPLES, rails=RAILS, converters=CONVERTERS))
    assert not np.array_equal(wired, free)
