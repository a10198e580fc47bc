"""When cells are brought up to date with the clock, so that work can be cut there. Moves none."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from starlab_sim.chip import detailed
from starlab_sim.chip.array import CellArray
from starlab_sim.chip.counters import Meter
from starlab_sim.chip.store import ALL, Store
from starlab_sim.effects import Retention
from starlab_spec.units import TICK_NS

TICKS_PER_S: Final = 1e9 / TICK_NS


class Ageing:
    """Retention of a chip, brought up to date between steps of its work.

    Cells are due once so much time has passed as the settings say. When that is, depends on what
    the chip has done, and not on how it was cut into calls.

    Args:
        arrays: Whose cells.
        meter: Whose clock.
        store: What keeps them.
    """

    def __init__(self, arrays: Sequence[CellArray], meter: Meter, store: Store) -> None:
        self._arrays = arrays
        self._meter = meter
        self._store = store

    @property
    def _retention(self) -> Retention | None:
        return self._arrays[0].effects.retention

    def catch_up(self) -> None:
        """Bring the cells up to date, if that is due."""
        retention, meter = self._retention, self._meter
        now = meter.clock_ticks
        if retention is None or now - meter.aged_ticks < _interval_ticks(retention):
            return
        self._store.begin({1: ALL, 2: ALL})
        for array in self._arrays:
            detailed.age(
                array.cells,
                meter.aged_ticks,
                now,
                retention.onset_s * TICKS_PER_S,
                1.0 - retention.relaxation_per_decade,
                float(retention.resting_uS),
                float(retention.walk_uS),
                array.drift,
            )
            array.changed()
        meter.aged_ticks = now
        self._store.commit(meter)

    def steps(self, limit: int, ticks: Sequence[int]) -> int:
        """Bring the cells up to date, if that is due; and say how many steps until it is again.

        Args:
            limit: Greatest answer, at least 1.
            ticks: Time that each step takes; where there are more of them, over again.
        """
        retention = self._retention
        if retention is None:
            return limit
        self.catch_up()
        meter = self._meter
        left = meter.aged_ticks + _interval_ticks(retention) - meter.clock_ticks
        ends = np.resize(np.asarray(ticks, np.int64), limit).cumsum()
        return min(int(np.searchsorted(ends, left)) + 1, limit)


def _interval_ticks(retention: Retention) -> int:
    return max(1, round(retention.interval_s * TICKS_PER_S))
