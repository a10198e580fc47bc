"""What every body has in common. Holds no body of its own."""

from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema

from starlab_contract.exact import exact, with_nearest

_NAMED: Final = 20
"""Errors of a body of which the nearest known names are looked up."""


class RequestBody(BaseModel):
    """What a client sends: an unknown field is refused, so that a typo cannot pass in silence.

    Numbers are numbers: neither truth values nor text pass for one. 1.0 is an integer, as in JSON
    Schema. Text passes where all is text (validation context ``TEXT``), as JSON would write it.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The model's schema, its numbers and truth values exact."""
        schema: CoreSchema = exact(handler(source))
        return schema

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_nearest(cls, values: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        try:
            return handler(values)
        except ValidationError as error:
            errors = error.errors(include_url=False)
            if not any(one["type"] == "extra_forbidden" for one in errors):
                raise
            # a body may hold thousands of unknown names, and nobody reads so many answers
            found = [with_nearest(one, cls.model_fields) for one in errors[:_NAMED]]
            found += [with_nearest(one, None) for one in errors[_NAMED:]]
            raise ValidationError.from_exception_data(error.title, found) from None


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

Warnings = Annotated[
    list[str] | None,
    Field(description="What was done, though it was almost surely not meant; left out: nothing."),
]
"""The same sentences as in the header of warnings."""
