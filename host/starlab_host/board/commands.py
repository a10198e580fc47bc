"""The chip's work as transactions on registers, memory and operations. Sends nothing.

Each function gives what one logical step consists of; a command that is made of them sets every
register that it relies on (array select, addresses, formats), so that nothing depends on what was
sent before.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_host.board import memory
from starlab_spec import ArrayGeometry
from starlab_spec.geometry import ARRAY2
from starlab_spec.operations import (
    INFERENCE_RECORD,
    TRAINING_RECORD,
    Operation,
    PulseKind,
    TargetMode,
    pack_mask,
    with_hidden,
)
from starlab_spec.registers import register
from starlab_spec.samples import SAMPLE_BYTES
from starlab_spec.units import ns_to_ticks
from starlab_spec.wire.transactions import (
    Opcode,
    Result,
    Transaction,
    read_memory,
    start,
    words,
    write_memory,
    write_registers,
)

PULSES_PER_OPERATION: Final = 256
"""Most pulses of one operation: the pulse number has eight bits."""
INFERENCE_WITH_HIDDEN: Final = with_hidden(INFERENCE_RECORD)


def write_field(register_name: str, field_name: str, value: int) -> Transaction:
    """Change one field of a register and nothing else of it."""
    holder = register(register_name)
    field = holder.field(field_name)
    return write_registers(holder.address, [field.bits(value)], mask=field.mask)


def write_register(name: str, *values: int) -> Transaction:
    """Write the words of a register and of those that follow it."""
    return write_registers(register(name).address, values)


def select_array(array: ArrayGeometry) -> Transaction:
    """Choose the array of the whole-array operations."""
    return write_field("MODE", "array1", int(array.number == 1))


def read_array(array: ArrayGeometry) -> list[Transaction]:
    """Read every cell; the last result holds the codes, shape (2, inputs, outputs)."""
    return [
        select_array(array),
        write_register("READ_ADDRESS", memory.READS.address),
        start(Operation.READ_ARRAY),
        read_memory(memory.READS.address, array.cells),
    ]


@dataclass(frozen=True, slots=True)
class MaskedPulses:
    """The same number of pulses on every cell of a mask."""

    kind: PulseKind
    """SET, RESET or FORM."""
    mask: NDArray[np.bool_]
    """Shape (2, inputs, outputs)."""
    count: int
    """Pulses on each of the cells."""


def pulse_masks(array: ArrayGeometry, pulses: Iterable[MaskedPulses]) -> list[Transaction]:
    """Pulses on the cells of masks, at most :data:`memory.MASK_SLOTS` of them.

    Leaves its own pulse numbers in register NUMBER1 or NUMBER2.
    """
    transactions = [select_array(array)]
    for slot, group in enumerate(pulses):
        address = memory.mask_address(slot)
        number = f"{group.kind.name.lower()}_number"
        transactions += [
            write_memory(address, pack_mask(group.mask)),
            write_register("MASK_KIND", group.kind, address),
        ]
        whole, rest = divmod(group.count, PULSES_PER_OPERATION)
        if whole:
            full = write_field(f"NUMBER{array.number}", number, PULSES_PER_OPERATION - 1)
            transactions += [full, *[start(Operation.PULSE_MASK)] * whole]
        if rest:
            part = write_field(f"NUMBER{array.number}", number, rest - 1)
            transactions += [part, start(Operation.PULSE_MASK)]
    return transactions


def operations_of(count: int) -> int:
    """How many operations give so many pulses to the same cells."""
    return -(-count // PULSES_PER_OPERATION)


def pulses_of_counts(counts: NDArray[np.integer]) -> list[MaskedPulses]:
    """Another number of pulses for each cell: masks of 1, 2, 4, ... pulses, as few as can be.

    Args:
        counts: Shape (2, inputs, outputs): SET pulses where positive, RESET where negative.
    """
    groups = []
    for kind, wanted in ((PulseKind.SET, counts), (PulseKind.RESET, -counts)):
        count = np.maximum(wanted, 0)
        for bit in range(int(count.max(initial=0)).bit_length()):
            mask = (count >> bit & 1).astype(np.bool_)
            if mask.any():
                groups.append(MaskedPulses(kind, mask, 1 << bit))
    return groups


def write_pulse_width(array: ArrayGeometry, kind: PulseKind, width_ns: int) -> Transaction:
    """Set the width of one kind of pulse."""
    period = ns_to_ticks(width_ns) - 1
    return write_field(f"PERIOD{array.number}", f"{kind.name.lower()}_period", period)


def infer(samples: NDArray[np.uint8], *, hidden: bool) -> list[Transaction]:
    """Infer packed samples, shape (batch, 98); the last result holds the records."""
    record = INFERENCE_WITH_HIDDEN if hidden else INFERENCE_RECORD
    return [
        *_load(samples),
        write_register("RESULT_FORMAT", int(hidden)),
        start(Operation.BATCH_INFERENCE),
        read_memory(memory.RECORDS.address, len(samples) * record.itemsize),
    ]


def multiply2(counts: NDArray[np.uint8]) -> list[Transaction]:
    """Multiply pulse counts, shape (batch, 100), with array 2; the last result has the records."""
    return [
        *_load(counts),
        write_register("RESULT_FORMAT", 0),
        start(Operation.VMM2),
        write_register("SAMPLE_STRIDE", SAMPLE_BYTES),
        read_memory(memory.RECORDS.address, len(counts) * INFERENCE_RECORD.itemsize),
    ]


def train(
    samples: NDArray[np.uint8],
    targets: NDArray[np.uint8] | NDArray[np.int32],
    layers: tuple[bool, bool],
) -> list[Transaction]:
    """Learn packed samples in order; the last result holds the records.

    Args:
        samples: Shape (batch, 98).
        targets: Labels, shape (batch,), or targets, shape (batch, 10).
        layers: Whether arrays 1 and 2 are to learn.
    """
    mode = TargetMode.LABELS if targets.ndim == 1 else TargetMode.TARGETS
    content = targets if mode is TargetMode.LABELS else targets.astype(">i4")
    learning = register("LAYERS").pack(array1=int(layers[0]), array2=int(layers[1]))
    return [
        *_load(samples),
        write_memory(memory.TARGETS.address, content.tobytes()),
        write_register("TARGET_MODE", mode, memory.TARGETS.address),
        write_register("RESULT_FORMAT", 0),
        write_register("LAYERS", learning),
        start(Operation.BATCH_TRAINING),
        read_memory(memory.RECORDS.address, len(samples) * TRAINING_RECORD.itemsize),
    ]


def samples_per_command(record: np.dtype[np.void]) -> int:
    """How many samples a command may carry whose records are of this kind."""
    widest = max(ARRAY2.inputs, SAMPLE_BYTES, record.itemsize)
    return memory.COMMAND_BYTES // widest


def pulses_applied(results: Iterable[Result]) -> int:
    """Pulses that the extension operations of a command report."""
    return sum(words(r)[1] for r in results if r.opcode == Opcode.START and len(r.data) == 8)


def _load(samples: NDArray[np.uint8]) -> list[Transaction]:
    return [
        write_memory(memory.SAMPLES.address, samples.tobytes()),
        write_register("SAMPLE_ADDRESS", memory.SAMPLES.address, samples.shape[1]),
        write_register("BATCH_FIRST", 0, len(samples)),
        write_register("RESULT_ADDRESS", memory.RECORDS.address),
    ]
