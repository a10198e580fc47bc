"""A chip's sources of noise: where they are, and how they go on from there. Draws nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from starlab_sim.chip.array import CellArray
from starlab_sim.chip.chip import Chip
from starlab_spec.errors import SnapshotError


def generators(chip: Chip) -> dict[str, np.random.Generator]:
    """Every source of noise by its name: attributes of the chip and of its arrays."""
    found = {}
    for name, value in vars(chip).items():
        inner = vars(value) if isinstance(value, CellArray) else {"": value}
        for part, source in inner.items():
            if isinstance(source, np.random.Generator):
                found[f"{name}.{part}".strip("._")] = source
    return found


def noise_states(chip: Chip) -> dict[str, Mapping[str, Any]]:
    """Where they all are, as plain values."""
    return {name: source.bit_generator.state for name, source in generators(chip).items()}


def resume_noise(chip: Chip, states: Mapping[str, Mapping[str, Any]]) -> None:
    """Let them all go on from where they were.

    Raises:
        SnapshotError: Other sources of noise, or states that are none.
    """
    sources = generators(chip)
    if states.keys() != sources.keys():
        found, known = (", ".join(sorted(names)) for names in (states, sources))
        raise SnapshotError(f"has the sources of noise {found}, expected {known}")
    for name, source in sources.items():
        try:
            source.bit_generator.state = states[name]
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise SnapshotError(f"has a state of noise {name} that is none: {error}") from error
