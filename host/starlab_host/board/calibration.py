"""Calibration of a board's generators: what they really give at a code, from measurements.

A channel is taken for linear in its nominal value: ``real = gain * nominal + offset``. Keeps files,
sends nothing: `starlab_host.trimming.calibrating` measures.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_host.errors import CalibrationError
from starlab_host.files import remove, write_whole
from starlab_host.results import SupplyState
from starlab_spec import LimitExceeded
from starlab_spec.errors import rounded
from starlab_spec.supplies import CODE_MAX, SUPPLIES, Channel, supply

VERSION: Final = 1
"""Of the files."""
_RESOLUTION: Final = 1e-3
"""Of a reading: a microvolt or a nanoampere, in the unit of its channel."""


@dataclass(frozen=True, slots=True)
class ChannelFit:
    """What a channel really gives, as a straight line over its nominal values."""

    gain: float
    """Real per nominal value; 1 without error."""
    offset: float
    """Real value at a nominal one of 0, in the channel's unit."""
    gain_sigma: float
    """Standard deviation of the gain."""
    offset_sigma: float
    """Standard deviation of the offset."""
    covariance: float
    """Of gain and offset."""
    residual: float
    """Root mean square of measured minus fitted, in the channel's unit."""
    points: int
    """Codes that were measured."""

    def real(self, nominal: float) -> float:
        """The real value at a nominal one."""
        return self.gain * nominal + self.offset

    def sigma(self, nominal: float) -> float:
        """Standard deviation of the real value at a nominal one."""
        variance = self.gain_sigma**2 * nominal**2 + self.offset_sigma**2
        return float(np.sqrt(max(variance + 2 * self.covariance * nominal, 0.0)))


def fit(
    nominal: NDArray[np.float64], measured: NDArray[np.float64], *, is_relative: bool
) -> ChannelFit:
    """The line through measurements, weighted by their noise.

    Args:
        nominal: Shape (points,), at least two different ones.
        measured: Shape (points, readings).
        is_relative: Whether the noise grows with the value, as that of currents does.
    """
    means = measured.mean(axis=1)
    scale = means if is_relative else np.ones_like(means)
    readings = measured.shape[1]
    spread = measured.std(axis=1, ddof=1) / scale if readings > 1 else np.zeros_like(means)
    noise = float(np.sqrt(np.mean(spread**2)))
    sigma = np.sqrt(((noise * scale) ** 2 + _RESOLUTION**2 / 12) / readings)
    (gain, offset), covariance = np.polyfit(nominal, means, 1, w=1 / sigma, cov="unscaled")
    residual = means - (gain * nominal + offset)
    return ChannelFit(
        gain=float(gain),
        offset=float(offset),
        gain_sigma=float(np.sqrt(covariance[0, 0])),
        offset_sigma=float(np.sqrt(covariance[1, 1])),
        covariance=float(covariance[0, 1]),
        residual=float(np.sqrt(np.mean(residual**2))),
        points=len(nominal),
    )


@dataclass(frozen=True, slots=True)
class Calibration:
    """All channels of one board."""

    serial: str
    """Serial number of the board."""
    made_at: str
    """When, in ISO 8601, UTC."""
    readings: int
    """Measurements that each point is the mean of."""
    channels: Mapping[str, ChannelFit]
    """By published name."""

    def real(self, channel: Channel, code: int) -> float:
        """What a generator really gives at a code, in its unit."""
        return self.channels[channel.name].real(channel.value(code))

    def code(self, channel: Channel, value: float) -> int:
        """The code whose real value comes nearest to a wanted one.

        Raises:
            LimitExceeded: The value, or what would give it, is outside the safe operating area, or
                it is more than a code beyond what the generator can give within that.
        """
        channel.check(value)
        code = self.nearest_code(channel, value)
        nearest = self.real(channel, code)
        if abs(nearest - value) > step(channel, code):
            name = f"{channel.name} (calibrated reach)"
            told, bound = rounded(value, nearest, 3), rounded(nearest, value, 3)
            raise LimitExceeded(name, told, bound, channel.unit)
        return code

    def nearest_code(self, channel: Channel, value: float) -> int:
        """The code that comes nearest among those that are safe, nominally and really.

        Raises:
            LimitExceeded: There is none.
        """
        codes = [code for code in range(CODE_MAX + 1) if self._is_safe(channel, code)]
        if not codes:
            middle = self.real(channel, channel.default_code)
            limit = channel.high if middle > channel.high else channel.low
            raise LimitExceeded(f"{channel.name} (calibrated)", middle, limit, channel.unit)
        return min(codes, key=lambda code: abs(self.real(channel, code) - value))

    def bears_out(self, state: SupplyState) -> bool:
        """Whether a reading agrees with the calibration to a code."""
        channel = supply(state.name)
        off = abs(state.measured - self.real(channel, state.code))
        return off <= step(channel, state.code) + 5 * self.channels[state.name].residual

    def json(self) -> dict[str, Any]:
        """As :meth:`of` takes it."""
        units = {channel.name: channel.unit for channel in SUPPLIES}
        fits = {name: {"unit": units[name], **asdict(f)} for name, f in self.channels.items()}
        return {
            "version": VERSION,
            "serial": self.serial,
            "made_at": self.made_at,
            "readings": self.readings,
            "channels": fits,
        }

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Calibration":
        """From JSON.

        Raises:
            CalibrationError: Of another version, or malformed.
        """
        try:
            version = values["version"]
            if version != VERSION:
                raise CalibrationError(f"version {version!r} is not {VERSION}")
            fits = {name: dict(fitted) for name, fitted in values["channels"].items()}
            if fits.keys() != {channel.name for channel in SUPPLIES}:
                raise CalibrationError(f"{len(fits)} channels are not the {len(SUPPLIES)} supplies")
            channels = {}
            for name, fitted in fits.items():
                fitted.pop("unit")
                channels[name] = made = ChannelFit(**fitted)
                if not (np.isfinite(list(asdict(made).values())).all() and made.gain > 0):
                    raise CalibrationError(f"{name}: {made} is no fit")
            return cls(
                str(values["serial"]), str(values["made_at"]), int(values["readings"]), channels
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CalibrationError(f"malformed: {error!r}") from error

    def _is_safe(self, channel: Channel, code: int) -> bool:
        try:
            channel.check_code(code)
        except LimitExceeded:
            return False
        return channel.low <= self.real(channel, code) <= channel.high


class CalibrationStore:
    """The calibrations of boards, by serial number: a readable file each.

    Args:
        folder: Where the files are; it is made when needed. None: they are kept in memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._kept: dict[str, Calibration] = {}

    def load(self, serial: str) -> Calibration | None:
        """The calibration of a board, if there is one.

        Raises:
            CalibrationError: There is a file that is none.
        """
        path = self._path(serial)
        if path is None:
            return self._kept.get(serial)
        try:
            found = Calibration.of(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, CalibrationError) as error:
            raise CalibrationError(f"{path}: {error}") from error
        if found.serial != serial:
            raise CalibrationError(f"{path} is of board {found.serial}, not of {serial}")
        return found

    def save(self, calibration: Calibration) -> None:
        """Keep a calibration instead of an earlier one of the same board.

        Raises:
            StorageFailed: The file cannot be written; the earlier one is kept.
        """
        path = self._path(calibration.serial)
        if path is None:
            self._kept[calibration.serial] = calibration
            return
        text = json.dumps(calibration.json(), indent=2) + "\n"
        write_whole(path, text.encode())

    def remove(self, serial: str) -> None:
        """Forget the calibration of a board, if there is one.

        Raises:
            StorageFailed: The file cannot be removed.
        """
        self._kept.pop(serial, None)
        path = self._path(serial)
        if path is not None:
            remove(path)

    def _path(self, serial: str) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / (re.sub(r"[^A-Za-z0-9.-]+", "-", serial).strip(".") + ".json")


def step(channel: Channel, code: int) -> float:
    """How far the next code is, in the channel's unit: nominally, the wider side."""
    here = channel.value(code)
    sides = [channel.value(c) for c in (code - 1, code + 1) if 0 <= c <= CODE_MAX]
    return max(abs(here - side) for side in sides)
