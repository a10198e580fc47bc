"""Compiled random telegraph noise: whether a trap is full, at any time and in any order.

A trap redraws its state at the events of a Poisson process of one event a period: that is the
two-state Markov process with this relaxation time. Events and states are hashes of the trap's key
and of the number of the period, so that the state is a function of the clock alone: reading changes
nothing, and needs no memory.
"""

import math

import numpy as np

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.detailed.cells import Floats, Traps
from starlab_sim.chip.kernels import Sums

PERIODS_MAX = 64
"""How far back an event is looked for: that there is none has a probability of exp(-64)."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


@compiled
def mixed(value: np.uint64) -> np.uint64:
    """The finaliser of splitmix64: neighbours in, unrelated numbers out."""
    value = value + _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * _MIX1
    value = (value ^ (value >> np.uint64(27))) * _MIX2
    return value ^ (value >> np.uint64(31))


@compiled
def unit(value: np.uint64) -> float:
    """A hash as a number of 0 .. 1."""
    return np.float64(value >> np.uint64(11)) * _UNIT


@compiled
def is_full(key: np.uint64, full: float, period_ticks: float, ticks: int) -> bool:
    """Whether a trap is full at some time."""
    position = ticks / period_ticks
    period = math.floor(position)
    upto = position - period
    number = np.int64(period)
    for _ in range(PERIODS_MAX):
        hashed = mixed(key ^ mixed(np.uint64(number)))
        chance = unit(hashed)
        probability = math.exp(-1.0)  # of so many events, by Poisson
        events = 0
        while chance >= probability and events < 16:
            chance -= probability
            events += 1
            probability /= events
        last = -1.0
        drawn = hashed
        for _ in range(events):
            hashed = mixed(hashed)
            at = unit(hashed)
            if at <= upto and at > last:
                last = at
                drawn = hashed
        if last >= 0.0:
            return unit(mixed(drawn ^ _MIX2)) < full
        upto = 1.0
        number -= 1
    return unit(mixed(key)) < full


@compiled
def add_traps(
    row: Floats, traps: Traps, plane: int, index: int, gain: Floats, ticks: int, sums: Sums
) -> None:
    """Take what full traps of one row keep back from the sums of its columns.

    Args:
        row: The row's conductances.
        traps: Of the array.
        plane: Of the row.
        index: Of the row.
        gain: Shape (2, inputs, outputs), or nothing.
        ticks: The time.
        sums: By column.
    """
    for t in range(traps.first[plane, index], traps.first[plane, index + 1]):
        if is_full(traps.key[t], traps.full[t], traps.period_ticks[t], ticks):
            j = traps.column[t]
            lowered = np.float32(row[j] * (np.float32(1.0) - traps.share[t]))
            less = np.float64(lowered) - np.float64(row[j])
            if gain.size:
                less *= np.float64(gain[plane, index, j])
            sums[j] += less
