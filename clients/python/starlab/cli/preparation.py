"""Making a chip ready to learn from scratch. Teaches it nothing."""

import numpy as np
from rich.progress import Progress

from starlab.board import Board
from starlab.working_point import WorkingPoint


def prepare(
    board: Board, point: WorkingPoint, rng: np.random.Generator, progress: Progress
) -> None:
    """Form what is virgin, write random weights into array 2, set rails and settings.

    Array 1 is left as forming leaves it; if it was formed before, what it has learned is wiped.

    Args:
        board: Whose chip.
        point: What to set it to.
        rng: Draws the weights.
        progress: Where to show it.
    """
    array1, array2 = board.arrays[1], board.arrays[2]
    task = progress.add_task("preparing", total=4, note="forming")
    board.set_supplies(mv=point.writing_mv)
    forming = array1.form()
    array2.form()
    progress.update(task, completed=1, note="wiping array 1")
    if forming.newly_formed < forming.formed:
        array1.program(point.array1_conductance_uS(), tolerance_uS=point.tolerance_uS)
    progress.update(task, completed=2, note="writing random weights into array 2")
    array2.program(point.array2_conductance_uS(rng), tolerance_uS=point.tolerance_uS)
    progress.update(task, completed=3, note="setting rails and thresholds")
    board.set_supplies(mv=point.learning_mv)
    board.change_settings(**point.settings)
    progress.update(task, completed=4, note="")
