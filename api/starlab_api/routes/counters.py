"""What a board has counted. Counts nothing."""

from dataclasses import asdict

from fastapi import APIRouter

from starlab_api.dependencies import OneBoard
from starlab_contract import Counters

router = APIRouter(prefix="/boards/{board_id}/counters", tags=["boards"])


@router.get("")
async def read_counters(board: OneBoard) -> Counters:
    """Pulses, operations, energy and the chip's own time, since the board started."""
    counters = asdict(await board.read(lambda link: link.board.counters()))
    pulses = {name: counters.pop(name) for name in ("array1", "array2")}
    return Counters.model_validate({"pulses": pulses, **counters})
