"""Settings of what real cells do beside the device model. Moves no cell.

Distributions over cells are properties of the chip, decided by its seed: to switch an effect off
and on again brings back the same cells.
"""

from dataclasses import dataclass

from starlab_sim.effects.parameters import parameter


@dataclass(frozen=True, slots=True)
class Spread:
    """Device-to-device spread: every cell has a step size and a window of its own."""

    step: float = parameter(
        0.2,
        "standard deviation of the logarithm of a cell's step, whose mean over cells is 1; SET and"
        " RESET each have their own",
        high=2.0,
    )
    window: float = parameter(
        0.05,
        "standard deviation of either end of a cell's window, as a share of 18 uS",
        high=0.2,
    )


@dataclass(frozen=True, slots=True)
class CycleNoise:
    """Cycle-to-cycle noise beside that of the device model."""

    step_uS: float = parameter(
        0.1, "standard deviation that each nominal pulse adds", unit="uS", high=10.0
    )


@dataclass(frozen=True, slots=True)
class StuckCells:
    """Cells that no pulse moves."""

    low: float = parameter(0.001, "share of cells stuck at the bottom of the window", high=0.5)
    high: float = parameter(0.001, "share of cells stuck at the top of the window", high=0.5)


@dataclass(frozen=True, slots=True)
class FormingStatistics:
    """FORM pulses that form a cell with a probability that depends on voltage and width.

    A pulse of 12.8 us, the published width [C], at a cell's own voltage forms it in half of the
    cases; some pulses do what one of their summed width would.
    """

    yield_fraction: float = parameter(0.999, "share of cells that can be formed at all", high=1.0)
    voltage_mv: float = parameter(
        4750.0,
        "median of the voltages at which one nominal pulse forms a cell",
        unit="mV",
        low=627.0,
        high=5300.0,
    )
    voltage_spread_mv: float = parameter(
        100.0, "standard deviation of it from cell to cell", unit="mV", high=1000.0
    )
    decade_mv: float = parameter(
        100.0, "voltage that ten times the pulse width makes up for", unit="mV", high=1000.0
    )
    target_uS: float = parameter(
        11.0, "mean conductance after forming", unit="uS", low=2.0, high=20.0, source="O"
    )
    spread_uS: float = parameter(
        2.0, "standard deviation of it from cell to cell", unit="uS", high=18.0
    )


@dataclass(frozen=True, slots=True)
class GateCompliance:
    """The access transistor limits the current of SET, and with it the conductance it reaches.

    At the published VWLset that is the top of the window. FORM leaves a conductance in proportion
    to the voltage of VWLform above the threshold: at the published one, that of forming.
    """

    threshold_mv: float = parameter(
        700.0, "threshold voltage of the access transistor", unit="mV", high=2500.0
    )
    per_volt_uS: float = parameter(
        18.0,
        "greatest conductance that SET reaches, per volt of VWLset above the threshold",
        unit="uS",
        low=0.1,
        high=1000.0,
    )


@dataclass(frozen=True, slots=True)
class Wear:
    """Endurance: pulses that a cell has had narrow its window."""

    endurance_pulses: float = parameter(
        1e7, "pulses after which half of a cell's window is left", unit="pulses", low=1.0, high=1e15
    )
    exponent: float = parameter(
        1.0,
        "how abruptly: share left = 1 / (1 + (pulses / endurance)^exponent), about the middle",
        low=0.1,
        high=10.0,
    )


@dataclass(frozen=True, slots=True)
class Retention:
    """Conductances relax after programming and drift, in the logarithm of the emulated time.

    The shares are assumptions, chosen so that the accuracy of a chip stands for 48 days [P].
    """

    relaxation_per_decade: float = parameter(
        0.0005,
        "share of the way to the resting conductance that a decade of time takes a cell",
        high=1.0,
        source="assumption: accuracy stands for 48 days [P]",
    )
    resting_uS: float = parameter(
        8.0, "conductance that cells relax to", unit="uS", low=0.0, high=20.0
    )
    walk_uS: float = parameter(
        0.02,
        "standard deviation of the random walk of a cell in a decade",
        unit="uS",
        high=10.0,
        source="assumption: accuracy stands for 48 days [P]",
    )
    onset_s: float = parameter(
        1.0,
        "time after a pulse when the logarithm begins to count",
        unit="s",
        low=1e-6,
        high=1e6,
    )
    interval_s: float = parameter(
        1.0,
        "cells are brought up to date after so much emulated time",
        unit="s",
        low=1e-6,
        high=1e6,
        source="O",
    )


@dataclass(frozen=True, slots=True)
class ReadNoise:
    """Noise of a current that is integrated, and converted or compared."""

    temperature_k: float = parameter(
        300.0, "temperature of the thermal noise of the cells", unit="K", high=500.0
    )
    converter_codes: float = parameter(
        0.3, "standard deviation of a conversion, in its own codes", unit="codes", high=100.0
    )
    comparator_uS: float = parameter(
        0.1,
        "standard deviation of comparing an error that was driven back, in conductance of array 2",
        unit="uS",
        high=100.0,
    )


@dataclass(frozen=True, slots=True)
class TelegraphNoise:
    """Random telegraph noise: traps that switch cells between two conductances."""

    fraction: float = parameter(0.1, "share of cells with a trap", high=1.0)
    amplitude: float = parameter(
        0.02, "median of the step, as a share of the conductance", high=0.5
    )
    amplitude_spread: float = parameter(
        0.5, "standard deviation of the logarithm of the step", high=2.0
    )
    fastest_s: float = parameter(
        1e-6,
        "shortest mean time in a state; a forward pass hears a trap in one state, however fast",
        unit="s",
        low=1e-9,
        high=1e6,
        at_most="slowest_s",
    )
    slowest_s: float = parameter(
        1.0,
        "longest mean time in a state; times of the two states are drawn one by one, even in their"
        " logarithm",
        unit="s",
        low=1e-9,
        high=1e9,
    )
