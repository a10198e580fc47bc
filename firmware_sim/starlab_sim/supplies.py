"""The emulated voltage and current generators: codes, safe limits, on and off.

Draws no current and changes no cell: operations ask it for its rails.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from starlab_sim.errors import Refused
from starlab_spec.errors import LimitExceeded
from starlab_spec.supplies import CODE_MAX, SUPPLIES, Channel
from starlab_spec.wire.transactions import Status

_NANO_PER_UNIT: Final = 1000
"""Readings are in microvolt and nanoampere, channels in millivolt and microampere."""


class Setting(NamedTuple):
    """A generator that is on."""

    code: int
    value: float
    """What it gives: millivolt or microampere."""

    @property
    def measured(self) -> int:
        """What it gives as the wire has it: microvolt or nanoampere."""
        return round(self.value * _NANO_PER_UNIT)


class SupplyRack:
    """All 22 generators, off at power-up.

    One thread may switch all of them off while another sets or reads them.

    Args:
        channels: The generators, with the limits that hold.

    Attributes:
        channels: The generators, with the limits that hold.
        switch_offs: How often all drivers were switched off.
        safe_reason: Why the board is SAFE; None if it is not. Setting all 22 generators ends it.
    """

    def __init__(self, channels: Sequence[Channel] = SUPPLIES) -> None:
        self.channels = channels
        # replaced, never emptied, by switch_off: who holds the list still has all of it
        self._settings: list[Setting | None] = [None] * len(SUPPLIES)
        self._lock = threading.Lock()
        self.switch_offs = 0
        self.safe_reason: str | None = None

    def scratch(self) -> "SupplyRack":
        """A rack with the same settings."""
        copy = SupplyRack(self.channels)
        with self._lock:
            copy._settings = list(self._settings)
            copy.safe_reason = self.safe_reason
        return copy

    def set(self, index: int, code: int) -> Setting:
        """Set a generator to a code, and switch it on.

        Raises:
            LimitExceeded: There is no such generator or no such code.
            Refused: INTERLOCK: the code's value is outside the safe operating area.
        """
        _check_index(index)
        channel = self.channels[index]
        if code > CODE_MAX:
            raise LimitExceeded(f"{channel.name} code", code, CODE_MAX)
        try:
            channel.check_code(code)
        except LimitExceeded as error:
            raise Refused(Status.INTERLOCK, str(error)) from None
        setting = Setting(code, channel.value(code))
        with self._lock:
            self._settings[index] = setting
            if None not in self._settings:
                self.safe_reason = None
        return setting

    def get(self, index: int) -> Setting | None:
        """The setting of a generator; None while it is off.

        Raises:
            LimitExceeded: There is no such generator.
        """
        _check_index(index)
        return self._settings[index]

    def values(self) -> Mapping[str, float]:
        """What all generators give at one moment, by name: millivolt or microampere.

        Raises:
            Refused: NOT_READY: one of them is off, and operations need them all.
        """
        values = {}
        for channel, setting in zip(SUPPLIES, self._settings, strict=True):
            if setting is None:
                why = f" since the board is SAFE: {self.safe_reason}" if self.safe_reason else ""
                raise Refused(Status.NOT_READY, f"supply {channel.name} is off{why}")
            values[channel.name] = setting.value
        return values

    def switch_off(self, reason: str) -> None:
        """All drivers off at once: the board is SAFE until all generators have been set again."""
        with self._lock:
            self._settings = [None] * len(SUPPLIES)
            self.safe_reason = reason
            self.switch_offs += 1


def _check_index(index: int) -> None:
    if index >= len(SUPPLIES):
        raise LimitExceeded("supply index", index, len(SUPPLIES) - 1)
