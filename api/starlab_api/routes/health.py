"""Whether the server lives and can work. Asks each board for no more than its state."""

import asyncio
from importlib.metadata import version

from fastapi import APIRouter, Response

from starlab_api.boards.views import state_of
from starlab_api.dependencies import AllBoards
from starlab_contract import BoardState, Health, Readiness

router = APIRouter(tags=["server"])


@router.get("/healthz")
async def health() -> Health:
    """The server lives."""
    return Health(status="ok", version=version("starlab"))


@router.get("/readyz", responses={503: {"model": Readiness, "description": "A board is away."}})
async def readiness(boards: AllBoards, response: Response) -> Readiness:
    """Every board of the server answers (200), or one is away (503)."""
    slots = list(boards)
    states = await asyncio.gather(*(state_of(slot) for slot in slots))
    ready = BoardState.AWAY not in states
    response.status_code = 200 if ready else 503
    return Readiness(
        ready=ready, boards={s.id: state for s, state in zip(slots, states, strict=True)}
    )
