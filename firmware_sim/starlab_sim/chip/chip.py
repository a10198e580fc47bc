"""The emulated chip: two arrays and what can be done with them, in physical settings.

Knows no register, no memory and no frame: the board does. Not thread-safe: one caller at a time.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import energy
from starlab_sim.chip.ageing import Ageing
from starlab_sim.chip.array import CellArray
from starlab_sim.chip.batches import (
    CHUNK_PULSES,
    CHUNK_ROWS,
    Aborted,
    Inference,
    Progress,
    Training,
    chunks,
)
from starlab_sim.chip.converters import Converters, Rails
from starlab_sim.chip.counters import Counters, Meter
from starlab_sim.chip.forward import Forward
from starlab_sim.chip.learning import Learning, Tuning
from starlab_sim.chip.lesson import Lesson
from starlab_sim.chip.store import ALL, Store, Volatile
from starlab_sim.chip.wires import Account
from starlab_sim.devices import DeviceModel, Forming, PulseConditions, preset
from starlab_sim.effects import NONE, Effects
from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import ARRAY1, ARRAY2, MINUS, PLUS, array_geometry
from starlab_spec.operations import PulseKind


class Chip:
    """A chip with its own seed: same seed and same calls, same bits.

    Nor does it matter how many samples or rows a call takes: two calls do what one would.

    Attributes:
        device: The device model of its cells.
        effects: What it does that an ideal chip does not.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        device: str | DeviceModel = "nonlinear-3",
        formed: bool = False,
        forming: Forming | None = None,
        effects: Effects = NONE,
        store: Store | None = None,
        life: int = 0,
        passed_ticks: int = 0,
    ) -> None:
        """Fabricate a chip, or go on with one.

        Args:
            seed: Decides its cells and all noise.
            device: Device model, or the name of a preset.
            formed: Delivered formed, or virgin.
            forming: What FORM does; default: every cell to 11 uS with a spread of 0.5 uS.
            effects: What it does that an ideal chip does not.
            store: Where its cells and totals are kept; default: in memory.
            life: 0: a fresh chip, whatever the store keeps. Any other number: the one that it
                keeps, made with the same arguments; each life has noise of its own.
            passed_ticks: Emulated time beside that of its own operations, in clock cycles.

        Raises:
            UnknownName: No such preset.
        """
        self.device = preset(device) if isinstance(device, str) else device
        self.effects = effects
        forming = Forming() if forming is None else forming
        seeds = np.random.SeedSequence(seed).spawn(2)
        self._store: Store = Volatile() if store is None else store
        self._meter = Meter(passed_ticks)
        content = self._store.content
        if life:
            self._meter.load(content["meter"])
        else:
            self._store.begin({1: ALL, 2: ALL})
        self._array1, self._array2 = (
            CellArray(
                geometry,
                one,
                self.device,
                forming,
                effects,
                formed=formed,
                cells=content[f"array{geometry.number}"],
                life=life,
                ticks=self._meter.clock_ticks,
            )
            for geometry, one in zip((ARRAY1, ARRAY2), seeds, strict=True)
        )
        self._ageing = Ageing((self._array1, self._array2), self._meter, self._store)
        if not life:
            self._store.commit(self._meter)

    @property
    def counters(self) -> Counters:
        """What the chip has done since it was made."""
        return self._meter.snapshot()

    @property
    def time_ticks(self) -> int:
        """Emulated time since the chip was made, in clock cycles: one of :attr:`counters`."""
        return self._meter.time_ticks

    def let_pass(self, ticks: int) -> None:
        """Let emulated time pass in which nothing is done."""
        self._meter.passed_ticks += ticks

    @property
    def content(self) -> NDArray[np.void]:
        """Cells and totals, shape (), type :data:`starlab_sim.chip.CHIP`; a copy."""
        content = self._store.content.copy()
        self._meter.save(content["meter"])
        return content

    def change_effects(self, effects: Effects) -> None:
        """Do other things that an ideal chip does not.

        The cells stay as they are, but for those that are stuck from now on.
        """
        self._ageing.catch_up()
        if self.effects.retention is None:
            self._meter.aged_ticks = self._meter.clock_ticks
        self.effects = effects
        self._store.begin({1: ALL, 2: ALL})
        for array in (self._array1, self._array2):
            array.change_effects(effects, self._meter.clock_ticks)
        self._store.commit(self._meter)

    def save(self) -> None:
        """Keep the totals and the store's label; with pulses they are kept by themselves."""
        self._store.begin({})
        self._store.commit(self._meter)

    def pulses(self, array: int) -> NDArray[np.uint32]:
        """Pulses that every cell has had, (2, inputs, outputs): no real chip counts them."""
        return self._array(array).pulses.copy()

    def conductance_uS(self, array: int) -> NDArray[np.float32]:
        """Conductance of every cell, (2, inputs, outputs): a look that no real chip allows."""
        self._ageing.catch_up()
        return self._array(array).conductance_uS.copy()

    def set_conductance_uS(self, array: int, values_uS: NDArray[np.floating[Any]]) -> None:
        """Put cells at conductances, clipped to the window: what no real chip can do.

        Args:
            array: 1 or 2.
            values_uS: Shape (2, inputs, outputs); every cell becomes a formed one.

        Raises:
            ShapeError: Another shape.
        """
        self._store.begin({array: ALL})
        self._array(array).overwrite(values_uS, self._meter.clock_ticks)
        self._store.commit(self._meter)

    def virgin(self, array: int) -> NDArray[np.bool_]:
        """Which cells are not formed, (2, inputs, outputs)."""
        return self._array(array).virgin

    def wires_account(self, array: int) -> Account | None:
        """What solutions of an array's wires have taken; None: nothing resists."""
        wires = self._array(array).wires
        return None if wires is None else wires.account

    def pulse(
        self,
        array: int,
        kind: PulseKind,
        mask: NDArray[np.bool_],
        conditions: PulseConditions,
        *,
        count: int = 1,
        first_row: int = 0,
        fine: bool = False,
        aborted: Aborted | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Pulses on selected cells, open loop.

        SET and RESET leave virgin cells as they are, FORM leaves formed ones.

        Args:
            array: 1 or 2.
            kind: SET, RESET or FORM.
            mask: Selected cells of consecutive rows, (2, rows, outputs).
            conditions: Voltages and width.
            count: Pulses on each selected cell.
            first_row: Row of the array that the mask begins with.
            fine: Every row is a chunk of its own.
            aborted: Asked between chunks of rows.
            progress: Told the rows done.

        Returns:
            Rows done: all, unless aborted.

        Raises:
            ShapeError: The mask fits no rows of the array.
            LimitExceeded: Less than one pulse, or rows beyond the array.
        """
        cells = self._array(array)
        cells.check_mask(mask, first_row)
        if count < 1:
            raise LimitExceeded("pulse count", count, 1)
        limit = 1 if fine else max(1, CHUNK_PULSES // (2 * cells.geometry.outputs * count))
        if kind is PulseKind.FORM:  # draws voltages of all cells of a chunk
            limit = min(limit, CHUNK_ROWS)
        row_ticks = count * energy.pulse_ticks(conditions)

        def size(start: int) -> int:
            ticks = row_ticks * mask[:, start : start + limit].any(axis=2).sum(axis=0)
            return self._ageing.steps(limit, ticks)

        done = 0
        for part in chunks(mask.shape[1], size, aborted, progress):
            selection = mask[:, part]
            row = first_row + part.start
            self._store.begin({array: slice(row, first_row + part.stop)})
            lines = selection.any(axis=2)
            spent = row_ticks * lines.sum(axis=0, dtype=np.int64)
            ticks = self._meter.clock_ticks + spent.cumsum() - spent
            used_j = self._meter.programming_j[array - 1, kind : kind + 1]
            selected = cells.pulse(kind, selection, row, conditions, count, ticks, used_j)
            self._meter.pulses[array - 1, kind] += count * selected
            self._meter.operations[kind] += int(lines.any(axis=0).sum())
            self._meter.programming_ticks[array - 1, kind] += int(spent.sum())
            self._store.commit(self._meter)
            done = part.stop
        return done

    def read(
        self,
        array: int,
        *,
        rows: range | None = None,
        planes: tuple[int, ...] = (PLUS, MINUS),
        rails: Rails,
        converters: Converters,
        aborted: Aborted | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.uint8]:
        """READ every cell of some rows: 8-bit codes, 0.1 uS each at the nominal read voltage.

        Args:
            array: 1 or 2.
            rows: Consecutive rows; default: all.
            planes: Which cells, in the order of the result.
            rails: VBL27, VBL23 and the clamp.
            converters: Only the bias of the array's integrators matters.
            aborted: Asked between chunks of rows.
            progress: Told the rows done.

        Returns:
            Codes, (planes, rows done, outputs).

        Raises:
            LimitExceeded: Rows that the array does not have.
        """
        forward = Forward(rails, converters, self._meter, self._ageing, aborted, progress)
        return forward.read(self._array(array), rows, planes)

    def vmm(
        self,
        samples: NDArray[np.uint8],
        *,
        rails: Rails,
        converters: Converters,
        aborted: Aborted | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.uint8]:
        """Array 1 alone: hidden pulse counts of packed samples.

        Args:
            samples: Packed as the board's memory holds them, (n, 98).
            rails: VBL27, VBL23 and the clamp.
            converters: N1, and what sets the full scale of array 1.
            aborted: Asked between chunks of samples.
            progress: Told the samples done.

        Returns:
            Codes 0..2^N1 - 1, (done, 100).

        Raises:
            ShapeError: ``samples`` is not (n, 98).
        """
        forward = Forward(rails, converters, self._meter, self._ageing, aborted, progress)
        return forward.multiply1(self._array1, samples)

    def vmm2(
        self,
        hidden: NDArray[np.uint8],
        *,
        rails: Rails,
        converters: Converters,
        aborted: Aborted | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.int32]:
        """Array 2 alone: outputs of hidden pulse counts.

        Args:
            hidden: Pulse counts, (n, 100); more than 2^N1 - 1 of them are taken as they are.
            rails: VBL27 and the clamp.
            converters: N2, and what sets the full scale of array 2.
            aborted: Asked between chunks of vectors.
            progress: Told the vectors done.

        Returns:
            Accumulated code differences, (done, 10): 17 bits hold them.

        Raises:
            ShapeError: ``hidden`` is not (n, 100).
        """
        forward = Forward(rails, converters, self._meter, self._ageing, aborted, progress)
        return forward.multiply2(self._array2, hidden)

    def infer(
        self,
        samples: NDArray[np.uint8],
        *,
        rails: Rails,
        converters: Converters,
        aborted: Aborted | None = None,
        progress: Progress | None = None,
    ) -> Inference:
        """Both arrays: outputs of packed samples. Arguments and errors as of :meth:`vmm`."""
        forward = Forward(rails, converters, self._meter, self._ageing, aborted, progress)
        return forward.infer(self._array1, self._array2, samples)

    def train(
        self,
        samples: NDArray[np.uint8],
        targets: NDArray[np.int32],
        *,
        rails: Rails,
        converters: Converters,
        learning: Learning,
        tuning: Tuning,
        phase: int = 0,
        fine: bool = False,
        aborted: Aborted | None = None,
        progress: Progress | None = None,
    ) -> Training:
        """One learning step per sample, by the rules of `starlab_spec.stellar`.

        Args:
            samples: Packed as the board's memory holds them, (n, 98).
            targets: Output codes to learn, (n, 10).
            rails: Read rails; those of the pulses are within ``tuning``.
            converters: Settings of the forward pass.
            learning: Thresholds and activation.
            tuning: Schedule and pulses.
            phase: Phase of the first sample.
            fine: Every sample is a chunk of its own.
            aborted: Asked between chunks of samples.
            progress: Told the samples done.

        Returns:
            What each sample begun gave and took, and the phase of the next one. All are done, but
            those that were aborted, and those from the one on in which a current limit tripped.

        Raises:
            ShapeError: Arrays of other shapes, or of different length.
            LimitExceeded: A phase that the schedule does not have.
        """
        lesson = Lesson(
            rails,
            converters,
            learning,
            tuning,
            self._meter,
            self._ageing,
            self._store,
            aborted,
            progress,
        )
        arrays = self._array1, self._array2
        return lesson.run(arrays, samples, targets, phase, fine=fine)

    def _array(self, number: int) -> CellArray:
        return self._array1 if array_geometry(number) is ARRAY1 else self._array2
