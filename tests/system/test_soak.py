"""Nothing twice, nothing lost, everything in doubt named: with processes that are killed."""

from pathlib import Path

import numpy as np
import pytest
from tests.system.journaled_host import Plan
from tests.system.soak import ASLEEP, KILLED, Soak, explained


def check_that_it_was_bad(soak: Soak, *happened: str) -> None:
    """A soak that met no trouble proves nothing."""
    print(dict(soak.events))
    for trouble in (*happened, "resumed"):
        assert soak.events[trouble] > 0, trouble
    for way in ("to_board", "to_host"):
        for trouble in ("lost", "doubled", "held_back", "corrupted"):
            assert soak.events[f"{trouble} {way}"] > 0, trouble


@pytest.mark.timeout(120)
def test_every_pulse_is_applied_once_or_named_whoever_is_killed(tmp_path: Path) -> None:
    soak = Soak(
        tmp_path,
        6000,
        seed=1,
        pauses_s=(0.3, 1),
        times=6,
        what=KILLED,
        orderly=True,
        batches=(1, 4, 17),
    )
    soak.run()
    check_that_it_was_bad(soak, *KILLED)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_a_million_pulses_are_applied_once_each_or_named(tmp_path: Path) -> None:
    soak = Soak(tmp_path, 1_000_000, seed=2, pauses_s=(0.3, 4))
    soak.run()
    check_that_it_was_bad(soak, *KILLED, *ASLEEP)


# ---- the check itself


def test_what_was_applied_of_commands_in_doubt_is_a_leading_part_of_each() -> None:
    plan = Plan(seed=1, pulses=100)
    commands = [(0, 1, 2, 3), (10, 11), (20,)]
    extra = plan.counts([0, 1, 10, 11]).sum(axis=0)
    assert explained(plan, commands, extra) == 4
    assert explained(plan, commands, np.zeros_like(extra)) == 0
    for impossible in ([1], [0, 2], [30], [20, 20]):
        with pytest.raises(AssertionError):
            explained(plan, commands, plan.counts(impossible).sum(axis=0))


def test_a_pulse_on_a_cell_of_two_commands_in_doubt_is_explained_by_either() -> None:
    plan = Plan(seed=1, pulses=100)
    plan.cells[10] = plan.cells[1]
    commands = [(0, 1, 2), (10, 11)]
    for applied in ([0, 1], [10], [0, 1, 10, 11], [0, 1, 2], [0, 10, 11]):
        assert explained(plan, commands, plan.counts(applied).sum(axis=0)) == len(applied)
