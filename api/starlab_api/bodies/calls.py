"""The calls that take arrays: what their bodies may hold. Runs none of them."""

from typing import Any, Final

from starlab_api.bodies.archives import Room
from starlab_api.bodies.array_calls import ArrayCall
from starlab_api.bodies.arrays import Array
from starlab_contract import (
    Infer,
    InferParameters,
    Program,
    ProgramParameters,
    Pulse,
    PulseParameters,
    SettingsChange,
    TrainStep,
    TrainStepParameters,
    Vmm,
    VmmParameters,
)
from starlab_spec import ARRAY1, ARRAY2


def _inputs(_: Array) -> str:
    return "inputs"


def _mask(_: Array) -> str:
    return "mask"


def _weights_or_conductance(array: Array) -> str:
    """Weights have two axes, conductances three."""
    return "weights" if array.ndim == 2 else "conductance_uS"


_CELLS: Final = Room(ARRAY1.cells)
_SAMPLES: Final = Room(ARRAY1.inputs, of_samples="inputs")

PULSE: Final = ArrayCall(PulseParameters, Pulse, {"mask": _CELLS}, _mask)
PROGRAM: Final = ArrayCall(
    ProgramParameters,
    Program,
    {"weights": Room(ARRAY1.cells // 2), "conductance_uS": _CELLS},
    _weights_or_conductance,
)
VMM: Final = ArrayCall(VmmParameters, Vmm, {"inputs": _SAMPLES}, _inputs)
INFER: Final = ArrayCall(InferParameters, Infer, {"inputs": _SAMPLES}, _inputs)
TRAIN_STEP: Final = ArrayCall(
    TrainStepParameters,
    TrainStep,
    {
        "inputs": _SAMPLES,
        "labels": Room(1, of_samples="inputs"),
        "targets": Room(ARRAY2.outputs, of_samples="inputs"),
    },
    _inputs,
    nested={"settings": SettingsChange},
)
ARRAY_CALLS: Final[tuple[ArrayCall[Any], ...]] = (PULSE, PROGRAM, VMM, INFER, TRAIN_STEP)
