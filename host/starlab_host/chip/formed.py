"""Which cells of an array are formed: told by the board, else read, else asked. Forms none.

FORM damages a formed cell, and SET and RESET only wear a virgin one. A board that keeps a record of
its cells is believed. Of any other all that can be known is what the cells conduct, and that does
not always tell: a virgin cell conducts some 0.1 uS at most, while the low end of a formed cell's
window, or a formed cell far along wires that resist, may read as little. Such a cell is asked: SET
pulses move it if it is formed and do nothing to it if it is virgin. One that neither reads as a
virgin cell nor moves stays unsure, and gets no FORM pulse.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from starlab_host.board.commands import MaskedPulses
from starlab_spec.geometry import VIRGIN_MAX_uS
from starlab_spec.operations import PulseKind

FORMED_MIN_uS: Final = 0.5
"""A cell that reads as much is formed: five times what a virgin cell conducts at most, a quarter of
the window's low end [O]."""
FORMED_MIN_CODES: Final = 4
"""And so many codes of READ, where a code stands for more than usual [O]."""
FORMED_LOWEST_uS: Final = 2 * VIRGIN_MAX_uS
"""No formed cell conducts less [O]: what surely reads below may be virgin."""
READINGS: Final = 16
"""Readings that are averaged where one leaves a doubt: noise of a code becomes a quarter [O]."""
ASKING: Final = (1, 1, 2, 4, 8, 16)
"""SET pulses of each round of asking: altogether they take the slowest published cell up by a
microsiemens, and the first ones a fast one not much further [O]."""
MOVED_uS: Final = 0.3
"""A cell that goes up by so much is formed: three codes of READ [O]."""

Mask = NDArray[np.bool_]


class AskedCells(Protocol):
    """An array whose cells can be read and pulsed."""

    def told_formed(self) -> Mask | None:
        """Which cells the board says are formed; None: it keeps no record of them."""
        ...

    def read_uS(self) -> NDArray[np.float64]:
        """All conductances, shape (2, inputs, outputs)."""
        ...

    def code_uS(self) -> NDArray[np.float64]:
        """What one code of READ stands for, shape (2, 1, 1)."""
        ...

    def pulse(self, pulses: MaskedPulses) -> int:
        """Give the same number of pulses to some cells."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What reading says of all cells, shape (2, inputs, outputs) each."""

    seen_uS: NDArray[np.float64]
    """What they conduct."""
    code_uS: NDArray[np.float64]
    """What one code of it stands for, shape (2, 1, 1)."""
    sure: Mask
    """Cells that no virgin cell could look like."""
    dark: Mask
    """Cells that look virgin."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What is known of all cells, shape (2, inputs, outputs) each."""

    formed: Mask
    """Cells that are formed."""
    virgin: Mask
    """Cells that are not, of those that were asked for: FORM is for them and for no others."""

    def after(self, later: "Judgement") -> "Judgement":
        """What is known once those were judged again that were not formed: formed they stay."""
        return Judgement(self.formed | later.formed, later.virgin & ~self.formed)


def look(cells: AskedCells) -> Look:
    """Read all cells: once, or as often as it takes to see through noise."""
    seen = _looked(cells.read_uS(), cells.code_uS())
    if (seen.dark | seen.sure).all():
        return seen
    return _looked(_mean_uS(cells, seen.seen_uS), seen.code_uS)


def judge(cells: AskedCells, addressed: Mask, *, dark_too: bool) -> Judgement:
    """Find out which cells are formed, and pulse those that must be asked.

    Cells that moved are put back, as nearly as RESET pulses do it.

    Args:
        cells: The array. Pulse numbers of its settings change.
        addressed: Cells that matter, shape (2, inputs, outputs): no other is pulsed.
        dark_too: Whether to ask cells that look virgin, too, where others of their row are formed
            and might hide them. Else they count as virgin.
    """
    told = cells.told_formed()
    if told is not None:
        return Judgement(told, addressed & ~told)
    seen = look(cells)
    in_doubt = ~(seen.dark | seen.sure)
    if dark_too:
        in_doubt |= seen.dark & seen.sure.any(axis=2, keepdims=True)
    moved = _ask(cells, addressed & in_doubt, seen)
    return Judgement(seen.sure | moved, addressed & seen.dark & ~moved)


def _looked(seen_uS: NDArray[np.float64], code_uS: NDArray[np.float64]) -> Look:
    sure = seen_uS >= np.maximum(FORMED_MIN_uS, FORMED_MIN_CODES * code_uS)
    return Look(seen_uS, code_uS, sure, seen_uS + code_uS / 2 < FORMED_LOWEST_uS)


def _mean_uS(cells: AskedCells, *first: NDArray[np.float64]) -> NDArray[np.float64]:
    readings = [*first, *(cells.read_uS() for _ in range(READINGS - len(first)))]
    mean: NDArray[np.float64] = np.mean(readings, axis=0)
    return mean


def _ask(cells: AskedCells, asked: Mask, before: Look) -> Mask:
    """Which of some cells SET pulses move."""
    moved = np.zeros_like(asked)
    enough_uS = np.maximum(MOVED_uS, 3 * before.code_uS)
    for count in ASKING:
        left = asked & ~moved
        if not left.any():
            break
        cells.pulse(MaskedPulses(PulseKind.SET, left, count))
        moved |= left & (_mean_uS(cells) - before.seen_uS >= enough_uS)
    for _ in range(sum(ASKING)):
        above = moved & (cells.read_uS() > before.seen_uS + before.code_uS)
        if not above.any():
            break
        cells.pulse(MaskedPulses(PulseKind.RESET, above, 1))
    return moved
