"""Cutting a training into batches, and teaching one after the other. Sends nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab import calls
from starlab.errors import InvalidInput
from starlab.inputs import as_bits, as_labels
from starlab.results import Training, TrainingStep
from starlab.sending import Steps, ask


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples that are sent together; the chip still learns them one by one, in order."""

    epoch: int
    """Which pass through the samples, from 0."""
    seen: int
    """Samples up to the end of this batch, over all epochs."""
    images: NDArray[np.uint8]
    """Shape (batch, 98), packed."""
    labels: NDArray[np.int64]
    """Shape (batch,)."""

    def step(self, training: Training) -> TrainingStep:
        """What learning this batch gave, with its place in the whole."""
        return TrainingStep(
            training.outputs, training.correct, training.pulses, epoch=self.epoch, seen=self.seen
        )


def batches(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    batch: int,
    epochs: int,
    rng: np.random.Generator | None,
) -> Iterator[Batch]:
    """Cut samples into batches.

    Args:
        images: Shape (n, 784) or packed, (n, 98).
        labels: Shape (n,), 0..9.
        batch: Samples of a batch; the last one of an epoch may have fewer.
        epochs: Passes through all samples.
        rng: Shuffles the samples anew in each epoch; None keeps their order.

    Raises:
        InvalidInput: Shapes or labels that do not fit, before the first batch.
    """
    if batch < 1 or epochs < 1:
        raise InvalidInput(f"batch {batch} and epochs {epochs} must be at least 1")
    packed = as_bits(images)
    classes = as_labels(labels, len(packed))
    return _cut(packed, classes, batch, epochs, rng)


def teach(
    board_id: str, part: Batch, layers: Sequence[int], settings: Mapping[str, Any]
) -> Steps[TrainingStep]:
    """Teach a batch with settings that are changed before: checked here, sent when it is run."""
    call = calls.train_step(board_id, part.images, part.labels, None, layers, settings)

    def steps() -> Steps[TrainingStep]:
        return part.step((yield from ask(call)))

    return steps()


def lessons(
    board_id: str, cut: Iterator[Batch], layers: Sequence[int], settings: Mapping[str, Any]
) -> Iterator[Steps[TrainingStep]]:
    """Teach batch after batch; the first one changes settings, which stay."""
    for part in cut:
        yield teach(board_id, part, layers, settings)
        settings = {}


def _cut(
    packed: NDArray[np.uint8],
    classes: NDArray[np.int64],
    batch: int,
    epochs: int,
    rng: np.random.Generator | None,
) -> Iterator[Batch]:
    count = len(packed)
    for epoch in range(epochs):
        order = np.arange(count) if rng is None else rng.permutation(count)
        for first in range(0, count, batch):
            chosen = order[first : first + batch]
            seen = epoch * count + first + len(chosen)
            yield Batch(epoch, seen, packed[chosen], classes[chosen])
