"""The cells of one array: their conductances, which can be formed, and how pulses move them.

Converts nothing. 9 bytes a cell.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.batches import plain
from starlab_sim.chip.energy import cell_energy_j, line_energy_j
from starlab_sim.chip.pulsing import Motion, form_rows, pulse_rows
from starlab_sim.devices import (
    DeviceModel,
    Forming,
    PulseConditions,
    StepTable,
    VIRGIN_RANGE_uS,
    can_form,
    step_factor,
)
from starlab_sim.effects import Effects
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.geometry import (
    ArrayGeometry,
    CONDUCTANCE_MAX_uS,
    CONDUCTANCE_MIN_uS,
    VIRGIN_MAX_uS,
    WINDOW_uS,
)
from starlab_spec.operations import PulseKind


class CellArray:
    """Cells of one array. A cell that conducts below 0.1 uS is virgin.

    Attributes:
        geometry: Which array.
        conductance_uS: Shape (2, inputs, outputs), float32.
        pulses: Same shape, uint32: pulses of any kind that each cell has had.
        formable: Same shape, bool: False for cells that no FORM pulse will ever form.
        rng: Noise of pulses and of forming.
        effects: What the cells do that ideal ones do not.
    """

    def __init__(
        self,
        geometry: ArrayGeometry,
        seed: np.random.SeedSequence,
        device: DeviceModel,
        forming: Forming,
        effects: Effects,
        *,
        formed: bool,
        cells: NDArray[np.void],
        life: int,
    ) -> None:
        """Fabricate the cells, or go on with them.

        Args:
            geometry: Which array.
            seed: Decides the cells, and later their noise.
            device: What SET and RESET pulses do.
            forming: Yield, and what FORM does.
            effects: What they do that ideal cells do not.
            formed: Deliver the array formed.
            cells: Where they are kept.
            life: 0: fresh cells. Any other number: those that are kept there, with noise of
                their own in each life.
        """
        fabrication, noise = seed.spawn(2)
        if life:
            noise = np.random.SeedSequence(noise.entropy, spawn_key=(*noise.spawn_key, life))
        self.rng = np.random.Generator(np.random.PCG64(noise))
        self.geometry = geometry
        self._forming = forming
        self._device = device
        self.effects = effects
        self.conductance_uS: NDArray[np.float32] = cells["conductance_uS"]
        self.pulses: NDArray[np.uint32] = cells["pulses"]
        made_uS, self.formable = _fabricated(geometry, fabrication, forming, formed=formed)
        if not life:
            self.conductance_uS[...] = made_uS
            self.pulses[...] = 0

    @property
    def virgin(self) -> NDArray[np.bool_]:
        """Cells that are not formed, shape (2, inputs, outputs)."""
        return self.conductance_uS < VIRGIN_MAX_uS

    def overwrite(self, values_uS: NDArray[np.floating[Any]]) -> None:
        """Put every cell at a conductance, clipped to the window; virgin cells become formed.

        Raises:
            ShapeError: ``values_uS`` is not (2, inputs, outputs).
        """
        if values_uS.shape != self.geometry.shape:
            raise ShapeError(
                f"conductance of array {self.geometry.number}",
                f"has shape {values_uS.shape}, expected {self.geometry.shape}",
            )
        self.conductance_uS[...] = values_uS.clip(CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS)

    def check_mask(self, mask: NDArray[np.bool_], first_row: int) -> None:
        """Refuse a mask that does not fit the rows from ``first_row`` on.

        Raises:
            ShapeError: Not bool, or not (2, rows, outputs).
            LimitExceeded: Rows beyond the array.
        """
        planes, inputs, outputs = self.geometry.shape
        if mask.dtype != np.bool_ or mask.ndim != 3 or mask.shape[::2] != (planes, outputs):
            raise ShapeError(
                f"mask of array {self.geometry.number}",
                f"is {mask.dtype} {mask.shape}, expected bool ({planes}, rows, {outputs})",
            )
        if not 0 <= first_row <= inputs - mask.shape[1]:
            last = first_row + mask.shape[1] - 1
            raise LimitExceeded("row", *((last, inputs - 1) if last >= inputs else (first_row, 0)))

    def motions(
        self, set_pulse: PulseConditions, reset_pulse: PulseConditions
    ) -> tuple[Motion, Motion]:
        """What SET and RESET pulses of these conditions do to the cells of this array."""
        number, noise = self.geometry.number, self.effects.cycle_noise
        noise_uS = 0.0 if noise is None else noise.step_uS
        return (
            _motion(number, PulseKind.SET, self._device.set_steps, noise_uS, set_pulse),
            _motion(number, PulseKind.RESET, self._device.reset_steps, noise_uS, reset_pulse),
        )

    def pulse(
        self,
        kind: PulseKind,
        mask: NDArray[np.bool_],
        first_row: int,
        conditions: PulseConditions,
        count: int,
        energy_j: NDArray[np.float64],
    ) -> int:
        """Pulses on masked cells, row by row; adds to ``energy_j[0]``.

        Args:
            kind: SET, RESET or FORM.
            mask: Checked by :meth:`check_mask`.
            first_row: Row that the mask begins with.
            conditions: Voltages and width.
            count: Pulses per cell.
            energy_j: Shape (1,).

        Returns:
            How many cells were selected.
        """
        mask = plain(mask)
        if kind is not PulseKind.FORM:
            motion = self.motions(conditions, conditions)[kind]
            return pulse_rows(
                self.conductance_uS, self.pulses, mask, first_row, count, motion, self.rng, energy_j
            )
        strong_enough = can_form(conditions)
        return form_rows(
            self.conductance_uS,
            self.pulses,
            self.formable if strong_enough else np.zeros_like(self.formable),
            mask,
            first_row,
            count,
            self._forming.target_uS,
            self._forming.spread_uS,
            *_pulse_energies_j(conditions),
            self.rng,
            energy_j,
        )


def _fabricated(
    geometry: ArrayGeometry, seed: np.random.SeedSequence, forming: Forming, *, formed: bool
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Conductances of fresh cells, and which of them can be formed."""
    rng, shape = np.random.Generator(np.random.PCG64(seed)), geometry.shape
    cells_uS = rng.uniform(*VIRGIN_RANGE_uS, shape)
    formable = rng.random(shape) < forming.yield_fraction
    if formed:
        formed_uS = rng.normal(forming.target_uS, forming.spread_uS, shape)
        formed_uS = formed_uS.clip(CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS)
        cells_uS = np.where(formable, formed_uS, cells_uS)
    return cells_uS, formable


def _pulse_energies_j(pulse: PulseConditions) -> tuple[float, float]:
    """Energy of a pulse: per uS of the cell, and of driving a row's lines."""
    voltage_v = pulse.amplitude_mv * 1e-3
    return cell_energy_j(voltage_v, pulse.width_ns), line_energy_j(voltage_v)


@lru_cache(maxsize=32)
def _motion(
    array: int,
    kind: PulseKind,
    steps: StepTable,
    cycle_noise_uS: float,
    conditions: PulseConditions,
) -> Motion:
    """What a SET or RESET pulse does. Remembered: single pulses of equal conditions are common.

    Cycle-to-cycle noise adds to the table's own deviation (in squares); the pulse conditions
    scale means and deviations alike [O].
    """
    up = kind is PulseKind.SET
    direction = 1 if up else -1
    factor = step_factor(array, kind, conditions)
    mean_uS = direction * factor * np.array(steps.mean_uS)
    sigma_uS = factor * np.hypot(steps.std_uS, cycle_noise_uS)
    cell_j, line_j = _pulse_energies_j(conditions)
    return Motion(
        start_uS=np.float32(CONDUCTANCE_MIN_uS if up else CONDUCTANCE_MAX_uS),
        bins_per_uS=np.float32(direction * len(mean_uS) / WINDOW_uS),
        mean_uS=mean_uS.astype(np.float32),
        sigma_uS=sigma_uS.astype(np.float32),
        noisy=bool(sigma_uS.any()),
        cell_j=cell_j,
        line_j=line_j,
    )
