"""Published bit layouts of samples and results: pixels in, outputs out. Never touches a board.

Source: register map, "A sample is 98 bytes" [C].
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab_spec.errors import ShapeError
from starlab_spec.geometry import ARRAY1, ARRAY2

SAMPLE_BYTES: Final = ARRAY1.inputs // 8
Y2_BLOCK_BYTES: Final = 22
"""Ten 17-bit numbers, 170 bits, padded to whole bytes."""
ONE_HOT_BYTES: Final = 8
OUTPUT_BITS: Final = 17


def _pixel_of_bit() -> NDArray[np.intp]:
    """Pixel of each bit of a sample: index 8 i + b for bit b (0 = least significant) of byte i."""
    byte = np.arange(SAMPLE_BYTES)[:, None]
    quarter = 196 * (np.arange(4)[None, :] + 1)
    return np.hstack([quarter - 1 - 2 * byte, quarter - 2 - 2 * byte]).reshape(-1)


PIXEL_OF_BIT: Final = _pixel_of_bit()
"""Shape (784,): which pixel bit ``8 * byte + bit`` of a sample carries."""


def pack_samples(pixels: ArrayLike) -> NDArray[np.uint8]:
    """Binary images as the board's memory holds them.

    Args:
        pixels: Shape (batch, 784), values 0 and 1.

    Returns:
        Shape (batch, 98).

    Raises:
        ShapeError: Another shape, or a value that is neither 0 nor 1.
    """
    bits = np.ascontiguousarray(check_bits("inputs", pixels))
    # Byte i holds of each quarter k the pixels 194 - 2 i and 195 - 2 i: two neighbours, moved as
    # one 16-bit word. An order of magnitude faster than picking bits by PIXEL_OF_BIT.
    pairs = bits.view("<u2").reshape(-1, 4, SAMPLE_BYTES)
    words = pairs[:, 0].copy()
    for quarter in (1, 2, 3):
        words |= pairs[:, quarter] << quarter
    even, odd = words.view(np.uint8).reshape(-1, SAMPLE_BYTES, 2).transpose(2, 0, 1)
    packed = even << np.uint8(4) | odd
    return np.ascontiguousarray(packed[:, ::-1])


def unpack_samples(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Inverse of :func:`pack_samples`.

    Args:
        packed: Shape (batch, 98).

    Returns:
        Shape (batch, 784), values 0 and 1.

    Raises:
        ShapeError: Another shape.
    """
    if packed.ndim != 2 or packed.shape[1] != SAMPLE_BYTES:
        raise ShapeError("samples", f"have shape {packed.shape}, expected (batch, {SAMPLE_BYTES})")
    bits = np.unpackbits(packed, axis=1, bitorder="little")
    pixels = np.empty_like(bits)
    pixels[:, PIXEL_OF_BIT] = bits
    return pixels


def check_bits(name: str, values: ArrayLike) -> NDArray[np.uint8]:
    """Binary input vectors of array 1, or a clear refusal.

    Args:
        name: What the message calls them.
        values: Shape (batch, 784), values 0 and 1.

    Raises:
        ShapeError: Another shape, or a value that is neither 0 nor 1 (NaN included).
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.shape[1] != ARRAY1.inputs:
        raise ShapeError(name, f"has shape {array.shape}, expected (batch, {ARRAY1.inputs})")
    if array.dtype == np.bool_:
        return array.view(np.uint8)
    if array.dtype.kind not in "uif":
        raise ShapeError(name, f"has type {array.dtype}, expected numbers 0 and 1")
    if array.dtype == np.uint8:
        if array.size and array.max() > 1:
            raise ShapeError(name, f"holds {int(array.max())}, expected only 0 and 1")
        return array
    wrong = ~((array == 0) | (array == 1))
    if wrong.any():
        row, column = first_of(wrong)
        raise ShapeError(
            name, f"holds {array[row, column]} at [{row}, {column}], expected only 0 and 1"
        )
    return array.astype(np.uint8)


def first_of(found: NDArray[np.bool_]) -> tuple[int, ...]:
    """Index of the first true value.

    Unlike ``argwhere`` it lists no others, of which there may be hundreds of millions.
    """
    return tuple(int(i) for i in np.unravel_index(int(found.argmax()), found.shape))


def pack_outputs(outputs: ArrayLike) -> bytes:
    """Y2 block of one sample: ten 17-bit numbers, most significant bit first, output 9 first.

    Args:
        outputs: Shape (10,), each within -65536..65535.
    """
    word = 0
    for value in np.asarray(outputs, dtype=np.int64)[::-1]:
        word = word << OUTPUT_BITS | (int(value) & (1 << OUTPUT_BITS) - 1)
    padding = 8 * Y2_BLOCK_BYTES - OUTPUT_BITS * ARRAY2.outputs
    return (word << padding).to_bytes(Y2_BLOCK_BYTES, "big")


def unpack_outputs(block: bytes) -> NDArray[np.int32]:
    """Inverse of :func:`pack_outputs`.

    Returns:
        Shape (10,), signed.

    Raises:
        ShapeError: Fewer or more than 22 bytes.
    """
    if len(block) != Y2_BLOCK_BYTES:
        raise ShapeError("Y2 block", f"has {len(block)} bytes, expected {Y2_BLOCK_BYTES}")
    word = int.from_bytes(block, "big") >> 8 * Y2_BLOCK_BYTES - OUTPUT_BITS * ARRAY2.outputs
    outputs = np.empty(ARRAY2.outputs, np.int32)
    for index in range(ARRAY2.outputs):
        value = word >> OUTPUT_BITS * index & (1 << OUTPUT_BITS) - 1
        outputs[index] = value - (1 << OUTPUT_BITS) if value >> (OUTPUT_BITS - 1) else value
    return outputs


def pack_one_hot(label: int) -> bytes:
    """One-hot block of one sample: 8 bytes, the first two little-endian with bit ``label`` set."""
    return (1 << label).to_bytes(2, "little") + bytes(ONE_HOT_BYTES - 2)


def unpack_one_hot(block: bytes) -> int:
    """Inverse of :func:`pack_one_hot`.

    Raises:
        ShapeError: Not 8 bytes, or not exactly one class.
    """
    word = int.from_bytes(block[:2], "little")
    if len(block) != ONE_HOT_BYTES or word.bit_count() != 1:
        raise ShapeError("one-hot block", f"{block.hex()} does not name one class")
    return word.bit_length() - 1
