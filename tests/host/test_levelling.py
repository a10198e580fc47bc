"""Levelling the planes of array 1, against what the emulator's cells and generators really are."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from tests.authors_bench import AuthorsBench
from tests.host.bench import Bench

from starlab_host import (
    Aborted,
    BadArgument,
    Board,
    Levelling,
    NotFormed,
    Outcome,
    OutcomeUnknown,
    StarlabHostError,
    balance,
    connect,
    level,
)
from starlab_host.trimming.levelling import PULSES_MAX, ROUNDS_MAX, TOLERANCE_CODES
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.supplies import Generators
from starlab_spec import LimitExceeded, Unsafe
from starlab_spec.operations import Operation, PulseKind
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import CLAMP_OFFSET_MV, NOMINAL_READ_MV, supply
from starlab_spec.wire.transactions import Opcode, Transaction

PIXELS = 100
PLANE_CELLS = 784 * 100
HIDDEN_PER_CODE = PIXELS * 0.1 * 255 / 300
"""Hidden codes of so many pixels, by a code of READ of each of them."""


def formed_bench(effects: Mapping[str, Any], seed: int) -> Bench:
    """A board whose virgin cells were formed by its host."""
    specimen = Specimen(seed=seed, virgin=True, effects=Effects.read(effects))
    bench = Bench(specimen)
    bench.chip.form(1)
    return bench


def bench_of_cells(plus_uS: float, minus_uS: float, spread_uS: float = 0.5) -> Bench:
    """An ideal board whose cells are spread about a conductance of each plane."""
    bench = Bench(Specimen(seed=3))
    cells = np.random.default_rng(1).normal(0, spread_uS, (2, 784, 100))
    cells += np.array([plus_uS, minus_uS])[:, None, None]
    bench.emulated.chip.set_conductance_uS(1, np.clip(cells, 2, 20))
    return bench


def true_hidden_offset(bench: Bench, seed: int = 3) -> float:
    """Hidden codes that so many pixels give on average, were there no noise and no cut at 0."""
    effects = bench.emulated.chip.effects
    hidden = Generators(seed, effects)
    real = {s.name: hidden.value(s.index, s.code) for s in bench.board.supplies()}
    clamp_mv = real["V25"] + CLAMP_OFFSET_MV
    plus_uS, minus_uS = bench.emulated.chip.conductance_uS(1).mean(axis=(1, 2))
    offset = (real["VBL27"] - clamp_mv) * plus_uS - (clamp_mv - real["VBL23"]) * minus_uS
    bias = real["Iref_integ"] / supply("Iref_integ").nominal
    return float(PIXELS * offset / NOMINAL_READ_MV / bias * 255 / 300)


def pulse_starts(bench: Bench) -> int:
    """Operations that have pulsed a mask."""
    starts = [t for c in bench.session.commands for t in c if t.opcode == Opcode.START]
    return sum(int.from_bytes(t.data, "big") == Operation.PULSE_MASK for t in starts)


@pytest.mark.parametrize("seed", range(6))
def test_after_balancing_and_levelling_balanced_weights_give_a_hidden_code_at_most(
    seed: int,
) -> None:
    bench = formed_bench({"forming": True, "channel_errors": True}, seed)
    balance(bench.board)
    before = true_hidden_offset(bench, seed)
    pulses = bench.pulses
    done = level(bench.board)
    after = true_hidden_offset(bench, seed)
    assert done.outcome is Outcome.LEVEL
    assert done.before.codes * HIDDEN_PER_CODE == pytest.approx(before, rel=0.02, abs=0.3)
    assert abs(done.after.codes) <= TOLERANCE_CODES
    # what READ says, and the rounding of its mean
    assert abs(after) <= TOLERANCE_CODES * HIDDEN_PER_CODE + 0.3
    assert bench.pulses - pulses == done.pulses_plus + done.pulses_minus
    counted = bench.board.counters().array1
    assert (counted.set, counted.reset) == (bench.pulses - pulses, 0)


def test_the_seeds_above_have_offsets_worth_levelling_of_both_signs() -> None:
    found = []
    for seed in range(6):
        bench = formed_bench({"forming": True, "channel_errors": True}, seed)
        balance(bench.board)
        found.append(true_hidden_offset(bench, seed))
    assert min(found) < -5
    assert max(found) > 30


@pytest.mark.parametrize(("plus_uS", "minus_uS"), [(11.0, 11.8), (11.8, 11.0)])
def test_the_lower_plane_is_raised_whichever_it_is(plus_uS: float, minus_uS: float) -> None:
    bench = bench_of_cells(plus_uS, minus_uS)
    before_uS = bench.emulated.chip.conductance_uS(1).astype(np.float64)
    done = level(bench.board)
    moved_uS = (bench.emulated.chip.conductance_uS(1) - before_uS).mean(axis=(1, 2))
    assert done.outcome is Outcome.LEVEL
    assert done.before.codes == pytest.approx(10 * (plus_uS - minus_uS), abs=0.1)
    assert done.before.offset_uS == pytest.approx(plus_uS - minus_uS, abs=0.02)
    lower, higher = (0, 1) if plus_uS < minus_uS else (1, 0)
    assert moved_uS[lower] == pytest.approx(0.8, abs=0.05)
    assert abs(moved_uS[higher]) < 0.03
    given = (done.pulses_plus, done.pulses_minus)
    assert given[lower] >= PLANE_CELLS
    assert given[higher] <= PLANE_CELLS


def test_few_rounds_do_and_no_cell_gets_many_pulses() -> None:
    bench = bench_of_cells(10.0, 12.0)
    done = level(bench.board)
    assert done.outcome is Outcome.LEVEL
    assert done.rounds <= 6
    assert bench.emulated.chip.pulses(1).max() <= 40


def test_an_ideal_board_needs_no_pulse(bench: Bench) -> None:
    done = level(bench.board)
    assert done.outcome is Outcome.LEVEL
    assert (done.before, done.rounds) == (done.after, 0)
    assert abs(done.after.codes) < TOLERANCE_CODES / 2
    assert bench.pulses == 0


def test_a_mismatch_of_the_rails_is_taken_up_by_the_cells() -> None:
    bench = bench_of_cells(11, 11)
    bench.board.set_supply_codes({"VBL23": supply("VBL23").default_code - 1})
    assert true_hidden_offset(bench) == pytest.approx(-81, abs=2)
    assert level(bench.board).outcome is Outcome.LEVEL
    assert abs(true_hidden_offset(bench)) < 1.5


def test_noise_of_the_generators_is_averaged_and_told() -> None:
    bench = formed_bench({"channel_errors": True, "channel_noise": True}, 2)
    balance(bench.board)
    done = level(bench.board)
    assert done.outcome is Outcome.LEVEL
    assert 0.02 < done.after.sigma_codes <= TOLERANCE_CODES / 3
    beyond = 3 * done.after.sigma_codes
    assert abs(true_hidden_offset(bench, 2)) <= (TOLERANCE_CODES + beyond) * HIDDEN_PER_CODE


def test_widths_and_numbers_of_pulses_are_as_they_were() -> None:
    bench = bench_of_cells(11, 11.6)
    bench.chip.change_settings(set_width_1_ns=200)
    before = bench.chip.settings()
    assert level(bench.board).rounds > 0
    assert bench.chip.settings() == before


def test_virgin_cells_are_not_pulsed(virgin_bench: Bench) -> None:
    with pytest.raises(NotFormed, match="array 1 is not formed"):
        level(virgin_bench.board)
    assert virgin_bench.pulses == 0


def test_array_2_cannot_be_levelled(bench: Bench) -> None:
    with pytest.raises(BadArgument, match="array 2 cannot be levelled: only array 1"):
        level(bench.board, 2)
    assert bench.pulses == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance_codes": 0.01}, "tolerance_codes 0.01 codes is below the 0.02 codes limit"),
        ({"tolerance_codes": 11}, "tolerance_codes 11 codes is above the 10 codes limit"),
        ({"tolerance_codes": float("nan")}, "tolerance_codes nan"),
        ({"readings": 7}, "readings 7 is below the 8 limit"),
        ({"readings": 1001}, "readings 1001 is above the 1000 limit"),
    ],
)
def test_arguments_out_of_bounds_are_refused(
    bench: Bench, arguments: dict[str, Any], message: str
) -> None:
    sent = len(bench.session.commands)
    with pytest.raises(LimitExceeded, match=message):
        level(bench.board, **arguments)
    assert len(bench.session.commands) == sent


def test_saturated_cells_neither_count_nor_get_pulses() -> None:
    bench = bench_of_cells(11, 11.5)
    cells = bench.emulated.chip.conductance_uS(1).astype(np.float64)
    cells[0, 100:300] = 20.0
    bench.emulated.chip.set_conductance_uS(1, cells)
    bench.board.set_supplies({"Iref_integ": 60.0})
    done = level(bench.board)
    bias = next(s for s in bench.board.supplies() if s.name == "Iref_integ")
    code_uS = 0.1 * bias.nominal / supply("Iref_integ").nominal
    assert 0.07 < code_uS < 0.078
    assert done.before.codes == pytest.approx(-0.5 / code_uS, abs=0.2)
    assert done.before.offset_uS == pytest.approx(-0.5, abs=0.02)
    assert bench.emulated.chip.pulses(1)[0, 100:300].max() == 0
    assert bench.emulated.chip.pulses(1)[0, :100].min() > 0


def test_cells_that_are_still_virgin_get_no_pulse() -> None:
    bench = Bench(Specimen(seed=3, virgin=True))
    bench.chip.form(1, rows=range(100, 784))
    bench.board.set_supply_codes({"VBL23": supply("VBL23").default_code - 1})
    form_pulses = bench.emulated.chip.pulses(1)[:, :100].copy()
    assert level(bench.board).outcome is Outcome.LEVEL
    assert (bench.emulated.chip.pulses(1)[:, :100] == form_pulses).all()


def test_too_few_cells_within_range_are_refused() -> None:
    bench = bench_of_cells(20, 20, 0)
    bench.board.set_supplies({"Iref_integ": 62.0})
    with pytest.raises(BadArgument, match="array 1 has 0 cells of a plane within"):
        level(bench.board)
    assert bench.pulses == 0


def test_a_board_of_the_authors_is_levelled_row_by_row() -> None:
    cells = np.random.default_rng(1).normal(11, 0.5, (2, 784, 100))
    cells[1] += 0.025
    with AuthorsBench(Specimen(seed=5)) as bench, connect(bench.url) as board:
        bench.board.chip.set_conductance_uS(1, cells)
        done = level(board, tolerance_codes=0.2)
        assert (done.outcome, done.rounds) == (Outcome.LEVEL, 1)
        assert done.before.codes < -0.2
        assert bench.board.lifetime_pulses == done.pulses_plus == PLANE_CELLS


# what cannot be reached


def test_a_tolerance_finer_than_the_narrowest_pulse_ends_as_near_as_can_be() -> None:
    bench = bench_of_cells(11, 11.6)
    bench.board.set_supplies({"VBLset": 2500})
    done = level(bench.board, tolerance_codes=0.02)
    assert done.outcome is Outcome.COARSE
    assert 0.02 < abs(done.after.codes) < 1
    assert done.rounds < 10


def test_where_noise_hides_what_is_left_nothing_more_is_pulsed() -> None:
    bench = formed_bench({"channel_noise": {"voltage_mv": 20.0}}, 2)
    done = level(bench.board, readings=8, tolerance_codes=0.02)
    assert done.outcome is Outcome.UNSURE
    assert 0.02 < abs(done.after.codes) < 2 * done.after.sigma_codes


def test_cells_at_the_end_of_their_window_are_given_up() -> None:
    bench = bench_of_cells(19, 20, 0.1)
    bench.board.set_supply_codes({"VBL23": supply("VBL23").default_code - 2})
    done = level(bench.board)
    assert done.outcome is Outcome.STUCK
    # "+" cells have come up to 20 uS; 40 mV more over the "-" cells are a sixth of that
    assert done.before.codes < done.after.codes < -25
    assert done.pulses_minus == 0
    assert bench.emulated.chip.pulses(1).max() <= PULSES_MAX


def test_cells_that_do_not_move_are_given_up() -> None:
    bench = bench_of_cells(11, 12)
    # far too little to move a cell
    bench.board.set_supplies({"VBLset": 700})
    done = level(bench.board)
    assert done.outcome is Outcome.STUCK
    assert done.after.codes == pytest.approx(done.before.codes, abs=0.1)
    assert bench.emulated.chip.pulses(1).max() <= 100


def test_the_cap_of_rounds_ends_it() -> None:
    bench = bench_of_cells(8, 12)
    _hold(bench, {"pulses": 1})
    bench.board.set_supplies({"VBLset": 1900})
    done = level(bench.board)
    assert (done.outcome, done.rounds) == (Outcome.CAPPED, ROUNDS_MAX)
    assert done.before.codes < done.after.codes < -TOLERANCE_CODES


def _hold(bench: Bench, limits: Mapping[str, float]) -> None:
    """Hold a bench to other limits of SET pulses on array 1."""
    bench.board = Board(bench.session, SafeArea.of({"pulses": {"array1": {"set": limits}}}))


# limits, aborts, doubts


def test_the_limits_of_a_board_hold() -> None:
    bench = bench_of_cells(10, 12)
    _hold(bench, {"pulses": 2})
    done = level(bench.board)
    assert done.outcome is Outcome.LEVEL
    assert pulse_starts(bench) == done.rounds
    assert bench.emulated.chip.pulses(1).max() <= 2 * done.rounds


@pytest.mark.parametrize("limit", [{"width_ns": 200}, {"energy_pj": 20}, {"row_ma": 1}])
def test_pulses_outside_of_the_safe_operating_area_are_refused_before_the_first(
    limit: dict[str, float],
) -> None:
    bench = bench_of_cells(10, 12)
    _hold(bench, limit)
    with pytest.raises(Unsafe, match="on array 1 is above the"):
        level(bench.board)
    assert bench.pulses == 0


def test_an_abort_ends_it_and_puts_the_width_back() -> None:
    bench = bench_of_cells(10, 12)
    before = bench.chip.settings()
    bench.session.aborted = lambda: pulse_starts(bench) > 1
    with pytest.raises(Aborted):
        level(bench.board)
    bench.session.aborted = lambda: False
    assert bench.chip.settings() == before
    assert 0 < bench.pulses < 50 * PLANE_CELLS


def test_it_can_go_on_where_it_was_aborted() -> None:
    bench = bench_of_cells(10, 12)
    bench.session.aborted = lambda: pulse_starts(bench) > 1
    with pytest.raises(StarlabHostError):
        level(bench.board)
    bench.session.aborted = lambda: False
    assert level(bench.board).outcome is Outcome.LEVEL


def test_pulses_in_doubt_are_told_and_nothing_more_is_sent() -> None:
    bench = bench_of_cells(10, 12)

    def lose(transactions: Sequence[Transaction]) -> None:
        if any(t.opcode == Opcode.WRITE_MEM for t in transactions):
            raise OutcomeUnknown("it fell silent", [(7, "pulses")])

    bench.session.before_execute = lose
    with pytest.raises(OutcomeUnknown):
        level(bench.board)
    # as the doubt is about the last command, the width is not put back either
    assert all(t.opcode != Opcode.WRITE_REG for t in bench.session.commands[-1])
    assert bench.pulses == 0


def test_the_same_seed_is_levelled_alike() -> None:
    def run() -> Levelling:
        bench = formed_bench({"channel_errors": True, "channel_noise": True}, 4)
        return level(bench.board)

    assert run() == run()


def test_no_pulse_but_set_is_given() -> None:
    bench = bench_of_cells(11, 12)
    bench.chip.pulse(1, PulseKind.SET, np.ones((2, 784, 100)))
    level(bench.board)
    counted = bench.board.counters().array1
    assert (counted.reset, counted.form) == (0, 0)
