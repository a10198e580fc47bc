"""Balances the read rails of array 1 around the clamp, code by code. Applies no pulse.

A column of array 1 gives ``sum x (vp G+ - vm G-)`` with ``vp = VBL27 - clamp`` and ``vm = clamp -
VBL23``: where vp and vm differ, a sum of balanced weights is not zero. Neither can be measured
directly, nor does a reading of unknown cells tell them. But the mean code of the "+" cells falls
linearly with the clamp and would be zero where it meets VBL27, that of the "-" cells where it meets
VBL23, whatever the cells conduct and the codes stand for. So all cells are read at some codes of
V25, and two straight lines give vp and vm in terms of V25 [O].

A code is 19.8 mV, so what is left is half of that at most. Where the generators have noise, more
readings help; where all cells have the same conductance to a tenth of a code, rounding misleads.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_host.board import commands
from starlab_host.board.board import Board
from starlab_host.chip.cells import ArrayCells
from starlab_host.errors import StarlabHostError
from starlab_host.results import SupplyState
from starlab_host.safety import check_whole
from starlab_host.trimming.plane_codes import plane_means, usable_cells
from starlab_spec import ARRAY1, LimitExceeded
from starlab_spec.supplies import NOMINAL_READ_MV, supply

SPAN_CODES: Final = 3
"""Codes of V25 to either side: read voltages of 227 -+ 59 mV, which cells of 20 uS bear."""
READINGS: Final = 4
"""Readings of the array at each code."""
TRIM_MAX: Final = 8
"""Codes that a rail is trimmed by at most."""
_READ_WEIGHT: Final = 0.1
"""What a millivolt of read voltage counts beside one of mismatch: enough to decide between trims
that balance alike."""


@dataclass(frozen=True, slots=True)
class ReadVoltages:
    """What is over the cells of array 1 while they are read."""

    plus_mv: float
    """VBL27 minus clamp."""
    minus_mv: float
    """Clamp minus VBL23."""

    @property
    def mismatch_mv(self) -> float:
        """Their difference: 0 where balanced weights give no current."""
        return self.plus_mv - self.minus_mv


@dataclass(frozen=True, slots=True)
class Balance:
    """What balancing has done."""

    before: ReadVoltages
    """As it was."""
    after: ReadVoltages
    """As it is."""
    codes: Mapping[str, int]
    """Codes of VBL27 and VBL23 now."""


def balance(board: Board, *, readings: int = READINGS) -> Balance:
    """Trim VBL27 and VBL23 by codes until balanced weights read as nothing, as nearly as codes go.

    The rails stay as they were where no other codes are better. V25 is swept, and set back whatever
    happens.

    Args:
        board: Nobody else may use it meanwhile; its supplies are up.
        readings: Of all cells of array 1, at each of seven codes of V25: 1..100.

    Raises:
        LimitExceeded: Too few or too many readings.
        NotFormed: More than half of the cells are virgin.
        BadArgument: Too few cells conduct in the middle of the converters' range.
    """
    check_whole("readings", readings, 1, 100)
    ArrayCells(board, ARRAY1).require_formed()
    states = {state.name: state for state in board.supplies()}
    old = {name: states[name].code for name in ("VBL27", "VBL23")}
    before = measure(board, states["V25"], readings)
    new = _best_trim(board, old, before)
    if new == old:
        return Balance(before, before, old)
    board.set_supply_codes(new)
    try:
        after = measure(board, states["V25"], readings)
    except BaseException:
        with contextlib.suppress(StarlabHostError):
            _restore(board, states)
        raise
    if abs(after.mismatch_mv) < abs(before.mismatch_mv):
        return Balance(before, after, new)
    _restore(board, states)
    return Balance(before, before, old)


def measure(board: Board, v25: SupplyState, readings: int = READINGS) -> ReadVoltages:
    """The read voltages of array 1 at a setting of V25, which is set again at the end.

    Args:
        board: Its array 1 is formed.
        v25: How V25 is now.
        readings: Of all cells, at each code.

    Raises:
        BadArgument: Too few cells conduct in the middle of the converters' range.
    """
    near = range(v25.code - SPAN_CODES, v25.code + SPAN_CODES + 1)
    swept = [code for code in near if _is_safe(board, "V25", code)]
    sums = []
    try:
        for done, code in enumerate(swept):
            board.reporting("codes of V25")(done, len(swept))
            board.set_supply_codes({"V25": code})
            results = [board.execute(commands.read_array(ARRAY1)) for _ in range(readings)]
            read = [np.frombuffer(r[-1].data, np.uint8).reshape(ARRAY1.shape) for r in results]
            sums.append(np.mean(read, axis=0))
    except BaseException:
        with contextlib.suppress(StarlabHostError):
            board.restore_supply(v25)
        raise
    board.restore_supply(v25)
    codes = np.stack(sums)
    means = plane_means(codes, usable_cells(codes))
    v25_mv = np.array([board.supply_value("V25", code) for code in swept])
    here_mv = board.supply_value("V25", v25.code)
    meets = [_root(v25_mv, means[:, plane]) for plane in range(2)]
    return ReadVoltages(plus_mv=meets[0] - here_mv, minus_mv=here_mv - meets[1])


def _restore(board: Board, states: Mapping[str, SupplyState]) -> None:
    for name in ("VBL27", "VBL23"):
        board.restore_supply(states[name])


def _root(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Where the straight line through points would be zero."""
    slope, level = np.polyfit(x - x.mean(), y, 1)
    return float(x.mean() - level / slope)


def _best_trim(board: Board, codes: Mapping[str, int], now: ReadVoltages) -> dict[str, int]:
    """Codes of VBL27 and VBL23 that leave the least mismatch, at nearly the nominal voltage."""

    def steps(name: str) -> dict[int, float]:
        old_mv = board.supply_value(name, codes[name])
        near = range(codes[name] - TRIM_MAX, codes[name] + TRIM_MAX + 1)
        return {c: board.supply_value(name, c) - old_mv for c in near if _is_safe(board, name, c)}

    def cost(candidate: tuple[tuple[int, float], tuple[int, float]]) -> float:
        (_, up_mv), (_, down_mv) = candidate
        plus_mv, minus_mv = now.plus_mv + up_mv, now.minus_mv - down_mv
        read_mv = (plus_mv + minus_mv) / 2
        return abs(plus_mv - minus_mv) + _READ_WEIGHT * abs(read_mv - NOMINAL_READ_MV)

    (plus, _), (minus, _) = min(product(steps("VBL27").items(), steps("VBL23").items()), key=cost)
    return {"VBL27": plus, "VBL23": minus}


def _is_safe(board: Board, name: str, code: int) -> bool:
    try:
        board.channels[supply(name).index].check_code(code)
    except LimitExceeded:
        return False
    return True
