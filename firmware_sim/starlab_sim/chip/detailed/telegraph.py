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
from starlab_sim.chip.kernels import Rows, Sums

PERIODS_MAX = 64
"""How far back an event is looked for: that there is none has a probability of exp(-64)."""
_AT_MOST = np.array(
    [sum(math.exp(-1.0) / math.factorial(k) for k in range(n)) for n in range(1, 18)]
)
_AT_MOST[-1] = 2.0
"""Probability of at most so many events in a period, by Poisson."""
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53


@compiled
def mixed(value: np.uint64) -> np.uint64:
    """The finaliser of splitmix64: neighbours in, unrelated numbers out."""
    value = (value ^ (value >> np.uint64(30))) * _MIX1
    value = (value ^ (value >> np.uint64(27))) * _MIX2
    return value ^ (value >> np.uint64(31))


@compiled
def unit(value: np.uint64) -> float:
    """A hash as a number of 0 .. 1."""
    return np.int64(value >> np.uint64(11)) * _UNIT


@compiled
def is_full(key: np.uint64, full: float, period_ticks: float, ticks: int) -> bool:
    """Whether a trap is full at some time, which is not negative."""
    position = ticks / period_ticks
    number = np.int64(position)
    upto = position - number
    period = mixed(key + np.uint64(number) * _GOLDEN)
    chance = unit(period)
    events = 0
    while chance >= _AT_MOST[events]:
        events += 1
    past = 0
    latest = -1.0
    hashed = period
    drawn = period
    for _ in range(events):
        hashed = mixed(hashed + _GOLDEN)
        at = float(unit(hashed))
        if at <= upto:
            past += 1
            if at > latest:
                latest = at
                drawn = hashed
    if 0 < past < events:
        return unit(mixed(drawn ^ _MIX2)) < full
    # the state that a period with events ends in belongs to the period, so that those of earlier
    # periods need not be looked at one by one
    if past == 0:
        for _ in range(PERIODS_MAX):
            number -= 1
            period = mixed(key + np.uint64(number) * _GOLDEN)
            if unit(period) >= _AT_MOST[0]:
                break
    return unit(mixed(period ^ _MIX2)) < full


@compiled
def add_traps(
    conductance_uS: Floats,
    traps: Traps,
    plane: int,
    rows: Rows,
    row_count: int,
    gain: Floats,
    ticks: int,
    sums: Sums,
) -> None:
    """Take what full traps of some rows keep back from the sums of their columns.

    Args:
        conductance_uS: Shape (2, inputs, outputs).
        traps: Of the array.
        plane: Which plane.
        rows: Which rows; the first ``row_count`` entries.
        row_count: How many.
        gain: Shape (2, inputs, outputs), or nothing.
        ticks: The time.
        sums: By column.
    """
    first, column, share = traps.first, traps.column, traps.share
    key, full, period_ticks = traps.key, traps.full, traps.period_ticks
    for a in range(row_count):
        i = rows[a]
        for t in range(first[plane, i], first[plane, i + 1]):
            if is_full(key[t], full[t], period_ticks[t], ticks):
                j = column[t]
                g = conductance_uS[plane, i, j]
                lowered = np.float32(g * (np.float32(1.0) - share[t]))
                less = np.float64(lowered) - np.float64(g)
                if gain.size:
                    less *= np.float64(gain[plane, i, j])
                sums[j] += less
