"""First layers, trained off the chip: what the published learning result holds while it learns.

Trains and keeps; learns nothing on any chip. A layer is 784 x 100 weights without bias, before a
ReLU, made with an output layer of its own that is thrown away. Weights are kept as conductance
differences in steps of 0.1 uS, the resolution of READ: whole numbers, with the same hash anywhere.

    python -m benchmarks.validation.first_layer

makes them anew (half a minute) and writes first_layer.npz, and beside it first_layer.json, which
tells how. Sums of a matrix library differ in the last bit from machine to machine, so that another
machine may find layers that are as good and not the same.
"""

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
from benchmarks.validation import schemes
from numpy.typing import NDArray

from starlab.datasets import Digits, mnist, unpack
from starlab_spec.geometry import ARRAY1, ARRAY2, CONDUCTANCE_MIN_uS, MID_WINDOW_uS, WINDOW_uS

SEEDS: Final = (1, 2, 3)
"""Seeds of the layers that are kept: of initial weights and of the order of samples."""
TRAINED_ON: Final = 50_000
"""Training digits that the layers have seen: the first ones. The others may choose settings."""
WEIGHT_PER_uS: Final = 0.3571 / WINDOW_uS
"""Weight of array 1 per uS of G+ - G- [C]."""
TARGET_ON: Final = 10.0
"""Target of the labelled class [C]; that of the others is 0."""
STEP_uS: Final = 0.1
"""Resolution of the weights: one code of READ [O]."""
LIMIT_uS: Final = MID_WINDOW_uS - CONDUCTANCE_MIN_uS
"""Greatest weight: G+ = 11 uS, G- = 11 uS - w, both within the window [C]."""
FILE: Final = Path(__file__).with_name("first_layer.npz")
PROVENANCE: Final = FILE.with_suffix(".json")


class Loss(StrEnum):
    """What the training makes small."""

    SQUARED = "squared"
    """Squared error against 10 for the class and 0 for the others: what the chip learns by."""
    CROSS_ENTROPY = "cross entropy"
    """Of the softmax of the outputs: better in float, and harder for the chip."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a layer is trained: gradient descent with momentum [O].

    Rate and epochs were chosen by the accuracy in float on the training digits that the layer has
    not seen. The loss was not: the cross entropy came first, and was left when the chip's rule
    learned less from it, on unseen training digits and on test digits alike.
    """

    loss: Loss = Loss.SQUARED
    """What is made small."""
    epochs: int = 20
    """Passes over the training digits, each in an order of its own."""
    batch: int = 100
    """Digits a step."""
    learning_rate: float = 0.005
    """Of the first step; falls as a cosine to nothing at the last."""
    momentum: float = 0.9
    """Share of the last step that the next one keeps."""
    weight_decay: float = 0.0
    """Share of the weights that the gradient takes with it."""


CROSS_ENTROPY: Final = Recipe(Loss.CROSS_ENTROPY, 12, learning_rate=0.1, weight_decay=5e-4)
"""The usual way to train a classifier, for comparison."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A trained layer, with the output layer that it was trained with."""

    steps: NDArray[np.int8]
    """Weights as whole steps of 0.1 uS, (784, 100)."""
    output: NDArray[np.float64]
    """The output layer of the training, (100, 10)."""

    def accuracy(self, digits: Digits) -> float:
        """Share of right answers of both layers in float, with the weights as they are kept."""
        z = hidden_of(self.steps, digits) @ self.output
        return float((z.argmax(axis=1) == digits.labels).mean())


def hidden_of(steps: NDArray[np.int8], digits: Digits) -> NDArray[np.float64]:
    """Hidden activities ``ReLU(W1' X)``, (n, 100), of a layer in steps of 0.1 uS."""
    # whole numbers below 2^24: exact, whatever the order of the sum
    sums = unpack(digits.images).astype(np.float32) @ steps.astype(np.float32)
    activities: NDArray[np.float64] = np.maximum(sums, 0).astype(np.float64)
    return activities * (STEP_uS * WEIGHT_PER_uS)


def train(seed: int, recipe: Recipe, digits: Digits) -> Layer:
    """Train both layers in float, and keep the first one's weights as whole steps.

    Args:
        seed: Decides initial weights and the order of the digits.
        recipe: How.
        digits: Training digits.
    """
    rng = np.random.default_rng(seed)
    pixels = unpack(digits.images).astype(np.float32)
    wanted = np.eye(ARRAY2.outputs, dtype=np.float32)[digits.labels]
    shapes = ((ARRAY1.inputs, ARRAY1.outputs), (ARRAY2.inputs, ARRAY2.outputs))
    first, second = (
        rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(np.sqrt(shape[0]))
        for shape in shapes
    )
    speed1, speed2 = np.zeros_like(first), np.zeros_like(second)
    limit1 = np.float32(LIMIT_uS * WEIGHT_PER_uS)
    limit2 = np.float32(WINDOW_uS * schemes.WEIGHT_PER_uS)
    total = recipe.epochs * (len(digits) // recipe.batch)
    done = 0
    for _ in range(recipe.epochs):
        order = rng.permutation(len(digits))
        for start in range(0, len(digits) - recipe.batch + 1, recipe.batch):
            chosen = order[start : start + recipe.batch]
            x = pixels[chosen]
            y1 = np.maximum(x @ first, 0)
            error = _error(y1 @ second, wanted[chosen], recipe.loss) / np.float32(recipe.batch)
            back = (error @ second.T) * (y1 > 0)
            rate = np.float32(0.5 * recipe.learning_rate * (1 + np.cos(np.pi * done / total)))
            speed1 = recipe.momentum * speed1 - rate * (x.T @ back + recipe.weight_decay * first)
            speed2 = recipe.momentum * speed2 - rate * (y1.T @ error + recipe.weight_decay * second)
            first = np.clip(first + speed1, -limit1, limit1)
            second = np.clip(second + speed2, -limit2, limit2)
            done += 1
    steps = np.rint(first / (STEP_uS * WEIGHT_PER_uS)).astype(np.int8)
    return Layer(steps, second.astype(np.float64))


def _error(z: NDArray[np.float32], wanted: NDArray[np.float32], loss: Loss) -> NDArray[np.float32]:
    """Derivative of the loss by the outputs."""
    if loss is Loss.SQUARED:
        return z - np.float32(TARGET_ON) * wanted
    share = np.exp(z - z.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    difference: NDArray[np.float32] = share - wanted
    return difference


def sha256(steps: NDArray[np.int8]) -> str:
    """Hash of a layer: of its bytes, row by row."""
    return hashlib.sha256(np.ascontiguousarray(steps).tobytes()).hexdigest()


def kept(seed: int) -> NDArray[np.int8]:
    """The kept layer of a seed, (784, 100), in steps of 0.1 uS."""
    with np.load(FILE, allow_pickle=False) as layers:
        steps: NDArray[np.int8] = layers[f"seed{seed}"]
    return steps


def float_accuracies() -> list[float]:
    """Test accuracy of each kept layer with its own output layer in float, as stored."""
    layers = json.loads(PROVENANCE.read_text(encoding="utf-8"))["layers"]
    return [float(layers[str(seed)]["test accuracy in float"]) for seed in SEEDS]


def main() -> None:
    """Train the layers and write them."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    digits, testing = mnist()
    training = digits.head(TRAINED_ON)
    layers: dict[str, Any] = {}
    told = {}
    unseen = type(training)(digits.images[TRAINED_ON:], digits.labels[TRAINED_ON:])
    for seed in SEEDS:
        layer = train(seed, Recipe(), training)
        layers[f"seed{seed}"] = layer.steps
        told[str(seed)] = {
            "accuracy in float on the other training digits": layer.accuracy(unseen),
            "test accuracy in float": layer.accuracy(testing),
            "sha256": sha256(layer.steps),
        }
        print(seed, told[str(seed)], flush=True)
    np.savez_compressed(FILE, **layers)
    provenance = {
        "made by": "python -m benchmarks.validation.first_layer",
        "digits": f"the first {TRAINED_ON:,} training digits of mnist_binary.npz",
        "numpy": np.__version__,
        "recipe": asdict(Recipe()),
        "step_uS": STEP_uS,
        "layers": told,
    }
    PROVENANCE.write_text(json.dumps(provenance, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
