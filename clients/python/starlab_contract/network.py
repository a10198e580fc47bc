"""The whole network: infer and learn. Shapes are stated, never checked here."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from starlab_contract.base import IntegerMatrix, IntegerVector, ReplyBody, RequestBody, Warnings
from starlab_contract.exact import TEXT, check_text
from starlab_contract.settings import SettingsChange


def _numbers(layers: object, info: ValidationInfo) -> object:
    """Layers as a query string has them: `1,2`, or `1` and `2` apart."""
    if info.context != TEXT:
        return layers
    found: list[object] = []
    for part in layers if isinstance(layers, list) else [layers]:
        for text in part.split(",") if isinstance(part, str) else [part]:
            if isinstance(text, str):
                check_text("int", text)
                text = int(text)
            found.append(text)
    return found


def _once(layers: tuple[int, ...]) -> tuple[int, ...]:
    for layer in layers:
        if layers.count(layer) > 1:
            raise ValueError(f"selects {layer} twice")
    return layers


Layers = Annotated[
    tuple[Literal[1, 2], ...],
    BeforeValidator(_numbers),
    Field(min_length=1),
    AfterValidator(_once),
]


class InferParameters(RequestBody):
    """What an inference shall give."""

    hidden: bool = False
    """The codes of the hidden layer too."""


class Infer(InferParameters):
    """Samples to infer."""

    inputs: IntegerMatrix
    """Shape (batch, 784), 0 and 1; or packed, (batch, 98) bytes in the order of numpy.packbits
    (as `.npy` or `.npz` of uint8 only)."""


class InferReply(ReplyBody):
    """What the network answers."""

    outputs: IntegerMatrix
    """Shape (batch, 10), signed 17 bits."""
    labels: IntegerVector
    """Shape (batch,): index of the largest output."""
    hidden: IntegerMatrix | None = None
    """Shape (batch, 100), 0 .. 2^N1 - 1, where asked for."""
    warnings: Warnings = None


class TrainStepParameters(RequestBody):
    """How to learn."""

    layers: Layers = (1, 2)
    """Arrays to tune."""
    settings: SettingsChange | None = None
    """Settings to change first; they stay changed, as by PATCH. In a query string each goes by
    its own name."""


class TrainStep(TrainStepParameters):
    """Samples to learn, one after the other, in order."""

    inputs: IntegerMatrix
    """Shape (batch, 784), 0 and 1; or packed, (batch, 98) bytes in the order of numpy.packbits
    (as `.npz` of uint8 only)."""
    labels: IntegerVector | None = None
    """Shape (batch,): class 0..9 of each sample."""
    targets: IntegerMatrix | None = None
    """Shape (batch, 10): target codes instead of labels."""


class TrainStepReply(ReplyBody):
    """What was learned."""

    outputs: IntegerMatrix
    """Shape (batch, 10): before each sample's own update."""
    correct: list[bool]
    """Shape (batch,): whether the largest of these outputs was that of the target."""
    pulses: IntegerMatrix
    """Shape (batch, 2): pulses on arrays 1 and 2."""
    warnings: Warnings = None
