"""What cells with effects take: memory, time to start, and their place in a state file."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.sim.conftest import Bench

from starlab_sim.chip import Chip, PulseKind, Rails
from starlab_sim.chip_socket import ChipSocket
from starlab_sim.effects import ALL, Effects, Retention, StuckCells
from starlab_sim.specimen import Specimen
from starlab_sim.state_file import StateFile
from starlab_spec.wire import transactions as wire

SECOND_TICKS = 20_000_000
RELAXING = Effects(retention=Retention(relaxation_per_decade=0.1, walk_uS=0.0))


def bytes_a_cell(effects: Effects) -> float:
    Chip(formed=True, effects=effects)  # what compiles kernels takes memory of its own
    tracemalloc.start()
    chip = Chip(formed=True, effects=effects)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return kept / sum(chip.virgin(array).size for array in (1, 2))


def test_a_chip_with_all_effects_but_wires_takes_at_most_64_bytes_a_cell() -> None:
    assert bytes_a_cell(replace(ALL, wires=None)) <= 64


def test_the_solver_of_wires_takes_at_most_64_bytes_a_cell_more() -> None:
    assert bytes_a_cell(ALL) - bytes_a_cell(replace(ALL, wires=None)) <= 64


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
