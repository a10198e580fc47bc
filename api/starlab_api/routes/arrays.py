"""One array of a chip: form, level, pulse, program, read, multiply. The host checks all values."""

from dataclasses import asdict
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from numpy.typing import NDArray

from starlab_api.boards.slot import Connection
from starlab_api.bodies.array_calls import Decoded, json_only
from starlab_api.bodies.calls import PROGRAM, PULSE, VMM
from starlab_api.bodies.json_bodies import JsonRoute
from starlab_api.bodies.replies import accepted_type, array_response
from starlab_api.bodies.selections import indices
from starlab_api.dependencies import OneArray, OneBoard, Started
from starlab_api.openapi import array_replies, array_requests
from starlab_api.problems import InvalidInput
from starlab_contract import (
    Conductance,
    Form,
    FormReply,
    Level,
    LevelReply,
    ProgramReply,
    PulseParameters,
    PulseReply,
    VmmReply,
)
from starlab_host import Levelling, cell_mask
from starlab_host import level as level_array
from starlab_host.chip.chip import MAX_PULSES
from starlab_host.chip.doubts import about_programming, about_samples
from starlab_spec import ArrayGeometry
from starlab_spec.operations import PulseKind

router = APIRouter(prefix="/boards/{board_id}/arrays/{array}", tags=["chip"], route_class=JsonRoute)

Indices = Annotated[
    str | None, Query(description="Such as `0:10,12`; all where left out.", examples=["0:10,12"])
]


@router.post("/form", dependencies=[Depends(json_only)], response_model_exclude_none=True)
async def form(board: OneBoard, array: OneArray, body: Form | None = None) -> FormReply:
    """Bring virgin cells into their window: both cells of each pair of rows and columns."""
    asked = body or Form()
    rows = indices("rows", asked.rows, array.inputs)
    columns = indices("columns", asked.columns, array.outputs)
    report = await board.write(lambda link: link.chip.form(array.number, rows, columns))
    return FormReply.model_validate({**asdict(report), "unsure": report.unsure.tolist() or None})


@router.post("/level", dependencies=[Depends(json_only)])
async def level(board: OneBoard, array: OneArray, body: Level | None = None) -> LevelReply:
    """Give array 1 SET pulses until its planes read alike: balanced weights then give no current.

    Only after forming or wiping, before learning: it shifts all weights. Array 2 has no use for it.
    """
    asked = body or Level()

    def pulse_planes(link: Connection) -> Levelling:
        return level_array(
            link.board,
            array.number,
            tolerance_codes=asked.tolerance_codes,
            readings=asked.readings,
        )

    return LevelReply.model_validate(asdict(await board.write(pulse_planes)))


@router.post("/pulse", openapi_extra=array_requests(PULSE))
async def pulse(board: OneBoard, array: OneArray, request: Request, started: Started) -> PulseReply:
    """Give the same pulses to many cells: those of a mask, or of rows, columns and polarity."""
    body = await PULSE.read(request, limit_bytes=started.body_limit_bytes)
    asked = body.parameters
    mask = _mask(array, body)
    kind = PulseKind[asked.kind.name]

    def give(link: Connection) -> int:
        return link.chip.pulse(array.number, kind, mask, count=asked.count, width_ns=asked.width_ns)

    return PulseReply(pulses=await board.write(give))


@router.post(
    "/program",
    response_model=ProgramReply,
    responses=array_replies("failed"),
    openapi_extra=array_requests(PROGRAM),
)
async def program(board: OneBoard, array: OneArray, request: Request, started: Started) -> Response:
    """Write conductances, or weights around the middle of the window."""
    media = accepted_type(request)
    body = await PROGRAM.read(request, limit_bytes=started.body_limit_bytes)
    body.one_of("weights", "conductance_uS")
    asked = body.parameters

    def write(link: Connection) -> Response:
        report = link.chip.program(
            array.number,
            target_uS=body.arrays.get("conductance_uS"),
            weights=body.arrays.get("weights"),
            scale_uS=asked.scale_uS,
            tolerance_uS=asked.tolerance_uS,
            method=asked.method.value,
            max_pulses=asked.max_pulses or MAX_PULSES,
        )
        doubts = about_programming(
            conductance_uS=body.arrays.get("conductance_uS"),
            weights=body.arrays.get("weights"),
            scale_uS=asked.scale_uS,
            tolerance_uS=asked.tolerance_uS,
        )
        return array_response(media, asdict(report), main="failed", warnings=doubts)

    return await board.write(write)


@router.get("/conductance", response_model=Conductance, responses=array_replies("conductance_uS"))
async def read_conductance(
    board: OneBoard,
    array: OneArray,
    request: Request,
    rows: Indices = None,
    columns: Indices = None,
) -> Response:
    """Read cells through the chip's own read path: shape (2, rows, columns), float32, uS."""
    media = accepted_type(request)
    which_rows = indices("rows", rows, array.inputs)
    which_columns = indices("columns", columns, array.outputs)

    def read(link: Connection) -> Response:
        cells_uS = link.chip.read_conductance_uS(array.number, which_rows, which_columns)
        return array_response(media, {"conductance_uS": cells_uS}, main="conductance_uS")

    return await board.read(read)


@router.post(
    "/vmm",
    response_model=VmmReply,
    responses=array_replies("codes"),
    openapi_extra=array_requests(VMM),
)
async def vmm(board: OneBoard, array: OneArray, request: Request, started: Started) -> Response:
    """Multiply input vectors with one array: codes of its converter."""
    media = accepted_type(request)
    body = await VMM.read(request, limit_bytes=started.body_limit_bytes)
    inputs = body.array("inputs")

    def multiply(link: Connection) -> Response:
        products = asdict(link.chip.vmm(array.number, inputs))
        doubts = about_samples(inputs) if array.number == 1 else []
        return array_response(media, products, main="codes", warnings=doubts)

    return await board.read(multiply)


def _mask(array: ArrayGeometry, body: Decoded[PulseParameters]) -> NDArray[np.generic]:
    """The cells that a pulse call means: shape (2, inputs, outputs)."""
    asked = body.parameters
    crossing = {"rows": asked.rows, "columns": asked.columns, "polarity": asked.polarity}
    given = [name for name, value in crossing.items() if value is not None]
    if "mask" in body.arrays:
        if given:
            raise InvalidInput(given[0], "cannot be given beside mask")
        return body.arrays["mask"]
    if asked.polarity is None or len(given) < len(crossing):
        missing = next(name for name in crossing if name not in given)
        raise InvalidInput(missing, "is missing: give mask, or rows, columns and polarity")
    rows = indices("rows", asked.rows, array.inputs)
    columns = indices("columns", asked.columns, array.outputs)
    return cell_mask(array, rows, columns, asked.polarity.value)
