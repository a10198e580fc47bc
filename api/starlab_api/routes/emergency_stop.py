"""The emergency stop: at once, whatever else the board does. Never waits for another call."""

from fastapi import APIRouter

from starlab_api.boards import Connection
from starlab_api.dependencies import OneBoard
from starlab_contract import Faults

router = APIRouter(prefix="/boards/{board_id}/emergency-stop", tags=["boards"])


@router.post("")
async def emergency_stop(board: OneBoard) -> Faults:
    """Stop what runs, switch all drivers off and latch it."""

    def stop(link: Connection) -> list[str]:
        link.board.emergency_stop()
        return list(link.board.faults())

    return Faults(faults=await board.at_once(stop))


@router.delete("")
async def clear_emergency_stop(board: OneBoard) -> Faults:
    """Clear the latch, and all other latched faults, and bring the supplies up again."""

    def clear(link: Connection) -> list[str]:
        link.board.clear_faults()
        link.board.bring_up()
        return list(link.board.faults())

    return Faults(faults=await board.write(clear))
