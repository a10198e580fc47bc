"""Settings of a forward pass as the kernels take them. Converts no current itself."""

from typing import NamedTuple

from starlab_sim.chip import energy
from starlab_sim.chip.converters import Converters, Rails


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
    """Energy of a multiplication by array 1 beside that of the cells."""
    fixed2_j: float
    """The same for array 2."""
    plus1_j: float
    """Energy per uS of array 1's summed "+" conductance."""
    minus1_j: float
    """Energy per uS of array 1's summed "-" conductance."""
    slot2_j: float
    """Energy per slot and uS of array 2's summed conductance."""


def readout(rails: Rails, converters: Converters, *, differential: bool = True) -> Readout:
    """A forward pass at these rails with these converters.

    Args:
        rails: VBL27, VBL23 and the clamp.
        converters: Integrators and ADCs.
        differential: Whether "-" cells of array 1 have the voltage of VBL23: 2T2R.
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
        plus1_j=energy.cell_energy_j(plus_v, converters.integration1_ns),
        minus1_j=energy.cell_energy_j(minus_v, converters.integration1_ns),
        slot2_j=energy.cell_energy_j(plus_v, converters.integration2_ns),
    )
