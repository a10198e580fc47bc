"""The whole network: infer and learn. Computes nothing."""

from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from starlab_api.boards.slot import Connection
from starlab_api.bodies.calls import INFER, TRAIN_STEP
from starlab_api.bodies.replies import accepted_type, array_response
from starlab_api.dependencies import OneBoard, Started
from starlab_api.openapi import array_replies, array_requests
from starlab_contract import InferReply, TrainStepReply
from starlab_host.chip.doubts import about_lesson, about_samples, about_settings

router = APIRouter(prefix="/boards/{board_id}", tags=["chip"])


@router.post(
    "/infer",
    response_model=InferReply,
    response_model_exclude_none=True,
    responses=array_replies("outputs"),
    openapi_extra=array_requests(INFER),
)
async def infer(board: OneBoard, request: Request, started: Started) -> Response:
    """Run samples through both arrays."""
    media = accepted_type(request)
    body = await INFER.read(request, limit_bytes=started.body_limit_bytes)
    inputs = body.array("inputs")

    def run(link: Connection) -> Response:
        inference = link.chip.infer(inputs, hidden=body.parameters.hidden)
        doubts = about_samples(inputs)
        return array_response(media, asdict(inference), main="outputs", warnings=doubts)

    return await board.read(run)


@router.post(
    "/train-step",
    response_model=TrainStepReply,
    responses=array_replies("outputs"),
    openapi_extra=array_requests(TRAIN_STEP),
)
async def train_step(board: OneBoard, request: Request, started: Started) -> Response:
    """Learn samples one after the other, in order."""
    media = accepted_type(request)
    body = await TRAIN_STEP.read(request, limit_bytes=started.body_limit_bytes)
    inputs = body.array("inputs")
    body.one_of("labels", "targets")
    asked = body.parameters
    settings = {}
    if asked.settings is not None:
        settings = asked.settings.model_dump(mode="json", exclude_none=True)

    def learn(link: Connection) -> Response:
        training = link.chip.train_step(
            inputs,
            labels=body.arrays.get("labels"),
            targets=body.arrays.get("targets"),
            layers=asked.layers,
            settings=settings,
        )
        doubts = about_lesson(inputs, body.arrays.get("labels"), body.arrays.get("targets"))
        if settings:
            doubts += about_settings(settings, asdict(link.chip.settings()))
        return array_response(media, asdict(training), main="outputs", warnings=doubts)

    return await board.write(learn)
