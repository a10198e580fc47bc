"""Boards whose generators have errors, and what is true of them. Measures nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.host.bench import Bench

from starlab_host import Calibration, ChannelFit
from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_sim.supplies import Generators
from starlab_spec.supplies import SUPPLIES

NOW = datetime(2024, 2, 29, 12, tzinfo=UTC)
REAL = {"channel_errors": True, "channel_noise": True}


def bench_of(effects: Mapping[str, Any], seed: int = 3) -> Bench:
    return Bench(Specimen(seed=seed, effects=Effects.read(effects)))


def truth(bench: Bench, seed: int = 3) -> dict[str, float]:
    """What the generators really give, without noise: what no host can see."""
    hidden = Generators(seed, bench.emulated.chip.effects)
    return {s.name: hidden.value(s.index, s.code) for s in bench.board.supplies()}


def perfect(**changes: ChannelFit) -> Calibration:
    """All channels as they should be, but for some."""
    fits = {c.name: ChannelFit(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 5) for c in SUPPLIES}
    return Calibration("bench", "2024-02-29T12:00:00+00:00", 8, fits | changes)


def off(gain: float, offset: float = 0.0) -> ChannelFit:
    return ChannelFit(gain, offset, 0.0, 0.0, 0.0, 0.0, 5)
