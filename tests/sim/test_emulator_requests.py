"""Whatever is asked of an emulated board at once is what the same options at a start would be."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.sim.conftest import Bench
from tests.sim.snapshots import ask, everything

from starlab_sim import Board, Specimen
from starlab_sim.effects import NONE, Effects
from starlab_sim.serving.network_faults import Network
from starlab_spec.wire.transactions import Status, emulator, read_memory

LAB: dict[str, Any] = {"name": "lab", "soft_bounds": {"set_step_uS": 0.2}}
FULL_SPREAD = {"spread": {"window": 0.2}, "stuck": {"low": 0.1, "high": 0.1}}
CHOICES: dict[str, list[Any]] = {
    "seed": [0, 3, (1 << 64) - 1],
    "device_model": ["linear", "measured", LAB],
    "virgin": [True, False],
    "effects": ["none", FULL_SPREAD, {"forming": {"yield_fraction": 0.7}}, {"retention": True},
                {"wires": True}, {"channel_errors": True, "channel_noise": True}],
    "faults": [["over_current"], {"restart_after_pulses": 5}, {"latches": ["emergency_stop"]}],
    "advance_s": [0.5, 86400.0],
    "restart": [True, False],
    "pulse_counts": [{"array": 2, "address": 64}],
    "formed": [{"array": 2, "address": 8192}],
}  # fmt: skip
OF_THE_CHIP = ("seed", "device_model", "virgin")


def board_of(specimen: Specimen) -> Bench:
    bench = Bench(specimen)
    network = Network(lambda: 0.0)
    bench.board = Board(specimen, serial="EMU-3", rng=random.Random(3), network=network)
    return bench


def meant(before: Specimen, request: dict[str, Any]) -> Specimen:
    """The chip that the options of a start would have made."""
    effects = request.get("effects")
    return replace(
        before,
        seed=request.get("seed", before.seed),
        device=request.get("device_model", before.device),
        virgin=request.get("virgin", before.virgin),
        effects=before.effects if effects is None else Effects.read(effects),
    )


def requests(count: int) -> list[dict[str, Any]]:
    rng = random.Random(8)
    found: list[dict[str, Any]] = []
    while len(found) < count:
        keys = [key for key in CHOICES if rng.random() < 0.5]
        rng.shuffle(keys)
        if any(key in OF_THE_CHIP for key in keys):
            found.append({key: rng.choice(CHOICES[key]) for key in keys})
    return found


def check(request: dict[str, Any], before: Effects) -> None:
    old = Specimen(seed=9, effects=before)
    asked = board_of(old)
    ask(asked, **request)
    started = board_of(meant(old, request))
    rest = {key: v for key, v in request.items() if key not in (*OF_THE_CHIP, "effects")}
    ask(started, **rest)
    assert asked.board.faults == started.board.faults
    memory = [bench.do(read_memory(64, 1 << 14))[0].data for bench in (asked, started)]
    assert memory[0] == memory[1]
    found, expected = everything(asked), everything(started)
    # the errors of the generators are the board's own, and so is their noise
    for kept in (found, expected):
        kept["holding"]["board_seed"] = 0
        if "seed" in request:
            kept["supplies"]["noise"] = None
    assert found == expected, request


@pytest.mark.parametrize("number", range(40))
def test_many_at_once_are_what_they_would_be_at_a_start(number: int) -> None:
    before = (NONE, Effects.read(FULL_SPREAD), Effects.read({"retention": True}))[number % 3]
    check(requests(40)[number], before)


def test_a_fresh_chip_is_made_under_the_effects_beside_it() -> None:
    asked = board_of(Specimen(seed=1))
    ask(asked, seed=3, effects=FULL_SPREAD)
    started = Specimen(seed=3, effects=Effects.read(FULL_SPREAD)).make()
    for array in (1, 2):
        np.testing.assert_array_equal(
            asked.board.chip.conductance_uS(array), started.conductance_uS(array)
        )
    once_more = board_of(Specimen(seed=1, effects=Effects.read(FULL_SPREAD)))
    ask(once_more, effects="none", seed=3)
    np.testing.assert_array_equal(
        once_more.board.chip.conductance_uS(1), Specimen(seed=3).make().conductance_uS(1)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"faults": {"stall_s": -1}},
        {"faults": ["fire"]},
        {"advance_s": 1e10},
        {"pulse_counts": {"array": 1, "address": 1 << 27}},
        {"formed": {"array": 3, "address": 0}},
        {"effects": {"moths": True}},
        {"effects": {"spread": {"step": 99}}},
        {"device_model": {"name": "lab"}},
        {"seed": 1 << 64},
        {"virgin": 1},
        {"unknown": 1},
    ],
)
def test_one_wrong_part_means_that_nothing_is_done(wrong: dict[str, Any]) -> None:
    bench = board_of(Specimen(seed=9))
    before, boot_id = everything(bench), bench.board.boot_id
    good = {"seed": 3, "virgin": True, "effects": FULL_SPREAD, "advance_s": 5, "restart": True}
    status, _ = bench.refusal(emulator({**good, **wrong}))
    assert status in (Status.BAD_REQUEST, Status.RANGE)
    assert everything(bench) == before
    assert bench.board.boot_id == boot_id
