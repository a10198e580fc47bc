"""What a board says about itself, as the contract words it. Runs nothing on the board."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from starlab_api.boards.callers import Caller, EndedCall
from starlab_api.boards.slot import BoardSlot, Connection
from starlab_contract import (
    Board,
    BoardState,
    Capabilities,
    CommandState,
    FoundBoard,
    JournaledCommand,
    LinkStatistics,
    Recovered,
    RoundTripBin,
    RoundTripFigures,
    RunningCall,
)
from starlab_contract import EndedCall as EndedCallBody
from starlab_host import Entry, Recovery, StarlabHostError, capabilities_of
from starlab_host.discovery import FoundBoard as HostFoundBoard
from starlab_host.session.statistics import LinkStatistics as HostStatistics
from starlab_host.session.statistics import RoundTripFigures as HostFigures
from starlab_spec.registers import register
from starlab_spec.wire import BoardStatus

_FAULTS = register("FAULTS").fields
_IDENTITY: Final = (
    "serial",
    "firmware",
    "protocol",
    "boot_id",
    "geometry",
    "device_model",
    "effects",
    "emulated",
)
"""What a board says of itself, by the same names here and there."""


async def board_view(slot: BoardSlot) -> Board:
    """A board as it is now; away, with the reason, where it does not answer.

    A connection that turns out to be lost is made anew once: the question is free of effects, and
    this is how a restart is noticed while nobody works with the board.
    """
    try:
        status, statistics = await _ask(slot)
    except StarlabHostError as error:
        return _view(slot, await slot.in_doubt(), problem=str(error))
    return _view(slot, await slot.in_doubt(), status, statistics)


async def state_of(slot: BoardSlot) -> BoardState:
    """What a board is doing now."""
    return (await board_view(slot)).state


def found_view(found: HostFoundBoard, slots: Iterable[BoardSlot]) -> FoundBoard:
    """A board that was found. One whose identity is malformed is listed without it."""
    known = found.identity
    url, *others = found.urls
    ways = {"id": _id_of(known, slots), "url": url, "other_urls": others}
    said = {name: known.get(name) for name in (*_IDENTITY, "in_use")}
    try:
        return FoundBoard.model_validate({**said, **ways})
    except ValidationError:
        return FoundBoard.model_validate(ways)


def command_view(entry: Entry) -> JournaledCommand:
    """A command of the journal."""
    return JournaledCommand(
        entry=entry.number,
        state=CommandState(entry.state),
        detail=entry.detail,
        call=entry.note,
        what=entry.description,
        written_at=datetime.fromtimestamp(entry.written_at, UTC),
        serial=entry.serial,
        boot_id=entry.boot_id,
        message_id=entry.message_id,
    )


def _recovered(found: Recovery) -> Recovered:
    return Recovered(
        resumed=found.resumed,
        executed=[command_view(entry) for entry in found.executed],
        not_sent=[command_view(entry) for entry in found.not_sent],
        unknown=[command_view(entry) for entry in found.unknown],
    )


def _id_of(identity: Mapping[str, object], slots: Iterable[BoardSlot]) -> str | None:
    """The server's name for the board of an identity."""
    who = identity.get("serial"), identity.get("boot_id")
    for slot in slots:
        if slot.identity and (slot.identity["serial"], slot.identity["boot_id"]) == who:
            return slot.id
    return None


async def _ask(slot: BoardSlot) -> tuple[BoardStatus, HostStatistics]:
    was_connected = slot.is_connected
    try:
        return await slot.at_once(_status)
    except StarlabHostError:
        if not was_connected:
            raise
        return await slot.at_once(_status)


def _status(link: Connection) -> tuple[BoardStatus, HostStatistics]:
    return link.board.status(), link.board.statistics


def _view(
    slot: BoardSlot,
    in_doubt: Iterable[Entry],
    status: BoardStatus | None = None,
    statistics: HostStatistics | None = None,
    *,
    problem: str | None = None,
) -> Board:
    known: Mapping[str, object] = slot.identity or {}
    return Board.model_validate(
        {
            "id": slot.id,
            "url": slot.url,
            "state": _state(status),
            "problem": problem,
            "restarts": slot.restarts,
            **{name: known.get(name) for name in _IDENTITY},
            "capabilities": None if slot.identity is None else _capabilities(slot.identity),
            "lifetime_pulses": None if status is None else status.lifetime_pulses,
            "running": _running(slot, status),
            "last_call": _ended(slot.calls.last),
            "last_stopped": _ended(slot.calls.last_stopped),
            "faults": [] if status is None else _faults(status.faults),
            "stop_pending": slot.stop_is_pending,
            "link": None if statistics is None else _link(statistics),
            "in_doubt": [command_view(entry) for entry in in_doubt],
            "recovered": None if slot.recovered is None else _recovered(slot.recovered),
        }
    )


def _running(slot: BoardSlot, status: BoardStatus | None) -> RunningCall | None:
    who = slot.calls.current
    if who is None:
        return None
    work = who.work
    told = _extent(who)
    if status is not None and work.pulses_before is not None:
        # the board counts during a command, too
        told["pulses"] = max(work.pulses, status.lifetime_pulses - work.pulses_before)
    return RunningCall(seconds=round(work.seconds, 3), stopping=work.stop.requested, **told)


def _ended(call: EndedCall | None) -> EndedCallBody | None:
    if call is None:
        return None
    return EndedCallBody(ended_at=call.ended_at, how=call.how, **_extent(call.caller))


def _extent(who: Caller) -> dict[str, Any]:
    extent = who.work.extent
    return {
        "call": who.work.what,
        "client": who.client,
        "request_id": who.request_id,
        "done": None if extent is None else extent.done,
        "total": None if extent is None else extent.total or None,
        "unit": None if extent is None else extent.unit,
        "pulses": who.work.pulses,
    }


def _capabilities(identity: Mapping[str, object]) -> Capabilities:
    return Capabilities.model_validate(asdict(capabilities_of(identity)))


def _link(statistics: HostStatistics) -> LinkStatistics:
    counters = statistics.counters
    return LinkStatistics(
        round_trips=[
            RoundTripBin(up_to_us=_if_known(found.up_to_s), count=found.count)
            for found in statistics.round_trips
        ],
        recent=None if statistics.recent is None else _figures(statistics.recent),
        smoothed_round_trip_us=_if_known(counters.round_trip_s),
        frames_sent=counters.frames_sent,
        in_flight=counters.in_flight,
        frames_received=counters.frames_received,
        resent=counters.frames_resent,
        resent_lost=counters.resent_lost,
        resent_probes=counters.resent_probes,
        resent_timeouts=counters.resent_timeouts,
        credit_stalls=counters.credit_stalls,
        replayed=counters.replies_replayed,
        duplicates=counters.duplicates,
        dropped=counters.frames_dropped,
        crc_errors=counters.crc_errors,
        payload_bytes=statistics.payload_bytes,
        payload_reduced_from=statistics.payload_reduced_from,
    )


def _figures(of: HostFigures) -> RoundTripFigures:
    return RoundTripFigures(
        commands=of.commands,
        minimum_us=_us(of.minimum_s),
        mean_us=_us(of.mean_s),
        p50_us=_us(of.p50_s),
        p90_us=_us(of.p90_s),
        p99_us=_us(of.p99_s),
    )


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 1)


def _if_known(seconds: float | None) -> float | None:
    return None if seconds is None else _us(seconds)


def _state(status: BoardStatus | None) -> BoardState:
    return BoardState.AWAY if status is None else BoardState[status.state.name]


def _faults(latches: int) -> list[str]:
    return [field.name for field in _FAULTS if field.get(latches)]
