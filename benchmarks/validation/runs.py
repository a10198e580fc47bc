"""One run of learning MNIST with the output layer, in float or on the emulated chip.

Judges nothing. A seed decides three things: the first layer (the kept one that was trained with
that seed), where array 2 starts, and the order of the digits in every epoch. Both kinds of run take
the same three from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from benchmarks.validation import first_layer
from benchmarks.validation.chip_chain import Chain, ChipLayer, packed, through_wires
from benchmarks.validation.schemes import Device, Floats, OutputLayer, Settings, Way, cells_of
from numpy.typing import NDArray

from starlab.datasets import Digits, Mnist, mnist
from starlab_sim.devices import preset
from starlab_sim.effects import Wires
from starlab_spec.geometry import ARRAY2

SEEDS: Final = first_layer.SEEDS
EPOCHS: Final = 5
"""Passes over the training digits [C]."""
START_WEIGHT: Final = 0.1
"""Array 2 starts at weights evenly distributed within +-0.1 [R]: the published W_range of both
arrays is ten times the greatest weight that 1 / sqrt(inputs) allows, the usual start of a layer."""

WIRED_SAMPLES: Final = 500
"""Training digits by which converters are set to what wires let through."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    accuracy: tuple[float, ...]
    """Share of right answers after each epoch."""
    pulses: int
    """SET and RESET pulses of all epochs."""
    reads: int = 0
    """Reads of single cells that verified them."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Runs of several seeds."""

    outcomes: tuple[Outcome, ...]
    """One a seed."""

    @property
    def last(self) -> Floats:
        """Accuracy after the last epoch, of each seed."""
        return np.array([outcome.accuracy[-1] for outcome in self.outcomes])

    @property
    def accuracy(self) -> float:
        """Mean accuracy after the last epoch."""
        return float(self.last.mean())

    @property
    def spread(self) -> float:
        """Half of the distance from the best to the worst seed."""
        return float(np.ptp(self.last)) / 2

    @property
    def pulses(self) -> float:
        """Mean pulses."""
        return float(np.mean([outcome.pulses for outcome in self.outcomes]))

    @property
    def reads(self) -> float:
        """Mean reads."""
        return float(np.mean([outcome.reads for outcome in self.outcomes]))

    def by_epoch(self) -> Floats:
        """Mean accuracy after each epoch."""
        means: Floats = np.mean([outcome.accuracy for outcome in self.outcomes], axis=0)
        return means

    def __str__(self) -> str:
        """Accuracy, its spread, and pulses, as a table has them."""
        return f"{self.accuracy:.3f} ± {self.spread:.3f}, {millions(self.pulses)}"


def bars(summaries: Sequence[Summary]) -> tuple[Floats, Floats]:
    """Mean accuracies of some summaries, and how far the seeds are below and above, (2, n)."""
    mean = np.array([one.accuracy for one in summaries])
    below = mean - [one.last.min() for one in summaries]
    above = np.array([one.last.max() for one in summaries]) - mean
    return mean, np.maximum((below, above), 0.0)  # a mean of equal values may miss them by a bit


def millions(pulses: float) -> str:
    """Pulses in millions, three digits."""
    return f"{pulses / 1e6:.3g} M"


def device_of(name: str) -> Device:
    """A preset's tables."""
    model = preset(name)
    up, down = model.set_steps, model.reset_steps
    return Device.of(up.mean_uS, down.mean_uS, up.std_uS, down.std_uS)


@lru_cache(maxsize=2)
def digits(held_out: bool) -> Mnist:
    """What is learned and what is asked.

    Args:
        held_out: False: all 60,000 training digits, and the test digits. True: the 50,000 training
            digits that the first layer knows too, and the other 10,000: what may choose settings.
    """
    everything = mnist()
    if not held_out:
        return everything
    training, count = everything.train, first_layer.TRAINED_ON
    rest = Digits(training.images[count:], training.labels[count:])
    return Mnist(training.head(count), rest)


@lru_cache(maxsize=6)
def _hidden(seed: int, held_out: bool) -> tuple[Floats, Floats]:
    steps = first_layer.kept(seed)
    training, asked = digits(held_out)
    return first_layer.hidden_of(steps, training), first_layer.hidden_of(steps, asked)


@lru_cache(maxsize=1)
def _packed() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    training, asked = digits(False)
    return packed(training), packed(asked)


def start(rng: np.random.Generator) -> Floats:
    """Cells that array 2 starts with, (2, 100, 10) in uS."""
    weights = rng.uniform(-START_WEIGHT, START_WEIGHT, (ARRAY2.inputs, ARRAY2.outputs))
    return cells_of(weights)


def in_float(
    way: Way,
    device: str,
    settings: Settings,
    seed: int,
    *,
    held_out: bool = False,
    hidden: tuple[Floats, Floats] | None = None,
) -> Outcome:
    """A run as published: no converters, no supplies.

    Args:
        way: How it learns.
        device: Device model, by name.
        settings: Thresholds, targets and rates.
        seed: See the module.
        held_out: See :func:`digits`.
        hidden: Hidden activities of another first layer than the kept one.
    """
    training, asked = digits(held_out)
    known, unknown = _hidden(seed, held_out) if hidden is None else hidden
    rng = np.random.default_rng(seed)
    layer = OutputLayer(start(rng), way, device_of(device), settings, seed=seed)
    accuracy = []
    for _ in range(EPOCHS):
        layer.learn(known, training.labels, rng.permutation(len(training)))
        accuracy.append(layer.accuracy(unknown, asked.labels))
    return Outcome(tuple(accuracy), int(layer.pulses.sum()), layer.reads)


def on_chip(
    way: Way, device: str, settings: Settings, seed: int, chain: Chain | None = None
) -> Outcome:
    """The same run through the whole chip, on all digits. Arguments as of :func:`in_float`."""
    training, asked = digits(False)
    samples, questions = _packed()
    rng = np.random.default_rng(seed)
    cells_uS, steps = start(rng), first_layer.kept(seed)
    chosen = Chain() if chain is None else chain
    layer = ChipLayer(steps, cells_uS, way, device, settings, chosen, seed=seed)
    accuracy = []
    for _ in range(EPOCHS):
        layer.learn(samples, training.labels, rng.permutation(len(training)))
        accuracy.append(layer.accuracy(questions, asked.labels))
    return Outcome(tuple(accuracy), layer.pulses)


def on_wired_chip(way: Way, device: str, settings: Settings, seed: int, wires: Wires) -> Outcome:
    """The same run through line resistance as well, converters set to what it lets through."""
    samples, _ = _packed()
    chain = through_wires(first_layer.kept(seed), samples[:WIRED_SAMPLES], wires)
    return on_chip(way, device, settings, seed, chain)


def over_seeds(run: Callable[[int], Outcome], seeds: Sequence[int] = SEEDS) -> Summary:
    """The same run with several seeds."""
    return Summary(tuple(run(seed) for seed in seeds))
