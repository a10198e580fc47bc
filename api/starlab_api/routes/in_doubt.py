"""Commands whose outcome nobody knows: which, and that somebody has read back. Repeats none."""

from typing import Annotated

from fastapi import APIRouter, Query

from starlab_api.boards.views import command_view
from starlab_api.dependencies import OneBoard
from starlab_api.problems import InvalidInput
from starlab_contract import JournaledCommand
from starlab_host import EntryState

router = APIRouter(prefix="/boards/{board_id}/in-doubt", tags=["boards"])


@router.get("")
async def list_in_doubt(board: OneBoard) -> list[JournaledCommand]:
    """Commands that may have been executed when the server or the board crashed."""
    return [command_view(entry) for entry in await board.in_doubt()]


@router.delete("")
async def acknowledge(
    board: OneBoard,
    entry: Annotated[
        list[int] | None, Query(description="Numbers of entries; all where left out.")
    ] = None,
) -> list[JournaledCommand]:
    """Say that what commands in doubt may have changed was read back. Answers with these."""
    entries = await board.in_doubt()
    doubtful = [found.number for found in entries if found.state is EntryState.UNKNOWN]
    for number in entry or ():
        if number not in doubtful:
            known = ", ".join(map(str, doubtful)) or "none"
            raise InvalidInput("entry", f"{number} is not in doubt; in doubt: {known}")
    return [command_view(found) for found in await board.acknowledge(entry)]
