"""Calibrating and balancing the supplies. Measures nothing."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from starlab_contract.base import ReplyBody, RequestBody


class Calibrate(RequestBody):
    """How thoroughly to measure the supplies."""

    points: Annotated[int, Field(ge=3, le=64)] = 5
    """Codes of each channel."""
    readings: Annotated[int, Field(ge=2, le=1000)] = 32
    """Measurements at each code."""


class _Fit(ReplyBody):
    gain: float
    """Real per nominal value; 1 without error."""
    gain_sigma: float
    """Standard deviation of the gain."""
    points: int
    """Codes that were measured."""


class VoltageFit(_Fit):
    """What a voltage generator really gives: gain times the nominal value, plus an offset."""

    unit: Literal["mV"]
    offset_mv: float
    """Real value at a nominal one of 0."""
    offset_sigma_mv: float
    """Standard deviation of the offset."""
    residual_mv: float
    """Root mean square of measured minus fitted."""
    error_mv: float
    """Real minus nominal value at the published setting."""
    error_sigma_mv: float
    """Standard deviation of that error."""


class CurrentFit(_Fit):
    """What a current generator really gives: gain times the nominal value, plus an offset."""

    unit: Literal["uA"]
    offset_ua: float
    """Real value at a nominal one of 0."""
    offset_sigma_ua: float
    """Standard deviation of the offset."""
    residual_ua: float
    """Root mean square of measured minus fitted."""
    error_ua: float
    """Real minus nominal value at the published setting."""
    error_sigma_ua: float
    """Standard deviation of that error."""


Fit = Annotated[VoltageFit | CurrentFit, Field(discriminator="unit")]


class Calibration(ReplyBody):
    """What was measured of the supplies of a board."""

    serial: str
    """Serial number of the board."""
    made_at: datetime
    in_use: bool
    """Whether supplies are set by it. A board that measures otherwise puts it out of use."""
    readings: int
    """Measurements at each code."""
    channels: dict[str, Fit]
    """By name, in power-up order."""


class BalanceRails(RequestBody):
    """How thoroughly to read."""

    readings: Annotated[int, Field(ge=1, le=100)] = 4
    """Readings of array 1 at each of seven codes of V25."""


class ReadVoltages(ReplyBody):
    """What is over the cells of array 1 while they are read."""

    plus_mv: float
    """VBL27 minus clamp: over "+" cells."""
    minus_mv: float
    """Clamp minus VBL23: over "-" cells."""
    mismatch_mv: float
    """Their difference: 0 where balanced weights give no current."""


class BalanceReply(ReplyBody):
    """What balancing has done."""

    before: ReadVoltages
    after: ReadVoltages
    codes: dict[str, int]
    """Codes of VBL27 and VBL23 now."""
