"""The safe operating area of a board, to be read. Nothing changes it: it is set at the start."""

from dataclasses import asdict

from fastapi import APIRouter

from starlab_api.dependencies import OneBoard
from starlab_contract import (
    ArrayLimits,
    CurrentLimits,
    Limits,
    PulseLimits,
    RateLimit,
    SupplyLimits,
    VoltageLimits,
)
from starlab_spec.operations import PulseKind
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import Channel

router = APIRouter(prefix="/boards/{board_id}/limits", tags=["boards"])


@router.get("")
async def read_limits(board: OneBoard) -> Limits:
    """The limits that this server holds the board to. The board's firmware has its own."""
    return _view(await board.read(lambda link: link.board.safe_area))


def _view(area: SafeArea) -> Limits:
    return Limits(
        supplies={channel.name: _supply(channel) for channel in area.channels},
        array1=_array(area, 1),
        array2=_array(area, 2),
        forming_level_mv=area.forming_level_mv,
        trip_margin=area.trip_margin,
        differences=list(area.differences),
        widened=list(area.widened),
    )


def _supply(channel: Channel) -> SupplyLimits:
    if channel.unit == "mV":
        return VoltageLimits(unit="mV", low_mv=channel.low, high_mv=channel.high)
    return CurrentLimits(unit="uA", low_ua=channel.low, high_ua=channel.high)


def _array(area: SafeArea, number: int) -> ArrayLimits:
    limits = {kind: PulseLimits(**asdict(area.pulses[number, kind])) for kind in PulseKind}
    return ArrayLimits(
        set=limits[PulseKind.SET],
        reset=limits[PulseKind.RESET],
        form=limits[PulseKind.FORM],
        rate=RateLimit(**asdict(area.rates[number])),
    )
