"""The firmware's interlock: keeps every cell within the safe operating area, whatever is asked.

Judges operations before anything of them is done; puts no pulse on a cell, sets no generator.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import Chip, Converters, Schedule, Tuning
from starlab_sim.chip.energy import BACKWARD_TICKS, inference_ticks, tuning_ticks
from starlab_sim.devices import PulseConditions
from starlab_sim.errors import Refused
from starlab_spec.errors import LimitExceeded, rounded
from starlab_spec.geometry import ARRAY1, ARRAY2, ArrayGeometry
from starlab_spec.operations import PulseKind
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import Channel, VoltageChannel
from starlab_spec.units import TICK_NS
from starlab_spec.wire.transactions import Status

_KINDS: Final = (PulseKind.SET, PulseKind.RESET)


_Cells = tuple[slice, NDArray[np.bool_]] | None
"""Rows and a mask of them, (2, rows, outputs); None: all cells."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Pulses that the cells of an array had had at a moment."""

    ticks: int
    """The moment, on the emulated clock."""
    pulses: NDArray[np.uint32]
    """By cell, (2, inputs, outputs)."""
    before: int
    """Pulses that a cell may have had within a window that ends here."""


class _Pace:
    """How fast pulses follow one another on the cells of one array.

    Keeps at most two marks: the older one lies at least a window back, or is the end of an
    operation that took longer. What a cell has had since then is at least what it had in any
    window that ends now, and may be what it had in two; after a window without pulses all is
    forgotten.
    """

    def __init__(self, area: SafeArea, array: ArrayGeometry) -> None:
        self._array = array
        self._limit = area.rates[array.number]
        self._window_ticks = round(self._limit.window_s * 1e9 / TICK_NS)
        self._chip: Chip | None = None
        self._marks: list[_Mark] = []
        self._last_ticks = 0
        """When the last operation with pulses ended."""
        self._most = 0
        """No cell has had more pulses since the older mark, those before it included."""

    def check(
        self,
        chip: Chip,
        now: int,
        kind: PulseKind,
        count: int,
        cells: _Cells,
    ) -> None:
        """Refuse pulses that would come too fast on one of the cells.

        Args:
            chip: Whose cells.
            now: Emulated time in ticks.
            kind: For the message.
            count: Pulses on each cell.
            cells: Rows and the mask of them, (2, rows, outputs); None: all cells.

        Raises:
            Refused: INTERLOCK.
        """
        self._move(chip, now)
        if self._most + count <= self._limit.pulses:
            return
        mark = self._marks[0]
        since = chip.pulses(self._array.number) - mark.pulses
        self._most = mark.before + int(since.max())
        if self._most + count <= self._limit.pulses:
            return
        if cells is not None:
            rows, mask = cells
            most = mark.before + int(since[:, rows].max(where=mask, initial=0))
        else:
            most = self._most
        if most + count > self._limit.pulses:
            window = f"{self._limit.window_s:g} s"
            name = f"{kind.name} pulses within {window}"
            place = f"on a cell of array {self._array.number}"
            error = LimitExceeded(name, most + count, self._limit.pulses, place=place)
            raise Refused(Status.INTERLOCK, str(error))

    def count(self, chip: Chip, began: int, now: int, count: int, in_window: int) -> None:
        """An operation has ended.

        Args:
            chip: Whose cells.
            began: When it began, in ticks.
            now: When it ended.
            count: Pulses that a cell may have had of it.
            in_window: Pulses that a cell may have had within one window of it.
        """
        self._last_ticks = now
        if now - began >= self._window_ticks:
            self._marks = [_Mark(now, chip.pulses(self._array.number), in_window)]
            self._most = in_window
        else:
            self._most += count

    def in_window(self, count: int, each: int, ticks_each: int) -> int:
        """Pulses within one window, of ``count`` in all that come in groups of ``each``."""
        groups = -(-self._window_ticks // max(ticks_each, 1)) + 1
        return min(count, each * groups)

    def _move(self, chip: Chip, now: int) -> None:
        if chip is not self._chip:
            self._chip = chip
            self._marks = []
        if not self._marks or now - self._last_ticks >= self._window_ticks:
            self._marks = [_Mark(now, chip.pulses(self._array.number), 0)]
            self._most = 0
        elif now - self._marks[-1].ticks >= self._window_ticks:
            newer = self._marks[-1]
            mark = _Mark(now, chip.pulses(self._array.number), 0)
            self._marks = [newer, mark]
            self._most = newer.before + int((mark.pulses - newer.pulses).max())


class Admitted(AbstractContextManager["Admitted", None]):
    """An operation that may be done, within the block; when it ends, its pulses are counted."""

    def __init__(self, chip: Chip, ticks: Callable[[], int]) -> None:
        self._chip = chip
        self._ticks = ticks
        self._began = ticks()
        self._parts: list[tuple[_Pace, int, int]] = []

    def add(self, pace: _Pace, kind: PulseKind, cells: _Cells, total: int, in_window: int) -> None:
        """Check how fast pulses on an array would come.

        Raises:
            Refused: INTERLOCK.
        """
        pace.check(self._chip, self._began, kind, in_window, cells)
        self._parts.append((pace, total, in_window))

    def __exit__(self, *_: object) -> None:
        """Count, however the operation ended."""
        now = self._ticks()
        for pace, total, in_window in self._parts:
            pace.count(self._chip, self._began, now, total, in_window)


class Interlock:
    """The interlock of one board; it outlives restarts.

    Args:
        area: The limits; nothing changes them while the board runs.
        ticks: The emulated clock.

    Attributes:
        area: The limits.
    """

    def __init__(self, area: SafeArea, ticks: Callable[[], int]) -> None:
        self.area = area
        self._ticks = ticks
        self._paces = {a.number: _Pace(area, a) for a in (ARRAY1, ARRAY2)}
        self._trips_mv = {
            channel.name: (channel, area.trip_mv(channel))
            for channel in area.channels
            if isinstance(channel, VoltageChannel)
        }

    def over_voltage(self, supplied: Mapping[str, float]) -> tuple[int, str] | None:
        """Index of a generator for which the over-voltage fault must trip, and why; or None.

        Args:
            supplied: What generators really give, by name.
        """
        for name, value in supplied.items():
            known = self._trips_mv.get(name)
            if known is not None and value > known[1]:
                return known[0].index, _over_voltage(known[0], value)
        return None

    def admit_pulses(
        self,
        chip: Chip,
        array: ArrayGeometry,
        kind: PulseKind,
        pulse: PulseConditions,
        count: int,
        mask: NDArray[np.bool_],
        first_row: int = 0,
    ) -> Admitted:
        """Check pulses on the cells of a mask, (2, rows, outputs).

        Raises:
            Refused: INTERLOCK: the limit, the value and where.
        """
        self._check(array, kind, pulse, count, mask)
        rows = slice(first_row, first_row + mask.shape[1])
        admitted = Admitted(chip, self._ticks)
        admitted.add(self._paces[array.number], kind, (rows, mask), count, count)
        return admitted

    def admit_training(
        self,
        chip: Chip,
        converters: Converters,
        tuning: Tuning,
        samples: int,
    ) -> Admitted:
        """Check some learning steps: any cell of an array may be among those that are tuned.

        Raises:
            Refused: INTERLOCK: the limit, the value and where.
        """
        tuned = tuning_ticks(tuning).sum(axis=(1, 2)).min()
        ticks_each = inference_ticks(converters) + BACKWARD_TICKS + int(tuned)
        most = tuning.schedule.pulse_counts().max(axis=(0, 2, 3))
        admitted = Admitted(chip, self._ticks)
        arrays = ((ARRAY1, tuning.set1, tuning.reset1), (ARRAY2, tuning.set2, tuning.reset2))
        for array, *pulses in arrays:
            each = int(most[array.number - 1])
            used = _kinds_of(tuning.schedule, array)
            for kind, pulse in zip(_KINDS, pulses, strict=True):
                if used[kind]:
                    self._check(array, kind, pulse, used[kind], None)
            if each and samples:
                pace = self._paces[array.number]
                total = each * samples
                in_window = pace.in_window(total, each, ticks_each)
                kind = max(_KINDS, key=used.__getitem__)
                admitted.add(pace, kind, None, total, in_window)
        return admitted

    def _check(
        self,
        array: ArrayGeometry,
        kind: PulseKind,
        pulse: PulseConditions,
        count: int,
        mask: NDArray[np.bool_] | None,
    ) -> None:
        area, number = self.area, array.number
        cells = array.outputs
        if mask is not None and area.rows_matter(number, kind, pulse.amplitude_mv):
            cells = int(np.count_nonzero(mask, axis=2).max(initial=0))
        try:
            area.check_width(number, kind, pulse.width_ns)
            area.check_count(number, kind, count)
            # without the count, a whole row is known not to matter
            area.check_voltage(number, kind, pulse.amplitude_mv, pulse.width_ns, cells)
        except LimitExceeded as error:
            raise Refused(Status.INTERLOCK, str(error)) from None


def _kinds_of(schedule: Schedule, array: ArrayGeometry) -> dict[PulseKind, int]:
    """Most pulses of each kind that a step gives to a cell of an array."""
    used = dict.fromkeys(_KINDS, 0)
    for phase in schedule.phases:
        for step in phase:
            part = step.array1 if array is ARRAY1 else step.array2
            for kind, count in (
                (part.plus_kind, part.plus_count),
                (part.minus_kind, part.minus_count),
            ):
                used[kind] = max(used[kind], count)
    return used


def _over_voltage(channel: Channel, value: float) -> str:
    told = rounded(value, channel.high, 1)
    return str(LimitExceeded(channel.name, told, channel.high, channel.unit))
