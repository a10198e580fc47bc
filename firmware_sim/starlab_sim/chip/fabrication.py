"""How the cells of a chip come out of the factory: each trait drawn from the chip's seed.

Every trait has a stream of its own, so that one effect does not change what another one draws, and
so that an effect that is switched off and on again finds the same cells. Moves no cell.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.detailed.cells import Traps, no_traps
from starlab_sim.devices import Forming, VIRGIN_RANGE_uS
from starlab_sim.effects import Effects, FormingStatistics, Spread, StuckCells, TelegraphNoise
from starlab_spec.geometry import (
    MINUS,
    PLUS,
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

_BLOCK_ROWS: Final = 16
"""Rows that are drawn at once where they are drawn again."""

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
    forming: "FormingVoltages | None"
    """Forming voltages; None: the common threshold."""
    traps: Traps
    """Cells with a trap."""

    @property
    def stuck(self) -> NDArray[np.bool_]:
        """Cells that no pulse moves: their windows have no width."""
        stuck: NDArray[np.bool_] = self.bottom_uS == self.top_uS
        return stuck


class FormingVoltages:
    """Forming voltage of each cell, drawn again whenever FORM asks for it.

    It keeps where its stream was every few rows instead of the voltages.
    """

    def __init__(
        self, geometry: ArrayGeometry, rng: np.random.Generator, forming: FormingStatistics
    ) -> None:
        """Draw them all once.

        Args:
            geometry: Which array.
            rng: Stream of this trait.
            forming: Mean and spread.
        """
        self._geometry = geometry
        self._rng = rng
        self._forming = forming
        self._states = []
        for _ in (PLUS, MINUS):
            marks = []
            for row in range(0, geometry.inputs, _BLOCK_ROWS):
                marks.append(rng.bit_generator.state)
                self._draw(row)
            self._states.append(marks)

    def of_rows(self, first: int, count: int) -> Floats:
        """Those of some rows, mV, (2, count, outputs)."""
        found = np.empty((2, count, self._geometry.outputs), np.float32)
        for plane, marks in enumerate(self._states):
            for block in range(first // _BLOCK_ROWS, -(-(first + count) // _BLOCK_ROWS)):
                self._rng.bit_generator.state = marks[block]
                start = block * _BLOCK_ROWS
                drawn_mv = self._draw(start)
                low, high = max(start, first), min(start + len(drawn_mv), first + count)
                found[plane, low - first : high - first] = drawn_mv[low - start : high - start]
        return found

    def _draw(self, row: int) -> NDArray[np.float64]:
        rows = min(_BLOCK_ROWS, self._geometry.inputs - row)
        normal = self._rng.standard_normal((rows, self._geometry.outputs))
        drawn_mv: NDArray[np.float64] = (
            self._forming.voltage_mv + self._forming.voltage_spread_mv * normal
        )
        return drawn_mv


def of_life(seed: np.random.SeedSequence, life: int) -> np.random.Generator:
    """A stream of numbers of its own in each life."""
    if life:
        seed = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, life))
    return np.random.Generator(np.random.PCG64(seed))


def fabricate(
    cells_uS: Floats, seed: np.random.SeedSequence, forming: Forming, *, formed: bool
) -> None:
    """Conductances of fresh cells.

    Args:
        cells_uS: Result, (2, inputs, outputs).
        seed: Decides them, and which can be formed.
        forming: Yield, and conductances after forming.
        formed: Deliver those formed that can be.
    """
    rng, shape = np.random.Generator(np.random.PCG64(seed)), cells_uS.shape
    cells_uS[...] = rng.uniform(*VIRGIN_RANGE_uS, shape)
    if formed:
        formable = rng.random(shape) < forming.yield_fraction
        formed_uS = rng.normal(forming.target_uS, forming.spread_uS, shape)
        formed_uS.clip(CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS, out=formed_uS)
        np.copyto(cells_uS, formed_uS, where=formable, casting="same_kind")


def formable_cells(
    geometry: ArrayGeometry,
    seed: np.random.SeedSequence,
    forming: Forming,
    first_row: int,
    rows: int,
) -> NDArray[np.bool_]:
    """Which cells of some rows can be formed; of a greater yield those of a smaller one, and more.

    Args:
        geometry: Which array.
        seed: That of :func:`fabricate`.
        forming: Yield.
        first_row: The first of them.
        rows: How many.

    Returns:
        Shape (2, rows, outputs).
    """
    formable = np.ones((2, rows, geometry.outputs), np.bool_)
    if forming.yield_fraction < 1.0:
        for plane in (PLUS, MINUS):
            before = (2 + plane) * geometry.inputs + first_row  # rows: conductances come first
            bits = np.random.PCG64(seed)
            bits.advance(before * geometry.outputs)  # a number takes one step
            chances = np.random.Generator(bits)
            for row in range(rows):
                formable[plane, row] = chances.random(geometry.outputs) < forming.yield_fraction
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
    voltages = None
    if effects.forming is not None:
        voltages = FormingVoltages(geometry, stream("forming"), effects.forming)
    traps = no_traps(geometry.inputs)
    if effects.telegraph is not None:
        traps = _traps(geometry, stream("telegraph"), effects.telegraph)
    return Traits(step, bottom_uS, top_uS, voltages, traps)


def _spread(
    geometry: ArrayGeometry, rng: np.random.Generator, spread: Spread | None
) -> tuple[Floats, Floats, Floats]:
    """Step factors, lognormal with mean 1; low and high ends of the windows, normal."""
    shape = geometry.shape
    step = np.ones((2, *shape), np.float32)
    bottom_uS = np.full(shape, CONDUCTANCE_MIN_uS, np.float32)
    top_uS = np.full(shape, CONDUCTANCE_MAX_uS, np.float32)
    if spread is not None:
        for kind in step:
            kind[...] = np.exp(spread.step * rng.standard_normal(shape) - 0.5 * spread.step**2)
        sigma_uS = spread.window * WINDOW_uS
        for end_uS, usual_uS, limits_uS in (
            (bottom_uS, CONDUCTANCE_MIN_uS, BOTTOM_LIMITS_uS),
            (top_uS, CONDUCTANCE_MAX_uS, TOP_LIMITS_uS),
        ):
            end_uS[...] = (usual_uS + sigma_uS * rng.standard_normal(shape)).clip(*limits_uS)
    return step, bottom_uS, top_uS


def _stuck(
    geometry: ArrayGeometry, rng: np.random.Generator, stuck: StuckCells
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cells stuck low and high; a greater share has those of a smaller one, and more."""
    chance = rng.random(geometry.shape)
    return chance < stuck.low, chance >= 1.0 - stuck.high


def _traps(geometry: ArrayGeometry, rng: np.random.Generator, noise: TelegraphNoise) -> Traps:
    """Which cells have a trap, how it acts, and how fast it is."""
    shape = geometry.shape
    plane, row, column = where = np.nonzero(rng.random(shape) < noise.fraction)
    normal = rng.standard_normal(shape)[where]
    empty, full = rng.random(shape)[where], rng.random(shape)[where]
    key = rng.integers(0, 1 << 64, shape, np.uint64)[where]
    first = np.zeros((2, geometry.inputs + 1), np.int64)
    counts = np.zeros((2, geometry.inputs), np.int64)
    np.add.at(counts, (plane, row), 1)
    ends = counts.cumsum().reshape(counts.shape)
    first[:, 1:] = ends
    first[1, 0] = ends[0, -1]
    share = (noise.amplitude * np.exp(noise.amplitude_spread * normal)).clip(0.0, 1.0)
    ratio = noise.slowest_s / noise.fastest_s
    empty_s, full_s = (noise.fastest_s * ratio**one for one in (empty, full))
    period_s = 1.0 / (1.0 / empty_s + 1.0 / full_s)
    return Traps(
        first=first,
        column=column.astype(np.uint16),
        share=share.astype(np.float32),
        period_ticks=period_s * (1e9 / TICK_NS),
        full=full_s / (empty_s + full_s),
        key=key,
    )
