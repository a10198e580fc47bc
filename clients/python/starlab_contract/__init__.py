"""The JSON bodies of the REST API, shared by server and SDK. Opens no connection, checks no chip.

Arrays appear here as nested lists, their JSON form; as `.npy` and `.npz` they travel outside of
these models (media types below).
"""

from starlab_contract.arrays import (
    Conductance,
    Form,
    FormReply,
    Polarity,
    Program,
    ProgramMethod,
    ProgramParameters,
    ProgramReply,
    Pulse,
    PulseKind,
    PulseParameters,
    PulseReply,
    Vmm,
    VmmParameters,
    VmmReply,
)
from starlab_contract.base import ReplyBody, RequestBody, Selection
from starlab_contract.boards import (
    Board,
    BoardState,
    Discover,
    Faults,
    FoundBoard,
    Geometry,
    Health,
    LinkStatistics,
    Readiness,
    RoundTripBin,
    RoundTripFigures,
)
from starlab_contract.counters import (
    ArrayPulses,
    Counters,
    Operations,
    Pulses,
)
from starlab_contract.emulator import (
    EmulatorCommands,
    EmulatorFaults,
    EmulatorReply,
    NetworkFaults,
)
from starlab_contract.in_doubt import CommandState, JournaledCommand, Recovered
from starlab_contract.media import JSON_TYPE, NPY_TYPE, NPZ_TYPE
from starlab_contract.network import (
    Infer,
    InferParameters,
    InferReply,
    TrainStep,
    TrainStepParameters,
    TrainStepReply,
)
from starlab_contract.problem import PROBLEM_TYPE, FieldError, Problem, ProblemKind
from starlab_contract.registers import Register, RegisterWrite
from starlab_contract.settings import OutputActivation, Phase, Scheme, Settings, SettingsChange
from starlab_contract.supplies import (
    CurrentSupply,
    Supplies,
    Supply,
    SupplySetting,
    SupplySettings,
    VoltageSupply,
)

__all__ = [
    "JSON_TYPE",
    "NPY_TYPE",
    "NPZ_TYPE",
    "PROBLEM_TYPE",
    "ArrayPulses",
    "Board",
    "BoardState",
    "CommandState",
    "Conductance",
    "Counters",
    "CurrentSupply",
    "Discover",
    "EmulatorCommands",
    "EmulatorFaults",
    "EmulatorReply",
    "Faults",
    "FieldError",
    "Form",
    "FormReply",
    "FoundBoard",
    "Geometry",
    "Health",
    "Infer",
    "InferParameters",
    "InferReply",
    "JournaledCommand",
    "LinkStatistics",
    "NetworkFaults",
    "Operations",
    "OutputActivation",
    "Phase",
    "Polarity",
    "Problem",
    "ProblemKind",
    "Program",
    "ProgramMethod",
    "ProgramParameters",
    "ProgramReply",
    "Pulse",
    "PulseKind",
    "PulseParameters",
    "PulseReply",
    "Pulses",
    "Readiness",
    "Recovered",
    "Register",
    "RegisterWrite",
    "ReplyBody",
    "RequestBody",
    "RoundTripBin",
    "RoundTripFigures",
    "Scheme",
    "Selection",
    "Settings",
    "SettingsChange",
    "Supplies",
    "Supply",
    "SupplySetting",
    "SupplySettings",
    "TrainStep",
    "TrainStepParameters",
    "TrainStepReply",
    "Vmm",
    "VmmParameters",
    "VmmReply",
    "VoltageSupply",
]
