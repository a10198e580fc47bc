"""The journal of a board: what was to change its chip, and what became of it. Changes nothing."""

from typing import Annotated

from fastapi import APIRouter, Query

from starlab_api.boards.views import command_view
from starlab_api.dependencies import OneBoard
from starlab_contract import JournaledCommand
from starlab_host.journal.journal import KEPT

router = APIRouter(prefix="/boards/{board_id}/journal", tags=["boards"])


@router.get("")
async def read_journal(
    board: OneBoard,
    newest: Annotated[int, Query(ge=1, le=KEPT, description="How many entries at most.")] = 100,
) -> list[JournaledCommand]:
    """The newest entries, in order: what a call did whose answer was lost. Empty: no journal."""
    return [command_view(entry) for entry in await board.newest(newest)]
