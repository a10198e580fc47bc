"""Boards: who they are, how they are, how their link does. Never what their chip does."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from starlab_contract.base import ReplyBody, RequestBody
from starlab_contract.in_doubt import JournaledCommand, Recovered


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


class RoundTripFigures(ReplyBody):
    """Round trips of the last 1,000 commands, execution included. Microseconds."""

    commands: int
    """How many commands these figures are of."""
    minimum_us: float
    mean_us: float
    p50_us: float
    """Percentiles are measured values, by rank."""
    p90_us: float
    p99_us: float


class LinkStatistics(ReplyBody):
    """How the link to a board does, since the connection was made."""

    round_trips: list[RoundTripBin]
    """Histogram of command round trips."""
    recent: RoundTripFigures | None
    """Null before the first reply."""
    smoothed_round_trip_us: float | None
    """Estimate that the retransmission timer uses, microseconds."""
    frames_sent: int
    in_flight: int
    """Of these, not yet acknowledged."""
    frames_received: int
    resent: int
    """Frames that the host sent again, for whatever reason."""
    resent_lost: int
    """Of these, since one sent later was acknowledged."""
    resent_probes: int
    """Of these, since nothing was acknowledged any more for two round trips."""
    resent_timeouts: int
    """Of these, after a retransmission timeout."""
    credit_stalls: int
    """Times that frames had to wait: as many as the board takes were in flight."""
    replayed: int
    """Replies that the board sent again from its cache."""
    duplicates: int
    """Frames that came again after they had come."""
    dropped: int
    """Frames dropped: damaged, or of another session."""
    crc_errors: int
    """Of these, those with a wrong CRC."""
    payload_bytes: int = 0
    """Largest payload of a frame, either way; 0 where there are no frames."""
    payload_reduced_from: int | None = None
    """What it would be if larger frames got through; null: nothing holds them back."""


class Capabilities(ReplyBody):
    """What a board can do beyond the published block; what it cannot is refused with a reason."""

    exactly_once: bool
    """Whether the outcome of a command is known after a lost reply or a crash of the server."""
    batches: bool
    """It goes through batches and whole arrays by itself; else the server does, much slower."""
    thresholds: bool
    """Th, Th1, C1, C2 and the output activation can be changed; else they are fixed in hardware,
    and what the settings show is assumed, not read."""
    non_cyclic: bool
    """It knows the non-cyclic scheme."""
    hidden_codes: bool
    """Hidden pulse counts can be read: vmm with array 1, inference with hidden codes."""
    array2_alone: bool
    """Vmm with array 2."""
    training_pulses: bool
    """It says how many pulses a training step gave; else these are told and counted as 0."""
    counters: bool
    """Counters are its own; else the server's, since it connected, without time, energy and the
    pulses of training."""
    supply_readings: bool
    """Supplies are read back; else what is told is what the server has set."""
    fault_latches: bool
    """It latches faults and emergency stop itself; else the server stops it as well as it can."""
    safe_when_silent: bool
    """It switches its drivers off when the server falls silent."""
    emulator: bool
    """It takes the requests that only an emulated board can be asked."""


class Extent(ReplyBody):
    """How far a call is, or was."""

    call: str
    """What was asked: method and path, and its Idempotency-Key."""
    client: str | None
    """Address of who asked."""
    request_id: str | None
    """What the client calls it: header `X-Request-ID`."""
    done: int | None
    """How much, in `unit`; null where it is not told."""
    total: int | None
    """Of how much; null where that is not known."""
    unit: str | None
    """What is counted: `samples`, `cells` within tolerance or formed, `supplies`, `rounds`, ..."""
    pulses: int
    """Pulses that it has given so far, on all cells together."""


class RunningCall(Extent):
    """A call that runs on a board."""

    seconds: float
    """For how long."""
    stopping: bool
    """Whether it stops at its next safe point: its client has gone."""


class EndedCall(Extent):
    """A call that runs no more."""

    ended_at: datetime
    how: str
    """How it ended: where it was stopped, or what ended it before."""


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
    effects: list[str] | None
    """What it does that an ideal board does not; emulated boards only."""
    emulated: bool | None
    capabilities: Capabilities | None = None
    """Null of a board that was never reached."""
    lifetime_pulses: int | None
    """Pulses on all cells in the board's life."""
    faults: list[str]
    """Latched faults: `over_current`, `over_voltage`, `illegal_operation`, `emergency_stop`."""
    stop_pending: bool = False
    """An emergency stop was asked for that the board has not confirmed: the server goes on trying,
    and stops the board as soon as it is reached."""
    link: LinkStatistics | None
    in_doubt: list[JournaledCommand]
    """Commands that may have been executed; none where the server keeps no journal."""
    running: RunningCall | None = None
    """The call that runs: that which has the board for itself, or else the oldest; null: none."""
    last_call: EndedCall | None = None
    """The last call that had the board for itself; null: none since the server began."""
    last_stopped: EndedCall | None = None
    """The last call that was stopped, as its client had gone; null: none since the server began."""
    recovered: Recovered | None
    """Commands in flight when the board was last lost, or the server; null: it has no journal."""


class Discover(RequestBody):
    """Where to look for boards, and how long."""

    addresses: list[str] = Field(
        default_factory=list, max_length=64, examples=[["udp://192.168.1.255", "eth://eth1"]]
    )
    """`udp://host[:port]` of one board or of a network (its broadcast address), or
    `eth://interface` of the server. None: every network of the server."""
    wait_s: float = Field(1.0, gt=0, le=30)
    """How long to wait for answers, seconds."""


class FoundBoard(ReplyBody):
    """A board that has answered; what it does not say of itself is null. It is not connected."""

    id: str | None
    """The server's own name for it; null if it is none of the server's boards."""
    url: str
    """Where the server can reach it: what `--board` takes."""
    other_urls: list[str]
    """Further ways to the same board."""
    serial: str | None = None
    firmware: str | None = None
    protocol: str | None = None
    boot_id: int | None = None
    geometry: Geometry | None = None
    device_model: str | None = None
    """Model of the cells; emulated boards only."""
    effects: list[str] | None = None
    """What it does that an ideal board does not; emulated boards only."""
    emulated: bool | None = None
    in_use: bool | None = None
    """Whether some host has a session with it."""


class Faults(ReplyBody):
    """What is latched on a board."""

    faults: list[str]
    """Names as in Board; empty: none."""


class Stopped(Faults):
    """A board that is stopped: it says so itself."""

    confirmed: bool = True
    """Of a board that has not confirmed it the answer is a problem, `stop-unconfirmed`."""
    detail: str = ""
    """What else there is to know, such as that the stop is not in the journal; else empty."""


class Health(ReplyBody):
    """The server itself."""

    status: Literal["ok"]
    version: str


class Readiness(ReplyBody):
    """Whether the server can work: all of its boards answer."""

    ready: bool
    boards: dict[str, BoardState]
    """State of each board."""
