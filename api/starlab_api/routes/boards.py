"""Boards: who and how they are. Changes nothing."""

import asyncio

from fastapi import APIRouter, Depends

from starlab_api.boards.views import board_view, found_view
from starlab_api.bodies.array_calls import json_only
from starlab_api.bodies.json_bodies import JsonRoute
from starlab_api.dependencies import AllBoards, OneBoard
from starlab_api.problems import InvalidInput
from starlab_contract import Board, Discover, FoundBoard

router = APIRouter(prefix="/boards", tags=["boards"], route_class=JsonRoute)


@router.get("")
async def list_boards(boards: AllBoards) -> list[Board]:
    """Every board of the server, those that are away too."""
    return list(await asyncio.gather(*(board_view(slot) for slot in boards)))


@router.get("/{board_id}")  # noqa: FAST003 - OneBoard takes it
async def show_board(board: OneBoard) -> Board:
    """Identity, state, faults and link of one board. One that is away has the state `away`."""
    return await board_view(board)


@router.post("/discover", dependencies=[Depends(json_only)])
async def discover_boards(boards: AllBoards, body: Discover | None = None) -> list[FoundBoard]:
    """Ask into the server's networks which boards there are. Connects to none of them."""
    wanted = Discover() if body is None else body
    own = [slot.url for slot in boards if slot.url.startswith("udp:")]
    try:
        found = await boards.discovery.discover(wanted.addresses, also=own, wait_s=wanted.wait_s)
    except ValueError as error:
        raise InvalidInput("addresses", f"cannot be asked: {error}") from error
    return [found_view(board, boards) for board in found]
