"""Bringing cells to target conductances: three strategies. Knows no register and no link.

write-verify
    Each round reads the array and gives every cell as many pulses as should take it to its target,
    SET or RESET by the sign of its error. How far a pulse goes is learned from the rounds before
    (:mod:`starlab_host.chip.response`); the first round gives one pulse. A round never aims further
    than 2 uS, and never gives so many pulses that their noise alone would carry the cell past its
    target, or many times more than the cell has had so far.
open-loop
    Characterises first: some of the cells are swept to both ends of the window and back, which
    gives the response of both kinds of pulse. Then every cell gets its pulses at once, and nothing
    is corrected. The sweeps count as pulses of the cells that they use.
stellar-cyclic
    As the chip learns [C]: SET-only and RESET-only phases in turn, by the sign of the error, the
    same small number of pulses for every cell that is out of tolerance.

Every strategy keeps to a cap of pulses per cell. A cell that is not usable, such as one that was
never formed, is not pulsed, and
write-verify gives up a cell that stays where it is though its pulses should have moved it by far.
"""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from starlab_host.chip.formed import FORMED_LOWEST_uS
from starlab_host.chip.response import PulseResponse, RESOLUTION_uS
from starlab_host.results import ProgramReport

Progress = Callable[[int, int], None]
"""Told how many cells are within tolerance, of how many."""

STRIDE_MAX_uS: Final = 2.0
"""Furthest that a round of write-verify aims: the response beyond may be unknown [O]."""
GROWTH: Final = 8
"""Most pulses of a round, in units of what the cell has had: no burst on slender evidence [O]."""
STUCK_MOVE_uS: Final = 3.0
"""A cell is given up that should have moved so far, beyond twice the noise of its pulses, and did
not [O]."""
STUCK_PLACE_uS: Final = 0.75
"""Within so much a cell counts as where it was, whatever the noise of reading it [O]."""
SWEPT_CELLS: Final = 200
"""Cells that open-loop characterises: a row of array 1 [O]."""
SWEEP_STRIDE_uS: Final = 0.8
"""How far one step of a sweep aims: about a bin of the response [O]."""
SWEEP_PULSES_MAX: Final = 64
"""Most pulses of one step of a sweep; when they no longer move the cells, the end is reached."""


class Cells(Protocol):
    """An array whose cells can be read and pulsed."""

    def read_uS(self) -> NDArray[np.float64]:
        """All conductances, shape (2, inputs, outputs)."""
        ...

    def pulse_uS(self, counts: NDArray[np.int64]) -> tuple[int, NDArray[np.float64]]:
        """Pulse every cell: SET where positive, RESET where negative; then read all of them.

        Returns:
            Pulses given on all cells together; conductances afterwards.
        """
        ...


class _Work:
    """What the strategies share: where the cells are, what they got, what is still to do."""

    def __init__(
        self,
        cells: Cells,
        target_uS: NDArray[np.float64],
        tolerance_uS: float,
        max_pulses: int,
        usable: NDArray[np.bool_] | None,
        on_progress: Progress | None,
    ) -> None:
        self._cells = cells
        self.target_uS = target_uS
        self.tolerance_uS = tolerance_uS
        self.max_pulses = max_pulses
        self._on_progress = on_progress
        self.now_uS = cells.read_uS()
        self.usable = self.now_uS >= FORMED_LOWEST_uS if usable is None else usable
        self.used = np.zeros(target_uS.shape, np.int64)
        self.responses = {+1: PulseResponse(), -1: PulseResponse()}
        self._pulses = 0
        self._rounds = 0

    @property
    def error_uS(self) -> NDArray[np.float64]:
        return self.target_uS - self.now_uS

    @property
    def in_tolerance(self) -> NDArray[np.bool_]:
        # half a nanosiemens of grace: a code of READ is no exact binary fraction
        return np.abs(self.error_uS) <= self.tolerance_uS + 5e-4

    @property
    def todo(self) -> NDArray[np.bool_]:
        """Cells out of tolerance that may still be pulsed."""
        return ~self.in_tolerance & self.usable & (self.used < self.max_pulses)

    def pulse(self, counts: NDArray[np.int64]) -> None:
        """Give pulses, SET where positive; the response learns from them."""
        left = self.max_pulses - self.used
        counts = np.clip(counts, -left, left)
        before = self.now_uS
        pulses, self.now_uS = self._cells.pulse_uS(counts)
        self._pulses += pulses
        self._rounds += 1
        self.used += np.abs(counts)
        for sign, response in self.responses.items():
            hit = counts * sign > 0
            response.learn(before[hit], self.now_uS[hit], np.abs(counts[hit]), sign)
        if self._on_progress is not None:
            self._on_progress(int(self.in_tolerance.sum()), self.target_uS.size)

    def report(self) -> ProgramReport:
        failed = np.argwhere(~self.in_tolerance)
        return ProgramReport(
            cells=self.target_uS.size,
            in_tolerance=self.target_uS.size - len(failed),
            pulses=self._pulses,
            rms_error_uS=float(np.sqrt(np.mean(self.error_uS**2))),
            failed=failed,
            rounds=self._rounds,
        )


def write_verify(
    cells: Cells,
    target_uS: NDArray[np.float64],
    *,
    tolerance_uS: float,
    max_pulses: int,
    usable: NDArray[np.bool_] | None = None,
    on_progress: Progress | None = None,
) -> ProgramReport:
    """Pulse and read until every cell is within tolerance, given up, or at its cap.

    Args:
        cells: The array.
        target_uS: Shape (2, inputs, outputs).
        tolerance_uS: Largest error that will do.
        max_pulses: Cap for each cell.
        usable: Cells that may be pulsed, same shape; None: those that do not read as virgin.
        on_progress: Called after each round.
    """
    work = _Work(cells, target_uS, tolerance_uS, max_pulses, usable, on_progress)
    patience = _Patience(work.now_uS)
    while (todo := work.todo & ~patience.is_stuck).any():
        aim_uS = work.now_uS + np.clip(work.error_uS, -STRIDE_MAX_uS, STRIDE_MAX_uS)
        counts = np.zeros(target_uS.shape, np.int64)
        expected_uS = np.zeros(target_uS.shape)
        variance = np.zeros(target_uS.shape)
        for sign, response in work.responses.items():
            hit = todo & (work.error_uS * sign > 0)
            if not hit.any():
                continue
            start, end = work.now_uS[hit], aim_uS[hit]
            wanted = response.pulses_between(start, end) if response.is_known else np.ones(len(end))
            if response.spread_uS > 0:
                quiet = (np.abs(work.error_uS[hit]) / response.spread_uS) ** 2
                wanted = np.minimum(wanted, quiet)
            wanted = np.minimum(wanted, GROWTH * work.used[hit])
            given = np.maximum(np.rint(wanted), 1)
            counts[hit] = (sign * given).astype(np.int64)
            if response.is_known:
                expected_uS[hit] = sign * given * response.step_uS(start)
                variance[hit] = given * response.spread_uS**2
        work.pulse(counts)
        patience.learn(work.now_uS, expected_uS, variance)
    return work.report()


class _Patience:
    """Which cells stay where they are, whatever they get.

    Attributes:
        is_stuck: Shape (2, inputs, outputs).
    """

    def __init__(self, now_uS: NDArray[np.float64]) -> None:
        self._place_uS = now_uS
        self._expected_uS = np.zeros(now_uS.shape)
        self._variance = np.zeros(now_uS.shape)
        self.is_stuck = np.zeros(now_uS.shape, np.bool_)

    def learn(
        self,
        now_uS: NDArray[np.float64],
        expected_uS: NDArray[np.float64],
        variance: NDArray[np.float64],
    ) -> None:
        """Take in a round.

        Args:
            now_uS: Where the cells are.
            expected_uS: How far their pulses should have moved them.
            variance: Of that, uS^2.
        """
        moved = np.abs(now_uS - self._place_uS) > STUCK_PLACE_uS
        self._place_uS = np.where(moved, now_uS, self._place_uS)
        self._expected_uS = np.where(moved, 0.0, self._expected_uS + expected_uS)
        self._variance = np.where(moved, 0.0, self._variance + variance)
        beyond_uS = np.abs(self._expected_uS) - 2 * np.sqrt(self._variance)
        self.is_stuck |= beyond_uS >= STUCK_MOVE_uS


def open_loop(
    cells: Cells,
    target_uS: NDArray[np.float64],
    *,
    tolerance_uS: float,
    max_pulses: int,
    usable: NDArray[np.bool_] | None = None,
    on_progress: Progress | None = None,
) -> ProgramReport:
    """Characterise some cells, then give every cell its pulses at once, unverified.

    Args:
        cells: The array.
        target_uS: Shape (2, inputs, outputs).
        tolerance_uS: Largest error that counts as in tolerance in the report.
        max_pulses: Cap for each cell, sweeps included.
        usable: Cells that may be pulsed, same shape; None: those that do not read as virgin.
        on_progress: Called after each step of the sweeps and at the end.
    """
    work = _Work(cells, target_uS, tolerance_uS, max_pulses, usable, on_progress)
    swept = np.argwhere(work.usable.transpose(1, 0, 2))[:SWEPT_CELLS]
    rising = np.zeros(target_uS.shape, np.bool_)
    falling = np.zeros(target_uS.shape, np.bool_)
    for half, offset in ((rising, 0), (falling, 1)):
        row, plane, column = swept[offset::2].T
        half[plane, row, column] = True
    # both kinds over the whole window: each half of the cells goes to one end, then to the other
    _sweep(work, {+1: rising, -1: falling})
    _sweep(work, {+1: falling, -1: rising})
    counts = np.zeros(target_uS.shape, np.int64)
    for sign, response in work.responses.items():
        hit = work.todo & (work.error_uS * sign > 0)
        wanted = response.pulses_between(work.now_uS[hit], work.target_uS[hit])
        counts[hit] = (sign * np.minimum(np.rint(wanted), max_pulses)).astype(np.int64)
    work.pulse(counts)
    return work.report()


def _sweep(work: _Work, directions: dict[int, NDArray[np.bool_]]) -> None:
    """Take cells up (+1) and down (-1) to the ends of the window, step by step."""
    steps = dict.fromkeys(directions, 1)
    while steps:
        counts = np.zeros(work.target_uS.shape, np.int64)
        for sign, pulses in steps.items():
            counts[directions[sign]] = sign * pulses
        counts[work.used >= work.max_pulses] = 0
        if not counts.any():
            return
        before_uS = work.now_uS
        work.pulse(counts)
        for sign, pulses in list(steps.items()):
            hit = directions[sign] & (counts != 0)
            moved_uS = sign * float((work.now_uS - before_uS)[hit].mean()) if hit.any() else 0.0
            if moved_uS < RESOLUTION_uS and (pulses == SWEEP_PULSES_MAX or not hit.any()):
                del steps[sign]
                continue
            step_uS = max(moved_uS / pulses, SWEEP_STRIDE_uS / SWEEP_PULSES_MAX)
            steps[sign] = max(round(min(SWEEP_STRIDE_uS / step_uS, 4 * pulses)), 1)


def stellar_cyclic(
    cells: Cells,
    target_uS: NDArray[np.float64],
    *,
    tolerance_uS: float,
    max_pulses: int,
    update_pulses: int = 1,
    usable: NDArray[np.bool_] | None = None,
    on_progress: Progress | None = None,
) -> ProgramReport:
    """SET-only and RESET-only phases in turn until every cell is within tolerance or at its cap.

    Args:
        cells: The array.
        target_uS: Shape (2, inputs, outputs).
        tolerance_uS: Largest error that will do.
        max_pulses: Cap for each cell.
        update_pulses: Pulses of one phase on each cell.
        usable: Cells that may be pulsed, same shape; None: those that do not read as virgin.
        on_progress: Called after each phase.
    """
    work = _Work(cells, target_uS, tolerance_uS, max_pulses, usable, on_progress)
    sign = +1
    while (todo := work.todo).any():
        hit = todo & (work.error_uS * sign > 0)
        if hit.any():
            work.pulse(np.where(hit, sign * update_pulses, 0).astype(np.int64))
        sign = -sign
    return work.report()
