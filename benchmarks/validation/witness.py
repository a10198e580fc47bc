"""A witness beside the emulated chip: sees every pulse that reaches a cell, whoever let it pass.

States the limits anew, from the file `limits.toml` alone; shares nothing with the interlock, and
refuses nothing.
"""

import tomllib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

import starlab_spec
from starlab_sim.chip import Chip, Training, Tuning
from starlab_sim.devices import PulseConditions
from starlab_spec.operations import PulseKind

SHIPPED: Final = Path(starlab_spec.__file__).with_name("limits.toml")
TOP_uS: Final = 20.0
"""Top of the conductance window [C]."""
_RAILS: Final = {"set": "VBLset", "reset": "VSLreset", "form": "VBLform"}


def limits(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The limits as plain nested tables: those of the file, with some changed."""

    def merge(old: dict[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
        return old | {
            key: merge(old[key], value) if isinstance(value, Mapping) else value
            for key, value in new.items()
        }

    return merge(tomllib.loads(SHIPPED.read_text(encoding="utf-8")), changes or {})


@dataclass
class Witness:
    """What has reached cells, and every breach of the limits."""

    limits: dict[str, Any]
    """As :func:`limits` gives them."""
    ticks: Callable[[Chip], int] = lambda chip: chip.time_ticks
    """The emulated clock, in cycles of 50 ns; default: a chip's own."""
    greatest: dict[tuple[str, str], float] = field(default_factory=dict)
    """By kind ("array1 set") and quantity ("width_ns"): the greatest share of its limit."""
    breaches: list[str] = field(default_factory=list)
    """Whatever was beyond a limit."""
    pulses: int = 0
    """Pulses on cells."""
    _recent: dict[int, deque[tuple[int, NDArray[np.intp], NDArray[np.uint32]]]] = field(
        default_factory=dict
    )
    """By array: first tick, cells and their pulses of the operations within the last window."""
    _within: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    """By array: pulses of each cell in these."""
    _chip: Chip | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See what all chips do within the block."""
        pulse, train = Chip.pulse, Chip.train

        def seen_pulse(chip: Chip, *args: Any, **kwargs: Any) -> int:
            before, began = chip.pulses(args[0]), self.ticks(chip)
            self._see_pulse(chip, *args, **kwargs)
            done = pulse(chip, *args, **kwargs)
            self._see_pace(chip, args[0], before, began)
            return done

        def seen_train(chip: Chip, *args: Any, **kwargs: Any) -> Training:
            before, began = {n: chip.pulses(n) for n in (1, 2)}, self.ticks(chip)
            training = train(chip, *args, **kwargs)
            for array, pulses in before.items():
                if (chip.pulses(array) != pulses).any():
                    self._see_tuning(array, kwargs["tuning"])
                    self._see_pace(chip, array, pulses, began)
            return training

        with patch.object(Chip, "pulse", seen_pulse), patch.object(Chip, "train", seen_train):
            yield

    def _see_pulse(
        self,
        chip: Chip,
        array: int,
        kind: PulseKind,
        mask: NDArray[np.bool_],
        conditions: PulseConditions,
        *,
        count: int = 1,
        **_: Any,
    ) -> None:
        row_cells = int(mask.sum(axis=2).max())
        if row_cells:
            self._see(f"array{array}", kind.name.lower(), conditions, count, row_cells)

    def _see_tuning(self, array: int, tuning: Tuning) -> None:
        pulses = (tuning.set1, tuning.reset1) if array == 1 else (tuning.set2, tuning.reset2)
        row_cells = 100 if array == 1 else 10
        for phase in tuning.schedule.phases:
            for step in phase:
                part = step.array1 if array == 1 else step.array2
                for kind, count in (
                    (part.plus_kind, part.plus_count),
                    (part.minus_kind, part.minus_count),
                ):
                    if count:
                        name = kind.name.lower()
                        self._see(f"array{array}", name, pulses[kind], count, row_cells)

    def _see(
        self, array: str, kind: str, conditions: PulseConditions, count: int, row_cells: int
    ) -> None:
        volt = conditions.amplitude_mv / 1000
        known = self.limits["pulses"][array][kind]
        rail = self.limits["supplies"][_RAILS[kind]]["high"]
        high_mv = rail * (1 + self.limits["rails"]["trip_margin"])
        if kind != "form":
            high_mv = min(high_mv, self.limits["forming"]["level_mv"])
        values = {
            "voltage_mv": (conditions.amplitude_mv, high_mv),
            "width_ns": (conditions.width_ns, known["width_ns"]),
            "pulses": (count, known["pulses"]),
            "energy_pj": (volt**2 * TOP_uS * 1e-6 * conditions.width_ns * 1e3, known["energy_pj"]),
            "cell_ua": (volt * TOP_uS, known["cell_ua"]),
            "row_ma": (volt * TOP_uS * row_cells / 1000, known["row_ma"]),
        }
        for name, (value, limit) in values.items():
            self._note(f"{array} {kind}", name, value, limit)

    def _see_pace(self, chip: Chip, array: int, before: NDArray[np.uint32], began: int) -> None:
        given, ended = chip.pulses(array) - before, self.ticks(chip)
        self.pulses += int(given.sum())
        if chip is not self._chip:
            self._chip, self._recent, self._within = chip, {}, {}
        rate = self.limits["rate"][f"array{array}"]
        window = rate["window_s"] * 20e6  # clock cycles of 50 ns
        within = self._within.setdefault(array, np.zeros(given.size, np.int64))
        recent = self._recent.setdefault(array, deque())
        cells = np.flatnonzero(given)
        if not len(cells):
            return
        recent.append((began, cells, given.reshape(-1)[cells]))
        within[cells] += recent[-1][2]
        while recent and ended - recent[0][0] > window:
            _, gone, pulses = recent.popleft()
            within[gone] -= pulses
        most = float(within[cells].max())
        self._note(f"array{array}", "pulses in a window", most, rate["pulses"])

    def _note(self, what: str, name: str, value: float, limit: float) -> None:
        share = value / limit
        self.greatest[what, name] = max(share, self.greatest.get((what, name), 0.0))
        if share > 1 + 1e-9:
            self.breaches.append(f"{what} {name} {value:g} above {limit:g}")
