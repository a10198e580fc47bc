"""Raw registers, for engineers. Refuses no address itself: the board does."""

import re
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path

from starlab_api.boards.slot import Connection
from starlab_api.bodies.array_calls import json_only
from starlab_api.bodies.json_bodies import JsonRoute
from starlab_api.dependencies import OneBoard
from starlab_api.problems import InvalidInput, NotFound
from starlab_contract import Register, RegisterWrite
from starlab_spec import LimitExceeded, UnknownName
from starlab_spec.registers import MAP_END, register, register_at

router = APIRouter(
    prefix="/boards/{board_id}/registers/{address}", tags=["boards"], route_class=JsonRoute
)

_NUMBER: Final = re.compile("-?(0|[1-9][0-9]{0,19}|0[xX][0-9a-fA-F]{1,16})")

Address = Annotated[
    str,
    Path(
        description="Byte address, decimal or as `0x104`, or the register's name.",
        examples=["0x104", "ADC"],
    ),
]


@router.get("")
async def read_register(board: OneBoard, address: Address) -> Register:
    """One 32-bit register."""
    where = _address(address)
    return _view(where, await board.read(lambda link: link.board.read_register(where)))


@router.put("", dependencies=[Depends(json_only)])
async def write_register(board: OneBoard, address: Address, body: RegisterWrite) -> Register:
    """Replace the bits under a mask; the reply is the register as it then reads."""
    where = _address(address)

    def change(link: Connection) -> int:
        link.board.write_register(where, body.value, mask=body.mask)
        return link.board.read_register(where)

    return _view(where, await board.write(change))


def _address(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        return _address_of_name(text)
    address = int(text, 0)
    if not 0 <= address < MAP_END:
        raise LimitExceeded("address", address, 0 if address < 0 else MAP_END - 4)
    if address % 4:
        raise InvalidInput("address", f"{text} is not a multiple of 4")
    return address


def _address_of_name(name: str) -> int:
    try:
        return register(name).address
    except UnknownName as error:
        raise NotFound("register", name, error.known) from error


def _view(address: int, value: int) -> Register:
    known = register_at(address)
    fields = {} if known is None else {field.name: field.get(value) for field in known.fields}
    name = None if known is None else known.name
    return Register(address=address, name=name, value=value, fields=fields)
