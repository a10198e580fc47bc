"""READ and forward passes over many samples, in chunks, metered. Changes no cell."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import detailed, energy, kernels
from starlab_sim.chip.ageing import Ageing
from starlab_sim.chip.array import CellArray
from starlab_sim.chip.batches import (
    CHUNK_ROWS,
    CHUNK_SAMPLES,
    Aborted,
    Inference,
    Progress,
    batch,
    chunks,
    plain,
)
from starlab_sim.chip.converters import Converters, Rails
from starlab_sim.chip.counters import READ, Meter
from starlab_sim.chip.detailed.noise import forward_noises, read_noise
from starlab_sim.chip.readout import Readout, readout
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
    ageing: Ageing
    """What brings cells up to date between chunks."""
    aborted: Aborted | None
    """Asked between chunks."""
    progress: Progress | None
    """Told after each chunk."""

    def read(
        self, array: CellArray, rows: range | None, planes: tuple[int, ...]
    ) -> NDArray[np.uint8]:
        """READ of every cell of some rows."""
        _, inputs, outputs = array.geometry.shape
        rows = range(inputs) if rows is None else rows
        if not 0 <= rows.start <= rows.stop <= inputs:
            low = rows.start < 0
            raise LimitExceeded(
                "row", rows.start if low else rows.stop - 1, 0 if low else inputs - 1
            )
        codes = np.empty((len(planes), len(rows), outputs), np.uint8)
        read = self._read_plain if array.reads_plainly else self._read_detailed
        done = 0
        row_ticks = len(planes) * energy.read_row_ticks()

        def size(_: int) -> int:
            return self.ageing.steps(CHUNK_ROWS, [row_ticks])

        for part in chunks(len(rows), size, self.aborted, self.progress):
            read(array, rows.start + part.start, planes, codes[:, part])
            conversions = len(planes) * (part.stop - part.start)
            self.meter.read_operations += part.stop - part.start
            self.meter.cells_read += conversions * outputs
            self.meter.reading_ticks[READ] += conversions * energy.read_row_ticks()
            done = part.stop
        return codes[:, :done]

    def _read_voltages(self, array: CellArray, planes: tuple[int, ...]) -> list[float]:
        """Read voltage over the cells of each plane."""
        paired = array.differential
        rails = self.rails
        return [
            (rails.read_minus_mv if paired and plane == MINUS else rails.read_plus_mv) * 1e-3
            for plane in planes
        ]

    def _read_plain(
        self, array: CellArray, first: int, planes: tuple[int, ...], codes: NDArray[np.uint8]
    ) -> None:
        """READ of a chunk of rows of ideal cells."""
        _, rows, outputs = codes.shape
        voltages = self._read_voltages(array, planes)
        sums_uS = np.empty((len(planes), rows))
        seen_uS = array.read_uS(slice(first, first + rows), planes)
        for index, (plane, read_v) in enumerate(zip(planes, voltages, strict=True)):
            kernels.read_rows(
                seen_uS[plane],
                read_v,
                self.converters.read_full_scale_ua(array.geometry.number),
                codes[index],
                sums_uS[index],
            )
        self._add_reads(sums_uS, voltages, outputs)

    def _add_reads(
        self, sums_uS: NDArray[np.float64], voltages: Sequence[float], outputs: int
    ) -> None:
        """Meter the energy of rows that were read."""
        kernels.add_reads(
            sums_uS,
            energy.read_row_energy_j(outputs),
            np.array([energy.line_energy_j(read_v) for read_v in voltages]),
            np.array([energy.read_cell_energy_j(read_v) for read_v in voltages]),
            self.meter.reading_j,
        )

    def _read_detailed(
        self, array: CellArray, first: int, planes: tuple[int, ...], codes: NDArray[np.uint8]
    ) -> None:
        """The same of cells that are not ideal."""
        number, outputs = array.geometry.number, array.geometry.outputs
        voltages = self._read_voltages(array, planes)
        into = np.empty(codes.shape, np.uint8)
        sums_uS = np.empty(codes.shape[:2])
        rows = slice(first, first + codes.shape[1])
        detailed.read_rows(
            array.cells._replace(conductance_uS=plain(array.read_uS(rows, planes))),
            np.array(planes, np.int64),
            0,
            np.array(voltages),
            array.effects.output_ohm * 1e-6,
            self.converters.read_full_scale_ua(number),
            detailed.NO_GAIN,
            array.traps.of_rows(rows),
            read_noise(array.effects.read_noise, self.converters, number),
            self.meter.clock_ticks,
            energy.read_row_ticks(),
            array.reading,
            into,
            sums_uS,
        )
        codes[...] = into
        self._add_reads(sums_uS, voltages, outputs)

    def multiply1(self, array1: CellArray, samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Array 1 alone."""
        samples = batch("samples", samples, np.uint8, SAMPLE_BYTES)
        settings = self._readout(array1)
        energy_j, ticks_each = self.meter.reading_j, energy.multiply1_ticks(self.converters)
        noise, _ = forward_noises(array1.effects.read_noise, self.converters)
        hidden = np.empty((len(samples), ARRAY1.outputs), np.uint8)

        def run(part: slice) -> None:
            if array1.reads_plainly:
                cells = array1.forward_uS
                kernels.multiply1_batch(cells, samples[part], settings, hidden[part], energy_j)
                return
            forward = array1.forward_cells
            detailed.multiply1_batch(
                forward.cells,
                samples[part],
                settings,
                forward.gain,
                array1.traps,
                noise,
                self.meter.clock_ticks,
                ticks_each,
                array1.reading,
                hidden[part],
                energy_j,
            )

        return hidden[: self._each(run, len(samples), ticks_each)]

    def multiply2(self, array2: CellArray, hidden: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Array 2 alone."""
        hidden = batch("hidden counts", hidden, np.uint8, ARRAY2.inputs)
        settings = self._readout(array2)
        energy_j, ticks_each = self.meter.reading_j, energy.inference_ticks(self.converters)
        _, noise = forward_noises(array2.effects.read_noise, self.converters)
        outputs = np.empty((len(hidden), ARRAY2.outputs), np.int32)

        def run(part: slice) -> None:
            if array2.reads_plainly:
                cells = array2.forward_uS
                kernels.multiply2_batch(cells, hidden[part], settings, outputs[part], energy_j)
                return
            forward = array2.forward_cells
            detailed.multiply2_batch(
                forward.cells,
                hidden[part],
                settings,
                forward.gain,
                array2.traps,
                noise,
                self.meter.clock_ticks,
                ticks_each,
                array2.reading,
                outputs[part],
                energy_j,
            )

        return outputs[: self._each(run, len(hidden), ticks_each)]

    def infer(self, array1: CellArray, array2: CellArray, samples: NDArray[np.uint8]) -> Inference:
        """Both arrays."""
        samples = batch("samples", samples, np.uint8, SAMPLE_BYTES)
        settings = self._readout(array1)
        hidden = np.empty((len(samples), ARRAY1.outputs), np.uint8)
        outputs = np.empty((len(samples), ARRAY2.outputs), np.int32)

        ticks_each = energy.inference_ticks(self.converters)
        noises = forward_noises(array1.effects.read_noise, self.converters)

        def run(part: slice) -> None:
            if not array1.reads_plainly:
                one, two = array1.forward_cells, array2.forward_cells
                detailed.infer_batch(
                    (one.cells, two.cells),
                    samples[part],
                    settings,
                    (one.gain, two.gain),
                    (array1.traps, array2.traps),
                    noises,
                    self.meter.clock_ticks,
                    ticks_each,
                    (array1.reading, array2.reading),
                    hidden[part],
                    outputs[part],
                    self.meter.reading_j,
                )
                return
            kernels.infer_batch(
                array1.forward_uS,
                array2.forward_uS,
                samples[part],
                settings,
                hidden[part],
                outputs[part],
                self.meter.reading_j,
            )

        done = self._each(run, len(samples), ticks_each)
        return Inference(hidden=hidden[:done], outputs=outputs[:done])

    def _readout(self, array: CellArray) -> Readout:
        return readout(
            self.rails,
            self.converters,
            differential=array.differential,
            output_ohm=array.effects.output_ohm,
        )

    def _each(self, run: Callable[[slice], None], total: int, ticks_each: int) -> int:
        def size(_: int) -> int:
            return self.ageing.steps(CHUNK_SAMPLES, [ticks_each])

        done = 0
        for part in chunks(total, size, self.aborted, self.progress):
            run(part)
            self.meter.count_inferences(part.stop - part.start, ticks_each)
            done = part.stop
        return done
