"""Making a chip ready to learn from scratch. Teaches it nothing."""

import numpy as np
from rich.progress import Progress

from starlab.board import Board
from starlab.working_point import WorkingPoint


def prepare(
    board: Board, point: WorkingPoint, rng: np.random.Generator, progress: Progress
) -> None:
    """Form both arrays, write random weights into array 2, set rails and settings.

    Args:
        board: Whose chip.
        point: What to set it to.
        rng: Draws the weights.
        progress: Where to show it.
    """
    task = progress.add_task("preparing", total=4, note="forming array 1")
    board.arrays[1].form()
    progress.update(task, completed=1, note="forming array 2")
    board.arrays[2].form()
    progress.update(task, completed=2, note="writing random weights to array 2")
    board.arrays[2].program(
        point.array2_conductance_uS(rng), tolerance_uS=point.array2_tolerance_uS
    )
    progress.update(task, completed=3, note="setting rails and thresholds")
    board.set_supplies(mv=point.supplies_mv)
    board.change_settings(**point.settings)
    progress.update(task, completed=4, note="")
