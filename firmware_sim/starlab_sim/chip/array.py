"""The cells of one array: their conductances, which can be formed, and how pulses move them.

Converts nothing. 16 bytes a cell; with effects that tell one cell from another, 16 to 20 more, and
24 where wires resist (in the exact mode 44).
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import detailed
from starlab_sim.chip.batches import plain
from starlab_sim.chip.fabrication import Traits, fabricate, formable_cells, of_life, traits
from starlab_sim.chip.motions import (
    ceiling_of,
    detailed_pulse,
    forming_share,
    motion_of,
    pulse_energies_j,
)
from starlab_sim.chip.pulsing import Motion, form_rows, pulse_rows
from starlab_sim.chip.wires import Wired, wires_of
from starlab_sim.devices import (
    NOMINAL_FORM_WIDTH_NS,
    THRESHOLD_MV,
    DeviceModel,
    Forming,
    PulseConditions,
    can_form,
)
from starlab_sim.effects import Effects
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.geometry import (
    ArrayGeometry,
    CONDUCTANCE_MAX_uS,
    CONDUCTANCE_MIN_uS,
    VIRGIN_MAX_uS,
)
from starlab_spec.operations import PulseKind

_PLAIN: Final = ("cycle_noise", "channel_errors", "settling", "channel_noise")
"""Effects of which the plain kernels know all they need of cells, of reading and of currents."""


class CellArray:
    """Cells of one array. A cell that conducts below 0.1 uS is virgin.

    Attributes:
        geometry: Which array.
        conductance_uS: Shape (2, inputs, outputs), float32.
        pulses: Same shape, uint32: pulses of any kind that each cell has had.
        pulsed_ticks: Same shape, int64: clock when a cell's retention began to count.
        rng: Noise of pulses, and conductances after forming.
        chance: Whether a pulse forms a cell.
        drift: How cells drift.
        reading: Noise of the converters.
        effects: What the cells do that ideal ones do not.
        version: Grows whenever a conductance may have changed, for whoever remembers what follows
            from the conductances.
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
        ticks: int,
    ) -> None:
        """Fabricate the cells, or go on with them.

        Args:
            geometry: Which array.
            seed: Decides the cells, and later their noise.
            device: What SET and RESET pulses do.
            forming: Yield, and what FORM does, where the effects do not say it.
            effects: What they do that ideal cells do not.
            formed: Deliver the array formed.
            cells: Where they are kept.
            life: 0: fresh cells. Any other number: those that are kept there, with noise of
                their own in each life.
            ticks: The clock.
        """
        self._fabrication, noise, self._traits_seed, *others = seed.spawn(6)
        self.rng, self.chance, self.reading, self.drift = (
            of_life(one, life) for one in (noise, *others)
        )
        self.geometry = geometry
        self.version = 0
        self._ideal_forming = forming
        self._device = device
        self.effects = effects
        self.conductance_uS: NDArray[np.float32] = cells["conductance_uS"]
        self.pulses: NDArray[np.uint32] = cells["pulses"]
        self.pulsed_ticks: NDArray[np.int64] = cells["pulsed_ticks"]
        self._know(effects)
        if not life:
            fabricate(self.conductance_uS, self._fabrication, self._forming, formed=formed)
            if self.traits is not None:
                window_uS = self.traits.bottom_uS, self.traits.top_uS
                within_uS = self.conductance_uS.clip(*window_uS)
                np.copyto(self.conductance_uS, within_uS, where=~self.virgin)
            self.pulses[...] = 0
            self.pulsed_ticks[...] = ticks
            self.settle()

    def _know(self, effects: Effects) -> None:
        """Look up what the cells are under these effects."""
        self.effects = effects
        self._forming = self._ideal_forming
        if (statistics := effects.forming) is not None:
            self._forming = Forming(
                statistics.target_uS, statistics.spread_uS, statistics.yield_fraction
            )
        self.traits: Traits | None = None
        self.wires: Wired | None = None  # those of before make room
        self.wires = wires_of(self.geometry, effects)
        if any(name not in _PLAIN for name in effects.on):
            self.traits = traits(self.geometry, self._traits_seed, effects)

    @property
    def is_plain(self) -> bool:
        """Whether the plain kernels do: every cell is like every other."""
        return self.traits is None

    @property
    def cells(self) -> detailed.Cells:
        """The cells as the detailed kernels take them."""
        wear = self.effects.wear
        return detailed.Cells(
            conductance_uS=self.conductance_uS,
            pulses=self.pulses,
            pulsed_ticks=self.pulsed_ticks,
            step=self._traits.step,
            bottom_uS=self._traits.bottom_uS,
            top_uS=self._traits.top_uS,
            endurance_pulses=1.0 if wear is None else float(wear.endurance_pulses),
            wear_exponent=0.0 if wear is None else float(wear.exponent),
        )

    @property
    def reads_plainly(self) -> bool:
        """Whether the plain kernels do for reading: a cell's conductance is all that counts."""
        effects = self.effects
        return effects.read_noise is None and effects.telegraph is None and not effects.output_ohm

    def read_uS(self, rows: slice, planes: Sequence[int]) -> NDArray[np.float32]:
        """What READ sees of the cells of some rows and planes, (2, rows, outputs)."""
        cells_uS = self.conductance_uS[:, rows]
        if self.wires is None:
            return cells_uS
        return self.wires.seen_uS(cells_uS, rows.start, planes)

    @property
    def forward_uS(self) -> NDArray[np.float32]:
        """What a forward pass sees of the cells, (2, inputs, outputs)."""
        if self.wires is None:
            return self.conductance_uS
        return self.wires.effective_uS(self.conductance_uS, self.version)

    @property
    def forward_cells(self) -> detailed.ForwardCells:
        """The same as the detailed kernels take it."""
        if self.wires is None or self.wires.exact:
            cells = self.cells._replace(conductance_uS=self.forward_uS)
            return detailed.ForwardCells(cells, detailed.NO_GAIN)
        return detailed.ForwardCells(self.cells, self.wires.gain(self.conductance_uS))

    @property
    def differential(self) -> bool:
        """Whether "-" cells are read with a voltage of their own: 2T2R."""
        return self.geometry.number == 1 and (self.wires is None or self.wires.layout.shared)

    @property
    def traps(self) -> detailed.Traps:
        """Cells with a trap."""
        return self._traits.traps

    @property
    def _traits(self) -> Traits:
        if self.traits is None:
            raise TypeError("plain cells have no traits")
        return self.traits

    def change_effects(self, effects: Effects, ticks: int) -> None:
        """Be other cells of the same conductances; but stuck ones are where they are stuck.

        Args:
            effects: What they do from now on that ideal cells do not.
            ticks: The clock: retention that was off counts from now on.
        """
        if self.effects.retention is None:
            self.pulsed_ticks[...] = ticks
        self._know(effects)
        self.settle()

    def settle(self) -> None:
        """Have stuck cells where they are stuck."""
        if self.traits is not None:
            stuck = self.traits.stuck
            self.conductance_uS[stuck] = self.traits.bottom_uS[stuck]
        self.changed()

    def changed(self) -> None:
        """Conductances may have changed."""
        self.version += 1
        if self.wires is not None:
            self.wires.forget()

    def learnt(self, steps: int) -> None:
        """Conductances may have changed, by learning steps."""
        self.version += 1
        if self.wires is not None:
            self.wires.learnt(steps)

    @property
    def virgin(self) -> NDArray[np.bool_]:
        """Cells that are not formed, shape (2, inputs, outputs)."""
        return self.conductance_uS < VIRGIN_MAX_uS

    def overwrite(self, values_uS: NDArray[np.floating[Any]], ticks: int) -> None:
        """Put every cell at a conductance, clipped to its window; virgin cells become formed.

        Args:
            values_uS: Shape (2, inputs, outputs).
            ticks: The clock.

        Raises:
            ShapeError: ``values_uS`` is not (2, inputs, outputs).
        """
        if values_uS.shape != self.geometry.shape:
            raise ShapeError(
                f"conductance of array {self.geometry.number}",
                f"has shape {values_uS.shape}, expected {self.geometry.shape}",
            )
        if self.traits is None:
            self.conductance_uS[...] = values_uS.clip(CONDUCTANCE_MIN_uS, CONDUCTANCE_MAX_uS)
        else:
            self.conductance_uS[...] = values_uS.clip(self.traits.bottom_uS, self.traits.top_uS)
        self.pulsed_ticks[...] = ticks
        self.changed()

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
            motion_of(number, PulseKind.SET, self._device.set_steps, noise_uS, set_pulse),
            motion_of(number, PulseKind.RESET, self._device.reset_steps, noise_uS, reset_pulse),
        )

    def detailed_pulses(
        self, set_pulse: PulseConditions, reset_pulse: PulseConditions
    ) -> tuple[detailed.Pulse, detailed.Pulse]:
        """The same as the detailed kernels take it."""
        set_motion, reset_motion = self.motions(set_pulse, reset_pulse)
        ceiling_uS = ceiling_of(self.effects.gate, set_pulse.gate_mv)
        return (
            detailed_pulse(PulseKind.SET, set_motion, ceiling_uS, set_pulse),
            detailed_pulse(PulseKind.RESET, reset_motion, math.inf, reset_pulse),
        )

    def pulse(
        self,
        kind: PulseKind,
        mask: NDArray[np.bool_],
        first_row: int,
        conditions: PulseConditions,
        count: int,
        ticks: NDArray[np.int64],
        energy_j: NDArray[np.float64],
    ) -> int:
        """Pulses on masked cells, row by row; adds to ``energy_j[0]``.

        Args:
            kind: SET, RESET or FORM.
            mask: Checked by :meth:`check_mask`.
            first_row: Row that the mask begins with.
            conditions: Voltages and width.
            count: Pulses per cell.
            ticks: The clock at each row, (rows,).
            energy_j: Shape (1,).

        Returns:
            How many cells were selected.
        """
        mask = plain(mask)
        self.changed()
        if kind is PulseKind.FORM:
            return self._form(mask, first_row, conditions, count, ticks, energy_j)
        if self.is_plain:
            motion = self.motions(conditions, conditions)[kind]
            return pulse_rows(
                self.conductance_uS, self.pulses, mask, first_row, count, motion, self.rng, energy_j
            )
        return detailed.pulse_rows(
            self.cells,
            mask,
            first_row,
            count,
            self.detailed_pulses(conditions, conditions)[kind],
            self._drop_mv(mask, first_row, conditions),
            ticks,
            self.rng,
            energy_j,
        )

    def _form(
        self,
        mask: NDArray[np.bool_],
        first_row: int,
        conditions: PulseConditions,
        count: int,
        ticks: NDArray[np.int64],
        energy_j: NDArray[np.float64],
    ) -> int:
        """FORM pulses; arguments as of :meth:`pulse`."""
        rows = mask.shape[1]
        formable = formable_cells(self.geometry, self._fabrication, self._forming, first_row, rows)
        if self.is_plain:
            return form_rows(
                self.conductance_uS,
                self.pulses,
                formable if can_form(conditions) else np.zeros_like(formable),
                mask,
                first_row,
                count,
                self._forming.target_uS,
                self._forming.spread_uS,
                *pulse_energies_j(conditions),
                self.rng,
                energy_j,
            )
        statistics, voltages = self.effects.forming, self._traits.forming
        return detailed.form_rows(
            self.cells,
            formable,
            detailed.NO_FORMING_VOLTAGES if voltages is None else voltages.of_rows(first_row, rows),
            mask,
            first_row,
            count,
            conditions.amplitude_mv,
            THRESHOLD_MV[PulseKind.FORM],
            1.0 if statistics is None else max(statistics.decade_mv, 1e-3),
            conditions.width_ns / NOMINAL_FORM_WIDTH_NS,
            self._forming.target_uS * forming_share(self.effects.gate, conditions.gate_mv),
            self._forming.spread_uS,
            *pulse_energies_j(conditions),
            self._drop_mv(mask, first_row, conditions),
            ticks,
            self.rng,
            self.chance,
            energy_j,
        )

    def _drop_mv(
        self, mask: NDArray[np.bool_], first_row: int, conditions: PulseConditions
    ) -> NDArray[np.float32]:
        """By how much less than the rail masked cells get, row by row; or nothing."""
        if self.wires is None:
            return detailed.NO_DROP
        return self.wires.drop_mv(self.conductance_uS, mask, first_row, conditions.amplitude_mv)
