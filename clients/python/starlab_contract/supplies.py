"""The 22 supplies, by their published names. Knows no limit: the board and its data sheet do."""

from typing import Annotated, Literal

from pydantic import Field, RootModel, model_validator

from starlab_contract.base import ReplyBody, RequestBody


class _Supply(ReplyBody):
    index: int
    """Position in the power-up order."""
    code: int
    """Code of the generator, 0..255."""
    settled: bool
    fault: bool


class VoltageSupply(_Supply):
    """A voltage generator."""

    unit: Literal["mV"]
    requested_mv: float | None
    """What was asked for; null where the board was not set by this server since it started."""
    measured_mv: float
    low_mv: float
    """Safe operating area."""
    high_mv: float
    """Safe operating area."""


class CurrentSupply(_Supply):
    """A bias current generator."""

    unit: Literal["uA"]
    requested_ua: float | None
    """What was asked for; null where the board was not set by this server since it started."""
    measured_ua: float
    low_ua: float
    """Safe operating area."""
    high_ua: float
    """Safe operating area."""


Supply = Annotated[VoltageSupply | CurrentSupply, Field(discriminator="unit")]


class Supplies(RootModel[dict[str, Supply]]):
    """Every supply, by name, in power-up order."""


class SupplySetting(RequestBody):
    """What one supply shall give, in its own unit."""

    mv: float | None = None
    """Millivolt, of a voltage."""
    ua: float | None = None
    """Microampere, of a current."""

    @model_validator(mode="after")
    def _one_unit(self) -> "SupplySetting":
        if (self.mv is None) == (self.ua is None):
            raise ValueError("give either mv or ua")
        return self


class SupplySettings(RootModel[dict[str, SupplySetting]]):
    """Some supplies, by name: all of them are set or, if one is refused, none."""
