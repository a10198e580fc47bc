"""How a link does: counters, a histogram of round trips and their figures. Measures nothing itself.

A round trip is a command's, from its submission to its reply, its execution included.
"""

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from starlab_host.links.path_memory import PathMemory
from starlab_spec.wire.requester.events import Ended, EndReason, LinkCounters
from starlab_spec.wire.requester.requester import Requester

ROUND_TRIP_EDGES_S: Final = (
    *(50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""Upper edges of the histogram's bins; one more bin is for all above."""
RECENT: Final = 1000
"""Commands that the figures are of: enough for a 99th percentile, few enough to show a change."""


@dataclass(frozen=True, slots=True)
class RoundTripBin:
    """One bin of the histogram of command round trips."""

    up_to_s: float | None
    """Upper edge; None for the last bin, which has none."""
    count: int
    """Commands in it, their execution included."""


@dataclass(frozen=True, slots=True)
class RoundTripFigures:
    """Round trips of the last `RECENT` commands. Percentiles are measured values, by rank."""

    commands: int
    """How many commands these figures are of; at least one."""
    minimum_s: float
    mean_s: float
    p50_s: float
    p90_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """How the link of a session has done so far."""

    round_trips: tuple[RoundTripBin, ...] = ()
    recent: RoundTripFigures | None = None
    """None before the first reply."""
    counters: LinkCounters = field(default_factory=LinkCounters)
    board_restarts: int = 0
    """1 if a restart of the board has ended the session."""
    payload_bytes: int = 0
    """Largest payload of a frame, either way; 0 where there are no frames."""
    payload_reduced_from: int | None = None
    """What it would be if larger frames got through; None: nothing is known to hold them back."""

    def __str__(self) -> str:
        """One line for a log."""
        of = self.counters
        told = (
            f"{sum(found.count for found in self.round_trips)} replies, "
            f"{of.frames_sent} frames sent, {of.frames_received} received; sent again: "
            f"{of.resent_lost} lost, {of.resent_probes} probes, {of.resent_timeouts} timeouts; "
            f"{of.replies_replayed} replayed, {of.duplicates} duplicates, "
            f"{of.crc_errors} CRC errors, {of.frames_dropped} dropped, "
            f"{of.credit_stalls} credit stalls"
        )
        if self.payload_reduced_from is not None:
            told += f"; payload {self.payload_bytes} of {self.payload_reduced_from} bytes"
        if self.recent is None:
            return told
        return (
            f"{told}; round trip {self.recent.p50_s * 1e3:.3f} ms (median), "
            f"{self.recent.p99_s * 1e3:.3f} ms (99 %)"
        )


class RoundTrips:
    """Counts command round trips by their length, and remembers the last ones."""

    def __init__(self) -> None:
        self._counts = [0] * (len(ROUND_TRIP_EDGES_S) + 1)
        self._recent: deque[float] = deque(maxlen=RECENT)

    def add(self, elapsed_s: float) -> None:
        """Take in one."""
        self._counts[bisect_left(ROUND_TRIP_EDGES_S, elapsed_s)] += 1
        self._recent.append(elapsed_s)

    def bins(self) -> tuple[RoundTripBin, ...]:
        """All bins, shortest first."""
        return tuple(map(RoundTripBin, (*ROUND_TRIP_EDGES_S, None), self._counts))

    def figures(self) -> RoundTripFigures | None:
        """The figures of the last ones; None if there was none."""
        if not self._recent:
            return None
        sample = sorted(self._recent)
        # nearest rank: the least value that so many of all do not exceed
        p50, p90, p99 = (sample[-(-percent * len(sample) // 100) - 1] for percent in (50, 90, 99))
        return RoundTripFigures(len(sample), sample[0], sum(sample) / len(sample), p50, p90, p99)


def statistics_of(
    trips: RoundTrips, requester: Requester, path: PathMemory, ended: Ended | None
) -> LinkStatistics:
    """The statistics of a session that may have ended."""
    payload_bytes = 0 if requester.answer is None else requester.answer.payload_bytes
    return LinkStatistics(
        trips.bins(),
        trips.figures(),
        requester.counters(),
        int(ended is not None and ended.reason is EndReason.BOARD_RESTARTED),
        payload_bytes,
        path.reduced_from(payload_bytes),
    )
