"""What a board loses when its power goes: registers, memory, supplies, fault latches.

Executes nothing; the chip's cells are not in it.
"""

from collections.abc import Mapping
from typing import Final

from starlab_sim.errors import Refused
from starlab_sim.firmware.interlock import Interlock
from starlab_sim.firmware.memory import Memory
from starlab_sim.firmware.register_file import RegisterFile
from starlab_sim.requests.faults import OVER_VOLTAGE, SUPPLY_FAULTS, fault_names
from starlab_sim.supplies import SupplyRack
from starlab_spec.wire.transactions import Status

FAULTS: Final = "FAULTS"
"""The register that holds the latches."""


class PoweredState:
    """A board after power-up: registers at their reset values, memory zero, all supplies off.

    Attributes:
        registers: The register file.
        memory: The DDR memory.
        supplies: The generators.
        interlock: What guards the cells; the board has one, whatever its power does.
    """

    def __init__(
        self,
        interlock: Interlock,
        registers: RegisterFile | None = None,
        memory: Memory | None = None,
        supplies: SupplyRack | None = None,
    ) -> None:
        self.interlock = interlock
        self.registers = registers or RegisterFile()
        self.memory = memory or Memory()
        self.supplies = supplies or SupplyRack(channels=interlock.area.channels)

    def scratch(self) -> "PoweredState":
        """A copy to try things on; changing it changes nothing here."""
        return PoweredState(
            self.interlock,
            self.registers.scratch(),
            self.memory.scratch(),
            self.supplies.scratch(),
        )

    @property
    def faults(self) -> int:
        """The latched faults: bits of register FAULTS."""
        return self.registers.word(FAULTS)

    def trip(self, latches: int, channel: int | None = None) -> None:
        """Latch faults and switch all drivers off.

        Args:
            latches: Bits of register FAULTS.
            channel: Index of the generator whose fault it is; None: it is not known.
        """
        self.registers.put(FAULTS, self.faults | latches)
        if latches & SUPPLY_FAULTS:
            self.supplies.tripped = channel
        self.supplies.switch_off(f"latched {fault_names(latches)}")

    def clear_faults(self, latches: int) -> None:
        """Clear latches. The drivers stay off, and the board SAFE."""
        self.registers.put(FAULTS, self.faults & ~latches)

    def check_rails(self, supplied: Mapping[str, float]) -> None:
        """Trip the over-voltage fault if a rail is really further above its limit than it may be.

        Args:
            supplied: What generators give, by name.

        Raises:
            Refused: HARDWARE_FAULT: it has tripped, and all drivers are off.
        """
        if (found := self.interlock.over_voltage(supplied)) is not None:
            channel, why = found
            self.trip(OVER_VOLTAGE, channel)
            raise Refused(Status.HARDWARE_FAULT, f"latched {fault_names(OVER_VOLTAGE)}: {why}")

    def check_faults(self) -> None:
        """Refuse what must not be done while a fault is latched.

        Raises:
            Refused: HARDWARE_FAULT, with the names of the latches.
        """
        if self.faults:
            raise Refused(Status.HARDWARE_FAULT, f"latched: {fault_names(self.faults)}")
