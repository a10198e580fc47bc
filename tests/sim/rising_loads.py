"""Samples that draw ever more current."""

import numpy as np

from starlab_sim.chip import Chip
from starlab_spec.samples import pack_samples

_RNG = np.random.default_rng(7)
SAMPLES = pack_samples(_RNG.random((12, 784)) < np.linspace(0.05, 0.4, 12)[:, None])
"""Later ones draw more."""
TARGETS = _RNG.integers(-100, 100, (12, 10), np.int32)


def scatter(chip: Chip) -> None:
    """Have cells all over the window."""
    rng = np.random.default_rng(2)
    for array in (1, 2):
        chip.set_conductance_uS(array, rng.normal(11, 4, chip.conductance_uS(array).shape))
