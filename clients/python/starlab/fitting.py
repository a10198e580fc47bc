"""Makes a device model from measured pulse trains: the table that an emulated board takes.

Knows no board and no emulator; reads no file. A train is what a cell conducted before its first
pulse and after each. Steps are sorted into equal bins of the conductance before the pulse, and each
bin gets a mean and a standard deviation:

- A cell cannot leave its window: a step that ended there would have been greater. Such steps count
  as censored, by maximum likelihood of a normal distribution cut off there (Tobin 1958).
- Steps further from the median than five robust deviations (1.4826 MAD) are left out.
- The noise of the readings adds its variance twice to that of a step; it is taken off again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab.errors import InvalidInput

WINDOW_uS: Final = (2.0, 20.0)
"""Conductances between which an emulated cell moves."""
LEAST_PULSES: Final = 20
"""Fewer pulses than these say nothing of a bin."""
OUTLIER_DEVIATIONS: Final = 5.0
SET, RESET = "set", "reset"
KINDS: Final = (SET, RESET)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StepStatistics:
    """What pulses of one kind did, bin by bin from low to high conductance."""

    mean_uS: tuple[float, ...]
    """Mean step, at least 0; of RESET: downwards."""
    std_uS: tuple[float, ...]
    """Standard deviation from pulse to pulse."""
    pulses: tuple[int, ...]
    """Pulses that it was measured from; too few of them: the bin was interpolated."""
    outliers: int
    """Steps that were left out."""


@dataclass(frozen=True, slots=True)
class FittedDevice:
    """A device model as measured."""

    name: str
    set: StepStatistics
    reset: StepStatistics
    still: int
    """Cells that were left out: they did not move."""

    def json(self) -> dict[str, Any]:
        """As ``device_model`` of an emulated board takes it."""
        return {
            "name": self.name,
            **{
                kind: {
                    "mean_uS": [_rounded(one) for one in table.mean_uS],
                    "std_uS": [_rounded(one) for one in table.std_uS],
                    "pulses": list(table.pulses),
                }
                for kind, table in ((SET, self.set), (RESET, self.reset))
            },
        }

    def toml(self) -> str:
        """As ``starlab emulator --device`` takes it."""
        lines = [f'name = "{self.name}"']
        for kind in KINDS:
            lines += ["", f"[{kind}]  # equal bins of {WINDOW_uS[0]:g} .. {WINDOW_uS[1]:g} uS"]
            lines += [f"{key} = {values}" for key, values in self.json()[kind].items()]
        return "\n".join(lines) + "\n"


def fit_device(
    trains_uS: Sequence[ArrayLike] | NDArray[np.floating[Any]],
    kinds: Sequence[Sequence[str]],
    *,
    name: str = "fitted",
    bins: int = 10,
    read_noise_uS: float = 0.0,
    least_pulses: int = LEAST_PULSES,
    interpolate: bool = False,
) -> FittedDevice:
    """Make a device model from pulse trains.

    Args:
        trains_uS: For each cell what it conducted at first and after each pulse, in uS.
        kinds: For each cell "set" or "reset" of each pulse: one less than conductances.
        name: Of the model: 1 to 32 plain characters.
        bins: Equal bins of the window, 1 to 40.
        read_noise_uS: Standard deviation of a reading, with its rounding.
        least_pulses: Fewer pulses make a bin an empty one.
        interpolate: Fill empty bins from their neighbours instead of refusing.

    Raises:
        InvalidInput: Trains and kinds do not fit each other, a value is none, or a bin is empty.
    """
    _check_settings(name, bins, read_noise_uS, least_pulses)
    before, after, rising, still = _steps(trains_uS, kinds)
    tables = {}
    for kind, chosen in ((SET, rising), (RESET, ~rising)):
        sign = 1.0 if kind == SET else -1.0
        tables[kind] = _table(
            kind,
            before[chosen],
            sign * (after[chosen] - before[chosen]),
            sign,
            bins,
            read_noise_uS,
            least_pulses,
            interpolate=interpolate,
        )
    return FittedDevice(name, tables[SET], tables[RESET], still)


def _check_settings(name: str, bins: int, read_noise_uS: float, least_pulses: int) -> None:
    if not (0 < len(name) <= 32 and name.isascii() and name.isprintable() and '"' not in name):
        raise InvalidInput(f"name {name!r} is not one of 1 to 32 plain characters")
    for what, value, low, high, unit in (
        ("bins", bins, 1, 40, ""),
        ("read noise", read_noise_uS, 0.0, 5.0, " uS"),
        ("least pulses", least_pulses, 2, math.inf, ""),
    ):
        if not value >= low:
            raise InvalidInput(
                f"{what} {_exact(value)}{unit} is below the {_exact(low)}{unit} limit"
            )
        if value > high:
            raise InvalidInput(
                f"{what} {_exact(value)}{unit} is above the {_exact(high)}{unit} limit"
            )


def _exact(number: float) -> str:
    """A number as text that says no other one."""
    return repr(float(number)).removesuffix(".0")


def _steps(
    trains_uS: Sequence[ArrayLike] | NDArray[np.floating[Any]],
    kinds: Sequence[Sequence[str]],
) -> tuple[Floats, Floats, NDArray[np.bool_], int]:
    """Conductance before and after each pulse, whether it was SET, and how many cells stood still.

    Raises:
        InvalidInput: As of :func:`fit_device`.
    """
    if len(trains_uS) != len(kinds):
        raise InvalidInput(f"{len(trains_uS)} trains have kinds for {len(kinds)}")
    before, after, rising, still = [], [], [], 0
    for cell, (values, names) in enumerate(zip(trains_uS, kinds, strict=True)):
        train = np.asarray(values, np.float64)
        if train.ndim != 1 or len(train) != len(names) + 1:
            raise InvalidInput(
                f"train {cell} has {train.size} conductances for {len(names)} pulses, expected one"
                " more than pulses"
            )
        for place, value in enumerate(train):
            if not 0.0 <= value < math.inf:
                raise InvalidInput(f"train {cell}: conductance {place} is {value:g} uS")
        for place, kind in enumerate(names):
            if kind not in KINDS:
                raise InvalidInput(f"train {cell}: kind {place} {kind!r} is not set or reset")
        if len(train) > 1 and np.ptp(train) == 0.0:
            still += 1
            continue
        before.append(train[:-1])
        after.append(train[1:])
        rising.append(np.array([kind == SET for kind in names], np.bool_))
    if not before:
        raise InvalidInput("no train has a cell that moved")
    return np.concatenate(before), np.concatenate(after), np.concatenate(rising), still


def _table(
    kind: str,
    before: Floats,
    steps: Floats,
    sign: float,
    bins: int,
    read_noise_uS: float,
    least_pulses: int,
    *,
    interpolate: bool,
) -> StepStatistics:
    low, high = WINDOW_uS
    edges = np.linspace(low, high, bins + 1)
    entry = np.clip(np.searchsorted(edges, before, side="right") - 1, 0, bins - 1)
    mean, std = np.full(bins, np.nan), np.full(bins, np.nan)
    pulses, outliers = [], 0
    for number in range(bins):
        at, moved = before[entry == number], steps[entry == number]
        good = _within(moved)
        outliers += int((~good).sum())
        at, moved = at[good], moved[good]
        pulses.append(len(moved))
        if len(moved) < least_pulses:
            continue
        ahead, behind = (high - at, at - low) if sign > 0 else (at - low, high - at)
        found, spread = _censored_moments(moved, -behind, ahead)
        mean[number] = max(found, 0.0)
        std[number] = math.sqrt(max(spread**2 - 2 * read_noise_uS**2, 0.0))
    empty = np.isnan(mean)
    if empty.any():
        _fill(kind, edges, pulses, empty, mean, std, least_pulses, interpolate=interpolate)
    return StepStatistics(tuple(mean.tolist()), tuple(std.tolist()), tuple(pulses), outliers)


def _fill(
    kind: str,
    edges: Floats,
    pulses: Sequence[int],
    empty: NDArray[np.bool_],
    mean: Floats,
    std: Floats,
    least_pulses: int,
    *,
    interpolate: bool,
) -> None:
    """Interpolate empty bins.

    Raises:
        InvalidInput: That is not wanted, or there is nothing to interpolate from.
    """
    if not interpolate or empty.all():
        places = ", ".join(
            f"{edges[number]:g}..{edges[number + 1]:g} uS ({pulses[number]})"
            for number in np.flatnonzero(empty).tolist()
        )
        raise InvalidInput(f"bins with fewer than {least_pulses} {kind} pulses: {places}")
    places_uS = (edges[:-1] + edges[1:]) / 2
    for values in (mean, std):
        values[empty] = np.interp(places_uS[empty], places_uS[~empty], values[~empty])


def _within(steps: Floats) -> NDArray[np.bool_]:
    """Steps that are no outliers."""
    if len(steps) == 0:
        return np.zeros(0, np.bool_)
    away = np.abs(steps - np.median(steps))
    deviation = 1.4826 * float(np.median(away))
    if deviation == 0.0:  # more than half of the steps are the same one
        deviation = float(steps.std())
    kept: NDArray[np.bool_] = away <= OUTLIER_DEVIATIONS * deviation + 1e-9
    return kept


def _censored_moments(steps: Floats, low: Floats, high: Floats) -> tuple[float, float]:
    """Mean and standard deviation of normal steps that cannot leave their limits.

    Expectation maximisation: a step that ended at a limit is replaced by what it would have been on
    the average, until nothing changes.
    """
    at_high, at_low = steps >= high - 1e-6, steps <= low + 1e-6
    mean, std = float(steps.mean()), float(steps.std())
    if std < 1e-9 or not (at_high.any() or at_low.any()) or (at_high | at_low).all():
        return mean, std
    for _ in range(500):
        first, second = steps.copy(), steps**2
        for where, limit, side in ((at_high, high, 1.0), (at_low, low, -1.0)):
            if where.any():
                beyond = side * (limit[where] - mean) / std
                ratio = _mills(beyond)
                first[where] = mean + side * std * ratio
                variance = std**2 * (1.0 + beyond * ratio - ratio**2)
                second[where] = first[where] ** 2 + variance.clip(0.0)
        new_mean = float(first.mean())
        new_std = math.sqrt(max(float(second.mean()) - new_mean**2, 0.0))
        change = abs(new_mean - mean) + abs(new_std - std)
        mean, std = new_mean, new_std
        if change < 1e-7 or std < 1e-9:
            break
    return mean, std


def _mills(beyond: Floats) -> Floats:
    """Mean of a standard normal variable beyond a point: density over the probability beyond."""
    tail = 0.5 * np.array([math.erfc(one / math.sqrt(2.0)) for one in beyond])
    density = np.exp(-0.5 * beyond**2) / math.sqrt(2.0 * math.pi)
    far = tail < 1e-280
    ratio: Floats = np.where(far, beyond, density / np.where(far, 1.0, tail))
    return ratio


def _rounded(value: float) -> float:
    """Four digits: more than is ever measured, and short in a file."""
    return float(f"{value:.4g}")
