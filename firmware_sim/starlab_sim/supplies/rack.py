"""The rack of generators: which are on, at which code, since when. Knows no error and no noise.

The clock says when a generator has settled and nothing else: no value depends on it.
"""

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlab_sim.effects import Effects
from starlab_sim.errors import Refused
from starlab_sim.supplies.generators import Generators
from starlab_spec.errors import LimitExceeded
from starlab_spec.supplies import CODE_MAX, SUPPLIES, Channel, supply
from starlab_spec.wire.transactions import Status

_NANO_PER_UNIT: Final = 1000
"""Readings are in microvolt and nanoampere, channels in millivolt and microampere."""
WORD_LINES: Final = tuple(supply(name).index for name in ("VWLform", "VWLset", "VWLvdd"))
"""Rails of the gates, which come on first."""
DRIVING: Final = tuple(supply(name).index for name in ("VBLform", "VBLset", "VSLreset"))
"""Rails that drive current through cells: they come on after the gates are held."""


class _Setting(NamedTuple):
    """A generator that is on."""

    code: int
    changed_s: float
    """When it was given that code."""
    value: float
    """What it gives without noise: millivolt or microampere."""


class Reading(NamedTuple):
    """What a generator that is on says of itself."""

    code: int
    measured: int
    """What it gives: microvolt or nanoampere."""
    settled: bool


class SupplyRack:
    """All 22 generators, off at power-up.

    One thread may switch all of them off while another sets or reads them. Every ``now_s`` is the
    time of one clock.

    Args:
        generators: What they make of a code; default: ideal ones.
        channels: All 22, with the limits that hold.

    Attributes:
        switch_offs: How often all drivers were switched off.
        safe_reason: Why the board is SAFE; None if it is not. Setting all 22 generators ends it.
        tripped: The channel whose current limit tripped last, until that is cleared.
    """

    def __init__(
        self, generators: Generators | None = None, channels: Sequence[Channel] = SUPPLIES
    ) -> None:
        self._channels = channels
        self._generators = Generators() if generators is None else generators
        # replaced, never emptied, by switch_off: who holds the list still has all of it
        self._settings: list[_Setting | None] = [None] * len(SUPPLIES)
        self._early: frozenset[int] = frozenset()
        """Driving rails that came on before the word lines."""
        self._lock = threading.Lock()
        self._is_copy = False
        self.switch_offs = 0
        self.safe_reason: str | None = None
        self.tripped: int | None = None

    @property
    def effects(self) -> Effects:
        """What the generators do that ideal ones do not."""
        return self._generators.effects

    def change_effects(self, effects: Effects) -> None:
        """Let the generators do other things; codes stay as they are."""
        generators = self._generators
        with self._lock:
            generators.effects = effects
            self._settings = [
                setting and setting._replace(value=generators.value(index, setting.code))
                for index, setting in enumerate(self._settings)
            ]

    def scratch(self) -> "SupplyRack":
        """A rack with the same settings, to try things on: it is without noise and draws none."""
        copy = SupplyRack(self._generators, self._channels)
        copy._is_copy = True
        with self._lock:
            copy._settings = list(self._settings)
            copy._early = self._early
            copy.safe_reason = self.safe_reason
            copy.tripped = self.tripped
        return copy

    def set(self, index: int, code: int, *, now_s: float) -> Reading:
        """Set a generator to a code, and switch it on. What has that code already, keeps it.

        Raises:
            LimitExceeded: There is no such generator or no such code.
            Refused: INTERLOCK: the code's value is outside the safe operating area.
        """
        _check_index(index)
        channel = self._channels[index]
        if code > CODE_MAX:
            raise LimitExceeded(f"{channel.name} code", code, CODE_MAX)
        try:
            channel.check_code(code)
        except LimitExceeded as error:
            raise Refused(Status.INTERLOCK, str(error)) from None
        with self._lock:
            setting = self._settings[index]
            if setting is None or setting.code != code:
                setting = _Setting(code, now_s, self._generators.value(index, code))
            self._settings[index] = setting
            if index in DRIVING:
                gates_are_held = all(self._settings[gate] is not None for gate in WORD_LINES)
                self._early = self._early - {index} if gates_are_held else self._early | {index}
            if None not in self._settings:
                self.safe_reason = None
        return self._reading(index, setting, now_s)

    def get(self, index: int, *, now_s: float) -> Reading | None:
        """How a generator is; None while it is off.

        Raises:
            LimitExceeded: There is no such generator.
        """
        _check_index(index)
        setting = self._settings[index]
        return None if setting is None else self._reading(index, setting, now_s)

    def rails(self) -> Mapping[str, float]:
        """What the generators that are on give without load and noise, by name."""
        pairs = zip(SUPPLIES, self._settings, strict=True)
        return {channel.name: setting.value for channel, setting in pairs if setting is not None}

    def values(self, *, now_s: float) -> Mapping[str, float]:
        """What all generators give in one operation, by name: millivolt or microampere.

        Raises:
            Refused: NOT_READY: one of them is off or has not settled; operations need them all.
        """
        settings = self._settings
        values = {}
        for channel, setting in zip(SUPPLIES, settings, strict=True):
            if setting is None:
                why = f" since the board is SAFE: {self.safe_reason}" if self.safe_reason else ""
                raise Refused(Status.NOT_READY, f"supply {channel.name} is off{why}")
            values[channel.name] = setting.value
        generators = self._generators
        if generators.effects.settling is not None:
            for channel, setting in zip(SUPPLIES, settings, strict=True):
                if setting is not None and not self._is_settled(setting, now_s):
                    raise Refused(Status.NOT_READY, f"supply {channel.name} has not settled")
        if not self._is_copy and generators.effects.channel_noise is not None:
            noise = zip(values.items(), generators.operation_noise(), strict=True)
            for index, ((name, value), normal) in enumerate(noise):
                values[name] = generators.noisy(index, value, normal)
        return values

    def check_order(self) -> None:
        """Refuse to let rails drive cells that came on while gates were floating.

        Raises:
            Refused: NOT_READY: such a rail has not been set again since.
        """
        early = sorted(self._early)
        if early:
            name, gates = SUPPLIES[early[0]].name, ", ".join(SUPPLIES[i].name for i in WORD_LINES)
            message = f"supply {name} came on before the word lines ({gates}): set it again"
            raise Refused(Status.NOT_READY, message)

    def is_tripped(self, index: int, *, is_latched: bool) -> bool:
        """Whether a generator reports a fault; all do where it is not known whose it was."""
        return is_latched and self.tripped in (None, index)

    def keep(self) -> dict[str, Any]:
        """All of it as plain values, as :meth:`put_back` takes them."""
        with self._lock:
            return {
                "codes": [None if one is None else one.code for one in self._settings],
                "early": sorted(self._early),
                "safe_reason": self.safe_reason,
                "tripped": self.tripped,
                "noise": self._generators.noise_states(),
            }

    def put_back(self, kept: Mapping[str, Any], generators: Generators) -> None:
        """Be as :meth:`keep` found a rack, all channels settled.

        Args:
            kept: What it gave.
            generators: Those that the rack had; their noise goes on from where it was.

        Raises:
            LimitExceeded, Refused: A setting that :meth:`set` would refuse; nothing is changed.
            KeyError, TypeError, ValueError: Values that :meth:`keep` never gave; likewise.
        """
        other = SupplyRack(generators, self._channels)
        for index, code in zip(range(len(SUPPLIES)), kept["codes"], strict=True):
            if code is not None:
                other.set(index, code, now_s=-math.inf)
        early, reason, tripped = frozenset(kept["early"]), kept["safe_reason"], kept["tripped"]
        generators.resume_noise(kept["noise"])
        with self._lock:
            self._generators = generators
            self._settings = other._settings
            self._early, self.safe_reason, self.tripped = early, reason, tripped

    def switch_off(self, reason: str) -> None:
        """All drivers off at once: the board is SAFE until all generators have been set again."""
        with self._lock:
            self._settings = [None] * len(SUPPLIES)
            self._early = frozenset()
            self.safe_reason = reason
            self.switch_offs += 1

    def _is_settled(self, setting: _Setting, now_s: float) -> bool:
        settling = self.effects.settling
        return settling is None or now_s - setting.changed_s >= settling.time_s

    def _reading(self, index: int, setting: _Setting, now_s: float) -> Reading:
        generators = self._generators
        settled = self._is_settled(setting, now_s)
        value = setting.value
        if not self._is_copy:
            normal = generators.measurement_noise(index, settled=settled)
            value = generators.noisy(index, value, normal)
        return Reading(setting.code, round(value * _NANO_PER_UNIT), settled)


def _check_index(index: int) -> None:
    if index >= len(SUPPLIES):
        raise LimitExceeded("supply index", index, len(SUPPLIES) - 1)
