"""Which readings tell a formed cell from a virgin one, to the code; on cells played by hand."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from starlab_host.board.commands import MaskedPulses
from starlab_host.chip.formed import (
    ASKING,
    READINGS,
    SAMPLE,
    Judgement,
    LOOKED_AGAIN_AFTER_s,
    judge,
    look,
)
from starlab_spec.operations import PulseKind

Mask = NDArray[np.bool_]
SHAPE = (2, 3, 4)
EVERY = np.ones(SHAPE, np.bool_)


@dataclass
class Cells:
    """Cells that read what they conduct in whole codes, and move by a step with each pulse."""

    conductance_uS: NDArray[np.float64]
    step_uS: float = 0.1
    moves: Mask = field(default_factory=lambda: EVERY.copy())
    code: float = 0.1
    told: Mask | None = None
    noise_uS: float = 0.0
    readings: int = 0
    waited_s: float = 0.0
    pulsed_to_form: bool = False
    given: list[tuple[PulseKind, int, Mask]] = field(default_factory=list)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(1))

    def told_formed(self) -> Mask | None:
        return self.told

    def read_uS(self) -> NDArray[np.float64]:
        self.readings += 1
        noisy = self.conductance_uS + self.noise_uS * self.rng.standard_normal(SHAPE)
        return np.maximum(np.rint(noisy / self.code), 0) * self.code

    def code_uS(self) -> NDArray[np.float64]:
        return np.full((2, 1, 1), self.code)

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds

    def was_pulsed_to_form(self) -> bool:
        return self.pulsed_to_form

    def pulse(self, pulses: MaskedPulses) -> int:
        self.given.append((pulses.kind, pulses.count, pulses.mask.copy()))
        sign = {PulseKind.SET: 1, PulseKind.RESET: -1}[pulses.kind]
        moved = self.conductance_uS + sign * pulses.count * self.step_uS
        self.conductance_uS = np.where(pulses.mask & self.moves, moved, self.conductance_uS)
        return pulses.count * int(pulses.mask.sum())


def all_at(conductance_uS: float) -> NDArray[np.float64]:
    return np.full(SHAPE, conductance_uS)


@pytest.mark.parametrize(
    ("conductance_uS", "code", "sure", "dark"),
    [
        (0.0, 0.1, False, True),
        (0.1, 0.1, False, True),
        (0.2, 0.1, False, False),
        (0.4, 0.1, False, False),
        (0.5, 0.1, True, False),
        (11.0, 0.1, True, False),
        (0.0, 0.2, False, True),
        (0.2, 0.2, False, False),
        (0.6, 0.2, False, False),
        (0.8, 0.2, True, False),
        (0.0, 0.5, False, False),
        (1.5, 0.5, False, False),
        (2.0, 0.5, True, False),
    ],
)
def test_what_a_reading_tells(conductance_uS: float, code: float, sure: bool, dark: bool) -> None:
    found = look(Cells(all_at(conductance_uS), code=code))
    np.testing.assert_array_equal(found.sure, np.full(SHAPE, sure))
    np.testing.assert_array_equal(found.dark, np.full(SHAPE, dark))


def test_one_reading_does_where_none_leaves_a_doubt_and_many_are_averaged_else() -> None:
    cells = Cells(np.where(np.arange(24).reshape(SHAPE) % 2, 0.05, 9.0))
    look(cells)
    assert cells.readings == 1
    cells = Cells(all_at(0.3), noise_uS=0.1)
    found = look(cells)
    assert cells.readings == READINGS
    assert np.abs(found.seen_uS - 0.3).max() < 0.1


def test_a_board_that_tells_is_believed_and_nothing_is_read_or_pulsed() -> None:
    told = np.arange(24).reshape(SHAPE) % 3 == 0
    cells = Cells(all_at(0.3), told=told)
    addressed = np.arange(24).reshape(SHAPE) < 12
    found = judge(cells, addressed, dark_too=True)
    np.testing.assert_array_equal(found.formed, told)
    np.testing.assert_array_equal(found.virgin, addressed & ~told)
    assert (cells.readings, cells.given) == (0, [])


def test_cells_between_are_asked_and_put_back_and_those_that_are_not_addressed_left_alone() -> None:
    addressed = np.arange(24).reshape(SHAPE) < 12
    cells = Cells(all_at(0.3))
    found = judge(cells, addressed, dark_too=False)
    np.testing.assert_array_equal(found.formed, addressed)
    assert not found.virgin.any()
    np.testing.assert_allclose(cells.conductance_uS, 0.4 * addressed + 0.3 * ~addressed, atol=0.11)
    assert all(not (mask & ~addressed).any() for _, _, mask in cells.given)
    sets = [count for kind, count, _ in cells.given if kind is PulseKind.SET]
    assert sets == [1, 1, 2]


def test_a_cell_that_does_not_move_is_neither_and_gets_no_more_than_the_asking() -> None:
    cells = Cells(all_at(0.3), moves=np.zeros(SHAPE, np.bool_))
    found = judge(cells, EVERY, dark_too=True)
    assert not (found.formed | found.virgin).any()
    assert [count for _, count, _ in cells.given] == list(ASKING)


def test_cells_that_look_virgin_are_watched_and_asked_where_any_other_is_formed() -> None:
    conductance_uS = all_at(0.05)
    conductance_uS[1, 2, 0] = 11.0
    cells = Cells(conductance_uS, moves=np.zeros(SHAPE, np.bool_))
    found = judge(cells, EVERY, dark_too=True)
    np.testing.assert_array_equal(cells.given[0][2], conductance_uS < 0.1)
    np.testing.assert_array_equal(found.virgin, conductance_uS < 0.1)
    assert cells.waited_s == sum(LOOKED_AGAIN_AFTER_s) > 1.0
    quiet = Cells(conductance_uS, moves=np.zeros(SHAPE, np.bool_))
    assert judge(quiet, EVERY, dark_too=False).virgin.sum() == 23
    assert (quiet.given, quiet.waited_s) == ([], 0.0)


def test_a_dark_array_has_a_few_asked_and_all_once_it_was_pulsed_to_form() -> None:
    cells = Cells(all_at(0.05), moves=np.zeros(SHAPE, np.bool_))
    assert judge(cells, EVERY, dark_too=True).virgin.all()
    assert [int(mask.sum()) for _, _, mask in cells.given] == [SAMPLE] * len(ASKING)
    cells = Cells(all_at(0.05), moves=np.zeros(SHAPE, np.bool_), pulsed_to_form=True)
    assert judge(cells, EVERY, dark_too=True).virgin.all()
    assert [int(mask.sum()) for _, _, mask in cells.given] == [EVERY.sum()] * len(ASKING)
    formed = Cells(all_at(0.05))
    assert judge(formed, EVERY, dark_too=True).formed.all()


def test_what_was_proved_formed_and_is_dark_leaves_every_dark_cell_in_doubt() -> None:
    proved = np.zeros(SHAPE, np.bool_)
    proved[0, 0, 0] = True
    cells = Cells(all_at(0.05), moves=np.zeros(SHAPE, np.bool_))
    found = judge(cells, EVERY, dark_too=True, proved=proved)
    np.testing.assert_array_equal(found.formed, proved)
    assert not found.virgin.any()
    assert all(not (mask & proved).any() for _, _, mask in cells.given)


@dataclass
class Hidden(Cells):
    """Cells that one trap lets go of when so many readings were taken."""

    hidden: Mask = field(default_factory=lambda: np.zeros(SHAPE, np.bool_))
    until: int = 0

    def read_uS(self) -> NDArray[np.float64]:
        seen = super().read_uS()
        return np.where(self.hidden & (self.readings <= self.until), 0.0, seen)


@pytest.mark.parametrize("until", [20, 60, 100])
def test_where_a_cell_comes_out_of_the_dark_by_itself_no_dark_one_counts_as_virgin(
    until: int,
) -> None:
    conductance_uS = all_at(0.05)
    conductance_uS[0] = 4.0
    conductance_uS[1, 1, 1] = 2.0
    hidden = np.zeros(SHAPE, np.bool_)
    hidden[1, 1, 1] = True
    none = np.zeros(SHAPE, np.bool_)
    cells = Hidden(conductance_uS, moves=none, hidden=hidden, until=until)
    found = judge(cells, EVERY, dark_too=True)
    np.testing.assert_array_equal(found.formed, conductance_uS > 1.0)
    assert not found.virgin.any()
    was_asked = any(bool(mask[1, 1, 1]) for _, _, mask in cells.given)
    assert was_asked == (until == 100), "one that was seen while it was watched needs no pulse"


def test_what_was_in_doubt_stays_so() -> None:
    nothing = np.zeros(SHAPE, np.bool_)
    doubted = Judgement(nothing, ~EVERY)
    assert not doubted.after(Judgement(nothing, EVERY)).virgin.any()


def test_what_was_formed_stays_so() -> None:
    cells = Cells(all_at(0.05), told=np.arange(24).reshape(SHAPE) < 4)
    first = judge(cells, EVERY, dark_too=True)
    cells.told = np.arange(24).reshape(SHAPE) > 20
    then = first.after(judge(cells, EVERY, dark_too=True))
    assert then.formed.sum() == 7
    np.testing.assert_array_equal(then.virgin, ~then.formed)
