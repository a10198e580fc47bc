"""Compiles all kernels ahead of their use. Measures nothing and keeps nothing."""

from typing import Final

import numpy as np

from starlab_sim.chip.chip import Chip
from starlab_sim.chip.converters import Converters, Rails
from starlab_sim.chip.learning import Learning, Schedule, Tuning
from starlab_sim.effects import NONE, Effects
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.operations import PulseKind
from starlab_spec.samples import SAMPLE_BYTES

AGES_TICKS: Final = 10**15
"""More time than any interval of retention."""


def warm_up(effects: Effects = NONE) -> None:
    """Compile all kernels, or load them from the cache on disk.

    Args:
        effects: What the chip is to do that an ideal one does not: it decides which kernels.
    """
    _use(Chip())
    if effects != NONE:
        _use(Chip(effects=effects))


def _use(chip: Chip) -> None:
    """Let a chip do all that chips do."""
    rails, converters = Rails(), Converters()
    sample = np.zeros((1, SAMPLE_BYTES), np.uint8)
    target = np.zeros((1, ARRAY2.outputs), np.int32)
    mask = np.zeros((2, 1, ARRAY1.outputs), np.bool_)
    for kind in PulseKind:
        chip.pulse(1, kind, mask, rails.pulse(kind, 50))
    chip.read(1, rows=range(1), rails=rails, converters=converters)
    inference = chip.infer(sample, rails=rails, converters=converters)
    chip.vmm(sample, rails=rails, converters=converters)
    chip.vmm2(inference.hidden, rails=rails, converters=converters)
    chip.train(
        sample,
        target,
        rails=rails,
        converters=converters,
        learning=Learning(),
        tuning=Tuning.at(rails, Schedule.cyclic()),
    )
    chip.let_pass(AGES_TICKS)
    chip.conductance_uS(1)
