"""The output layer of the emulated chip, set up as the published float simulation is.

Maps the float scale to codes and runs the chip; learns by no rule of its own.

The mapping. A weight is a conductance difference times a scale, so that a hidden activity ``y1``
is a current of ``y1 / a1`` (in uS at the read voltage, with ``a1`` the weight of array 1 per uS),
and its pulse count is ``n = y1 / a1 * (2^N1 - 1) / FS1``. Over the slots an output adds up
``sum_j n_j w_j (2^N2 - 1) / FS2`` with ``w`` in uS, which is ``sum_j n_j W_j / a2`` likewise. So
one unit of the float output is

    codes = (2^N1 - 1) / (a1 FS1) * (2^N2 - 1) / (a2 FS2)

codes, up to the rounding of each conversion. Targets and thresholds are multiplied by it and
rounded to whole codes.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from benchmarks.validation import first_layer, schemes
from benchmarks.validation.schemes import Floats, Settings, Way
from numpy.typing import NDArray

from starlab.datasets import Digits, unpack
from starlab_sim.chip import (
    Activation,
    Chip,
    Converters,
    Learning,
    Rails,
    Schedule,
    Tuning,
    targets_of,
)
from starlab_sim.effects import NONE, Effects, Wires
from starlab_spec.errors import UnknownName
from starlab_spec.geometry import ARRAY1, MID_WINDOW_uS
from starlab_spec.samples import pack_samples

SCHEDULES = {
    Way.STELLAR1: Schedule.cyclic(count1=0, count2=1),
    Way.STELLAR2: Schedule.non_cyclic(count1=0, count2=1),
}
"""Array 1 is held: it gets no pulse."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Settings of the chip's forward path, and what is not ideal about the chip."""

    rails: Rails = field(default_factory=Rails)
    """Supplies: as published."""
    converters: Converters = field(default_factory=lambda: Converters(bits1=8, bits2=8))
    """Full scales as published, array 2 with all bits."""
    effects: Effects = NONE
    """What a real chip does and an ideal one does not: `Effects(wires=Wires())` for wires."""
    kept: float = 1.0
    """Share of array 1's current that wires let reach the converters."""

    @property
    def hidden_codes(self) -> float:
        """Hidden pulses per unit of a hidden activity."""
        full_scale_uS = self.converters.full_scale1_ua / (self.rails.read_plus_mv * 1e-3)
        levels = float(2**self.converters.bits1 - 1)
        return self.kept * levels / (first_layer.WEIGHT_PER_uS * full_scale_uS)

    @property
    def output_codes(self) -> float:
        """Output codes per unit of an output on the float scale."""
        full_scale_uS = self.converters.full_scale2_ua / (self.rails.read_plus_mv * 1e-3)
        levels = float(2**self.converters.bits2 - 1)
        return self.hidden_codes * levels / (schemes.WEIGHT_PER_uS * full_scale_uS)


def through_wires(steps: NDArray[np.int8], samples: NDArray[np.uint8], wires: Wires) -> Chain:
    """A chain with wires, its converters set as a lab would: to what the wires let through.

    Args:
        steps: The first layer, as of :class:`ChipLayer`.
        samples: Packed digits to measure that share with.
        wires: Line resistances.
    """
    cells_uS = np.full(ARRAY1.shape, MID_WINDOW_uS)
    cells_uS[1] -= first_layer.STEP_uS * steps
    wired, ideal = Effects(wires=wires), Chain()
    pulses = []
    for effects in (NONE, wired):
        chip = Chip(formed=True, effects=effects)
        chip.set_conductance_uS(1, cells_uS)
        hidden = chip.vmm(samples, rails=ideal.rails, converters=ideal.converters)
        pulses.append(float(hidden.sum(dtype=np.int64)))
    kept = pulses[1] / pulses[0]
    iref_ua = ideal.converters.iref1_ua * kept
    return Chain(converters=replace(ideal.converters, iref1_ua=iref_ua), effects=wired, kept=kept)


def packed(digits: Digits) -> NDArray[np.uint8]:
    """Digits as the board's memory holds them, (n, 98)."""
    return pack_samples(unpack(digits.images))


class ChipLayer:
    """A chip that holds a trained first layer and learns the output layer.

    Attributes:
        chip: The emulated chip.
        chain: Its settings.
        pulses: Pulses on array 2 since it was made.
    """

    def __init__(
        self,
        steps: NDArray[np.int8],
        cells2_uS: Floats,
        way: Way,
        device: str,
        settings: Settings,
        chain: Chain,
        *,
        seed: int = 0,
    ) -> None:
        """Make a chip whose cells are where write-verify without error would put them.

        Args:
            steps: The first layer, (784, 100), in steps of 0.1 uS: G+ = 11 uS, G- = 11 uS - w.
            cells2_uS: Where array 2 starts, (2, 100, 10).
            way: stellar1 or stellar2: the chip computes no gradient.
            device: Device model, by name.
            settings: Thresholds and targets, on the float scale.
            chain: Settings of the chip.
            seed: Of the chip.

        Raises:
            UnknownName: Back-propagation, or no such device.
        """
        if way not in SCHEDULES:
            raise UnknownName("scheme of the chip", way, tuple(SCHEDULES))
        self.chain = chain
        self.chip = Chip(seed=seed, device=device, formed=True, effects=chain.effects)
        cells1_uS = np.full(ARRAY1.shape, MID_WINDOW_uS)
        cells1_uS[1] -= first_layer.STEP_uS * steps
        self.chip.set_conductance_uS(1, cells1_uS)
        self.chip.set_conductance_uS(2, cells2_uS)
        codes = chain.output_codes
        self._learning = Learning(
            threshold=round(settings.threshold * codes), c1=0, activation=Activation.NONE
        )
        self._on, self._off = round(settings.target_on * codes), round(settings.target_off * codes)
        self._tuning = Tuning.at(chain.rails, SCHEDULES[way])
        self._phase = 0
        self.pulses = 0

    def learn(
        self, samples: NDArray[np.uint8], labels: NDArray[np.uint8], order: NDArray[np.integer]
    ) -> None:
        """One learning step for each of some packed samples, in an order."""
        done = self.chip.train(
            samples[order],
            targets_of(labels[order], on=self._on, off=self._off),
            rails=self.chain.rails,
            converters=self.chain.converters,
            learning=self._learning,
            tuning=self._tuning,
            phase=self._phase,
        )
        self._phase = done.phase
        self.pulses += int(done.pulses2.sum(dtype=np.int64))

    def accuracy(self, samples: NDArray[np.uint8], labels: NDArray[np.uint8]) -> float:
        """Share of packed samples that the chip names rightly."""
        inference = self.chip.infer(
            samples, rails=self.chain.rails, converters=self.chain.converters
        )
        return float((inference.winners == labels).mean())
