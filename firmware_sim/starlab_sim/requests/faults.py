"""Names and bits of the fault latches. Latches nothing itself: the powered state does."""

from collections.abc import Iterable
from typing import Final

from starlab_spec.registers import register

FAULT_BITS: Final = {field.name: field.mask for field in register("FAULTS").fields}
"""Bit of each latch in registers FAULTS and FAULT_CLEAR, by name."""
EMERGENCY_STOP: Final = FAULT_BITS["emergency_stop"]
ILLEGAL_OPERATION: Final = FAULT_BITS["illegal_operation"]
OVER_CURRENT: Final = FAULT_BITS["over_current"]
OVER_VOLTAGE: Final = FAULT_BITS["over_voltage"]
SUPPLY_FAULTS: Final = OVER_CURRENT | OVER_VOLTAGE
"""Latches that a generator reports in its own flags as well."""


def fault_names(latches: int) -> str:
    """The latched faults, by name, for a message."""
    return ", ".join(name for name, bit in FAULT_BITS.items() if latches & bit)


def fault_mask(names: Iterable[str]) -> int:
    """Bits of the latches of these names, which must be some of :data:`FAULT_BITS`."""
    mask = 0
    for name in names:
        mask |= FAULT_BITS[name]
    return mask
