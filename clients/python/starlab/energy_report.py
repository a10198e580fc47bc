"""The energy of a training by the published method, from counts alone. Asks no board.

The method [P]: tuning energy is the number of tuning operations times their mean energy; reading
energy is that of the ADC conversions; the digital processor's is its operations by what it does
with a joule. Every number that enters is in :data:`ASSUMPTIONS`, with its source: the marks are
those of the chip facts.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from starlab_contract import Counters, Settings

PUBLISHED_RATIO: Final = 1 / 35
"""Training energy of the chip by that of a digital accelerator, as published [P]."""
INPUTS: Final = 784
HIDDEN: Final = 100
OUTPUTS: Final = 10
WEIGHTS: Final = {1: INPUTS * HIDDEN, 2: HIDDEN * OUTPUTS}


@dataclass(frozen=True, slots=True)
class Assumption:
    """A number that the report rests on."""

    value: float
    """In its unit."""
    unit: str
    """Its unit."""
    source: str
    """Where it comes from, or that it is assumed."""


_MID_WINDOW: Final = "V^2 G t at 11 uS, mid window (assumption), at the published"
ASSUMPTIONS: Final[Mapping[str, Assumption]] = {
    "set_1": Assumption(
        2.209**2 * 11e-6 * 300e-9, "J", f"{_MID_WINDOW} VBLset of 2.209 V for 300 ns [C]"
    ),
    "set_2": Assumption(
        2.209**2 * 11e-6 * 200e-9, "J", f"{_MID_WINDOW} VBLset of 2.209 V for 200 ns [C]"
    ),
    "reset": Assumption(
        1.6**2 * 11e-6 * 50e-9, "J", f"{_MID_WINDOW} VSLreset of 1.6 V for 50 ns [C]"
    ),
    "conversion_8_bit": Assumption(
        5e-12, "J", "an 8-bit ADC in 130 nm [the method: P]; 5 pJ a conversion is an assumption"
    ),
    "processor_power": Assumption(
        145.0, "W", "thermal design power of a Xeon E5-2699 v3, Intel's data sheet"
    ),
    "processor_rate": Assumption(
        18 * 2.3e9 * 32,
        "operations/s",
        "its peak: 18 cores of 2.3 GHz, 32 single precision operations a cycle (two AVX2 FMA); "
        "that it is reached is an assumption, and kind to the processor",
    ),
}
"""What enters, by name."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a training did."""

    set_pulses: tuple[int, int]
    """SET pulses on cells of arrays 1 and 2."""
    reset_pulses: tuple[int, int]
    """RESET pulses on cells of arrays 1 and 2."""
    steps: int
    """Samples learned."""
    adc_bits_1: int
    """N1."""
    adc_bits_2: int
    """N2."""

    @classmethod
    def between(cls, start: Counters | None, end: Counters, settings: Settings) -> Self:
        """What was done between two looks at a board's counters; from the very start: None.

        All SET and RESET pulses count, those of write-verify too: look where the training begins.
        """

        def pulses(kind: str) -> tuple[int, int]:
            one, two = (
                getattr(now, kind) - (0 if before is None else getattr(before, kind))
                for now, before in (
                    (end.pulses.array1, None if start is None else start.pulses.array1),
                    (end.pulses.array2, None if start is None else start.pulses.array2),
                )
            )
            return one, two

        before = 0 if start is None else start.operations.training
        return cls(
            set_pulses=pulses("set"),
            reset_pulses=pulses("reset"),
            steps=end.operations.training - before,
            adc_bits_1=settings.adc_bits_1,
            adc_bits_2=settings.adc_bits_2,
        )

    @property
    def layers(self) -> tuple[int, ...]:
        """Arrays that were tuned."""
        pulses = zip(self.set_pulses, self.reset_pulses, strict=True)
        return tuple(number for number, both in enumerate(pulses, 1) if sum(both))

    @property
    def conversions(self) -> tuple[int, int]:
        """ADC conversions of arrays 1 and 2: each of 20 columns of array 2 once in every slot."""
        slots = (1 << self.adc_bits_1) - 1
        return self.steps * HIDDEN, self.steps * 2 * OUTPUTS * slots

    @property
    def processor_operations(self) -> int:
        """What a processor would do: a multiplication and an addition a weight, dense.

        Forward through both layers; the update of the layers that are tuned; and, where the first
        one is, the error back through the second.
        """
        macs = sum(WEIGHTS.values()) + sum(WEIGHTS[number] for number in self.layers)
        macs += WEIGHTS[2] if 1 in self.layers else 0
        return 2 * macs * self.steps


@dataclass(frozen=True, slots=True)
class Line:
    """A part of the chip's energy."""

    what: str
    """In words."""
    count: int
    """How often."""
    each_j: float
    """Mean energy of one."""
    source: str
    """Where that comes from."""

    @property
    def energy_j(self) -> float:
        """Energy of all."""
        return self.count * self.each_j


@dataclass(frozen=True, slots=True)
class EnergyReport:
    """A training on the chip beside the same on a digital processor."""

    lines: tuple[Line, ...]
    """The chip's energy, part by part."""
    steps: int
    """Samples learned."""
    processor_operations: int
    """What the processor would do."""
    operations_per_j: float
    """What it does with a joule."""

    @property
    def chip_j(self) -> float:
        """Energy of the chip: the sum of the lines."""
        return sum(line.energy_j for line in self.lines)

    @property
    def processor_j(self) -> float:
        """Energy of the processor."""
        return self.processor_operations / self.operations_per_j

    @property
    def ratio(self) -> float | None:
        """Chip by processor; None where nothing was learned."""
        return self.chip_j / self.processor_j if self.processor_operations else None

    @property
    def published_at_operations_per_j(self) -> float | None:
        """What a digital system would do with a joule for the ratio to be the published 1/35."""
        return self.processor_operations * PUBLISHED_RATIO / self.chip_j if self.chip_j else None

    def json(self) -> dict[str, Any]:
        """All of it as plain values, with the assumptions."""
        return {
            "steps": self.steps,
            "lines": [{**asdict(line), "energy_j": line.energy_j} for line in self.lines],
            "chip_j": self.chip_j,
            "processor_operations": self.processor_operations,
            "operations_per_j": self.operations_per_j,
            "processor_j": self.processor_j,
            "ratio": self.ratio,
            "published_ratio": PUBLISHED_RATIO,
            "published_at_operations_per_j": self.published_at_operations_per_j,
            "assumptions": {name: asdict(each) for name, each in ASSUMPTIONS.items()},
        }


def energy_report(work: Work) -> EnergyReport:
    """The report of a training."""
    bits = (work.adc_bits_1, work.adc_bits_2)
    pulses = {"SET": work.set_pulses, "RESET": work.reset_pulses}
    lines = [
        Line(
            f"{kind} pulses, array {array + 1}",
            counts[array],
            (one := ASSUMPTIONS["reset" if kind == "RESET" else f"set_{array + 1}"]).value,
            one.source,
        )
        for array in range(2)
        for kind, counts in pulses.items()
    ]
    adc = ASSUMPTIONS["conversion_8_bit"]
    lines += [
        Line(
            f"conversions of {bits[array]} bits, array {array + 1}",
            work.conversions[array],
            adc.value * 2.0 ** (bits[array] - 8),
            f"{adc.source}; a ramp of fewer bits is shorter",
        )
        for array in range(2)
    ]
    rate, power = ASSUMPTIONS["processor_rate"], ASSUMPTIONS["processor_power"]
    return EnergyReport(
        lines=tuple(lines),
        steps=work.steps,
        processor_operations=work.processor_operations,
        operations_per_j=rate.value / power.value,
    )
