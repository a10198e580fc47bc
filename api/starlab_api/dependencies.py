"""What a route asks of its application: the boards, the limits. Holds nothing itself."""

from typing import Annotated

from fastapi import Depends, Path, Request

from starlab_api.boards.all_boards import Boards
from starlab_api.boards.callers import CALLER, Caller
from starlab_api.boards.slot import BoardSlot
from starlab_api.boards.snapshots import SnapshotStore
from starlab_api.problems import NotFound
from starlab_api.settings import ServerSettings
from starlab_spec import ARRAY1, ARRAY2, ArrayGeometry

_GEOMETRIES = {"1": ARRAY1, "2": ARRAY2}


async def boards_of(request: Request) -> Boards:
    """The boards of the application."""
    boards: Boards = request.app.state.boards
    return boards


async def board_of(
    request: Request,
    board_id: Annotated[str, Path(description="As `GET /boards` lists it.", examples=["emu0"])],
) -> BoardSlot:
    """The board that the path names.

    Raises:
        NotFound: There is none.
    """
    boards: Boards = request.app.state.boards
    CALLER.set(Caller.of(request))
    return boards[board_id]


async def array_of(
    array: Annotated[str, Path(description="1 or 2.", json_schema_extra={"enum": ["1", "2"]})],
) -> ArrayGeometry:
    """The array that the path names.

    Raises:
        NotFound: The chip has arrays 1 and 2.
    """
    try:
        return _GEOMETRIES[array]
    except KeyError:
        raise NotFound("array", array, _GEOMETRIES) from None


async def settings_of(request: Request) -> ServerSettings:
    """What the server was started with."""
    settings: ServerSettings = request.app.state.settings
    return settings


async def snapshots_of(request: Request) -> SnapshotStore:
    """The snapshots that the server keeps."""
    store: SnapshotStore = request.app.state.snapshots
    return store


AllBoards = Annotated[Boards, Depends(boards_of)]
OneBoard = Annotated[BoardSlot, Depends(board_of)]
OneArray = Annotated[ArrayGeometry, Depends(array_of)]
Started = Annotated[ServerSettings, Depends(settings_of)]
KeptSnapshots = Annotated[SnapshotStore, Depends(snapshots_of)]
