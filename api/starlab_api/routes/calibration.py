"""Calibration of the supplies of a board. Measures nothing itself: the host does."""

from dataclasses import asdict
from datetime import UTC, datetime

from fastapi import APIRouter, Depends

from starlab_api.boards.slot import BoardSlot, Connection
from starlab_api.bodies.array_calls import json_only
from starlab_api.bodies.json_bodies import JsonRoute
from starlab_api.dependencies import OneBoard
from starlab_api.problems import NotCalibrated
from starlab_contract import Calibrate, Calibration
from starlab_host import Calibration as Found
from starlab_host import calibrate
from starlab_spec.supplies import SUPPLIES

router = APIRouter(prefix="/boards/{board_id}/calibration", tags=["boards"], route_class=JsonRoute)


@router.post("", dependencies=[Depends(json_only)])
async def calibrate_supplies(board: OneBoard, body: Calibrate | None = None) -> Calibration:
    """Measure what every supply really gives, keep it, and set supplies by it from now on.

    Sweeps one supply after the other within its safe range, and sets it back to its code: what is
    set stays as it is until it is set again. Takes some seconds; no pulse is applied.
    """
    wanted = Calibrate() if body is None else body

    def measure(link: Connection) -> Found:
        found = calibrate(
            link.board,
            now=datetime.now(UTC),
            points=wanted.points,
            readings=wanted.readings,
        )
        board.calibrations.save(found)
        link.board.calibration = found
        return found

    return _view(await board.write(measure), in_use=True)


@router.get("")
async def read_calibration(board: OneBoard) -> Calibration:
    """What was measured last, and whether supplies are set by it."""

    def look(link: Connection) -> Calibration:
        found = _kept(board, link)
        return _view(found, in_use=link.board.calibration == found)

    return await board.read(look)


@router.delete("")
async def remove_calibration(board: OneBoard) -> Calibration:
    """Forget it: supplies are set by their nominal codes again. Gives what was forgotten."""

    def remove(link: Connection) -> Found:
        found = _kept(board, link)
        board.calibrations.remove(found.serial)
        link.board.calibration = None
        return found

    return _view(await board.write(remove), in_use=False)


def _kept(board: BoardSlot, link: Connection) -> Found:
    found = board.calibrations.load(link.board.identity["serial"])
    if found is None:
        raise NotCalibrated(board.id)
    return found


def _view(found: Found, *, in_use: bool) -> Calibration:
    channels = {}
    for channel in SUPPLIES:
        fit = found.channels[channel.name]
        unit = channel.unit.lower()
        channels[channel.name] = {
            "unit": channel.unit,
            "gain": fit.gain,
            "gain_sigma": fit.gain_sigma,
            "points": fit.points,
            f"offset_{unit}": fit.offset,
            f"offset_sigma_{unit}": fit.offset_sigma,
            f"residual_{unit}": fit.residual,
            f"error_{unit}": fit.real(channel.nominal) - channel.nominal,
            f"error_sigma_{unit}": fit.sigma(channel.nominal),
        }
    told = {name: value for name, value in asdict(found).items() if name != "channels"}
    return Calibration.model_validate({**told, "in_use": in_use, "channels": channels})
