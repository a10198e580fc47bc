"""What every body has in common. Holds no body of its own."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class RequestBody(BaseModel):
    """What a client sends: an unknown field is refused, so that a typo cannot pass in silence."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class ReplyBody(BaseModel):
    """What a server answers: a client ignores fields that it does not know yet."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


Vector = list[float]
Matrix = list[list[float]]
IntegerVector = list[int]
IntegerMatrix = list[list[int]]
Cube = list[list[list[float]]]
BitCube = list[list[list[bool]]]

Selection = Annotated[
    list[int] | str,
    Field(
        description="Indices from 0: a list, or text such as `0:10,12` (ranges half-open).",
        examples=[[0, 1, 2], "0:10,12"],
    ),
]
