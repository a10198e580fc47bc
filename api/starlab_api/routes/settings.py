"""Settings of converters, pulses and learning. Knows none of them: host and contract do."""

from dataclasses import asdict

from fastapi import APIRouter, Depends, Response

from starlab_api.bodies.array_calls import json_only
from starlab_api.bodies.json_bodies import JsonRoute
from starlab_api.bodies.replies import warnings_header
from starlab_api.dependencies import OneBoard
from starlab_contract import Settings, SettingsChange
from starlab_host.chip.doubts import about_settings

router = APIRouter(prefix="/boards/{board_id}/settings", tags=["boards"], route_class=JsonRoute)


@router.get("")
async def read_settings(board: OneBoard) -> Settings:
    """Every setting."""
    settings = await board.read(lambda link: link.chip.settings())
    return Settings.model_validate(asdict(settings))


@router.patch("", dependencies=[Depends(json_only)])
async def change_settings(board: OneBoard, body: SettingsChange, response: Response) -> Settings:
    """Change some settings, all or none of them; the reply shows every one."""
    changes = body.model_dump(mode="json", exclude_none=True)
    settings = await board.write(lambda link: link.chip.change_settings(**changes))
    response.headers.update(warnings_header(about_settings(changes, asdict(settings))))
    return Settings.model_validate(asdict(settings))
