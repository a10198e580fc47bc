"""The operations of the board and the layout of what they find and leave in memory. Runs none.

Bits 17..22 of register OPERATION are published [C]; bits 24..28 are our extension [O]. What the
START command of the wire protocol returns, per operation:

==================  ==============================================================================
FORM, SET, RESET    nothing
READ                one word per selected cell: its code (0..255, 0.1 uS each). Array 1: upper cells
                    by rising column, then lower ones. Array 2: by rising physical column
INFERENCE           Y2 mode: the 22-byte Y2 block of the last sample of the range.
                    Otherwise 8 bytes a sample of the range: the one-hot block
BP                  the 22-byte Y2 block of the sample, from before the update
extensions          two words: samples (cells of PULSE_MASK and READ_ARRAY) done; pulses applied
==================  ==============================================================================
"""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.geometry import ARRAY1, ARRAY2, ArrayGeometry

MEMORY_BYTES: Final = 0x0800_0000
"""The board's DDR memory is at byte addresses 0 .. 128 MiB - 1 [O]."""
USER_SPACE_BASE: Final = 0
"""Published "user space base address": the emulated board's DDR begins here [O]."""


class Operation(IntEnum):
    """What START can run: the bit of register OPERATION."""

    FORM = 1 << 17
    SET = 1 << 18
    RESET = 1 << 19
    BP = 1 << 20
    INFERENCE = 1 << 21
    READ = 1 << 22
    PULSE_MASK = 1 << 24
    READ_ARRAY = 1 << 25
    BATCH_INFERENCE = 1 << 26
    BATCH_TRAINING = 1 << 27
    VMM2 = 1 << 28


PULSING: Final = frozenset(
    {
        Operation.FORM,
        Operation.SET,
        Operation.RESET,
        Operation.BP,
        Operation.PULSE_MASK,
        Operation.BATCH_TRAINING,
    }
)
"""Operations that put pulses on cells."""


class PulseKind(IntEnum):
    """Kind of a programming pulse, as in register MASK_KIND."""

    SET = 0
    RESET = 1
    FORM = 2


class Activation(IntEnum):
    """Output activation, as in register ACTIVATION."""

    NONE = 0
    RELU = 1
    SIGMOID = 2
    TANH = 3


class Scheme(IntEnum):
    """Tuning scheme, as in register SCHEME."""

    CYCLIC = 0
    """"stellar1": one phase, SET or RESET, per sample."""
    NON_CYCLIC = 1
    """"stellar2": both phases for each sample."""


class TargetMode(IntEnum):
    """What batch training finds at TARGET_ADDRESS, as in register TARGET_MODE."""

    LABELS = 0
    """One byte per sample: the class, 0..9."""
    TARGETS = 1
    """Ten signed big-endian 32-bit words per sample."""


OUTPUT_BYTES: Final = 4 * ARRAY2.outputs
"""Batch records start with the ten outputs: signed big-endian 32-bit words."""
TRAINING_RECORD: Final = np.dtype([("outputs", ">i4", (ARRAY2.outputs,)), ("pulses", ">u4", (2,))])
"""What BATCH_TRAINING leaves per sample: outputs before the update; pulses on arrays 1 and 2. Where
a current limit trips (status COMPLIANCE), BATCH_DONE counts the complete samples, and the record
after theirs is that of the sample in which it tripped, with the pulses that this one has had."""
INFERENCE_RECORD: Final = np.dtype([("outputs", ">i4", (ARRAY2.outputs,))])
"""What BATCH_INFERENCE and VMM2 leave per sample."""


def with_hidden(record: np.dtype[np.void]) -> np.dtype[np.void]:
    """A batch record that ends with the 100 hidden pulse counts, one byte each."""
    assert record.fields is not None  # noqa: S101 - tells the type checker what a record is
    fields = [(name, record.fields[name][0]) for name in record.names or ()]
    return np.dtype([*fields, ("hidden", "u1", (ARRAY1.outputs,))])


def mask_bytes(array: ArrayGeometry) -> int:
    """Bytes of a whole-array mask: one bit a cell."""
    return array.cells // 8


def pack_mask(mask: NDArray[np.bool_]) -> bytes:
    """A whole-array mask as PULSE_MASK takes it.

    Args:
        mask: Shape (2, inputs, outputs): plane 0 = "+" cells.

    Returns:
        One bit a cell, C order, most significant bit first.
    """
    return np.packbits(mask, axis=None).tobytes()


def unpack_mask(packed: bytes, array: ArrayGeometry) -> NDArray[np.bool_]:
    """Inverse of :func:`pack_mask`.

    Raises:
        ShapeError: ``packed`` has not the bytes of that array's mask.
    """
    if len(packed) != mask_bytes(array):
        raise ShapeError("mask", f"has {len(packed)} bytes, array needs {mask_bytes(array)}")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    return bits.astype(np.bool_).reshape(array.shape)


def check_memory_range(address: int, count: int) -> None:
    """Refuse bytes that are not all within the board's memory.

    Raises:
        LimitExceeded: Naming the first address beyond.
    """
    if count < 0:
        raise LimitExceeded("memory count", count, 0, "bytes")
    if not 0 <= address <= MEMORY_BYTES - count:
        raise LimitExceeded("memory end address", address + count, MEMORY_BYTES)
