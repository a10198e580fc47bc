"""Snapshots of a board. Keeps none: the store does."""

from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from starlab_api.bodies.array_calls import json_only, media_type
from starlab_api.bodies.json_bodies import JsonRoute
from starlab_api.dependencies import KeptSnapshots, OneBoard
from starlab_api.problems import UnsupportedMediaType
from starlab_contract import (
    SNAPSHOT_TYPE,
    RestoreReply,
    RestoreSnapshot,
    Snapshot,
    TakeSnapshot,
)
from starlab_host.chip.snapshots import restore_snapshot, take_snapshot

router = APIRouter(prefix="/boards/{board_id}/snapshots", tags=["boards"], route_class=JsonRoute)

Sid = Annotated[str, Path(description="As the list of snapshots has it.")]
_FILE: Final[dict[str, Any]] = {
    "content": {SNAPSHOT_TYPE: {"schema": {"type": "string", "format": "binary"}}}
}


@router.get("")
async def list_snapshots(board: OneBoard, kept: KeptSnapshots) -> list[Snapshot]:
    """All snapshots of a board, the oldest first."""
    return await run_in_threadpool(kept.list, board.name)


@router.post("", status_code=201, dependencies=[Depends(json_only)])
async def take(board: OneBoard, kept: KeptSnapshots, body: TakeSnapshot | None = None) -> Snapshot:
    """Take a snapshot: of an emulated board exact, of any other what can be read of it."""
    asked = TakeSnapshot() if body is None else body
    kind = None if asked.kind is None else asked.kind.value
    data = await board.write(
        lambda link: take_snapshot(link.board, link.chip, kind=kind, memory=asked.memory)
    )
    return await run_in_threadpool(kept.keep, board.name, asked.name, data)


@router.post("/file", status_code=201, openapi_extra={"requestBody": {"required": True, **_FILE}})
async def upload(
    board: OneBoard,
    kept: KeptSnapshots,
    request: Request,
    name: Annotated[str, Query(max_length=200, description="What people call it.")] = "",
) -> Snapshot:
    """Keep a snapshot that was downloaded, or taken elsewhere. The board is not touched."""
    media = media_type(request)
    if media != SNAPSHOT_TYPE:
        raise UnsupportedMediaType(media, [SNAPSHOT_TYPE])
    return await run_in_threadpool(kept.keep, board.name, name, await request.body())


@router.get("/{sid}")
async def show_snapshot(board: OneBoard, kept: KeptSnapshots, sid: Sid) -> Snapshot:
    """One snapshot of a board."""
    return await run_in_threadpool(kept.find, board.name, sid)


@router.get("/{sid}/file", response_class=Response, responses={200: _FILE})
async def download(board: OneBoard, kept: KeptSnapshots, sid: Sid) -> Response:
    """The snapshot's file."""
    data = await run_in_threadpool(kept.read, board.name, sid)
    headers = {"Content-Disposition": f'attachment; filename="{sid}.snapshot"'}
    return Response(data, media_type=SNAPSHOT_TYPE, headers=headers)


@router.post("/{sid}/restore", dependencies=[Depends(json_only)])
async def restore(
    board: OneBoard, kept: KeptSnapshots, sid: Sid, body: RestoreSnapshot | None = None
) -> RestoreReply:
    """Bring the board to what a snapshot holds: exactly, or by write-verify programming."""
    asked = RestoreSnapshot() if body is None else body
    data = await run_in_threadpool(kept.read, board.name, sid)
    report = await board.write(
        lambda link: restore_snapshot(
            link.board,
            link.chip,
            data,
            tolerance_uS=asked.tolerance_uS,
            max_pulses=asked.max_pulses,
        )
    )
    await board.identify()
    arrays = {
        str(number): {**asdict(reached), "failed": reached.failed.tolist()}
        for number, reached in report.arrays.items()
    }
    return RestoreReply.model_validate({"snapshot": sid, "exact": report.exact, "arrays": arrays})


@router.delete("/{sid}")
async def delete_snapshot(board: OneBoard, kept: KeptSnapshots, sid: Sid) -> Snapshot:
    """Keep a snapshot no longer."""
    return await run_in_threadpool(kept.delete, board.name, sid)
