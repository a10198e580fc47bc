"""Nothing twice, nothing lost, everything in doubt named: with processes that are killed."""

from pathlib import Path

import pytest
from tests.system.soak import Soak


def check_that_it_was_bad(soak: Soak) -> None:
    """A soak that met no trouble proves nothing."""
    for trouble in ("host killed", "board killed", "resumed"):
        assert soak.events[trouble] > 0, trouble
    for way in ("to_board", "to_host"):
        for trouble in ("lost", "doubled", "held_back", "corrupted"):
            assert soak.events[f"{trouble} {way}"] > 0, trouble


@pytest.mark.timeout(120)
def test_every_pulse_is_applied_once_or_named_whoever_is_killed(tmp_path: Path) -> None:
    soak = Soak(
        tmp_path, 6000, seed=1, lives_s=(0.3, 1), deaths=6, orderly=True, batches=(1, 4, 17)
    )
    soak.run()
    check_that_it_was_bad(soak)


@pytest.mark.slow
@pytest.mark.timeout(5400)
def test_a_million_pulses_are_applied_once_each_or_named(tmp_path: Path) -> None:
    soak = Soak(tmp_path, 1_000_000, seed=2, lives_s=(0.5, 8))
    soak.run()
    check_that_it_was_bad(soak)
