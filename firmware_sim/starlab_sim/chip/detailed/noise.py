"""From the settings of read noise to what a conversion needs to know. Draws nothing.

Thermal noise of a conductance, integrated for Ti: a current of variance ``4 k T G df`` with the
noise bandwidth ``df = 1 / (2 Ti)`` of an integrator.
"""

from typing import Final

from starlab_sim.chip.converters import READ_BITS, Converters
from starlab_sim.chip.detailed.cells import BackwardNoise, Noise
from starlab_sim.chip.energy import BACKWARD_TICKS, READ_INTEGRATION_TICKS
from starlab_sim.effects import ReadNoise
from starlab_spec.units import ticks_to_ns

BOLTZMANN_J_PER_K: Final = 1.380649e-23
"""Exact by definition (SI)."""
_UA2_PER_A2: Final = 1e12
_SIEMENS_PER_uS: Final = 1e-6


def thermal_ua2_per_uS(temperature_k: float, integration_ns: float) -> float:
    """Variance of an integrated current, per microsiemens that it comes through."""
    bandwidth_hz = 1.0 / (2.0 * integration_ns * 1e-9)
    density = 4.0 * BOLTZMANN_J_PER_K * temperature_k * _SIEMENS_PER_uS
    return density * bandwidth_hz * _UA2_PER_A2


def noise_of(
    effect: ReadNoise | None, levels: float, full_scale_ua: float, integration_ns: float
) -> Noise:
    """Noise of a converter.

    Args:
        effect: Its settings; None: no noise.
        levels: Its greatest code.
        full_scale_ua: The current of that code.
        integration_ns: Ti.
    """
    if effect is None:
        return Noise(on=False, converter_codes=0.0, thermal_codes2=0.0)
    codes_per_ua = levels / full_scale_ua
    thermal_ua2 = thermal_ua2_per_uS(effect.temperature_k, integration_ns)
    return Noise(
        on=True,
        converter_codes=float(effect.converter_codes),
        thermal_codes2=thermal_ua2 * codes_per_ua * codes_per_ua,
    )


def forward_noises(effect: ReadNoise | None, converters: Converters) -> tuple[Noise, Noise]:
    """Noise of the conversions of arrays 1 and 2 (there: of a slot) in a forward pass."""
    return (
        noise_of(
            effect,
            2.0**converters.bits1 - 1.0,
            converters.full_scale1_ua,
            converters.integration1_ns,
        ),
        noise_of(
            effect,
            2.0**converters.bits2 - 1.0,
            converters.full_scale2_ua,
            converters.integration2_ns,
        ),
    )


def read_noise(effect: ReadNoise | None, converters: Converters, array: int) -> Noise:
    """Noise of the conversions of READ."""
    full_scale_ua = converters.read_full_scale_ua(array)
    integration_ns = ticks_to_ns(READ_INTEGRATION_TICKS)
    return noise_of(effect, 2.0**READ_BITS - 1.0, full_scale_ua, integration_ns)


def backward_noise(effect: ReadNoise | None, read_v: float) -> BackwardNoise:
    """Noise of the comparisons of an error that is driven back at a voltage."""
    if effect is None:
        return BackwardNoise(on=False, comparator_uS=0.0, thermal_uS=0.0)
    thermal_ua2 = thermal_ua2_per_uS(effect.temperature_k, ticks_to_ns(BACKWARD_TICKS))
    return BackwardNoise(
        on=True,
        comparator_uS=float(effect.comparator_uS),
        thermal_uS=thermal_ua2 / read_v**2,
    )
