"""Which cells of an array are formed: told by the board, else read, else asked. Forms none.

FORM damages a formed cell, and SET and RESET only wear a virgin one. A board that keeps a record of
its cells is believed. Of any other all that can be known is what the cells conduct, and that does
not always tell: a virgin cell conducts some 0.1 uS at most, while the low end of a formed cell's
window, or a formed cell far along wires that resist, may read as little, and a formed cell whose
trap is full may read nothing at all. Such a cell is asked: SET pulses move it if it is formed and
do nothing to it if it is virgin. One that looks virgin is watched before, for traps change their
state. What was seen formed once stays so; where formed cells turn dark by themselves, darkness
proves nothing. One that is in doubt in the end stays unsure, and gets no FORM pulse.
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
LOOKED_AGAIN_AFTER_s: Final = (0.001, 0.01, 0.1, 1.0)
"""When cells that look virgin are looked at again, so that a trap of any speed may have changed its
state; on the wall's clock [O]."""
LIT_uS: Final = 1.0
"""A cell that comes from dark to so much by itself, or in one round of asking, has a trap that can
hide it: SET pulses alone take none so far [O]."""
SAMPLE: Final = 8
"""Cells that are asked of an array that is dark altogether [O]."""

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

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        ...

    def was_pulsed_to_form(self) -> bool:
        """Whether the board has given FORM pulses on this array since it started."""
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
        """What is known once those were judged again that were not formed.

        Formed they stay, and in doubt.
        """
        return Judgement(self.formed | later.formed, self.virgin & later.virgin & ~self.formed)


def look(cells: AskedCells) -> Look:
    """Read all cells: once, or as often as it takes to see through noise."""
    seen = _looked(cells.read_uS(), cells.code_uS())
    if (seen.dark | seen.sure).all():
        return seen
    return _looked(_mean_uS(cells, seen.seen_uS), seen.code_uS)


def judge(
    cells: AskedCells, addressed: Mask, *, dark_too: bool, proved: Mask | None = None
) -> Judgement:
    """Find out which cells are formed, and pulse those that must be asked.

    Cells that moved are put back, as nearly as RESET pulses do it.

    Args:
        cells: The array. Pulse numbers of its settings change.
        addressed: Cells that matter, shape (2, inputs, outputs): no other is pulsed.
        dark_too: Whether to watch and ask cells that look virgin, too: FORM is for no others. Else
            they count as virgin.
        proved: Cells that were found formed before, same shape; they stay so.
    """
    told = cells.told_formed()
    if told is not None:
        return Judgement(told, addressed & ~told)
    seen = look(cells)
    formed = seen.sure if proved is None else seen.sure | proved
    if not dark_too:
        formed = formed | _ask(cells, addressed & ~(seen.dark | formed), seen).moved
        return Judgement(formed, addressed & seen.dark & ~formed)
    if seen.dark.all() and not formed.any() and not cells.was_pulsed_to_form():
        if not _ask(cells, _sample(addressed), seen).moved.any():
            return Judgement(formed, addressed)
    return _judge_partly_formed(cells, addressed, seen, formed)


def _judge_partly_formed(cells: AskedCells, addressed: Mask, seen: Look, formed: Mask) -> Judgement:
    """Judge cells that look virgin on an array where others are formed."""
    if not (addressed & ~formed).any():
        return Judgement(formed, np.zeros_like(formed))
    is_hiding = bool((seen.dark & formed).any())
    watched = _watch(cells, seen)
    formed = formed | watched.sure
    dark = watched.dark & ~formed
    is_hiding = is_hiding or watched.is_hiding
    asked = _ask(cells, addressed & ~formed, seen)
    formed = formed | asked.moved
    is_hiding = is_hiding or bool((asked.lit & dark).any())
    virgin = addressed & dark & ~formed
    return Judgement(formed, np.zeros_like(virgin) if is_hiding else virgin)


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """What several looks say, cell by cell."""

    sure: Mask
    """In one of them no virgin cell could look like it."""
    dark: Mask
    """On average it looks virgin, and it stayed where it was."""
    is_hiding: bool
    """Some formed cell looks virgin now and then."""


def _watch(cells: AskedCells, first: Look) -> _Watched:
    """Look at cells again and again, over as long a time as traps take."""
    sure = first.sure
    looks, lowest = [], first.seen_uS
    for pause_s in LOOKED_AGAIN_AFTER_s:
        cells.wait(pause_s)
        readings = np.stack([cells.read_uS() for _ in range(READINGS)])
        looks.append(readings.mean(axis=0))
        sure = sure | _looked(looks[-1], first.code_uS).sure
        lowest = np.minimum(lowest, readings.min(axis=0))
    seen_uS = np.stack(looks)
    stays = np.ptp(seen_uS, axis=0) < _moved_uS(first)
    dark = _looked(seen_uS.mean(axis=0), first.code_uS).dark & stays
    is_hiding = (seen_uS.max(axis=0) >= LIT_uS) & _looked(lowest, first.code_uS).dark
    is_hiding |= first.dark & sure
    return _Watched(sure, dark, bool(is_hiding.any()))


def _moved_uS(seen: Look) -> NDArray[np.float64]:
    """By how much a reading differs that no noise made so."""
    return np.maximum(MOVED_uS, 3 * seen.code_uS)


def _sample(addressed: Mask) -> Mask:
    """Some cells of those that are addressed, from end to end."""
    places = np.flatnonzero(addressed)
    chosen = places[np.linspace(0, len(places) - 1, SAMPLE).astype(np.int64)]
    sample = np.zeros(addressed.size, np.bool_)
    sample[chosen] = True
    return sample.reshape(addressed.shape)


def _looked(seen_uS: NDArray[np.float64], code_uS: NDArray[np.float64]) -> Look:
    sure = seen_uS >= np.maximum(FORMED_MIN_uS, FORMED_MIN_CODES * code_uS)
    return Look(seen_uS, code_uS, sure, seen_uS + code_uS / 2 < FORMED_LOWEST_uS)


def _mean_uS(cells: AskedCells, *first: NDArray[np.float64]) -> NDArray[np.float64]:
    readings = [*first, *(cells.read_uS() for _ in range(READINGS - len(first)))]
    mean: NDArray[np.float64] = np.mean(readings, axis=0)
    return mean


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What asking says, cell by cell."""

    moved: Mask
    """It went up: it is formed."""
    lit: Mask
    """It went up further than SET pulses take a cell: a trap let go of it."""


def _ask(cells: AskedCells, asked: Mask, before: Look) -> _Asked:
    """Which of some cells SET pulses move."""
    moved, lit = np.zeros_like(asked), np.zeros_like(asked)
    enough_uS = _moved_uS(before)
    seen_uS = before.seen_uS
    for count in ASKING:
        left = asked & ~moved
        if not left.any():
            break
        cells.pulse(MaskedPulses(PulseKind.SET, left, count))
        now_uS = _mean_uS(cells)
        moved |= left & (now_uS - before.seen_uS >= enough_uS)
        lit |= left & (now_uS - seen_uS >= LIT_uS)
        seen_uS = now_uS
    for _ in range(sum(ASKING)):
        above = moved & (cells.read_uS() > before.seen_uS + before.code_uS)
        if not above.any():
            break
        cells.pulse(MaskedPulses(PulseKind.RESET, above, 1))
    return _Asked(moved, lit)
