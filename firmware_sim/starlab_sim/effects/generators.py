"""Settings of what real voltage and current generators do. Sets none.

The 8-bit codes are no effect: every channel is quantised, whatever is switched on [C].
"""

from dataclasses import dataclass

from starlab_sim.effects.parameters import parameter


@dataclass(frozen=True, slots=True)
class ChannelErrors:
    """Every channel has a gain error and an offset of its own: properties of the board."""

    gain: float = parameter(0.01, "standard deviation of the relative gain error", high=0.1)
    offset_mv: float = parameter(
        10.0, "standard deviation of a voltage's offset", unit="mV", high=200.0
    )
    offset_ua: float = parameter(
        0.02, "standard deviation of a current's offset", unit="uA", high=10.0
    )


@dataclass(frozen=True, slots=True)
class Settling:
    """A channel that was set is not ready before it has settled."""

    time_s: float = parameter(0.002, "time to settle to half a code", unit="s", high=10.0)


@dataclass(frozen=True, slots=True)
class ChannelNoise:
    """Every operation and every measurement meets another value."""

    voltage_mv: float = parameter(0.5, "standard deviation of a voltage", unit="mV", high=100.0)
    current: float = parameter(
        0.0005, "standard deviation of a current, as a share of it", high=0.1
    )


@dataclass(frozen=True, slots=True)
class LoadRegulation:
    """Voltages sag under the current that the cells draw."""

    output_ohm: float = parameter(0.5, "output resistance of a generator", unit="Ohm", high=1000.0)


@dataclass(frozen=True, slots=True)
class CurrentLimit:
    """A generator that is asked for more current trips: a latched fault, drivers off."""

    limit_ma: float = parameter(200.0, "current limit of a rail", unit="mA", low=0.001, high=1e4)
