"""READ and forward passes over many samples, in chunks, metered. Changes no cell."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import energy, kernels
from starlab_sim.chip.array import CellArray
from starlab_sim.chip.batches import (
    CHUNK_ROWS,
    CHUNK_SAMPLES,
    Aborted,
    Inference,
    Progress,
    batch,
    chunks,
)
from starlab_sim.chip.converters import Converters, Rails
from starlab_sim.chip.counters import Meter
from starlab_sim.chip.readout import readout
from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import ARRAY1, ARRAY2, MINUS
from starlab_spec.samples import SAMPLE_BYTES


@dataclass(frozen=True, slots=True)
class Forward:
    """One request: with which settings, metered where, and how it can be stopped.

    The arguments of its methods, and their errors, are those of the chip's.
    """

    rails: Rails
    """Read rails."""
    converters: Converters
    """Integrators and ADCs."""
    meter: Meter
    """What the work is added to."""
    aborted: Aborted | None
    """Asked between chunks."""
    progress: Progress | None
    """Told after each chunk."""

    def read(
        self, array: CellArray, rows: range | None, planes: tuple[int, ...]
    ) -> NDArray[np.uint8]:
        """READ of every cell of some rows."""
        number, (_, inputs, outputs) = array.geometry.number, array.geometry.shape
        rows = range(inputs) if rows is None else rows
        if not 0 <= rows.start <= rows.stop <= inputs:
            low = rows.start < 0
            raise LimitExceeded(
                "row", rows.start if low else rows.stop - 1, 0 if low else inputs - 1
            )
        full_scale_ua = self.converters.read_full_scale_ua(number)
        codes = np.empty((len(planes), len(rows), outputs), np.uint8)
        done = 0
        for part in chunks(len(rows), CHUNK_ROWS, self.aborted, self.progress):
            for index, plane in enumerate(planes):
                minus = plane == MINUS and number == ARRAY1.number
                read_v = (self.rails.read_minus_mv if minus else self.rails.read_plus_mv) * 1e-3
                kernels.read_rows(
                    array.conductance_uS[plane, rows.start + part.start : rows.start + part.stop],
                    read_v,
                    full_scale_ua,
                    energy.read_row_energy_j(read_v, outputs),
                    energy.read_cell_energy_j(read_v),
                    codes[index, part],
                    self.meter.energy_j,
                )
            conversions = len(planes) * (part.stop - part.start)
            self.meter.read_operations += part.stop - part.start
            self.meter.cells_read += conversions * outputs
            self.meter.time_ticks += conversions * energy.read_row_ticks()
            done = part.stop
        return codes[:, :done]

    def multiply1(self, array1: CellArray, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Array 1 alone."""
        samples = batch("samples", samples, np.uint8, SAMPLE_BYTES)
        settings = readout(self.rails, self.converters)
        cells, energy_j = array1.conductance_uS, self.meter.energy_j
        hidden = np.empty((len(samples), ARRAY1.outputs), np.uint8)

        def run(part: slice) -> None:
            kernels.multiply1_batch(cells, samples[part], settings, hidden[part], energy_j)

        return hidden[: self._each(run, len(samples), energy.multiply1_ticks(self.converters))]

    def multiply2(self, array2: CellArray, hidden: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Array 2 alone."""
        hidden = batch("hidden counts", hidden, np.uint8, ARRAY2.inputs)
        settings = readout(self.rails, self.converters)
        cells, energy_j = array2.conductance_uS, self.meter.energy_j
        outputs = np.empty((len(hidden), ARRAY2.outputs), np.int32)

        def run(part: slice) -> None:
            kernels.multiply2_batch(cells, hidden[part], settings, outputs[part], energy_j)

        return outputs[: self._each(run, len(hidden), energy.inference_ticks(self.converters))]

    def infer(self, array1: CellArray, array2: CellArray, samples: NDArray[np.uint8]) -> Inference:
        """Both arrays."""
        samples = batch("samples", samples, np.uint8, SAMPLE_BYTES)
        settings = readout(self.rails, self.converters)
        hidden = np.empty((len(samples), ARRAY1.outputs), np.uint8)
        outputs = np.empty((len(samples), ARRAY2.outputs), np.int32)

        def run(part: slice) -> None:
            kernels.infer_batch(
                array1.conductance_uS,
                array2.conductance_uS,
                samples[part],
                settings,
                hidden[part],
                outputs[part],
                self.meter.energy_j,
            )

        done = self._each(run, len(samples), energy.inference_ticks(self.converters))
        return Inference(hidden=hidden[:done], outputs=outputs[:done])

    def _each(self, run: Callable[[slice], None], total: int, ticks_each: int) -> int:
        done = 0
        for part in chunks(total, CHUNK_SAMPLES, self.aborted, self.progress):
            run(part)
            self.meter.count_inferences(part.stop - part.start, ticks_each)
            done = part.stop
        return done
