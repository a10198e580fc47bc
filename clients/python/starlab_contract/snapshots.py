"""Snapshots of a board. Takes none."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from starlab_contract.arrays import ProgramReply
from starlab_contract.base import ReplyBody, RequestBody

SnapshotName = Annotated[
    str, Field(max_length=200, description="What people call it; need not be unique.")
]


class SnapshotKind(StrEnum):
    """What a snapshot holds."""

    EXACT = "exact"
    """All that an emulated board is, to the last bit."""
    READ = "read"
    """Conductances as they were read, settings and supplies."""


class TakeSnapshot(RequestBody):
    """What snapshot to take."""

    name: SnapshotName = ""
    kind: SnapshotKind | None = None
    """None: exact of an emulated board, read of any other."""
    memory: bool = False
    """Whether an exact one holds the board's memory too: samples, records, ..."""


class Snapshot(ReplyBody):
    """A snapshot that the server keeps."""

    id: str
    """By which it is asked for."""
    name: str
    taken_at: datetime
    """When it was taken or, if it was uploaded, when it came."""
    kind: SnapshotKind
    bytes: int
    """Size of the file."""
    sha256: str
    """Of the file, hexadecimal."""
    serial: str
    """Of the board that it was taken of."""
    boot_id: int
    """Of that board, at that time."""
    firmware: str
    """Of that board."""
    device_model: str
    """Of that board's chip."""
    lifetime_pulses: int
    """Pulses that the board had applied."""
    emulated_time_s: float | None
    """The emulated board's own time; null: a snapshot that was read."""
    memory: bool
    """Whether the board's memory is in it."""


class RestoreSnapshot(RequestBody):
    """How to restore what must be programmed; an exact restore heeds none of it."""

    tolerance_uS: Annotated[float, Field(ge=0.1)] = 0.3
    """How near write-verify is to bring each cell."""
    max_pulses: Annotated[int, Field(ge=1, le=10_000)] = 2000
    """Its cap for each cell."""


class RestoreReply(ReplyBody):
    """How a restore went."""

    snapshot: str
    """Id of the snapshot."""
    exact: bool
    """Whether the board is what it was to the last bit; else it was programmed."""
    arrays: dict[str, ProgramReply]
    """How near the cells came, by array; empty if exact. Arrays that were virgin are left alone."""
