"""The operations of our extension: whole arrays and batches, from memory and back to memory.

Each function checks one operation as a whole and returns what runs it; nothing changes before.
Layouts: `starlab_spec.operations`. Knows no transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip import Chip, Trip, targets_of
from starlab_sim.firmware import conditions
from starlab_sim.firmware.control import Control
from starlab_sim.firmware.memory import Memory, rows_span
from starlab_sim.firmware.over_current import over_current_in_training
from starlab_sim.firmware.register_file import RegisterFile, pack_words
from starlab_sim.firmware.row_pulses import pulse_rows
from starlab_sim.firmware.state import PoweredState
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.geometry import ARRAY2
from starlab_spec.operations import (
    INFERENCE_RECORD,
    OUTPUT_BYTES,
    TRAINING_RECORD,
    Operation,
    PulseKind,
    Scheme,
    TargetMode,
    check_memory_range,
    mask_bytes,
    unpack_mask,
    with_hidden,
)
from starlab_spec.registers import WORD_MASK, register
from starlab_spec.samples import SAMPLE_BYTES

Bytes = NDArray[np.uint8]
Records = NDArray[np.void]

BLOCK_SAMPLES: Final = 4096
"""Samples between two writes of records to memory: bounds what a batch holds beside it."""
_TARGET: Final = register("TARGET0").field("target")


@dataclass(frozen=True, slots=True)
class Part:
    """What became of some samples of a batch."""

    records: Records
    """One for each sample begun."""
    pulses: int = 0
    """Applied to all of them."""
    trip: Trip | None = None
    """What ended the last of them before it was complete; None: nothing did."""


Step = Callable[[Bytes, slice, Callable[[int, int], None]], Part]
"""Works on some samples."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples and records of a batch operation, all within memory and apart from each other."""

    operation: Operation
    first: int
    count: int
    sample_address: int
    stride: int
    sample_bytes: int
    result_address: int
    record: np.dtype[np.void]

    @classmethod
    def of(
        cls,
        registers: RegisterFile,
        operation: Operation,
        *,
        sample_bytes: int,
        record: np.dtype[np.void],
    ) -> "Batch":
        """The batch that the registers describe.

        Raises:
            LimitExceeded: Samples or records beyond the memory.
            ShapeError: Records that would overwrite samples.
        """
        first = registers.word("BATCH_FIRST")
        stride = registers.word("SAMPLE_STRIDE")
        batch = cls(
            operation,
            first,
            registers.word("BATCH_COUNT"),
            registers.word("SAMPLE_ADDRESS") + first * stride,
            stride,
            sample_bytes,
            registers.word("RESULT_ADDRESS"),
            with_hidden(record) if registers.get("RESULT_FORMAT", "hidden") else record,
        )
        span = rows_span(stride, batch.count, sample_bytes)
        check_memory_range(batch.sample_address, span)
        batch.check_apart("samples", batch.sample_address, span)
        return batch

    def check_apart(self, name: str, address: int, count: int) -> None:
        """Refuse records beyond the memory, or such as would overwrite what is still to be read.

        Raises:
            LimitExceeded: Records beyond the memory.
            ShapeError: Records over those bytes.
        """
        start, end = self.result_address, self.result_address + self.count * self.record.itemsize
        check_memory_range(start, end - start)
        if start < address + count and address < end:
            problem = f"at 0x{start:X}..0x{end:X} overlap the {name} at 0x{address:X}"
            raise ShapeError("result records", problem)

    def run(self, state: PoweredState, control: Control, step: Step) -> bytes:
        """All samples in order, block by block; records and BATCH_DONE follow.

        Raises:
            Refused: ABORTED; COMPLIANCE: a current limit tripped in a learning step. The record
                after those of the complete samples is that of the sample which it ended.
        """
        name = self.operation.name
        done = pulses = 0
        state.registers.put("BATCH_DONE", 0)
        while done < self.count:
            block = slice(done, min(done + BLOCK_SAMPLES, self.count))
            samples = state.memory.rows(
                self.sample_address + done * self.stride,
                self.stride,
                block.stop - done,
                self.sample_bytes,
            )
            progress = control.progress(name, offset=done, total=self.count)
            part = step(samples, block, progress)
            address = self.result_address + done * self.record.itemsize
            state.memory.write(address, part.records.tobytes())
            done += len(part.records) - (part.trip is not None)
            pulses += part.pulses
            state.registers.put("BATCH_DONE", done)
            if part.trip is not None:
                applied = int(part.records["pulses"][-1].sum(dtype=np.int64))
                raise over_current_in_training(state, part.trip, done, done, self.count, applied)
            if done < block.stop:
                control.check_complete(name, done, self.count, "samples")
        return _done_and_pulses(done, pulses)

    def records(self, outputs: NDArray[np.int32], hidden: Bytes) -> Records:
        """Records with outputs and, if wanted, hidden counts."""
        records = np.zeros(len(outputs), self.record)
        records["outputs"] = outputs
        if "hidden" in (self.record.names or ()):
            records["hidden"] = hidden
        return records


def batch_inference(
    state: PoweredState, chip: Chip, supplied: conditions.Supplied
) -> Callable[[Control], bytes]:
    """BATCH_INFERENCE: outputs of samples."""
    batch = Batch.of(
        state.registers,
        Operation.BATCH_INFERENCE,
        sample_bytes=SAMPLE_BYTES,
        record=INFERENCE_RECORD,
    )
    rails = conditions.rails(supplied)
    converters = conditions.converters(state.registers, supplied)

    def run(control: Control) -> bytes:
        def step(samples: Bytes, _: slice, progress: Callable[[int, int], None]) -> Part:
            inference = chip.infer(
                samples,
                rails=rails,
                converters=converters,
                aborted=control.stopped,
                progress=progress,
            )
            return Part(batch.records(inference.outputs, inference.hidden))

        return batch.run(state, control, step)

    return run


def vmm2(
    state: PoweredState, chip: Chip, supplied: conditions.Supplied
) -> Callable[[Control], bytes]:
    """VMM2: outputs of hidden pulse counts, through array 2 alone."""
    batch = Batch.of(
        state.registers, Operation.VMM2, sample_bytes=ARRAY2.inputs, record=INFERENCE_RECORD
    )
    rails = conditions.rails(supplied)
    converters = conditions.converters(state.registers, supplied)

    def run(control: Control) -> bytes:
        def step(counts: Bytes, _: slice, progress: Callable[[int, int], None]) -> Part:
            outputs = chip.vmm2(
                counts,
                rails=rails,
                converters=converters,
                aborted=control.stopped,
                progress=progress,
            )
            return Part(batch.records(outputs, counts[: len(outputs)]))

        return batch.run(state, control, step)

    return run


def batch_training(
    state: PoweredState, chip: Chip, supplied: conditions.Supplied
) -> Callable[[Control], bytes]:
    """BATCH_TRAINING: one learning step per sample, in order; PHASE goes on from where it is."""
    registers = state.registers
    batch = Batch.of(
        registers, Operation.BATCH_TRAINING, sample_bytes=SAMPLE_BYTES, record=TRAINING_RECORD
    )
    targets_at = _targets(batch, registers, state.memory)
    rails = conditions.rails(supplied)
    converters = conditions.converters(registers, supplied)
    learning = conditions.learning(registers)
    tuning = conditions.tuning(registers, supplied, conditions.batch_schedule(registers))
    cyclic = registers.get("SCHEME") == Scheme.CYCLIC
    admitted = state.interlock.admit_training(chip, converters, tuning, batch.count)

    def run(control: Control) -> bytes:
        def step(samples: Bytes, block: slice, progress: Callable[[int, int], None]) -> Part:
            training = chip.train(
                samples,
                targets_at(block),
                rails=rails,
                converters=converters,
                learning=learning,
                tuning=tuning,
                phase=registers.get("PHASE") if cyclic else 0,
                fine=control.fine,
                aborted=control.stopped,
                progress=progress,
            )
            if cyclic:
                registers.put("PHASE", training.phase)
            records = batch.records(training.outputs, training.hidden)
            records["pulses"][:, 0] = training.pulses1
            records["pulses"][:, 1] = training.pulses2
            applied = int(records["pulses"].sum(dtype=np.int64))
            return Part(records, applied, training.trip)

        with admitted:
            return batch.run(state, control, step)

    return run


def pulse_mask(
    state: PoweredState, chip: Chip, supplied: conditions.Supplied
) -> Callable[[Control], bytes]:
    """PULSE_MASK: pulses on every cell of a mask in memory."""
    registers = state.registers
    array = conditions.selected_array(registers)
    number = registers.get("MASK_KIND", "kind")
    if number > PulseKind.FORM:
        raise LimitExceeded("MASK_KIND", number, PulseKind.FORM)
    kind = PulseKind(number)
    packed = state.memory.view(registers.word("MASK_ADDRESS"), mask_bytes(array))
    mask = unpack_mask(packed.tobytes(), array)
    pulse = conditions.pulse_conditions(registers, supplied, array, kind)
    count = conditions.pulse_count(registers, array, kind)
    admitted = state.interlock.admit_pulses(chip, array, kind, pulse, count, mask)

    def run(control: Control) -> bytes:
        name = Operation.PULSE_MASK.name
        with admitted:
            rows = pulse_rows(
                state,
                chip,
                array.number,
                kind,
                mask,
                pulse,
                control,
                count=count,
                progress=control.progress(name),
            )
        cells = int(np.count_nonzero(mask[:, :rows]))
        registers.put("BATCH_DONE", cells)
        control.check_complete(name, rows, array.inputs, "rows")
        return _done_and_pulses(cells, cells * count)

    return run


def read_array(
    state: PoweredState, chip: Chip, supplied: conditions.Supplied
) -> Callable[[Control], bytes]:
    """READ_ARRAY: the code of every cell into memory."""
    registers = state.registers
    array = conditions.selected_array(registers)
    address = registers.word("READ_ADDRESS")
    check_memory_range(address, array.cells)
    rails = conditions.rails(supplied)
    converters = conditions.converters(registers, supplied)

    def run(control: Control) -> bytes:
        name = Operation.READ_ARRAY.name
        codes = chip.read(
            array.number,
            rails=rails,
            converters=converters,
            aborted=control.stopped,
            progress=control.progress(name),
        )
        rows = codes.shape[1]
        for plane, part in enumerate(codes):
            state.memory.write(address + plane * array.cells // 2, part.tobytes())
        registers.put("BATCH_DONE", codes.size)
        control.check_complete(name, rows, array.inputs, "rows")
        return _done_and_pulses(codes.size, 0)

    return run


def _targets(
    batch: Batch, registers: RegisterFile, memory: Memory
) -> Callable[[slice], NDArray[np.int32]]:
    """What gives the target vectors of some samples, all of them checked.

    Raises:
        LimitExceeded: A label that is no class, or a target beyond 17 bits.
    """
    labelled = registers.get("TARGET_MODE") == TargetMode.LABELS
    width = 1 if labelled else OUTPUT_BYTES
    address = registers.word("TARGET_ADDRESS") + batch.first * width
    content = memory.view(address, batch.count * width)
    batch.check_apart("labels" if labelled else "targets", address, len(content))
    if labelled:
        _check_each("label", content, 0, ARRAY2.outputs - 1, batch.first)
        on, off = registers.get("TARGET_ON"), registers.get("TARGET_OFF")
        return lambda block: targets_of(content[block], on=on, off=off)
    words = content.view(">i4").reshape(-1, ARRAY2.outputs)
    limit = 1 << _TARGET.width - 1
    _check_each("target", words, -limit, limit - 1, batch.first)
    return lambda block: words[block].astype(np.int32)


def _check_each(name: str, values: NDArray[Any], low: int, high: int, first: int) -> None:
    wrong = np.argwhere((values < low) | (values > high))
    if len(wrong):
        where = tuple(wrong[0])
        value = int(values[where])
        limit = low if value < low else high
        raise LimitExceeded(f"sample {first + int(where[0])}: {name}", value, limit)


def _done_and_pulses(done: int, pulses: int) -> bytes:
    return pack_words((done, pulses & WORD_MASK))
