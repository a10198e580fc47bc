"""Operations of the board, checked as a whole before anything changes; the published ones.

Reads registers and memory and drives the chip. Knows no transaction: the front does. The operations
of our extension are in `batches`.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from starlab_sim.chip import Chip
from starlab_sim.errors import Refused
from starlab_sim.firmware import batches, conditions
from starlab_sim.firmware.control import Control
from starlab_sim.firmware.over_current import over_current_in_training
from starlab_sim.firmware.register_file import pack_words
from starlab_sim.firmware.row_pulses import pulse_rows
from starlab_sim.firmware.selection import selection
from starlab_sim.firmware.state import PoweredState
from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import ARRAY2
from starlab_spec.operations import PULSING, Operation, PulseKind
from starlab_spec.samples import SAMPLE_BYTES, pack_one_hot, pack_outputs
from starlab_spec.wire.transactions import Status

Run = Callable[[Control], bytes]
"""An operation that was found in order: runs it and gives its result words."""
Plan = Callable[[PoweredState, Chip, conditions.Supplied], Run]
"""Checks one kind of operation; changes nothing."""


def plan(word: int, state: PoweredState, chip: Chip, *, now_s: float) -> Run:
    """Check an operation as a whole, without doing anything.

    Args:
        word: One bit of register OPERATION.
        state: Registers, memory and supplies that it works with.
        chip: What it works on.
        now_s: Time, by which generators have settled or not.

    Returns:
        The operation, to be run at once.

    Raises:
        Refused: The word names no operation, a fault is latched or has just tripped, a supply is
            off or has not settled, a rail that would drive cells came on out of order, or the
            operation would bring a cell outside of its safe operating area.
        LimitExceeded: A register or memory content that the operation cannot work with.
    """
    prepare = _PLANS.get(word)
    if prepare is None:
        names = ", ".join(operation.name for operation in Operation)
        message = f"operation 0x{word:08X} must be one bit of {names}"
        raise Refused(Status.BAD_REQUEST, message)
    state.check_faults()
    supplied = state.supplies.values(now_s=now_s)
    state.check_rails(supplied)
    if word in PULSING:
        state.supplies.check_order()
    return prepare(state, chip, supplied)


def _row_pulse(kind: PulseKind) -> Plan:
    def prepare(state: PoweredState, chip: Chip, supplied: conditions.Supplied) -> Run:
        cells = selection(state.registers)
        pulse = conditions.pulse_conditions(state.registers, supplied, cells.array, kind)
        count = conditions.pulse_count(state.registers, cells.array, kind)
        admitted = state.interlock.admit_pulses(
            chip, cells.array, kind, pulse, count, cells.mask, cells.row
        )

        def run(control: Control) -> bytes:
            with admitted:
                rows = pulse_rows(
                    state,
                    chip,
                    cells.array.number,
                    kind,
                    cells.mask,
                    pulse,
                    control,
                    count=count,
                    first_row=cells.row,
                )
            control.check_complete(kind.name, rows, 1, "rows")
            return b""

        return run

    return prepare


def _read(state: PoweredState, chip: Chip, supplied: conditions.Supplied) -> Run:
    cells = selection(state.registers)
    rails = conditions.rails(supplied)
    converters = conditions.converters(state.registers, supplied)

    def run(control: Control) -> bytes:
        codes = np.zeros((2, cells.array.outputs), np.uint8)
        read = chip.read(
            cells.array.number,
            rows=range(cells.row, cells.row + 1),
            planes=cells.planes,
            rails=rails,
            converters=converters,
            aborted=control.stopped,
        )
        control.check_complete("READ", read.shape[1], 1, "rows")
        codes[list(cells.planes)] = read[:, 0]
        return pack_words(cells.in_reading_order(codes).tolist())

    return run


def _inference(state: PoweredState, chip: Chip, supplied: conditions.Supplied) -> Run:
    registers = state.registers
    first = registers.get("INFERENCE_RANGE", "first")
    last = registers.get("INFERENCE_RANGE", "last")
    if last < first:
        raise LimitExceeded("last sample of INFERENCE_RANGE", last, first)
    samples = _samples(state, first, last - first + 1)
    y2_mode = registers.get("MODE", "y2_mode")
    rails = conditions.rails(supplied)
    converters = conditions.converters(registers, supplied)

    def run(control: Control) -> bytes:
        inference = chip.infer(
            samples,
            rails=rails,
            converters=converters,
            aborted=control.stopped,
            progress=control.progress("INFERENCE"),
        )
        control.check_complete("INFERENCE", len(inference.outputs), len(samples), "samples")
        if y2_mode:
            return pack_outputs(inference.outputs[-1])
        return b"".join(map(pack_one_hot, inference.winners.tolist()))

    return run


def _training_step(state: PoweredState, chip: Chip, supplied: conditions.Supplied) -> Run:
    registers = state.registers
    index = registers.get("TRAINING_INDEX", "index")
    samples = _samples(state, index, 1)
    targets = [registers.get(f"TARGET{i}", "target") for i in range(ARRAY2.outputs)]
    rails = conditions.rails(supplied)
    converters = conditions.converters(registers, supplied)
    learning = conditions.learning(registers)
    tuning = conditions.tuning(registers, supplied, conditions.published_schedule(registers))
    admitted = state.interlock.admit_training(chip, converters, tuning, samples=1)

    def run(control: Control) -> bytes:
        with admitted:
            training = chip.train(
                samples,
                np.array([targets], np.int32),
                rails=rails,
                converters=converters,
                learning=learning,
                tuning=tuning,
                aborted=control.stopped,
            )
        if training.trip is not None:
            applied = int(training.pulses1[0]) + int(training.pulses2[0])
            raise over_current_in_training(state, training.trip, index, 0, 1, applied)
        control.check_complete("BP", len(training.outputs), 1, "samples")
        return pack_outputs(training.outputs[0])

    return run


def _samples(state: PoweredState, first: int, count: int) -> batches.Bytes:
    stride = state.registers.word("SAMPLE_STRIDE")
    address = state.registers.word("SAMPLE_ADDRESS") + first * stride
    return state.memory.rows(address, stride, count, SAMPLE_BYTES)


_PLANS: Final[dict[int, Plan]] = {
    Operation.FORM: _row_pulse(PulseKind.FORM),
    Operation.SET: _row_pulse(PulseKind.SET),
    Operation.RESET: _row_pulse(PulseKind.RESET),
    Operation.READ: _read,
    Operation.INFERENCE: _inference,
    Operation.BP: _training_step,
    Operation.PULSE_MASK: batches.pulse_mask,
    Operation.READ_ARRAY: batches.read_array,
    Operation.BATCH_INFERENCE: batches.batch_inference,
    Operation.BATCH_TRAINING: batches.batch_training,
    Operation.VMM2: batches.vmm2,
}
SHORT_OPERATIONS: Final = frozenset(
    {Operation.FORM, Operation.SET, Operation.RESET, Operation.READ, Operation.BP}
)
"""Operations that are over within a millisecond, whatever the registers hold."""
