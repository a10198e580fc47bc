"""Row by row programming from generators that sag and trip. Moves no cell itself: the chip does.

The load of a row are its selected cells, at the conductances before the operation and under the
whole voltage of the driving rail: an upper bound of the current, since transistors and wires are
not counted. The chip pulses "+" cells, then "-" cells of a row; both at the voltage that is left
under the heavier of the two loads (approximation: the lighter one sags less, by less than the sag
itself). Sag is the fixed point V = V0 - R V G of an ohmic load. Learning steps tune whole blocks of
rows at once: the chip's kernels know what their passes draw, and `over_current` what then follows.
"""

from dataclasses import replace
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import Chip
from starlab_sim.chip.batches import Progress
from starlab_sim.devices import PulseConditions
from starlab_sim.firmware.control import Control
from starlab_sim.firmware.over_current import over_current
from starlab_sim.firmware.state import PoweredState
from starlab_spec.operations import PulseKind

_MA_PER_MV_uS: Final = 1e-6
"""Microsiemens times millivolt is nanoampere."""


def row_loads_uS(
    conductance_uS: NDArray[np.floating[Any]], mask: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The heavier load of each row: shape (rows,), of cells and mask (2, rows, outputs)."""
    loads: NDArray[np.float64] = np.sum(
        conductance_uS, axis=2, dtype=np.float64, where=mask, initial=0.0
    )
    heavier: NDArray[np.float64] = loads.max(axis=0)
    return heavier


def under_load(
    unloaded_mv: float, loads_uS: NDArray[np.float64], output_ohm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a generator gives to ohmic loads: millivolt and milliampere, each of their shape."""
    loaded_mv = unloaded_mv / (1 + output_ohm * loads_uS * 1e-6)
    return loaded_mv, loaded_mv * loads_uS * _MA_PER_MV_uS


def pulse_rows(
    state: PoweredState,
    chip: Chip,
    array: int,
    kind: PulseKind,
    mask: NDArray[np.bool_],
    pulse: PulseConditions,
    control: Control,
    *,
    count: int,
    first_row: int = 0,
    progress: Progress | None = None,
) -> int:
    """Pulses on selected cells: arguments and result as of :meth:`Chip.pulse`.

    Raises:
        Refused: COMPLIANCE: the current limit tripped; the rows before it were pulsed. The fault is
            latched, the drivers are off.
    """
    effects = state.supplies.effects
    rows = mask.shape[1]
    if effects.load_regulation is None and effects.current_limit is None:
        return chip.pulse(
            array,
            kind,
            mask,
            pulse,
            count=count,
            first_row=first_row,
            fine=control.fine,
            aborted=control.stopped,
            progress=progress,
        )
    cells_uS = chip.conductance_uS(array)[:, first_row : first_row + rows]
    loads_uS = row_loads_uS(cells_uS, mask)
    limit = effects.current_limit
    loaded_mv, current_ma = under_load(pulse.amplitude_mv, loads_uS, effects.output_ohm)
    tripping = rows
    if limit is not None and (current_ma > limit.limit_ma).any():
        tripping = int(np.argmax(current_ma > limit.limit_ma))
    done = 0
    # rows of one voltage go together: without sag that is all of them
    for amplitude_mv, group in groupby(range(tripping), lambda row: float(loaded_mv[row])):
        part = list(group)
        done += chip.pulse(
            array,
            kind,
            mask[:, part[0] : part[-1] + 1],
            replace(pulse, amplitude_mv=amplitude_mv),
            count=count,
            first_row=first_row + part[0],
            fine=control.fine,
            aborted=control.stopped,
        )
        if done <= part[-1]:
            return done
        if progress is not None:
            progress(done, rows)
    if tripping < rows:
        assert limit is not None  # noqa: S101 - it has just tripped
        where = f"in row {first_row + tripping}, after {done} of {rows} rows"
        raise over_current(state, kind, float(current_ma[tripping]), limit, where)
    return done
