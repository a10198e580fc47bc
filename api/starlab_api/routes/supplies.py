"""The supplies of a board. Knows no limit: host and board refuse what is unsafe."""

from collections.abc import Iterable, Mapping

from fastapi import APIRouter, Depends

from starlab_api.boards.slot import Connection
from starlab_api.bodies.array_calls import json_only
from starlab_api.bodies.json_bodies import JsonRoute
from starlab_api.dependencies import OneBoard
from starlab_api.problems import InvalidInput
from starlab_contract import (
    BalanceRails,
    BalanceReply,
    CurrentSupply,
    ReadVoltages,
    Supplies,
    Supply,
    SupplySettings,
    VoltageSupply,
)
from starlab_host import ReadVoltages as Found
from starlab_host import SupplyState, balance
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import Channel, supply

router = APIRouter(prefix="/boards/{board_id}/supplies", tags=["boards"], route_class=JsonRoute)


@router.get("")
async def read_supplies(board: OneBoard) -> Supplies:
    """Every supply, by name, in power-up order."""
    return _view(await board.read(_read))


@router.patch("", dependencies=[Depends(json_only)])
async def set_supplies(board: OneBoard, body: SupplySettings) -> Supplies:
    """Set some supplies, all or none of them; the reply shows every one."""
    wanted = _wanted(body)

    def change(link: Connection) -> tuple[Iterable[SupplyState], SafeArea]:
        link.board.set_supplies(wanted)
        return _read(link)

    return _view(await board.write(change))


@router.post("/balance", dependencies=[Depends(json_only)])
async def balance_rails(board: OneBoard, body: BalanceRails | None = None) -> BalanceReply:
    """Trim VBL27 and VBL23 by codes until balanced weights of array 1 give no current.

    Reads the array at some codes of V25, which is set back; the array must be formed.
    """
    wanted = BalanceRails() if body is None else body
    done = await board.write(lambda link: balance(link.board, readings=wanted.readings))
    return BalanceReply(
        before=_read_voltages(done.before),
        after=_read_voltages(done.after),
        codes=dict(done.codes),
    )


def _read_voltages(found: Found) -> ReadVoltages:
    return ReadVoltages(
        plus_mv=found.plus_mv, minus_mv=found.minus_mv, mismatch_mv=found.mismatch_mv
    )


def _read(link: Connection) -> tuple[Iterable[SupplyState], SafeArea]:
    return link.board.supplies(), link.board.safe_area


def _wanted(body: SupplySettings) -> Mapping[str, float]:
    wanted = {}
    for name, setting in body.root.items():
        unit = supply(name).unit
        value = setting.mv if unit == "mV" else setting.ua
        if value is None:
            raise InvalidInput(f"{name}.{unit.lower()}", f"is missing: {name} is set in {unit}")
        wanted[name] = value
    return wanted


def _view(read: tuple[Iterable[SupplyState], SafeArea]) -> Supplies:
    states, area = read
    return Supplies({state.name: _supply(state, area.channels[state.index]) for state in states})


def _supply(state: SupplyState, channel: Channel) -> Supply:
    if channel.unit == "mV":
        return VoltageSupply(
            index=state.index,
            unit="mV",
            requested_mv=state.requested,
            measured_mv=state.measured,
            low_mv=channel.low,
            high_mv=channel.high,
            code=state.code,
            settled=state.settled,
            fault=state.fault,
        )
    return CurrentSupply(
        index=state.index,
        unit="uA",
        requested_ua=state.requested,
        measured_ua=state.measured,
        low_ua=channel.low,
        high_ua=channel.high,
        code=state.code,
        settled=state.settled,
        fault=state.fault,
    )
