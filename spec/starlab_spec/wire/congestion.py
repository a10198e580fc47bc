"""When a frame counts as overdue: the round-trip estimate and the timeouts made from it.

Holds no frame and reads no clock. Rules of RFC 6298 and of the tail probe of RFC 8985.
"""

import random
from typing import Final

GRANULARITY_S: Final = 0.001
"""Clock granularity G: what a wait of an operating system can be trusted with."""
PROBE_FLOOR_S: Final = 0.005
"""A board may take some milliseconds to execute a command before it says anything [O]."""
RTO_FLOOR_S: Final = 0.025
RTO_CAP_S: Final = 1.0
RTO_INITIAL_S: Final = 0.1
"""Before the first measurement; a link of a laboratory, not of the Internet [O]."""
RTO_JITTER: Final = 0.1
"""A timeout is up to this fraction longer, so that two machines do not beat."""
MAX_TRIES: Final = 8
"""Timeouts in a row before a frame counts as undeliverable."""


class RoundTrip:
    """Smoothed round-trip time of one direction, and the timeouts that follow from it."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._variation_s = 0.0
        self.smoothed_s: float | None = None
        """None until measured."""
        self.least_s = 0.0
        """The shortest measurement."""
        self.probe_s = RTO_INITIAL_S
        """How long after the last frame to probe the tail: two round trips."""

    def measured(self, sample_s: float) -> None:
        """Take in the round-trip time of a frame that was sent once (Karn's rule).

        What is longer than the longest timeout tells of a machine that slept, not of the link.
        """
        sample_s = min(sample_s, RTO_CAP_S)
        smoothed = self.smoothed_s
        if smoothed is None:
            smoothed = self.least_s = sample_s
            self._variation_s = sample_s / 2
        else:
            self._variation_s += (abs(smoothed - sample_s) - self._variation_s) / 4
            smoothed += (sample_s - smoothed) / 8
            if sample_s < self.least_s:
                self.least_s = sample_s
        self.smoothed_s = smoothed
        self.probe_s = max(2 * smoothed, PROBE_FLOOR_S)

    def timeout_s(self, timeouts: int = 0) -> float:
        """Retransmission timeout after that many timeouts in a row, with jitter."""
        smoothed = self.smoothed_s
        if smoothed is None:
            timeout = RTO_INITIAL_S
        else:
            timeout = max(smoothed + max(GRANULARITY_S, 4 * self._variation_s), RTO_FLOOR_S)
        timeout = min(timeout * (1 << min(timeouts, 16)), RTO_CAP_S)
        return timeout * (1 + RTO_JITTER * self._rng.random())
