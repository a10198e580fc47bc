"""The emergency stop: at once, whatever else the board does. Never waits for another call."""

from fastapi import APIRouter

from starlab_api.boards.slot import Connection
from starlab_api.dependencies import OneBoard
from starlab_api.problems import NotStopped
from starlab_contract import Faults, Stopped

router = APIRouter(prefix="/boards/{board_id}/emergency-stop", tags=["boards"])


@router.post("")
async def emergency_stop(board: OneBoard) -> Stopped:
    """Stop what runs, switch all drivers off and latch it.

    200: the board has confirmed it. 504 `stop-unconfirmed`: it has not within a second, and the
    server goes on trying until it does, or somebody clears the stop.
    """
    outcome = await board.stop()
    if not outcome.confirmed:
        raise NotStopped(outcome.detail)
    return Stopped(faults=list(outcome.faults), confirmed=True, detail=outcome.detail)


@router.delete("")
async def clear_emergency_stop(board: OneBoard) -> Faults:
    """Clear the latch, and all other latched faults, and bring the supplies up again."""

    def clear(link: Connection) -> list[str]:
        link.board.clear_faults()
        link.board.bring_up()
        return list(link.board.faults())

    board.withdraw_stop()
    return Faults(faults=await board.write(clear))
