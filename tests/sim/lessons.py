"""Random digits, and a chip that learns them at the settings of most tests."""

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import Chip, Converters, Learning, Rails, Schedule, Training, Tuning
from starlab_spec.samples import pack_samples

RAILS, CONVERTERS = Rails(), Converters()
CYCLIC = Schedule.cyclic()


def digits(count: int, seed: int = 1) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    rng = np.random.default_rng(seed)
    pixels = (rng.random((count, 784)) < 0.13).astype(np.uint8)
    return pixels, rng.integers(-200, 201, (count, 10), dtype=np.int32)


def train(
    chip: Chip,
    pixels: NDArray[np.uint8],
    targets: NDArray[np.int32],
    schedule: Schedule = CYCLIC,
    learning: Learning | None = None,
    phase: int = 0,
) -> Training:
    return chip.train(
        pack_samples(pixels),
        targets,
        rails=RAILS,
        converters=CONVERTERS,
        learning=learning or Learning(),
        tuning=Tuning.at(RAILS, schedule),
        phase=phase,
    )
