"""The emulated chip: cells, converters, learning, energy. Knows no register and no frame."""

from starlab_sim.chip.batches import Aborted, Inference, Progress, Training
from starlab_sim.chip.chip import Chip
from starlab_sim.chip.constants import CONSTANTS, Constant
from starlab_sim.chip.converters import Converters, Rails
from starlab_sim.chip.counters import Counters
from starlab_sim.chip.learning import (
    ArrayTuning,
    Learning,
    Schedule,
    Tuning,
    TuningStep,
    targets_of,
)
from starlab_sim.chip.store import Store, Volatile
from starlab_sim.chip.warming import warm_up
from starlab_sim.devices import Forming, PulseConditions
from starlab_spec.operations import Activation, PulseKind

__all__ = [
    "CONSTANTS",
    "Aborted",
    "Activation",
    "ArrayTuning",
    "Chip",
    "Constant",
    "Converters",
    "Counters",
    "Forming",
    "Inference",
    "Learning",
    "Progress",
    "PulseConditions",
    "PulseKind",
    "Rails",
    "Schedule",
    "Store",
    "Training",
    "Tuning",
    "TuningStep",
    "Volatile",
    "targets_of",
    "warm_up",
]
