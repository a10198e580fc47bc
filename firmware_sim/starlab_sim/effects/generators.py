"""Settings of what real voltage and current generators do. Sets none.

The 8-bit codes are no effect: every channel is quantised, whatever is switched on [C]. Neither
paper nor code says anything about errors of the generators: all sizes are assumptions, with what
made them plausible beside them.
"""

from dataclasses import dataclass

from starlab_sim.effects.parameters import parameter


@dataclass(frozen=True, slots=True)
class ChannelErrors:
    """Every channel has a gain error and an offset of its own: properties of the board.

    A feedback divider of 1 % resistors, and the offset of an amplifier at the divider's gain.
    """

    gain: float = parameter(0.01, "standard deviation of the relative gain error", high=0.1)
    offset_mv: float = parameter(
        10.0, "standard deviation of a voltage's offset", unit="mV", high=200.0
    )
    offset_ua: float = parameter(
        0.02, "standard deviation of a current's offset", unit="uA", high=10.0
    )


@dataclass(frozen=True, slots=True)
class Settling:
    """A channel that was set is not ready before it has settled.

    A regulator with some 10 uF at its output. The time passes on the clock of the wall, since the
    chip's own stands still between operations; it decides readiness only, never a value.
    """

    time_s: float = parameter(0.002, "time to settle to half a code", unit="s", high=2.0)


@dataclass(frozen=True, slots=True)
class ChannelNoise:
    """Every operation and every measurement meets another value.

    Slow noise: one value for a whole operation, however long, as of a supply whose noise above some
    kilohertz its capacitors take.
    """

    voltage_mv: float = parameter(0.5, "standard deviation of a voltage", unit="mV", high=100.0)
    current: float = parameter(
        0.0005, "standard deviation of a current, as a share of it", high=0.1
    )


@dataclass(frozen=True, slots=True)
class LoadRegulation:
    """Rails sag under the current that the cells draw, in pulses, learning passes and reading.

    VBLset, VSLreset, VBLform, VBL27 and VBL23; gates draw none, and the clamps of the source lines
    are held by the integrators, not by V25. A row of a hundred cells draws 2.4 mA (1.2 mV at the
    default). Learning MNIST at the demo's working point, a pass draws 8 mA on average and 79 mA at
    most (40 mV; through wires and with all effects 95 mA), and an image draws 26 mA of each read
    rail on average and 78 mA at most (13 mV and 39 mV of 227 mV). The error's way back through
    array 2 meets no sag: at mid window at most 5 mA, 1 % of its voltage.
    """

    output_ohm: float = parameter(0.5, "output resistance of a generator", unit="Ohm", high=1000.0)

    def sag_mv(self, current_ma: float) -> float:
        """By how much a rail sags under a current."""
        return self.output_ohm * current_ma


@dataclass(frozen=True, slots=True)
class CurrentLimit:
    """A generator that is asked for more current trips: a latched fault, drivers off.

    Rails of pulses are watched, row by row or in a learning pass; those of reading are not. A row
    of a hundred cells at 20 uS draws 4.4 mA at the published VBLset. Of 60,000 digits at the demo's
    working point no pass drew more than 81 mA with ideal cells and 99 mA with all effects, and of
    6,000 at the published rails and other thresholds none more than 138 mA; images half of whose
    pixels are on draw up to 350 mA. The default, that of a common linear regulator, leaves them be,
    and trips where a whole array is pulsed at once: up to 3,500 mA.
    """

    limit_ma: float = parameter(500.0, "current limit of a rail", unit="mA", low=0.001, high=1e4)
