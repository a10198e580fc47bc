"""Making a chip ready to learn from scratch. Teaches it nothing."""

from collections.abc import Callable

import numpy as np

from starlab.board import Board
from starlab.working_point import MNIST_FROM_SCRATCH, WorkingPoint

FORMED_uS = 2.0
"""Formed cells conduct at least this: the low end of the conductance window."""
UNTAUGHT_SPREAD_uS = 1.5
"""Forming spreads cells by some 0.5 uS; random or learned weights spread them further."""


def prepare(
    board: Board,
    *,
    rng: np.random.Generator,
    point: WorkingPoint = MNIST_FROM_SCRATCH,
    on_stage: Callable[[str], None] | None = None,
) -> None:
    """Form what is virgin, write random weights into array 2, set rails and settings.

    Array 1 is left as forming leaves it; if it was formed before, what it has learned is wiped.

    Args:
        board: Whose chip.
        rng: Draws the weights.
        point: What to set the chip to.
        on_stage: Told what is about to be done.
    """
    tell = on_stage or (lambda _: None)
    array1, array2 = board.arrays[1], board.arrays[2]
    tell("forming")
    board.set_supplies(mv=point.writing_mv)
    forming = array1.form()
    array2.form()
    if forming.newly_formed < forming.formed:
        tell("wiping array 1")
        array1.program(point.array1_conductance_uS(), tolerance_uS=point.tolerance_uS)
    tell("writing random weights into array 2")
    array2.program(point.array2_conductance_uS(rng), tolerance_uS=point.tolerance_uS)
    tell("setting rails and thresholds")
    board.set_supplies(mv=point.learning_mv)
    board.change_settings(**point.settings)


def is_untaught(board: Board) -> bool:
    """Whether array 2 is as forming leaves it, so that learning both layers would lead nowhere.

    With all weights of a hidden unit alike, no output's error finds its way back to array 1.
    """
    cells_uS = board.arrays[2].conductance_uS()
    formed = bool(np.median(cells_uS) >= FORMED_uS)
    return formed and float(cells_uS.std()) < UNTAUGHT_SPREAD_uS
