"""What a chip is beside its store: where its noise and its wires are. Draws and solves nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.array import CellArray
from starlab_sim.chip.chip import Chip
from starlab_sim.chip.wires import Wired
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


def wire_states(chip: Chip) -> dict[str, NDArray[Any]]:
    """What the wires of the arrays remember, by dotted names; nothing where they are ideal."""
    return {
        f"{name}.{part}": value
        for name, wires in _wires(chip).items()
        for part, value in wires.keep().items()
    }


def resume_wires(chip: Chip, states: Mapping[str, NDArray[Any]]) -> None:
    """Let the wires go on from there.

    Raises:
        SnapshotError: Other wires, or states that are none.
    """
    known = wire_states(chip)
    if states.keys() != known.keys():
        names = (", ".join(sorted(one)) or "none" for one in (states, known))
        raise SnapshotError("has the wires {}, expected {}".format(*names))
    for name, wires in _wires(chip).items():
        kept = {part: states[f"{name}.{part}"] for part in wires.keep()}
        try:
            wires.resume(kept)
        except (ValueError, TypeError) as error:
            raise SnapshotError(f"has {name} that are none: {error}") from error


def _wires(chip: Chip) -> dict[str, Wired]:
    return {
        f"wires.{name.strip('_')}": array.wires
        for name, array in vars(chip).items()
        if isinstance(array, CellArray) and array.wires is not None
    }
