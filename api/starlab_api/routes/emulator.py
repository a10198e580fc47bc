"""What only an emulated board can be told. Emulates nothing."""

from collections.abc import Mapping

from fastapi import APIRouter, Depends

from starlab_api.boards import Connection
from starlab_api.bodies import json_only
from starlab_api.dependencies import OneBoard
from starlab_contract import EmulatorCommands, EmulatorReply

router = APIRouter(prefix="/boards/{board_id}/emulator", tags=["boards"])


@router.post("", dependencies=[Depends(json_only)])
async def command_emulator(board: OneBoard, body: EmulatorCommands) -> EmulatorReply:
    """Advance its time, trip faults, fit another chip, restart it. A real board refuses."""
    commands = body.model_dump(exclude_none=True)

    def command(link: Connection) -> tuple[Mapping[str, object], int]:
        return link.board.emulator(**commands), link.board.boot_id

    reply, boot_id = await board.write(command)
    if body.restart:
        await board.reconnect()
        boot_id = await board.at_once(lambda link: link.board.boot_id)
    return EmulatorReply.model_validate({**reply, "boot_id": boot_id})
