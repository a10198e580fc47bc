"""What only an emulated board can be told. Emulates nothing."""

from fastapi import APIRouter, Depends

from starlab_api.bodies.array_calls import json_only
from starlab_api.bodies.json_bodies import JsonRoute
from starlab_api.dependencies import OneBoard
from starlab_contract import EmulatorCommands, EmulatorReply

router = APIRouter(prefix="/boards/{board_id}/emulator", tags=["boards"], route_class=JsonRoute)


@router.post("", dependencies=[Depends(json_only)])
async def command_emulator(board: OneBoard, body: EmulatorCommands) -> EmulatorReply:
    """Advance its time, trip faults, fit another chip, restart it. A real board refuses."""
    commands = body.model_dump(exclude_none=True)

    reply = await board.write(lambda link: link.board.emulator(**commands))
    if body.restart:
        await board.reconnect()
    identity = await board.identify()
    return EmulatorReply.model_validate({**reply, "boot_id": identity["boot_id"]})
