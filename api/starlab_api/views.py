"""What a board says about itself, as the contract words it. Runs nothing on the board."""

from collections.abc import Mapping

from starlab_api.boards import BoardSlot, Connection
from starlab_contract import Board, BoardState, LinkStatistics, RoundTripBin
from starlab_host import StarlabHostError
from starlab_host.link_statistics import LinkStatistics as HostStatistics
from starlab_spec.registers import register
from starlab_spec.wire import BoardStatus

_FAULTS = register("FAULTS").fields


async def board_view(slot: BoardSlot) -> Board:
    """A board as it is now; away, with the reason, where it does not answer.

    A connection that turns out to be lost is made anew once: the question is free of effects, and
    this is how a restart is noticed while nobody works with the board.
    """
    try:
        status, statistics = await _ask(slot)
    except StarlabHostError as error:
        return _view(slot, problem=str(error))
    return _view(slot, status, statistics)


async def state_of(slot: BoardSlot) -> BoardState:
    """What a board is doing now."""
    return (await board_view(slot)).state


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
    status: BoardStatus | None = None,
    statistics: HostStatistics | None = None,
    *,
    problem: str | None = None,
) -> Board:
    known: Mapping[str, object] = slot.identity or {}
    names = ("serial", "firmware", "protocol", "boot_id", "geometry", "device_model", "emulated")
    return Board.model_validate(
        {
            "id": slot.id,
            "url": slot.url,
            "state": _state(status),
            "problem": problem,
            "restarts": slot.restarts,
            **{name: known.get(name) for name in names},
            "lifetime_pulses": None if status is None else status.lifetime_pulses,
            "faults": [] if status is None else _faults(status.faults),
            "link": None if statistics is None else _link(statistics),
        }
    )


def _link(statistics: HostStatistics) -> LinkStatistics:
    counters = statistics.counters
    return LinkStatistics(
        round_trips=[
            RoundTripBin(up_to_us=_us(found.up_to_s), count=found.count)
            for found in statistics.round_trips
        ],
        smoothed_round_trip_us=_us(counters.round_trip_s),
        frames_sent=counters.frames_sent,
        frames_received=counters.frames_received,
        resent=counters.frames_resent,
        replayed=counters.replies_replayed,
        duplicates=counters.duplicates,
        crc_errors=counters.frames_dropped,
    )


def _us(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e6, 1)


def _state(status: BoardStatus | None) -> BoardState:
    return BoardState.AWAY if status is None else BoardState[status.state.name]


def _faults(latches: int) -> list[str]:
    return [field.name for field in _FAULTS if field.get(latches)]
