"""What the chip gives, as NumPy arrays. Asks nobody for it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How well labelled inputs were recognised."""

    predicted: NDArray[np.uint8]
    """Shape (n,): class of the largest output."""
    labels: NDArray[np.uint8]
    """Shape (n,): class it should have been."""

    @property
    def correct(self) -> int:
        """Inputs that were recognised."""
        return int((self.predicted == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Share of the inputs that were recognised, 0..1."""
        return self.correct / len(self.labels)


@dataclass(frozen=True, slots=True)
class Training:
    """What a batch of learning steps gave. Every row is one sample, in order."""

    outputs: NDArray[np.int32]
    """Shape (batch, 10): outputs before the sample's own update."""
    correct: NDArray[np.bool_]
    """Shape (batch,): whether the largest of them was that of the target."""
    pulses: NDArray[np.int64]
    """Shape (batch, 2): pulses on arrays 1 and 2."""

    def __len__(self) -> int:
        """Samples of the batch."""
        return len(self.correct)

    @property
    def accuracy(self) -> float:
        """Share of the batch that was right before it was learned, 0..1."""
        return float(self.correct.mean())


@dataclass(frozen=True, slots=True)
class TrainingStep(Training):
    """One batch out of a longer training."""

    epoch: int
    """Which pass through the samples, from 0."""
    seen: int
    """Samples learned up to the end of this batch, over all epochs."""
