"""Boards: who they are, how they are, how their link does. Never what their chip does."""

from enum import StrEnum
from typing import Literal

from starlab_contract.base import ReplyBody


class BoardState(StrEnum):
    """What a board is doing."""

    AWAY = "away"
    """It does not answer."""
    IDLE = "idle"
    EXECUTING = "executing"
    SAFE = "safe"
    """Drivers off; the supplies have to be set again."""
    FAULT = "fault"
    """A fault or an emergency stop is latched; drivers off."""


class Geometry(ReplyBody):
    """Rows and signed weights per row of each array."""

    array1: tuple[int, int]
    array2: tuple[int, int]


class RoundTripBin(ReplyBody):
    """One bin of the round-trip histogram."""

    up_to_us: float | None
    """Upper edge, microseconds; null for the last bin, which has none."""
    count: int
    """Commands in it."""


class LinkStatistics(ReplyBody):
    """How the link to a board does, since the connection was made."""

    round_trips: list[RoundTripBin]
    """Histogram of command round trips."""
    smoothed_round_trip_us: float | None
    """Estimate that the retransmission timer uses, microseconds."""
    frames_sent: int
    frames_received: int
    resent: int
    """Frames that the host sent again."""
    replayed: int
    """Replies that the board sent again from its cache."""
    duplicates: int
    """Frames that came again after they had come."""
    crc_errors: int
    """Frames dropped: damaged, or of another session."""


class Board(ReplyBody):
    """A board as the server knows it. Of a board that was never reached, most is null."""

    id: str
    """`emu0` of an emulated board, `board0` of a real one, counted up."""
    url: str
    """Where the server reaches it."""
    state: BoardState
    problem: str | None
    """Why it is away."""
    serial: str | None
    firmware: str | None
    protocol: str | None
    boot_id: int | None
    """New at each start of the board."""
    restarts: int
    """Restarts of the board that the server has seen."""
    geometry: Geometry | None
    device_model: str | None
    """Model of the cells; emulated boards only."""
    emulated: bool | None
    lifetime_pulses: int | None
    """Pulses on all cells in the board's life."""
    faults: list[str]
    """Latched faults: `over_current`, `over_voltage`, `illegal_operation`, `emergency_stop`."""
    link: LinkStatistics | None


class Faults(ReplyBody):
    """What is latched on a board."""

    faults: list[str]
    """Names as in Board; empty: none."""


class Health(ReplyBody):
    """The server itself."""

    status: Literal["ok"]
    version: str


class Readiness(ReplyBody):
    """Whether the server can work: all of its boards answer."""

    ready: bool
    boards: dict[str, BoardState]
    """State of each board."""
