"""How far pulses move cells, learned from pulses that were given. Gives none itself.

Open-loop counts and the rounds of write-verify need the mean step of a pulse as a function of
conductance. The host knows no device model of a real board, so it measures: steps are averaged in
bins of 1 uS over all the cells that were pulsed, SET and RESET apart.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_spec.geometry import CONDUCTANCE_MAX_uS

BIN_uS: Final = 1.0
"""Width of a bin: narrow against the change of the step, wide against a code of READ [O]."""
RESOLUTION_uS: Final = 0.1
"""One code of READ."""

_BINS: Final = round(CONDUCTANCE_MAX_uS / BIN_uS) + 1
_STEP_MIN_uS: Final = 1e-3
"""A step too small to matter: keeps counts finite where pulses do nothing."""


class PulseResponse:
    """Mean and spread of the step of one pulse of one kind, by conductance."""

    def __init__(self) -> None:
        self._pulses = np.zeros(_BINS)
        self._moved_uS = np.zeros(_BINS)
        self._observations = 0
        self._squares = 0.0

    def learn(
        self,
        before_uS: NDArray[np.float64],
        after_uS: NDArray[np.float64],
        pulses: NDArray[np.integer],
        sign: int,
    ) -> None:
        """Take in what pulses did.

        Args:
            before_uS: Conductances before, shape (cells,).
            after_uS: Conductances after, shape (cells,).
            pulses: Pulses on each of the cells, at least 1.
            sign: +1 where pulses are to raise the conductance, -1 where they are to lower it.
        """
        if not len(pulses):
            return
        moved = sign * (after_uS - before_uS)
        place = _bin((before_uS + after_uS) / 2)
        residual = moved - pulses * self.step_uS((before_uS + after_uS) / 2)
        if self._pulses.any():
            self._squares += float((residual**2 / pulses).sum())
            self._observations += len(pulses)
        self._pulses += np.bincount(place, weights=pulses, minlength=_BINS)
        self._moved_uS += np.bincount(place, weights=moved, minlength=_BINS)

    @property
    def is_known(self) -> bool:
        """Whether any pulse was seen."""
        return bool(self._pulses.any())

    @property
    def spread_uS(self) -> float:
        """Standard deviation of the step of one pulse around its mean."""
        if not self._observations:
            return 0.0
        return float(np.sqrt(self._squares / self._observations))

    def step_uS(self, conductance_uS: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean step of one pulse; where none was seen, that of the nearest bins that have some."""
        return self._steps()[_bin(conductance_uS)]

    def pulses_between(
        self, from_uS: NDArray[np.float64], to_uS: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Pulses that take a cell from one conductance to another, in the direction of the kind.

        Returns:
            The path divided by the step at each place of it, summed; not rounded.
        """
        edges = np.arange(_BINS + 1) * BIN_uS
        needed = np.concatenate([[0.0], np.cumsum(BIN_uS / self._steps())])
        path: NDArray[np.float64] = np.interp(to_uS, edges, needed)
        path -= np.interp(from_uS, edges, needed)
        return np.abs(path)

    def _steps(self) -> NDArray[np.float64]:
        seen = self._pulses > 0
        if not seen.any():
            return np.full(_BINS, RESOLUTION_uS)
        # one code of grace: what a few pulses on a few cells moved may just not have shown
        steps = (np.maximum(self._moved_uS[seen], 0) + RESOLUTION_uS) / self._pulses[seen]
        bins = np.arange(_BINS)
        return np.clip(np.interp(bins, bins[seen], steps), _STEP_MIN_uS, None)


def _bin(conductance_uS: NDArray[np.float64]) -> NDArray[np.intp]:
    return np.clip(conductance_uS / BIN_uS, 0, _BINS - 1).astype(np.intp)
