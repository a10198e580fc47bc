"""Drives a STELLAR board: sessions, registers, supplies, and the chip's work in physical units.

Serves nobody over a network: that is :mod:`starlab_api`. Knows no emulator: a board is a board.
"""

from starlab_host.board import Board
from starlab_host.chip import METHODS, Chip
from starlab_host.errors import (
    Aborted,
    BadArgument,
    BoardRefused,
    HardwareFault,
    Interlock,
    LinkError,
    NotFormed,
    NotReady,
    OutcomeUnknown,
    StarlabHostError,
)
from starlab_host.results import (
    Counters,
    FormReport,
    Inference,
    OperationCounts,
    ProgramReport,
    PulseCounts,
    SupplyState,
    Training,
    Vmm,
)
from starlab_host.safety import cell_mask
from starlab_host.settings import Settings

__all__ = [
    "METHODS",
    "Aborted",
    "BadArgument",
    "Board",
    "BoardRefused",
    "Chip",
    "Counters",
    "FormReport",
    "HardwareFault",
    "Inference",
    "Interlock",
    "LinkError",
    "NotFormed",
    "NotReady",
    "OperationCounts",
    "OutcomeUnknown",
    "ProgramReport",
    "PulseCounts",
    "Settings",
    "StarlabHostError",
    "SupplyState",
    "Training",
    "Vmm",
    "cell_mask",
]
