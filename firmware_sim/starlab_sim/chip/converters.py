"""Rails, integrators and ADCs: what turns currents into codes. Converts no current itself.

Every ADC rounds to the nearest code, ``clip(floor(x * (2^N - 1) / full_scale + 0.5), 0, 2^N - 1)``
[O]; negative currents give 0, which makes the ADC of array 1 the ReLU [P]. An integrator's full
scale grows with its bias current and falls with its integration time; the nominal full scales are
those of the working point [O].
"""

from dataclasses import dataclass
from typing import Final

from starlab_sim.devices import PulseConditions
from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import array_geometry
from starlab_spec.operations import PulseKind
from starlab_spec.supplies import CLAMP_OFFSET_MV, NOMINAL_READ_MV, supply
from starlab_spec.units import TICK_NS, current_ua

CONVERTER_BITS_MAX: Final = 8
"""Bits of each ADC [P]."""
READ_BITS: Final = 8
"""READ always uses all bits [O]."""
NOMINAL_INTEGRATION_NS: Final = 100
"""Ti of both arrays after the published start-up sequence [C]."""
NOMINAL_IREF_UA: Final = (supply("Iref_integ").nominal, supply("Iref_integ2").nominal)
"""Integrator bias of arrays 1 and 2 at the published codes [C]."""
NOMINAL_FULL_SCALE_UA: Final = (
    current_ua(NOMINAL_READ_MV, 300.0),
    current_ua(NOMINAL_READ_MV, 800.0),
)
"""Nominal full scales [O]: 300 uS of summed difference; 800 uS a column and slot."""
READ_FULL_SCALE_UA: Final = current_ua(NOMINAL_READ_MV, 25.5)
"""Nominal full scale of READ [O]: 255 codes of 0.1 uS. READ has an integration time of its own."""


@dataclass(frozen=True, slots=True)
class Rails:
    """What the voltage generators give, in millivolt. Defaults: published codes, no errors."""

    wl_form_mv: float = supply("VWLform").nominal
    """Word line while forming."""
    wl_set_mv: float = supply("VWLset").nominal
    """Word line during SET."""
    wl_vdd_mv: float = supply("VWLvdd").nominal
    """Word line during RESET."""
    bl27_mv: float = supply("VBL27").nominal
    """Bit lines of "+" cells while reading."""
    bl23_mv: float = supply("VBL23").nominal
    """Bit lines of "-" cells of array 1 while reading."""
    bl_form_mv: float = supply("VBLform").nominal
    """Bit line while forming."""
    bl_set_mv: float = supply("VBLset").nominal
    """Bit line during SET."""
    sl_reset_mv: float = supply("VSLreset").nominal
    """Source line during RESET."""
    v25_mv: float = supply("V25").nominal
    """Reference of the virtual clamp."""
    clamp_offset_mv: float = CLAMP_OFFSET_MV
    """Clamp minus V25 [O]; the default balances the published rails."""

    @property
    def read_plus_mv(self) -> float:
        """Read voltage over "+" cells, and over all cells of array 2."""
        return self.bl27_mv - (self.v25_mv + self.clamp_offset_mv)

    @property
    def read_minus_mv(self) -> float:
        """Read voltage over "-" cells of array 1."""
        return (self.v25_mv + self.clamp_offset_mv) - self.bl23_mv

    def pulse(self, kind: PulseKind, width_ns: int) -> PulseConditions:
        """A programming pulse from the rails that drive it [C].

        Args:
            kind: SET: VBLset and VWLset. RESET: VSLreset and VWLvdd. FORM: VBLform and VWLform.
            width_ns: Pulse width.
        """
        if kind is PulseKind.SET:
            return PulseConditions(self.bl_set_mv, self.wl_set_mv, width_ns)
        if kind is PulseKind.RESET:
            return PulseConditions(self.sl_reset_mv, self.wl_vdd_mv, width_ns)
        return PulseConditions(self.bl_form_mv, self.wl_form_mv, width_ns)


@dataclass(frozen=True, slots=True)
class Converters:
    """Settings of the integrators and ADCs of both arrays."""

    bits1: int = 8
    """N1: bits of the hidden pulse counts, 1..8."""
    bits2: int = 5
    """N2: bits of a column's code in each slot of array 2, 1..8."""
    integration1_ns: int = NOMINAL_INTEGRATION_NS
    """Ti of array 1."""
    integration2_ns: int = NOMINAL_INTEGRATION_NS
    """Ti of array 2."""
    iref1_ua: float = NOMINAL_IREF_UA[0]
    """Integrator bias of array 1, supply Iref_integ."""
    iref2_ua: float = NOMINAL_IREF_UA[1]
    """Integrator bias of array 2, supply Iref_integ2."""

    def __post_init__(self) -> None:
        """Refuse settings that no converter has."""
        for name in ("bits1", "bits2"):
            bits = getattr(self, name)
            if not 1 <= bits <= CONVERTER_BITS_MAX:
                raise LimitExceeded(name, bits, 1 if bits < 1 else CONVERTER_BITS_MAX, "bits")
        for name in ("integration1_ns", "integration2_ns"):
            if getattr(self, name) < TICK_NS:
                raise LimitExceeded(name, getattr(self, name), TICK_NS, "ns")

    @property
    def full_scale1_ua(self) -> float:
        """Current of an array-1 column that gives the greatest code."""
        return _full_scale_ua(1, self.iref1_ua, self.integration1_ns)

    @property
    def full_scale2_ua(self) -> float:
        """Current of an array-2 column that gives the greatest code of a slot."""
        return _full_scale_ua(2, self.iref2_ua, self.integration2_ns)

    def read_full_scale_ua(self, array: int) -> float:
        """Current of a single cell that READ gives code 255.

        Args:
            array: 1 or 2: READ follows the bias of the array's own integrators.
        """
        iref_ua = (self.iref1_ua, self.iref2_ua)[array_geometry(array).number - 1]
        return READ_FULL_SCALE_UA * (iref_ua / NOMINAL_IREF_UA[array - 1])


def _full_scale_ua(array: int, iref_ua: float, integration_ns: int) -> float:
    bias = iref_ua / NOMINAL_IREF_UA[array - 1]
    return NOMINAL_FULL_SCALE_UA[array - 1] * bias * (NOMINAL_INTEGRATION_NS / integration_ns)
