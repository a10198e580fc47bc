"""What the codes of the converters stand for, in uA and uS. Reads no board.

Full scales are the working point's [O] at the published supplies and integration times: 300 uS of
summed conductance difference for array 1, 800 uS a column and slot for array 2, 25.5 uS for READ,
each times the read voltage. They grow with the integrators' bias current and fall with Ti.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_host.chip.settings import Settings
from starlab_spec import ArrayGeometry, LimitExceeded
from starlab_spec.supplies import CLAMP_OFFSET_MV, NOMINAL_READ_MV, supply
from starlab_spec.units import current_ua
from starlab_spec.wire.transactions import SupplyReading

READ_SUPPLIES: Final = ("VBL27", "VBL23", "V25", "Iref_integ", "Iref_integ2")
"""The supplies that a conversion depends on."""

_NOMINAL_TI_NS: Final = 100
_FULL_SCALE_uS: Final = {1: 300.0, 2: 800.0}
_READ_CODE_uS: Final = 0.1
_IREF: Final = {1: "Iref_integ", 2: "Iref_integ2"}


@dataclass(frozen=True, slots=True)
class ReadPath:
    """The supplies as they are set, by name: millivolt and microampere."""

    supplied: Mapping[str, float]

    @classmethod
    def of(
        cls, readings: Iterable[SupplyReading], value: Callable[[str, int], float]
    ) -> "ReadPath":
        """From what was read of :data:`READ_SUPPLIES`, in that order.

        Args:
            readings: Their codes count.
            value: What a supply gives at a code.
        """
        return cls(
            {
                name: value(name, reading.code)
                for name, reading in zip(READ_SUPPLIES, readings, strict=True)
            }
        )

    def current_per_code_ua(self, array: ArrayGeometry, settings: Settings) -> float:
        """Current that one code of a multiplication stands for; array 2: in one slot."""
        if array.number == 1:
            bits, ti_ns = settings.adc_bits_1, settings.integration_time_1_ns
        else:
            bits, ti_ns = settings.adc_bits_2, settings.integration_time_2_ns
        nominal_ua = current_ua(NOMINAL_READ_MV, _FULL_SCALE_uS[array.number])
        full_scale_ua = nominal_ua * self._bias(array) * (_NOMINAL_TI_NS / ti_ns)
        return full_scale_ua / ((1 << bits) - 1)

    def conductance_per_code_uS(self, array: ArrayGeometry) -> NDArray[np.float64]:
        """Conductance that one code of READ stands for, shape (2,): "+" and "-" cells.

        Raises:
            LimitExceeded: The read voltage over these cells is not positive.
        """
        clamp_mv = self.supplied["V25"] + CLAMP_OFFSET_MV
        plus_mv = self.supplied["VBL27"] - clamp_mv
        # only array 1 has a rail of its own below the clamp for its "-" cells
        minus_mv = clamp_mv - self.supplied["VBL23"] if array.number == 1 else plus_mv
        for name, read_mv in (("VBL27 - V25", plus_mv), ("V25 - VBL23", minus_mv)):
            if read_mv <= 0:
                raise LimitExceeded(f"read voltage {name}", read_mv, 0, "mV")
        scale = _READ_CODE_uS * self._bias(array)
        return scale * NOMINAL_READ_MV / np.array([plus_mv, minus_mv])

    def _bias(self, array: ArrayGeometry) -> float:
        name = _IREF[array.number]
        return self.supplied[name] / supply(name).nominal
