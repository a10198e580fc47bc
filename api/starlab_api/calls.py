"""The calls that take arrays: what their bodies may hold. Runs none of them."""

from typing import Any, Final

from starlab_api.arrays import Array
from starlab_api.bodies import ArrayCall
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


def _inputs(_: Array) -> str:
    return "inputs"


def _mask(_: Array) -> str:
    return "mask"


def _weights_or_conductance(array: Array) -> str:
    """Weights have two axes, conductances three."""
    return "weights" if array.ndim == 2 else "conductance_uS"


PULSE: Final = ArrayCall(PulseParameters, Pulse, ("mask",), _mask)
PROGRAM: Final = ArrayCall(
    ProgramParameters, Program, ("weights", "conductance_uS"), _weights_or_conductance
)
VMM: Final = ArrayCall(VmmParameters, Vmm, ("inputs",), _inputs)
INFER: Final = ArrayCall(InferParameters, Infer, ("inputs",), _inputs)
TRAIN_STEP: Final = ArrayCall(
    TrainStepParameters,
    TrainStep,
    ("inputs", "labels", "targets"),
    _inputs,
    nested={"settings": SettingsChange},
)
ARRAY_CALLS: Final[tuple[ArrayCall[Any], ...]] = (PULSE, PROGRAM, VMM, INFER, TRAIN_STEP)
