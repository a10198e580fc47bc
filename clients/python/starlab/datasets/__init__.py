"""Digits that come with the SDK, as the chip takes them. Downloads nothing.

The file's origin and licence are in the README beside it.
"""

from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Digits", "Mnist", "mnist", "pack", "unpack"]

PIXELS = 784
PACKED_BYTES = PIXELS // 8


@dataclass(frozen=True, slots=True)
class Digits:
    """Binary images with their classes."""

    images: NDArray[np.uint8]
    """Shape (n, 98): 784 pixels a row, eight a byte, in :func:`numpy.packbits` order."""
    labels: NDArray[np.uint8]
    """Shape (n,): 0 .. 9."""

    def __len__(self) -> int:
        """Number of digits."""
        return len(self.labels)

    def head(self, count: int) -> Self:
        """The first ``count`` digits."""
        return type(self)(self.images[:count], self.labels[:count])

    def shuffled(self, rng: np.random.Generator) -> Self:
        """The same digits in another order."""
        order = rng.permutation(len(self))
        return type(self)(self.images[order], self.labels[order])


class Mnist(NamedTuple):
    """The MNIST digits, binarised at half grey."""

    train: Digits
    """60,000 digits to learn."""
    test: Digits
    """10,000 digits to be tested with."""


def mnist() -> Mnist:
    """The MNIST digits that come with the SDK."""
    file = resources.files(__package__) / "mnist_binary.npz"
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return Mnist(
            Digits(arrays["train_images"], arrays["train_labels"]),
            Digits(arrays["test_images"], arrays["test_labels"]),
        )


def pack(bits: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Pack binary inputs eight a byte.

    Args:
        bits: Shape (n, 784), zeros and ones of any number type.

    Returns:
        Shape (n, 98), most significant bit first.
    """
    return np.packbits(bits.astype(np.bool_), axis=1)


def unpack(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Inverse of :func:`pack`: shape (n, 98) to (n, 784)."""
    return np.unpackbits(packed, axis=1)
