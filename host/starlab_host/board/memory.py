"""Where the host keeps what in the board's memory. Reads and writes nothing.

All places lie from 0x0100_0000 up, where register SAMPLE_ADDRESS points after power-up; memory
below is left to whoever drives the board by its registers. Samples, targets and records of one
command never exceed :data:`COMMAND_BYTES` each.
"""

from dataclasses import dataclass
from typing import Final

COMMAND_BYTES: Final = 2 << 20
"""Greatest part of a batch that one command carries, in either direction: some ten thousand
samples, a fraction of a second of learning. Greater batches are cut."""
MASK_SLOTS: Final = 32
"""Masks that one command may carry."""


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes that one purpose owns."""

    address: int
    """First byte."""
    size: int
    """Number of bytes."""


SAMPLES: Final = Region(0x0100_0000, COMMAND_BYTES)
"""Packed samples, or pulse counts for array 2."""
TARGETS: Final = Region(0x0140_0000, COMMAND_BYTES)
"""Labels or targets."""
RECORDS: Final = Region(0x0180_0000, COMMAND_BYTES)
"""Records of batch operations."""
READS: Final = Region(0x01C0_0000, 0x4_0000)
"""Codes of a whole array, one byte a cell."""
MASKS: Final = Region(0x0200_0000, MASK_SLOTS * 0x8000)
"""Masks of PULSE_MASK, one bit a cell."""
SNAPSHOT: Final = Region(0x0400_0000, 0x0400_0000)
"""A snapshot of an emulated board: up to the end of the memory."""


def mask_address(slot: int) -> int:
    """Where mask number ``slot`` lies."""
    return MASKS.address + slot * (MASKS.size // MASK_SLOTS)
