"""Learning from scratch: a chip made ready, then taught by ever finer steps. Keeps no state."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from starlab.board import Board
from starlab.results import TrainingStep
from starlab.training import batches
from starlab.working_point import MNIST_FROM_SCRATCH, WorkingPoint
from starlab_contract import VoltageSupply

FORMED_uS: Final = 2.0
"""Formed cells conduct at least this: the low end of the conductance window."""
FELT_BY_CELLS: Final = frozenset(
    ("VWLform", "VWLset", "VWLvdd", "VBLform", "VBLset", "VSLreset", "VBL27", "VBL23", "V25")
) | {"Iref_integ", "Iref_integ2"}
"""Supplies by which cells are pulsed and read."""
FRESH: Final = 0.9
"""An array of whose cells at least this share was just formed is as forming leaves it: cells that
are stuck in the window look as if they had been formed before."""
UNTAUGHT_SPREAD_uS: Final = 1.5
"""Forming spreads cells by some 0.5 uS; random or learned weights spread them further."""


def prepare(
    board: Board,
    *,
    rng: np.random.Generator,
    point: WorkingPoint = MNIST_FROM_SCRATCH,
    trim: bool = False,
    on_stage: Callable[[str], None] | None = None,
) -> None:
    """Make a chip ready to learn from scratch: what it has learned before is lost.

    Virgin cells are formed; array 1 is left as forming leaves it, or, if it was formed before,
    brought back to the middle of the window; array 2 gets random weights.

    Args:
        board: Whose chip.
        rng: Draws the weights.
        point: What to set the chip to.
        trim: Calibrate the supplies first, and balance the read rails: for generators that do not
            give exactly what their codes say.
        on_stage: Told what is about to be done.
    """
    tell = on_stage or (lambda _: None)
    array1, array2 = board.arrays[1], board.arrays[2]
    if trim:
        tell("calibrating the supplies")
        _calibrate(board)
    tell("forming")
    board.set_supplies(mv=point.writing_mv)
    forming = array1.form()
    array2.form()
    if trim:
        tell("balancing the read rails")
        board.balance()
    if forming.newly_formed < FRESH * forming.formed:
        tell("wiping array 1")
        array1.program(point.array1_conductance_uS(), tolerance_uS=point.tolerance_uS)
    tell("writing random weights into array 2")
    array2.program(point.array2_conductance_uS(rng), tolerance_uS=point.tolerance_uS)
    tell("changing settings")
    board.change_settings(**point.settings)


def _calibrate(board: Board) -> None:
    """Measure what the supplies give, and set those that cells feel anew by it."""
    board.calibrate()
    volts, amperes = {}, {}
    for name, supply in board.supplies().root.items():
        if name not in FELT_BY_CELLS:
            continue
        if isinstance(supply, VoltageSupply):
            if supply.requested_mv is not None:
                volts[name] = supply.requested_mv
        elif supply.requested_ua is not None:
            amperes[name] = supply.requested_ua
    board.set_supplies(mv=volts, ua=amperes)


def learn(
    board: Board,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    point: WorkingPoint = MNIST_FROM_SCRATCH,
    batch: int = 1000,
    epochs: int = 1,
    rng: np.random.Generator | None = None,
    layers: Sequence[int] = (1, 2),
    **settings: Any,
) -> Iterator[TrainingStep]:
    """Teach a prepared chip, by finer steps and for larger errors the further it is.

    As :meth:`Board.train`, but for the rails and thresholds, which follow a working point.

    Args:
        board: Whose chip.
        images: Shape (n, 784), zeros and ones, or packed (n, 98).
        labels: Shape (n,), 0..9.
        point: What to set the chip to.
        batch: Samples sent together; rails and thresholds change between batches.
        epochs: Passes through all samples.
        rng: Shuffles the samples anew in each epoch; None keeps their order.
        layers: Arrays to tune.
        settings: Used instead of those of the working point.

    Yields:
        One step per batch.
    """
    total = epochs * len(np.asarray(labels))
    rails: Mapping[str, float] | None = None
    for part in batches(images, labels, batch=batch, epochs=epochs, rng=rng):
        stage = point.stage((part.seen - len(part.labels)) / total)
        if stage.supplies_mv != rails:
            rails = stage.supplies_mv
            board.set_supplies(mv=rails)
        changes = {**stage.settings, **settings}
        yield part.step(board.train_step(part.images, part.labels, layers=layers, **changes))


def is_untaught(board: Board) -> bool:
    """Whether array 2 is as forming leaves it, so that learning both layers would lead nowhere.

    With all weights of a hidden unit alike, no output's error finds its way back to array 1.
    """
    cells_uS = board.arrays[2].conductance_uS()
    formed = bool(np.median(cells_uS) >= FORMED_uS)
    return formed and float(cells_uS.std()) < UNTAUGHT_SPREAD_uS
