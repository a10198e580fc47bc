"""Boards: who and how they are. Changes nothing."""

import asyncio

from fastapi import APIRouter

from starlab_api.dependencies import AllBoards, OneBoard
from starlab_api.views import board_view
from starlab_contract import Board

router = APIRouter(prefix="/boards", tags=["boards"])


@router.get("")
async def list_boards(boards: AllBoards) -> list[Board]:
    """Every board of the server, those that are away too."""
    return list(await asyncio.gather(*(board_view(slot) for slot in boards)))


@router.get("/{board_id}")  # noqa: FAST003 - OneBoard takes it
async def show_board(board: OneBoard) -> Board:
    """Identity, state, faults and link of one board. One that is away has the state `away`."""
    return await board_view(board)
