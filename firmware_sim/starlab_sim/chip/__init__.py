"""The emulated chip: cells, converters, learning, energy. Knows no register and no frame."""

from starlab_sim.chip.batches import Aborted, Inference, Progress, Training, Trip
from starlab_sim.chip.beside_store import (
    generators,
    noise_states,
    resume_noise,
    resume_wires,
    wire_states,
)
from starlab_sim.chip.chip import Chip
from starlab_sim.chip.constants import CONSTANTS, Constant
from starlab_sim.chip.converters import Converters, Rails
from starlab_sim.chip.counters import Counters, Meter
from starlab_sim.chip.learning import (
    ArrayTuning,
    Learning,
    Schedule,
    Tuning,
    TuningStep,
    targets_of,
)
from starlab_sim.chip.store import ALL, CHIP, Store, Volatile
from starlab_sim.chip.warming import warm_up
from starlab_sim.devices import Forming, PulseConditions
from starlab_spec.operations import Activation, PulseKind

__all__ = [
    "ALL",
    "CHIP",
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
    "Meter",
    "Progress",
    "PulseConditions",
    "PulseKind",
    "Rails",
    "Schedule",
    "Store",
    "Training",
    "Trip",
    "Tuning",
    "TuningStep",
    "Volatile",
    "generators",
    "noise_states",
    "resume_noise",
    "resume_wires",
    "targets_of",
    "warm_up",
    "wire_states",
]
