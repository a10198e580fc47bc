"""Drives a STELLAR board: sessions, registers, supplies, and the chip's work in physical units.

Serves nobody over a network: that is :mod:`starlab_api`. Knows no emulator: a board is a board.
"""

from starlab_host.board.board import Board
from starlab_host.board.calibration import Calibration, CalibrationStore, ChannelFit
from starlab_host.board.capabilities import Capabilities, capabilities_of
from starlab_host.board.work import Done, Extent, Work, so_far
from starlab_host.chip.chip import METHODS, Chip
from starlab_host.chip.settings import Settings
from starlab_host.connection import connect
from starlab_host.discovery import FoundBoard, discover
from starlab_host.errors import (
    Aborted,
    BadArgument,
    BoardAway,
    BoardMisbehaves,
    BoardRefused,
    CalibrationError,
    Compliance,
    HandshakeRefused,
    HardwareFault,
    Interlock,
    InUse,
    JournalError,
    JournalFull,
    LinkError,
    LinkLost,
    NotFormed,
    NotReady,
    OutcomeUnknown,
    SessionEnded,
    StarlabHostError,
    StopUnconfirmed,
    StorageFailed,
)
from starlab_host.journal.entries import Entry, EntryState, Recovery
from starlab_host.journal.journal import Journal
from starlab_host.links.path_memory import PathMemory
from starlab_host.results import (
    Counters,
    EnergyParts,
    FormReport,
    Inference,
    OperationCounts,
    ProgramReport,
    PulseCounts,
    PulseShares,
    SupplyState,
    TimeParts,
    Training,
    Vmm,
)
from starlab_host.safety import cell_mask, check_indices
from starlab_host.session.stopping import fault_names
from starlab_host.session.waiting import Stop, Stopped
from starlab_host.trimming.balance import Balance, ReadVoltages, balance
from starlab_host.trimming.calibrating import calibrate
from starlab_host.trimming.levelling import Levelling, Offset, Outcome, level

__all__ = [
    "METHODS",
    "Aborted",
    "BadArgument",
    "Balance",
    "Board",
    "BoardAway",
    "BoardMisbehaves",
    "BoardRefused",
    "Calibration",
    "CalibrationError",
    "CalibrationStore",
    "Capabilities",
    "ChannelFit",
    "Chip",
    "Compliance",
    "Counters",
    "Done",
    "EnergyParts",
    "Entry",
    "EntryState",
    "Extent",
    "FormReport",
    "FoundBoard",
    "HandshakeRefused",
    "HardwareFault",
    "InUse",
    "Inference",
    "Interlock",
    "Journal",
    "JournalError",
    "JournalFull",
    "Levelling",
    "LinkError",
    "LinkLost",
    "NotFormed",
    "NotReady",
    "Offset",
    "OperationCounts",
    "Outcome",
    "OutcomeUnknown",
    "PathMemory",
    "ProgramReport",
    "PulseCounts",
    "PulseShares",
    "ReadVoltages",
    "Recovery",
    "SessionEnded",
    "Settings",
    "StarlabHostError",
    "Stop",
    "StopUnconfirmed",
    "Stopped",
    "StorageFailed",
    "SupplyState",
    "TimeParts",
    "Training",
    "Vmm",
    "Work",
    "balance",
    "calibrate",
    "capabilities_of",
    "cell_mask",
    "check_indices",
    "connect",
    "discover",
    "fault_names",
    "level",
    "so_far",
]
