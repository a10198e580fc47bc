"""Learning steps over many samples, in chunks, metered. Decides no pulse: the kernels do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import detailed, energy
from starlab_sim.chip.ageing import Ageing
from starlab_sim.chip.array import CellArray
from starlab_sim.chip.batches import (
    CHUNK_SAMPLES,
    Aborted,
    Progress,
    Training,
    Trip,
    batch,
    chunks,
)
from starlab_sim.chip.converters import Converters, Rails
from starlab_sim.chip.counters import BACKWARD, FORWARD, Meter
from starlab_sim.chip.detailed.feed import ARRAY, KIND, PLANE, SAMPLE
from starlab_sim.chip.detailed.noise import backward_noise, forward_noises
from starlab_sim.chip.learning import Learning, Tuning
from starlab_sim.chip.readout import readout
from starlab_sim.chip.store import ALL, Store
from starlab_sim.chip.tuning import train_batch
from starlab_sim.chip.wires import PulsingWires, ReadingWires, ideal
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.operations import PulseKind
from starlab_spec.samples import SAMPLE_BYTES


@dataclass(frozen=True, slots=True)
class Lesson:
    """One request: with which settings, kept and metered where, and how it can be stopped.

    The arguments of its method, and their errors, are those of the chip's.
    """

    rails: Rails
    """Read rails."""
    converters: Converters
    """Integrators and ADCs."""
    learning: Learning
    """Thresholds and activation."""
    tuning: Tuning
    """Schedule and pulses."""
    meter: Meter
    """What the work is added to."""
    ageing: Ageing
    """What brings cells up to date between steps."""
    store: Store
    """What keeps the cells."""
    aborted: Aborted | None
    """Asked between chunks."""
    progress: Progress | None
    """Told after each chunk."""

    def run(
        self,
        arrays: tuple[CellArray, CellArray],
        samples: NDArray[np.uint8],
        targets: NDArray[np.int32],
        phase: int,
        *,
        fine: bool,
    ) -> Training:
        """One learning step per sample, up to the first in which a current limit trips."""
        samples = batch("samples", samples, np.uint8, SAMPLE_BYTES)
        targets = batch("targets", targets, np.int32, ARRAY2.outputs)
        if len(targets) != len(samples):
            raise ShapeError("targets", f"are {len(targets)}, expected {len(samples)}")
        counts = self.tuning.schedule.pulse_counts()
        if not 0 <= phase < len(counts):
            raise LimitExceeded("phase", phase, 0 if phase < 0 else len(counts) - 1)
        tuned = {number: ALL for number in (1, 2) if counts[:, number - 1].any()}
        forward_ticks = energy.inference_ticks(self.converters)
        tuning_ticks = energy.tuning_ticks(self.tuning)
        ticks_each = forward_ticks + energy.BACKWARD_TICKS + tuning_ticks.sum(axis=(1, 2))
        hidden = np.empty((len(samples), ARRAY1.outputs), np.uint8)
        outputs = np.empty((len(samples), ARRAY2.outputs), np.int32)
        pulses = np.empty((len(samples), 2), np.int32)
        feed = detailed.feed_of(arrays[0].effects)
        plain = all(array.is_plain for array in arrays)
        limit = 1 if fine else CHUNK_SAMPLES
        done = 0
        trip: Trip | None = None

        def size(_: int) -> int:
            most = min([limit, *(one.wires.chunk for one in arrays if one.wires is not None)])
            return self.ageing.steps(most, [*ticks_each[phase:], *ticks_each[:phase]])

        for part in chunks(len(samples), size, self.aborted, self.progress):
            begun = steps = part.stop - part.start
            self.store.begin(tuned)
            before = phase
            results = hidden[part], outputs[part], pulses[part]
            asked = arrays, samples[part], targets[part], counts, phase
            if plain:
                phase = self._plain(*asked, results)
            else:
                phase = self._detailed(*asked, feed, ticks_each, results)
            trip = _trip(feed)
            if trip is not None:
                steps = int(feed.tripped[SAMPLE])
                begun = steps + 1
                self.meter.programming_ticks += energy.ticks_before(
                    self.tuning, phase, trip.array, trip.kind, trip.plane
                )
            self.meter.reading_ticks[FORWARD] += begun * forward_ticks
            self.meter.reading_ticks[BACKWARD] += begun * energy.BACKWARD_TICKS
            phases = np.arange(before, before + steps) % len(counts)
            self.meter.programming_ticks += tuning_ticks[phases].sum(axis=0)
            self.meter.training_steps += steps
            for number in tuned:
                arrays[number - 1].learnt(begun)
            self.store.commit(self.meter)
            done = part.start + begun
            if trip is not None:
                break
        return Training(
            hidden=hidden[:done],
            outputs=outputs[:done],
            pulses1=pulses[:done, 0],
            pulses2=pulses[:done, 1],
            phase=phase,
            trip=trip,
        )

    def _plain(
        self,
        arrays: tuple[CellArray, CellArray],
        samples: NDArray[np.uint8],
        targets: NDArray[np.int32],
        counts: NDArray[np.int64],
        phase: int,
        results: tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]],
    ) -> int:
        """A chunk on ideal cells; returns the phase of the next sample."""
        array1, array2 = arrays
        tuning = self.tuning
        return train_batch(
            array1.conductance_uS,
            array2.conductance_uS,
            array1.pulses,
            array2.pulses,
            samples,
            targets,
            readout(self.rails, self.converters),
            self.learning.rules(),
            counts,
            phase,
            array1.motions(tuning.set1, tuning.reset1),
            array2.motions(tuning.set2, tuning.reset2),
            array1.rng,
            array2.rng,
            *results,
            self.meter.reading_j,
            self.meter.programming_j,
            self.meter.pulses,
        )

    def _detailed(
        self,
        arrays: tuple[CellArray, CellArray],
        samples: NDArray[np.uint8],
        targets: NDArray[np.int32],
        counts: NDArray[np.int64],
        phase: int,
        feed: detailed.Feed,
        ticks_each: NDArray[np.int64],
        results: tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]],
    ) -> int:
        """The same on cells that are not ideal, or from generators that are not."""
        array1, array2 = arrays
        tuning = self.tuning
        reading, pulsing = _wires(array1, array2)
        return detailed.train_batch(
            (array1.cells, array2.cells),
            samples,
            targets,
            readout(
                self.rails,
                self.converters,
                differential=array1.differential,
                output_ohm=array1.effects.output_ohm,
            ),
            reading,
            (array1.traps, array2.traps),
            forward_noises(array1.effects.read_noise, self.converters),
            backward_noise(array2.effects.read_noise, self.rails.read_plus_mv * 1e-3),
            self.learning.rules(),
            counts,
            phase,
            (
                array1.detailed_pulses(tuning.set1, tuning.reset1),
                array2.detailed_pulses(tuning.set2, tuning.reset2),
            ),
            pulsing,
            feed,
            self.meter.clock_ticks,
            ticks_each,
            (array1.rng, array2.rng),
            (array1.reading, array2.reading),
            *results,
            self.meter.reading_j,
            self.meter.programming_j,
            self.meter.pulses,
        )


def _trip(feed: detailed.Feed) -> Trip | None:
    """What has tripped, if anything has."""
    if feed.tripped[SAMPLE] < 0:
        return None
    return Trip(
        array=int(feed.tripped[ARRAY]) + 1,
        kind=PulseKind(feed.tripped[KIND]),
        plane=int(feed.tripped[PLANE]),
        current_ma=float(feed.current_ua[0]) * 1e-3,
    )


def _wires(
    array1: CellArray, array2: CellArray
) -> tuple[
    tuple[ReadingWires | None, ReadingWires | None], tuple[PulsingWires | None, PulsingWires | None]
]:
    """Through which a chunk reads and pulses the arrays."""
    if array1.wires is None and array2.wires is None:
        return (None, None), (None, None)
    one, two = (
        ideal(array.geometry, array.effects)
        if array.wires is None
        else (array.wires.learning(array.conductance_uS), array.wires.pulsing())
        for array in (array1, array2)
    )
    return (one[0], two[0]), (one[1], two[1])
