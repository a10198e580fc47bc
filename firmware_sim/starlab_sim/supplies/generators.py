"""What the generators of one board make of a code: its value, their errors, their noise. Sets none.

Errors belong to the board: they come from its seed alone, whatever is switched on, restarted or put
into the socket. Noise is another one in each life, that is, after each power-up.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from starlab_sim.effects import NONE, Effects
from starlab_spec.supplies import SUPPLIES

DEVIATION_MAX: Final = 3.0
"""No channel is further off than so many standard deviations: it would not be sold [O]."""
LEAST: Final = 0.001
"""What a generator that is on gives at least, mV or uA: one unit of a reading."""
_ERRORS: Final = 0x4552
_NOISE: Final = 0x4E4F
"""Keys of the streams; the chip of the same seed has 0 and 1."""


class Generators:
    """The 22 generators of one board.

    Operations and measurements draw their noise from different streams, and a measurement that
    comes before the channel has settled draws none: how often a host asks, or how fast it is, does
    not change what operations meet.

    Args:
        seed: Of the board.
        effects: What they do that ideal ones do not.
        life: Number of the power-up.

    Attributes:
        effects: May be replaced at any time.
    """

    def __init__(self, seed: int = 0, effects: Effects = NONE, life: int = 0) -> None:
        self.effects = effects
        own = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_ERRORS,)))
        deviations = own.standard_normal((len(SUPPLIES), 2))
        self._deviations = np.clip(deviations, -DEVIATION_MAX, DEVIATION_MAX).tolist()
        streams = np.random.SeedSequence(seed, spawn_key=(_NOISE, life)).spawn(len(SUPPLIES) + 1)
        self._operations, *self._measurements = map(np.random.default_rng, streams)
        self._next = [float(stream.standard_normal()) for stream in self._measurements]

    def noise_states(self) -> dict[str, Any]:
        """Where all sources of noise are, as plain values."""
        return {
            "operations": self._operations.bit_generator.state,
            "measurements": [one.bit_generator.state for one in self._measurements],
            "next": self._next,
        }

    def resume_noise(self, states: Mapping[str, Any]) -> None:
        """Let the noise go on from there.

        Raises:
            KeyError, TypeError, ValueError: States that :meth:`noise_states` never gave.
        """
        self._operations.bit_generator.state = states["operations"]
        for stream, state in zip(self._measurements, states["measurements"], strict=True):
            stream.bit_generator.state = state
        self._next = [float(states["next"][index]) for index in range(len(SUPPLIES))]

    def value(self, index: int, code: int) -> float:
        """What a channel gives at a code without load and noise: millivolt or microampere."""
        channel = SUPPLIES[index]
        nominal = channel.value(code)
        errors = self.effects.channel_errors
        if errors is None:
            return nominal
        gain, offset = self._deviations[index]
        size = errors.offset_mv if channel.unit == "mV" else errors.offset_ua
        real: float = nominal * (1 + errors.gain * gain) + size * offset
        return max(real, LEAST)

    def operation_noise(self) -> list[float]:
        """Normal numbers of all channels, for one operation."""
        normals: list[float] = self._operations.standard_normal(len(SUPPLIES)).tolist()
        return normals

    def measurement_noise(self, index: int, *, settled: bool) -> float:
        """A normal number for one measurement of a channel; it counts if the channel is settled."""
        if self.effects.channel_noise is None:
            return 0.0
        normal = self._next[index]
        if settled:
            self._next[index] = float(self._measurements[index].standard_normal())
        return normal

    def noisy(self, index: int, value: float, normal: float) -> float:
        """A value with noise."""
        noise = self.effects.channel_noise
        if noise is None:
            return value
        is_voltage = SUPPLIES[index].unit == "mV"
        size = noise.voltage_mv if is_voltage else noise.current * value
        return max(value + size * normal, LEAST)
