"""How a link does: counters and a histogram of round trips. Measures nothing itself."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from starlab_spec.wire.requester_events import LinkCounters

ROUND_TRIP_EDGES_S: Final = (
    *(50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)
"""Upper edges of the histogram's bins; one more bin is for all above."""


@dataclass(frozen=True, slots=True)
class RoundTripBin:
    """One bin of the histogram of command round trips."""

    up_to_s: float | None
    """Upper edge; None for the last bin, which has none."""
    count: int
    """Commands in it, their execution included."""


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """How the link of a session has done so far."""

    round_trips: tuple[RoundTripBin, ...]
    counters: LinkCounters


class RoundTripHistogram:
    """Counts command round trips by their length."""

    def __init__(self) -> None:
        self._counts = [0] * (len(ROUND_TRIP_EDGES_S) + 1)

    def add(self, elapsed_s: float) -> None:
        """Count one."""
        self._counts[bisect_left(ROUND_TRIP_EDGES_S, elapsed_s)] += 1

    def bins(self) -> tuple[RoundTripBin, ...]:
        """All bins, shortest first."""
        return tuple(map(RoundTripBin, (*ROUND_TRIP_EDGES_S, None), self._counts))
