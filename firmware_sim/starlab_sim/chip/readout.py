"""Settings of a forward pass as the kernels take them. Converts no current itself."""

from typing import NamedTuple

from starlab_sim.chip import energy
from starlab_sim.chip.converters import Converters, Rails
from starlab_spec.units import TICK_NS


class Readout(NamedTuple):
    """Voltages, converters and energies of a forward pass, in V, uA and J."""

    plus_v: float
    """Read voltage over "+" cells of array 1 and all cells of array 2."""
    minus_v: float
    """Read voltage over "-" cells of array 1."""
    levels1: float
    """Greatest code of array 1."""
    full_scale1_ua: float
    """Current of that code."""
    levels2: float
    """Greatest code of a column of array 2 in one slot."""
    full_scale2_ua: float
    """Current of that code."""
    fixed1_j: float
    """Energy of the conversions of a multiplication by array 1."""
    fixed2_j: float
    """The same for array 2."""
    line1_j: float
    """Energy of driving a row of array 1: both its lines."""
    line2_j: float
    """Energy of driving a row of array 2 in one slot."""
    plus1_j: float
    """Energy per uS of array 1's summed "+" conductance."""
    minus1_j: float
    """Energy per uS of array 1's summed "-" conductance."""
    slot2_j: float
    """Energy per slot and uS of array 2's summed conductance."""
    back2_j: float
    """Energy per uS of array 2's conductance that an error is driven back through."""
    comparison_j: float
    """Energy of comparing the error of one hidden unit."""
    column2_j: float
    """Energy of driving both lines of a column pair of array 2."""
    output_mohm: float
    """Output resistance of VBL27 and VBL23; 0: they do not sag."""
    differential: bool
    """Whether "-" cells of array 1 load VBL23, and not VBL27."""


def readout(
    rails: Rails, converters: Converters, *, differential: bool = True, output_ohm: float = 0.0
) -> Readout:
    """A forward pass at these rails with these converters.

    Args:
        rails: VBL27, VBL23 and the clamp.
        converters: Integrators and ADCs.
        differential: Whether "-" cells of array 1 have the voltage of VBL23: 2T2R.
        output_ohm: Output resistance of these rails.
    """
    plus_v = rails.read_plus_mv * 1e-3
    minus_v = rails.read_minus_mv * 1e-3 if differential else plus_v
    return Readout(
        plus_v=plus_v,
        minus_v=minus_v,
        levels1=float(2**converters.bits1 - 1),
        full_scale1_ua=converters.full_scale1_ua,
        levels2=float(2**converters.bits2 - 1),
        full_scale2_ua=converters.full_scale2_ua,
        fixed1_j=energy.multiply1_energy_j(converters),
        fixed2_j=energy.multiply2_energy_j(converters),
        line1_j=energy.line_energy_j(plus_v) + energy.line_energy_j(minus_v),
        line2_j=energy.line_energy_j(plus_v),
        plus1_j=energy.cell_energy_j(plus_v, converters.integration1_ns),
        minus1_j=energy.cell_energy_j(minus_v, converters.integration1_ns),
        slot2_j=energy.cell_energy_j(plus_v, converters.integration2_ns),
        back2_j=energy.cell_energy_j(plus_v, energy.BACKWARD_TICKS * TICK_NS),
        comparison_j=energy.COMPARISONS * energy.ADC_STEP_J,
        column2_j=2 * energy.line_energy_j(plus_v),
        output_mohm=output_ohm * 1e-6,
        differential=differential,
    )
