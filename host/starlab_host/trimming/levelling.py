"""Levels array 1: SET pulses until both of its planes read alike on average. Sets no supply.

A column of array 1 gives ``sum x (vp G+ - vm G-)``. Balanced rails leave half a code of difference
between vp and vm, and forming need not leave both planes alike: then the sum of weights that are
zero on average is not zero. READ has the same rails, clamp and bias current as multiplication, so
the mean code of the "+" cells minus that of the "-" cells is what a pixel adds to that sum,
whatever the rails really give [O]. The plane that reads lower gets SET pulses, all of its formed
cells the same.

Only for an array whose weights should be zero on average: after forming, before learning. Of an
array that has learned, it shifts all weights.

SET and not RESET of the other plane, as the last step must be finer than the tolerance: a published
SET pulse has six clock cycles and can be cut down to one; a published RESET pulse has one already.
Nothing is taken for granted of what a pulse does: the first one is the narrowest there is, and each
round learns from the one before. Where the plane went too far, the other one follows.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import hypot
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_host.board import commands
from starlab_host.board.board import Board
from starlab_host.board.commands import PULSES_PER_OPERATION, MaskedPulses
from starlab_host.board.work import Report
from starlab_host.chip.cells import ArrayCells
from starlab_host.chip.settings import SETTING_ADDRESSES, settings_of
from starlab_host.errors import BadArgument
from starlab_host.safety import check_whole
from starlab_host.trimming.plane_codes import plane_means, usable_cells
from starlab_spec import ARRAY1, MINUS, PLUS, LimitExceeded
from starlab_spec.operations import PulseKind
from starlab_spec.safe_area import DRIVING_RAIL
from starlab_spec.units import TICK_NS, ns_to_ticks

TOLERANCE_CODES: Final = 0.12
"""Leaves a code of hidden offset with 100 pixels on: a code of READ is 0.1 uS, one of 8 bits over
300 uS is 300 / 255 uS, and 300 / 255 / (100 x 0.1) = 0.118."""
TOLERANCE_MIN_CODES: Final = 0.02
TOLERANCE_MAX_CODES: Final = 10.0
READINGS: Final = 256
"""Most readings of the array in a round: what generators with 0.5 mV of noise take for a standard
error of a third of the tolerance [O]."""
READINGS_MIN: Final = 8
"""Readings of one command, and before their scatter is believed."""
ROUNDS_MAX: Final = 24
PULSES_MAX: Final = 256
"""Cap of pulses on each cell of a plane, in pulses of the width that is set: half of them cross the
window with most device models [O]."""
STUCK_PULSES: Final = 32
"""So many pulses of the width that is set, in one round, and nothing moved: given up [O]."""
_GROWTH: Final = 8
"""Most pulses of a round in units of what the plane has had, as in programming."""
_SURE: Final = 2.0
"""Standard errors from which on a move is one."""


class Outcome(StrEnum):
    """How levelling ended."""

    LEVEL = "level"
    """Within the tolerance."""
    COARSE = "coarse"
    """The narrowest pulse goes further than what is left: nothing comes nearer."""
    UNSURE = "unsure"
    """Noise: what is left is less than two standard errors of the readings; more of them tell."""
    STUCK = "stuck"
    """The cells no longer follow: at the end of their window, or pulsed too weakly."""
    CAPPED = "capped"
    """The cap of rounds or of pulses on a cell was reached."""


@dataclass(frozen=True, slots=True)
class Offset:
    """How far the planes of array 1 are from reading alike."""

    codes: float
    """Mean READ code of the usable "+" cells minus that of the "-" cells."""
    sigma_codes: float
    """Standard error of it, by the scatter of the readings."""
    offset_uS: float
    """The same as a conductance."""


@dataclass(frozen=True, slots=True)
class Levelling:
    """What levelling has done."""

    outcome: Outcome
    """Whether the offset is within the tolerance; if not, why not."""
    before: Offset
    """As it was."""
    after: Offset
    """As it is."""
    pulses_plus: int
    """SET pulses on all "+" cells together."""
    pulses_minus: int
    """SET pulses on all "-" cells together."""
    rounds: int
    """How often pulses were given and cells read."""


def level(
    board: Board,
    array: int = ARRAY1.number,
    *,
    tolerance_codes: float = TOLERANCE_CODES,
    readings: int = READINGS,
) -> Levelling:
    """Pulse whole planes of array 1 until they read alike on average, or as nearly as pulses go.

    Pulse width and number of the settings are put back.

    Args:
        board: Nobody else may use it meanwhile; its supplies are up, and balanced.
        array: 1: in array 2 there is one read voltage, so nothing to level.
        tolerance_codes: Difference of the mean READ codes that will do, 0.02..10.
        readings: Of all cells in each round at most, 8..1000; fewer where they agree.

    Raises:
        LimitExceeded: An argument out of bounds, or (Unsafe) pulses as they are set are outside of
            the safe operating area; no pulse was given.
        BadArgument: Array 2; or too few cells read within the converters' range.
        NotFormed: More than half of the cells are virgin.
        BoardRefused, LinkError, OutcomeUnknown: As any pulses; those before stay.
    """
    if array != ARRAY1.number:
        raise BadArgument("array", f"{array} cannot be levelled: only array 1 has two read rails")
    if not tolerance_codes <= TOLERANCE_MAX_CODES:  # so that NaN is refused too
        raise LimitExceeded("tolerance_codes", tolerance_codes, TOLERANCE_MAX_CODES, "codes")
    if tolerance_codes < TOLERANCE_MIN_CODES:
        raise LimitExceeded("tolerance_codes", tolerance_codes, TOLERANCE_MIN_CODES, "codes")
    check_whole("readings", readings, READINGS_MIN, 1000)
    cells = ArrayCells(board, ARRAY1)
    cells.require_formed()
    widest = _check_pulses(board)
    meter = _Meter(board, cells, tolerance_codes / 3, readings)
    with cells.restored_pulses():
        tell = board.reporting("rounds")
        return _level(cells, meter, tolerance_codes, widest, _most_pulses(board), tell)


@dataclass(frozen=True, slots=True)
class _Dose:
    """Pulses of one round, on each cell of a plane."""

    ticks: int
    """Width of each, clock cycles."""
    count: int
    """How many."""

    @property
    def total(self) -> int:
        """All of them, in clock cycles."""
        return self.ticks * self.count


def _level(
    cells: ArrayCells,
    meter: "_Meter",
    tolerance_codes: float,
    widest: int,
    most: int,
    tell: Report,
) -> Levelling:
    before = now = meter.read()
    given = [0, 0]
    ticks = [0, 0]
    rounds = 0
    response = _Response()
    while True:
        outcome = _end(now, tolerance_codes, response, widest)
        plane = MINUS if now.codes > 0 else PLUS
        left = PULSES_MAX * widest - ticks[plane]
        if outcome is None and (left <= 0 or rounds == ROUNDS_MAX):
            outcome = Outcome.CAPPED
        if outcome is not None:
            return Levelling(outcome, before, now, given[PLUS], given[MINUS], rounds)
        dose = _dose(min(response.ticks_for(abs(now.codes)), left), widest, most)
        mask = np.zeros(ARRAY1.shape, np.bool_)
        mask[plane] = meter.usable[plane]
        pulses = MaskedPulses(PulseKind.SET, mask, dose.count)
        given[plane] += cells.pulse(pulses, width_ns=dose.ticks * TICK_NS)
        ticks[plane] += dose.total
        rounds += 1
        tell(rounds, ROUNDS_MAX)
        then, now = now, meter.read()
        moved = (now.codes - then.codes) * (1 if plane == PLUS else -1)
        response.learn(dose.total, moved, hypot(now.sigma_codes, then.sigma_codes))


def _end(now: Offset, tolerance_codes: float, response: "_Response", widest: int) -> Outcome | None:
    """Why there is nothing more to do; None: there is."""
    if abs(now.codes) <= tolerance_codes:
        return Outcome.LEVEL
    if abs(now.codes) <= _SURE * now.sigma_codes:
        return Outcome.UNSURE
    if response.step_codes is not None and abs(now.codes) < response.step_codes / 2:
        return Outcome.COARSE
    if response.in_vain >= STUCK_PULSES * widest:
        return Outcome.STUCK
    return None


def _dose(ticks: int, widest: int, most: int) -> _Dose:
    """Pulses of that many clock cycles altogether, or a little less: the rest is the next round."""
    if ticks < widest:
        return _Dose(max(ticks, 1), 1)
    return _Dose(widest, min(ticks // widest, most))


class _Response:
    """How far a plane goes, as the rounds have taught.

    Attributes:
        step_codes: By a clock cycle of SET; None where that is not known.
        in_vain: Clock cycles of the last round, if nothing moved that should have; else 0.
    """

    def __init__(self) -> None:
        self.step_codes: float | None = None
        self.in_vain = 0
        self._given = 0
        self._last = 0

    def ticks_for(self, distance_codes: float) -> int:
        """Clock cycles that go so far; where that is not known, twice those before."""
        if self.step_codes is None:
            return max(2 * self._last, 1)
        return min(round(distance_codes / self.step_codes), _GROWTH * self._given)

    def learn(self, ticks: int, moved_codes: float, sigma_codes: float) -> None:
        """Take in a round: what was given to each cell, and how far their plane went."""
        self._given += ticks
        self._last = ticks
        if moved_codes > _SURE * sigma_codes:
            self.step_codes, self.in_vain = moved_codes / ticks, 0
        elif self.step_codes is None or self.step_codes * ticks > 2 * _SURE * sigma_codes:
            self.step_codes, self.in_vain = None, ticks


class _Meter:
    """Reads the offset of array 1.

    Args:
        board: Whose array.
        cells: The array.
        sigma_codes: Standard error that will do.
        readings: At most.

    Attributes:
        usable: Shape (2, inputs, outputs): the cells that count and get pulses.
    """

    def __init__(self, board: Board, cells: ArrayCells, sigma_codes: float, readings: int) -> None:
        self._board = board
        self._sigma_codes = sigma_codes
        self._readings = readings
        self._code_uS = float(cells.read_path().conductance_per_code_uS(ARRAY1).mean())
        self.usable = usable_cells(self._codes(1))

    def read(self) -> Offset:
        """Read until the mean is known well enough, or the readings are used up."""
        found: list[float] = []
        while True:
            codes = self._codes(min(READINGS_MIN, self._readings - len(found)))
            plus, minus = plane_means(codes, self.usable).T
            found.extend((plus - minus).tolist())
            sigma = float(np.std(found, ddof=1)) / len(found) ** 0.5
            if sigma <= self._sigma_codes or len(found) >= self._readings:
                mean = float(np.mean(found))
                return Offset(mean, sigma, mean * self._code_uS)

    def _codes(self, readings: int) -> NDArray[np.uint8]:
        """Codes of all cells, read so many times, (readings, 2, inputs, outputs): one command."""
        results = self._board.execute(commands.read_array(ARRAY1) * readings)
        read = [result.data for result in results if len(result.data) == ARRAY1.cells]
        return np.frombuffer(b"".join(read), np.uint8).reshape(-1, *ARRAY1.shape)


def _check_pulses(board: Board) -> int:
    """Clock cycles of a SET pulse as it is set.

    Raises:
        Unsafe: Such pulses on a whole plane are outside of the safe operating area.
    """
    width_ns = settings_of(board.read_registers(SETTING_ADDRESSES)).set_width_1_ns
    area, kind = board.safe_area, PulseKind.SET
    area.check_width(ARRAY1.number, kind, width_ns)
    rail = next(state for state in board.supplies() if state.name == DRIVING_RAIL[kind])
    amplitude_mv = board.supply_value(rail.name, rail.code)
    area.check_voltage(ARRAY1.number, kind, amplitude_mv, width_ns, ARRAY1.outputs)
    return ns_to_ticks(width_ns)


def _most_pulses(board: Board) -> int:
    """Pulses of one operation."""
    return min(PULSES_PER_OPERATION, board.safe_area.pulses[ARRAY1.number, PulseKind.SET].pulses)
