"""How the cells of a chip come out of the factory: each trait drawn from the chip's seed.

Every trait has a stream of its own, so that one effect does not change what another one draws, and
so that an effect that is switched off and on again finds the same cells. Moves no cell.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.detailed.cells import NO_FORMING_VOLTAGES, Traps, no_traps
from starlab_sim.devices import Forming, VIRGIN_RANGE_uS
from starlab_sim.effects import Effects, FormingStatistics, Spread, StuckCells, TelegraphNoise
from starlab_spec.geometry import (
    ArrayGeometry,
    CONDUCTANCE_MAX_uS,
    CONDUCTANCE_MIN_uS,
    MID_WINDOW_uS,
    WINDOW_uS,
)
from starlab_spec.units import TICK_NS

BOTTOM_LIMITS_uS: Final = (0.2, MID_WINDOW_uS - 1.0)
"""Within these is the low end of every cell's window [O]: above what a virgin cell conducts."""
TOP_LIMITS_uS: Final = (MID_WINDOW_uS + 1.0, 3.0 * CONDUCTANCE_MAX_uS)
"""Within these is the high end."""
_STREAMS: Final = {"spread": 0, "stuck": 1, "forming": 2, "telegraph": 3}
"""Number of each trait's stream; a number that was given is never given again."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Traits:
    """What makes cells differ; shapes as of :class:`starlab_sim.chip.detailed.Cells`."""

    step: Floats
    """Factor on the step of each cell, by SET and RESET."""
    bottom_uS: Floats
    """Low end of each window."""
    top_uS: Floats
    """High end."""
    forming_mv: Floats
    """Forming voltage of each cell; nothing: the common threshold."""
    traps: Traps
    """Cells with a trap."""

    @property
    def stuck(self) -> NDArray[np.bool_]:
        """Cells that no pulse moves: their windows have no width."""
        stuck: NDArray[np.bool_] = self.bottom_uS == self.top_uS
        return stuck


def fabricated(
    geometry: ArrayGeometry, seed: np.random.SeedSequence, forming: Forming, *, formed: bool
) -> NDArray[np.float64]:
    """Conductances of fresh cells."""
    rng, shape = np.random.Generator(np.random.PCG64(seed)), geometry.shape
    cells_uS: NDArray[np.float64] = rng.uniform(*VIRGIN_RANGE_uS, shape)
    formable = rng.random(shape) < forming.yield_fraction
    if formed:
        formed_uS = rng.normal(forming.target_uS, forming.spread_uS, shape)
        formed_uS = formed_uS.clip(CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS)
        cells_uS = np.where(formable, formed_uS, cells_uS)
    return cells_uS


def formable_cells(
    geometry: ArrayGeometry, seed: np.random.SeedSequence, forming: Forming
) -> NDArray[np.bool_]:
    """Which of them can be formed; of a greater yield those of a smaller one, and more."""
    if forming.yield_fraction >= 1.0:
        return np.ones(geometry.shape, np.bool_)
    rng = np.random.Generator(np.random.PCG64(seed))
    rng.random(geometry.shape)  # what their conductances were drawn from
    formable: NDArray[np.bool_] = rng.random(geometry.shape) < forming.yield_fraction
    return formable


def traits(geometry: ArrayGeometry, seed: np.random.SeedSequence, effects: Effects) -> Traits:
    """The cells' traits under these effects.

    Args:
        geometry: Which array.
        seed: Decides them.
        effects: Which distributions are on; of one that is off, every cell is the average one.
    """

    def stream(name: str) -> np.random.Generator:
        key = (*seed.spawn_key, _STREAMS[name])
        one = np.random.SeedSequence(seed.entropy, spawn_key=key)
        return np.random.Generator(np.random.PCG64(one))

    step, bottom_uS, top_uS = _spread(geometry, stream("spread"), effects.spread)
    if effects.stuck is not None:
        low, high = _stuck(geometry, stream("stuck"), effects.stuck)
        top_uS[low] = bottom_uS[low]
        bottom_uS[high] = top_uS[high]
    forming_mv = NO_FORMING_VOLTAGES
    if effects.forming is not None:
        forming_mv = _forming_voltages(geometry, stream("forming"), effects.forming)
    traps = no_traps(geometry.inputs)
    if effects.telegraph is not None:
        traps = _traps(geometry, stream("telegraph"), effects.telegraph)
    return Traits(step, bottom_uS, top_uS, forming_mv, traps)


def _spread(
    geometry: ArrayGeometry, rng: np.random.Generator, spread: Spread | None
) -> tuple[Floats, Floats, Floats]:
    """Step factors, lognormal with mean 1; low and high ends of the windows, normal."""
    shape = geometry.shape
    step = np.ones((2, *shape), np.float32)
    bottom_uS = np.full(shape, CONDUCTANCE_MIN_uS, np.float32)
    top_uS = np.full(shape, CONDUCTANCE_MAX_uS, np.float32)
    if spread is not None:
        normal = rng.standard_normal((4, *shape))
        step[...] = np.exp(spread.step * normal[:2] - 0.5 * spread.step**2)
        sigma_uS = spread.window * WINDOW_uS
        bottom_uS[...] = (CONDUCTANCE_MIN_uS + sigma_uS * normal[2]).clip(*BOTTOM_LIMITS_uS)
        top_uS[...] = (CONDUCTANCE_MAX_uS + sigma_uS * normal[3]).clip(*TOP_LIMITS_uS)
    return step, bottom_uS, top_uS


def _stuck(
    geometry: ArrayGeometry, rng: np.random.Generator, stuck: StuckCells
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cells stuck low and high; a greater share has those of a smaller one, and more."""
    chance = rng.random(geometry.shape)
    return chance < stuck.low, chance >= 1.0 - stuck.high


def _forming_voltages(
    geometry: ArrayGeometry, rng: np.random.Generator, forming: FormingStatistics
) -> Floats:
    normal = rng.standard_normal(geometry.shape)
    return (forming.voltage_mv + forming.voltage_spread_mv * normal).astype(np.float32)


def _traps(geometry: ArrayGeometry, rng: np.random.Generator, noise: TelegraphNoise) -> Traps:
    """Which cells have a trap, how it acts, and how fast it is."""
    shape = geometry.shape
    chance = rng.random(shape)
    normal = rng.standard_normal(shape)
    empty, full = rng.random((2, *shape))
    key = rng.integers(0, 1 << 64, shape, np.uint64)
    plane, row, column = np.nonzero(chance < noise.fraction)
    first = np.zeros((2, geometry.inputs + 1), np.int64)
    counts = np.zeros((2, geometry.inputs), np.int64)
    np.add.at(counts, (plane, row), 1)
    ends = counts.cumsum().reshape(counts.shape)
    first[:, 1:] = ends
    first[1, 0] = ends[0, -1]
    where = plane, row, column
    share = (noise.amplitude * np.exp(noise.amplitude_spread * normal[where])).clip(0.0, 1.0)
    ratio = noise.slowest_s / noise.fastest_s
    empty_s, full_s = (noise.fastest_s * ratio ** one[where] for one in (empty, full))
    period_s = 1.0 / (1.0 / empty_s + 1.0 / full_s)
    return Traps(
        first=first,
        column=column.astype(np.int64),
        share=share.astype(np.float32),
        period_ticks=period_s * (1e9 / TICK_NS),
        full=full_s / (empty_s + full_s),
        key=key[where],
    )
