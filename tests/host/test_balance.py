"""Balancing the read rails, against the emulator's truth."""

import numpy as np
import pytest
from tests.host.bench import Bench
from tests.host.generators import bench_of, truth

from starlab_host import BadArgument, NotFormed, balance
from starlab_sim import Specimen
from starlab_spec.supplies import supply


def mismatch_mv(bench: Bench, seed: int = 3) -> float:
    """The true one."""
    real = truth(bench, seed)
    clamp = real["V25"] + (supply("VBL27").nominal + supply("VBL23").nominal) / 2
    clamp -= supply("V25").nominal
    return real["VBL27"] + real["VBL23"] - 2 * clamp


def vmm_offset_ua(bench: Bench) -> float:
    """Mean current of the columns for an input of 30 pixels, as its codes tell it."""
    inputs = np.zeros((26, 784), np.uint8)
    for sample in range(26):
        inputs[sample, 30 * sample : 30 * sample + 30] = 1
    return float(bench.chip.vmm(1, inputs).current_ua.mean())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [False, True])
def test_balancing_leaves_half_a_code_of_mismatch_at_most(seed: int, noise: bool) -> None:
    effects = {"channel_errors": {"gain": 0.02, "offset_mv": 20}, "channel_noise": noise}
    bench = bench_of(effects, seed)
    before = mismatch_mv(bench, seed)
    found = balance(bench.board)
    after = mismatch_mv(bench, seed)
    assert found.before.mismatch_mv == pytest.approx(before, abs=4 if noise else 2)
    assert found.after.mismatch_mv == pytest.approx(after, abs=4 if noise else 2)
    assert abs(after) <= 19.8 / 2 + (4 if noise else 1)
    states = {s.name: s.code for s in bench.board.supplies()}
    assert {name: states[name] for name in ("VBL27", "VBL23")} == found.codes
    assert states["V25"] == supply("V25").default_code


def test_a_mismatch_shows_in_products_and_is_tuned_away() -> None:
    bench = Bench(Specimen(seed=3))
    quiet = vmm_offset_ua(bench)
    bench.board.set_supply_codes({"VBL27": supply("VBL27").default_code + 4})
    detuned = vmm_offset_ua(bench)
    # 30 cells of 11 uS under 79 mV: 26 uA
    assert detuned - quiet == pytest.approx(25, abs=3)
    found = balance(bench.board)
    assert found.before.mismatch_mv == pytest.approx(79.1, abs=1)
    assert abs(found.after.mismatch_mv) < 1
    assert vmm_offset_ua(bench) == pytest.approx(quiet, abs=0.5)
    requested = {s.name: s.requested for s in bench.board.supplies()}
    assert (requested["VBL27"], requested["V25"]) == (None, 2565)


def test_balanced_rails_stay_as_they_are(bench: Bench) -> None:
    before = [s.code for s in bench.board.supplies()]
    found = balance(bench.board)
    assert found.before == found.after
    assert abs(found.after.mismatch_mv) < 0.5
    assert found.after.plus_mv == pytest.approx(227.4, abs=1)
    assert [s.code for s in bench.board.supplies()] == before


def test_the_balance_does_not_depend_on_the_weights() -> None:
    bench = Bench(Specimen(seed=3))
    rng = np.random.default_rng(1)
    cells = rng.uniform(3, 12, (2, 784, 100))
    cells[0] += 6
    bench.emulated.chip.set_conductance_uS(1, cells)
    bench.board.set_supply_codes({"VBL23": supply("VBL23").default_code - 2})
    assert balance(bench.board).before.mismatch_mv == pytest.approx(-39.5, abs=1)


def test_virgin_cells_tell_nothing(virgin_bench: Bench) -> None:
    with pytest.raises(NotFormed):
        balance(virgin_bench.board)


def test_too_few_cells_within_range_are_refused(bench: Bench) -> None:
    cells = np.full((2, 784, 100), 20.0)
    bench.board.set_supplies({"Iref_integ": 62.0})
    bench.emulated.chip.set_conductance_uS(1, cells)
    before = [s.code for s in bench.board.supplies()]
    with pytest.raises(BadArgument, match="0 cells of a plane within the converters' range"):
        balance(bench.board)
    assert [s.code for s in bench.board.supplies()] == before
