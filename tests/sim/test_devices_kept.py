"""What cells with effects take: memory, time to start, and their place in a state file."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.sim.conftest import Bench

from starlab_sim.chip import (
    Chip,
    Converters,
    Learning,
    PulseKind,
    Rails,
    Schedule,
    Tuning,
)
from starlab_sim.chip.fabrication import FormingVoltages, formable_cells
from starlab_sim.devices import Forming
from starlab_sim.effects import (
    ALL,
    NONE,
    Array1Wires,
    Effects,
    FormingStatistics,
    Retention,
    StuckCells,
    Wires,
)
from starlab_sim.keeping.state_file import StateFile
from starlab_sim.socket.chip_socket import ChipSocket
from starlab_sim.socket.specimen import Specimen
from starlab_spec.geometry import ARRAY1
from starlab_spec.wire import transactions as wire

SECOND_TICKS = 20_000_000
RELAXING = Effects(retention=Retention(relaxation_per_decade=0.1, walk_uS=0.0))


CELLS = 2 * (784 * 100 + 100 * 10)
RAILS, CONVERTERS = Rails(), Converters(bits2=6, integration1_ns=250)
AS_1T1R = Wires(array1=Array1Wires(topology="1T1R"))


def work(chip: Chip) -> None:
    """All that takes memory: learning, inference, READ and pulses of whole arrays."""
    samples = np.random.default_rng(3).integers(0, 256, (6, 98), np.uint8) & np.uint8(0x11)
    targets = np.random.default_rng(4).integers(-400, 400, (6, 10), np.int32)
    everything = np.ones((2, 784, 100), np.bool_)
    tuning = Tuning.at(RAILS, Schedule.non_cyclic(2, 1))
    for kind in (PulseKind.SET, PulseKind.RESET, PulseKind.FORM):
        for _ in range(2):
            chip.train(
                samples,
                targets,
                rails=RAILS,
                converters=CONVERTERS,
                learning=Learning(threshold=1, hidden_threshold_uS=0.1),
                tuning=tuning,
            )
            chip.infer(samples, rails=RAILS, converters=CONVERTERS)
            chip.read(1, rails=RAILS, converters=CONVERTERS)
        chip.pulse(1, kind, everything, RAILS.pulse(kind, 100))


def bytes_a_cell(effects: Effects) -> float:
    """The most that a chip takes while it works."""
    work(Chip(formed=True, effects=effects))  # what compiles kernels takes memory of its own
    tracemalloc.start()
    chip = Chip(formed=True, effects=effects)
    tracemalloc.reset_peak()
    work(chip)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / CELLS


@pytest.mark.timeout(400)  # kernels are compiled
@pytest.mark.parametrize(
    ("effects", "limit"),
    [
        (NONE, 20),
        (replace(ALL, wires=None), 44),
        (Effects(wires=Wires()), 64),
        (ALL, 64),
        (replace(ALL, wires=AS_1T1R), 76),
        (replace(ALL, wires=Wires(mode="exact")), 85),
    ],
    ids=["ideal", "all but wires", "wires alone", "all", "all, 1T1R", "all, exact"],
)
def test_a_chip_at_work_takes_no_more_bytes_a_cell(effects: Effects, limit: float) -> None:
    assert 16 < bytes_a_cell(effects) <= limit


def test_forming_voltages_of_some_rows_are_those_of_the_whole_array() -> None:
    settings = FormingStatistics()

    def stream() -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(7))

    at_once = stream().standard_normal(ARRAY1.shape)
    whole = (settings.voltage_mv + settings.voltage_spread_mv * at_once).astype(np.float32)
    voltages = FormingVoltages(ARRAY1, stream(), settings)
    for first, count in ((0, 784), (0, 1), (15, 2), (16, 16), (700, 84), (783, 1)):
        assert np.array_equal(voltages.of_rows(first, count), whole[:, first : first + count])


def test_which_cells_of_some_rows_can_be_formed_is_as_in_the_whole_array() -> None:
    seed, forming = np.random.SeedSequence(3), Forming(yield_fraction=0.7)
    rng = np.random.Generator(np.random.PCG64(seed))
    rng.random(ARRAY1.shape)  # what conductances are drawn from
    whole = rng.random(ARRAY1.shape) < 0.7
    for first, count in ((0, 784), (5, 1), (700, 84)):
        found = formable_cells(ARRAY1, seed, forming, first, count)
        assert np.array_equal(found, whole[:, first : first + count])


def test_retention_goes_on_in_the_next_life(tmp_path: Path) -> None:
    def socket() -> tuple[ChipSocket, StateFile]:
        state = StateFile(tmp_path / "chip")
        socket = ChipSocket("EMU-1", Specimen(seed=1, effects=RELAXING), state)
        socket.count_boot()
        return socket, state

    first, state = socket()
    first.advance(1000 * SECOND_TICKS)
    first.chip.set_conductance_uS(2, np.full((2, 100, 10), 18.0))
    first.advance(9 * SECOND_TICKS)
    assert first.chip.conductance_uS(2)[0, 0, 0] == pytest.approx(17.0, abs=1e-4)
    state.close()
    second, state = socket()
    second.advance(90 * SECOND_TICKS)
    assert second.chip.conductance_uS(2)[0, 0, 0] == pytest.approx(8 + 10 * 0.81, abs=1e-3)
    state.close()


def test_cells_that_get_stuck_are_kept_with_the_effect_that_did_it(tmp_path: Path) -> None:
    state = StateFile(tmp_path / "chip")
    socket = ChipSocket("EMU-1", Specimen(seed=1), state)
    socket.count_boot()
    socket.change_effects(Effects(stuck=StuckCells(low=0.1, high=0.1)))
    cells = socket.chip.conductance_uS(1)
    assert 0.15 < np.isin(cells, (2.0, 20.0)).mean() < 0.25
    state.close()
    state = StateFile(tmp_path / "chip")
    again = ChipSocket("EMU-2", Specimen(seed=2), state)
    assert again.holding.specimen.effects.on == ("stuck",)
    assert np.array_equal(again.chip.conductance_uS(1), cells)
    state.close()


def test_a_request_for_effects_may_take_long_since_kernels_are_compiled(bench: Bench) -> None:
    assert bench.board.takes_long([wire.emulator({"effects": "all"})])
    assert not bench.board.takes_long([wire.emulator({"advance_s": 1})])


def test_time_that_passes_on_a_board_reaches_its_cells(powered: Bench) -> None:
    powered.do(wire.emulator({"effects": RELAXING.json()}))
    before = powered.board.chip.conductance_uS(1).astype(np.float64)
    powered.do(wire.emulator({"advance_s": 99}))
    after = powered.board.chip.conductance_uS(1)
    assert after == pytest.approx(8 + (before - 8) * 0.81, abs=1e-4)


def test_a_fresh_chip_in_an_old_board_begins_a_life_of_its_own(bench: Bench) -> None:
    bench.do(wire.emulator({"advance_s": 1e6, "effects": RELAXING.json()}))
    bench.do(wire.emulator({"seed": 5}))
    fresh = Chip(seed=5, formed=True).conductance_uS(1)
    assert np.array_equal(bench.board.chip.conductance_uS(1), fresh)
    assert bench.board.chip.counters.time_ticks == 0


def test_a_formed_chip_with_effects_is_within_the_windows_of_its_cells() -> None:
    chip = Chip(seed=1, formed=True, effects=ALL)
    traits = chip._array1.traits
    assert traits is not None
    cells, virgin = chip.conductance_uS(1), chip.virgin(1)
    assert ((cells >= traits.bottom_uS) | virgin).all()
    assert ((cells <= traits.top_uS) | virgin).all()
    assert virgin.mean() == pytest.approx(0.001, abs=0.0005)
    pulse = Rails().pulse(PulseKind.FORM, 12_800)
    chip.pulse(1, PulseKind.FORM, np.ones((2, 784, 100), np.bool_), pulse, count=100)
    assert np.array_equal(chip.virgin(1), virgin)
