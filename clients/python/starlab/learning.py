"""Learning from scratch: a chip made ready, then taught by ever finer steps. Keeps no state.

The steps are written once; the synchronous and the asynchronous functions run the same ones.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab import calls, supply_calls
from starlab.aio import AsyncBoard
from starlab.board import Board
from starlab.errors import Conflict
from starlab.results import TrainingStep
from starlab.sending import Steps, ask, run, run_async, run_each, run_each_async
from starlab.training import Batch, batches, teach
from starlab.working_point import MNIST_FROM_SCRATCH, Stage, WorkingPoint
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
        trim: Calibrate the supplies first, balance the read rails and level array 1: for generators
            that do not give exactly what their codes say.
        on_stage: Told what is about to be done.

    Raises:
        Conflict: The board's thresholds are fixed in hardware; nothing was done.
    """
    run(_preparation(board.id, rng, point, trim, on_stage or _untold), board.send)


async def prepare_async(
    board: AsyncBoard,
    *,
    rng: np.random.Generator,
    point: WorkingPoint = MNIST_FROM_SCRATCH,
    trim: bool = False,
    on_stage: Callable[[str], None] | None = None,
) -> None:
    """Make a chip ready to learn from scratch: :func:`prepare`, awaited."""
    steps = _preparation(board.id, rng, point, trim, on_stage or _untold)
    await run_async(steps, board.send)


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

    Raises:
        InvalidInput: Shapes or labels that do not fit, before the first batch.
        Conflict: The board's thresholds are fixed in hardware; nothing was done.
    """
    cut = batches(images, labels, batch=batch, epochs=epochs, rng=rng)
    samples = epochs * len(np.asarray(labels))
    return run_each(_lessons(board.id, cut, samples, point, layers, settings), board.send)


def learn_async(
    board: AsyncBoard,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    point: WorkingPoint = MNIST_FROM_SCRATCH,
    batch: int = 1000,
    epochs: int = 1,
    rng: np.random.Generator | None = None,
    layers: Sequence[int] = (1, 2),
    **settings: Any,
) -> AsyncIterator[TrainingStep]:
    """Teach a prepared chip: :func:`learn`, for ``async for``."""
    cut = batches(images, labels, batch=batch, epochs=epochs, rng=rng)
    samples = epochs * len(np.asarray(labels))
    return run_each_async(_lessons(board.id, cut, samples, point, layers, settings), board.send)


def is_untaught(board: Board) -> bool:
    """Whether array 2 is as forming leaves it, so that learning both layers would lead nowhere.

    With all weights of a hidden unit alike, no output's error finds its way back to array 1.
    """
    cells_uS = board.arrays[2].conductance_uS()
    formed = bool(np.median(cells_uS) >= FORMED_uS)
    return formed and float(cells_uS.std()) < UNTAUGHT_SPREAD_uS


def _untold(stage: str) -> None:
    """Nobody wants to know."""


def _preparation(
    board_id: str,
    rng: np.random.Generator,
    point: WorkingPoint,
    trim: bool,
    tell: Callable[[str], None],
) -> Steps[None]:
    yield from _require_thresholds(board_id)
    if trim:
        tell("calibrating the supplies")
        yield from _calibration(board_id)
    tell("forming")
    yield from ask(calls.set_supplies(board_id, point.writing_mv, {}))
    forming = yield from ask(calls.form(board_id, 1, None, None))
    yield from ask(calls.form(board_id, 2, None, None))
    if trim:
        tell("balancing the read rails")
        yield from ask(supply_calls.balance(board_id))
    if forming.newly_formed < FRESH * forming.formed:
        tell("wiping array 1")
        yield from _writing(board_id, 1, point.array1_conductance_uS(), point)
    if trim:
        tell("levelling array 1")
        yield from ask(supply_calls.level(board_id, 1))
    tell("writing random weights into array 2")
    yield from _writing(board_id, 2, point.array2_conductance_uS(rng), point)
    tell("changing settings")
    yield from ask(calls.change_settings(board_id, point.settings))


def _calibration(board_id: str) -> Steps[None]:
    """Measure what the supplies give, and set those that cells feel anew by it."""
    yield from ask(supply_calls.calibrate(board_id))
    supplies = yield from ask(calls.supplies(board_id))
    volts, amperes = {}, {}
    for name, supply in supplies.root.items():
        if name not in FELT_BY_CELLS:
            continue
        if isinstance(supply, VoltageSupply):
            if supply.requested_mv is not None:
                volts[name] = supply.requested_mv
        elif supply.requested_ua is not None:
            amperes[name] = supply.requested_ua
    yield from ask(calls.set_supplies(board_id, volts, amperes))


def _writing(
    board_id: str, array: int, conductance_uS: NDArray[np.float64], point: WorkingPoint
) -> Steps[None]:
    call = calls.program(
        board_id,
        array,
        conductance_uS,
        None,
        tolerance_uS=point.tolerance_uS,
        method="write-verify",
    )
    yield from ask(call)


def _lessons(
    board_id: str,
    cut: Iterator[Batch],
    samples: int,
    point: WorkingPoint,
    layers: Sequence[int],
    settings: Mapping[str, Any],
) -> Iterator[Steps[TrainingStep]]:
    rails: Mapping[str, float] | None = None
    for part in cut:
        stage = point.stage((part.seen - len(part.labels)) / samples)
        yield _lesson(board_id, part, stage, rails, layers, settings)
        rails = stage.supplies_mv


def _lesson(
    board_id: str,
    part: Batch,
    stage: Stage,
    rails: Mapping[str, float] | None,
    layers: Sequence[int],
    settings: Mapping[str, Any],
) -> Steps[TrainingStep]:
    """Teach a batch; the rails are those of the batch before, None for the first one."""
    lesson = teach(board_id, part, layers, {**stage.settings, **settings})
    if rails is None:
        yield from _require_thresholds(board_id)
        if settings:  # refused before a rail is touched
            yield from ask(calls.change_settings(board_id, settings))
    if stage.supplies_mv != rails:
        yield from ask(calls.set_supplies(board_id, stage.supplies_mv, {}))
    return (yield from lesson)


def _require_thresholds(board_id: str) -> Steps[None]:
    """Refuse a board on which a working point cannot be set, before it is touched."""
    info = yield from ask(calls.board(board_id))
    if info.capabilities is not None and not info.capabilities.thresholds:
        raise Conflict(
            f"{board_id} cannot learn by a working point: its thresholds Th, Th1, C1, C2 and its "
            "output activation are fixed in hardware; nothing was done. Learning with them as they "
            "are: Board.train, or starlab train --as-it-is"
        )
