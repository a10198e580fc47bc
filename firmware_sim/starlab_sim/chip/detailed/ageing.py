"""Compiled retention: what time does to cells that nobody touches. Knows no clock.

A cell relaxes towards a resting conductance by a share per decade of time since its last pulse, and
walks at random with a variance per decade: a law by which two steps of time do what one would.
"""

import math

import numpy as np

from starlab_sim.chip.compiled import compiled
from starlab_sim.chip.detailed.cells import Cells
from starlab_sim.chip.detailed.pulsing import worn_window
from starlab_sim.chip.pulsing import VIRGIN


@compiled
def age(
    cells: Cells,
    before_ticks: int,
    now_ticks: int,
    onset_ticks: float,
    kept_per_decade: float,
    resting_uS: float,
    walk_uS: float,
    rng: np.random.Generator,
) -> None:
    """Bring cells up to date; virgin cells stay as they are.

    Args:
        cells: The array.
        before_ticks: The clock when they were last.
        now_ticks: The clock.
        onset_ticks: Time after a pulse when the logarithm begins to count.
        kept_per_decade: Share of the way to the resting conductance that a decade leaves.
        resting_uS: Where cells relax to.
        walk_uS: Standard deviation of the walk of a decade.
        rng: One number a cell: the walk; without walk, how the result is rounded: at random, so
            that steps too small for a float32 add up all the same.
    """
    of_ticks = np.int64(-1)  # many cells had their last pulse at the same time
    left, walk = 1.0, 0.0
    log_kept = math.log(max(kept_per_decade, 1e-300))
    planes, inputs, outputs = cells.conductance_uS.shape
    for plane in range(planes):
        for i in range(inputs):
            row = cells.conductance_uS[plane, i]
            since, had = cells.pulsed_ticks[plane, i], cells.pulses[plane, i]
            low, high = cells.bottom_uS[plane, i], cells.top_uS[plane, i]
            for j in range(outputs):
                g = np.float64(row[j])
                if row[j] < VIRGIN:
                    continue
                if since[j] != of_ticks:
                    of_ticks = since[j]
                    age_before = max(before_ticks - of_ticks, 0) + onset_ticks
                    decades = math.log10((now_ticks - of_ticks + onset_ticks) / age_before)
                    left = math.exp(decades * log_kept)
                    walk = walk_uS * math.sqrt(max(decades, 0.0))
                aged = g if left == 1.0 else resting_uS + (g - resting_uS) * left
                if walk > 0.0:
                    aged += walk * rng.standard_normal()
                elif aged != g:
                    _, exponent = math.frexp(aged)
                    aged += math.ldexp(rng.random() - 0.5, exponent - 24)
                bottom, top = worn_window(
                    low[j], high[j], had[j], cells.endurance_pulses, cells.wear_exponent
                )
                row[j] = max(min(np.float32(aged), top), bottom)
