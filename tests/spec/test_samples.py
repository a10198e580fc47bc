"""Published bit layouts, against the specification's formulas written out as loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from starlab_spec import ShapeError
from starlab_spec.samples import (
    check_bits,
    pack_one_hot,
    pack_outputs,
    pack_samples,
    unpack_one_hot,
    unpack_outputs,
    unpack_samples,
)

images = npst.arrays(np.uint8, (2, 784), elements=st.integers(0, 1))
outputs = npst.arrays(np.int64, 10, elements=st.integers(-(2**16), 2**16 - 1))


def packed_by_the_book(pixel: list[int]) -> bytes:
    """Byte i, k = 0..3: bit k is pixel 196 (k + 1) - 1 - 2 i, bit 4 + k the one before it."""
    packed = bytearray(98)
    for i in range(98):
        for k in range(4):
            packed[i] |= pixel[196 * (k + 1) - 1 - 2 * i] << k
            packed[i] |= pixel[196 * (k + 1) - 2 - 2 * i] << (4 + k)
    return bytes(packed)


@given(images)
def test_samples_are_packed_by_the_published_formula(pixels: np.ndarray) -> None:
    expected = [packed_by_the_book([int(bit) for bit in image]) for image in pixels]
    assert [row.tobytes() for row in pack_samples(pixels)] == expected


@given(images)
def test_unpacking_gives_the_pixels_back(pixels: np.ndarray) -> None:
    assert np.array_equal(unpack_samples(pack_samples(pixels)), pixels)


def test_known_pixels_have_known_bits() -> None:
    pixels = np.zeros((1, 784), np.uint8)
    pixels[0, [195, 194, 783, 588]] = 1  # first byte: bits 0, 4, 3; last byte: bit 7
    packed = pack_samples(pixels)[0]
    assert packed[0] == 0b0001_1001
    assert packed[97] == 0b1000_0000
    assert packed[1:97].sum() == 0


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32])
def test_bits_may_come_as_any_kind_of_number(dtype: type) -> None:
    bits: np.ndarray = np.tile([0, 1], (3, 392)).astype(dtype)
    assert np.array_equal(pack_samples(bits), pack_samples(bits.astype(np.uint8)))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((1, 783)), r"inputs has shape \(1, 783\), expected \(batch, 784\)"),
        (np.zeros(784), r"inputs has shape \(784,\), expected \(batch, 784\)"),
        (np.full((1, 784), 2, np.uint8), "inputs holds 2, expected only 0 and 1"),
        (np.full((1, 784), 0.5), r"inputs holds 0\.5 at \[0, 0\], expected only 0 and 1"),
        (np.full((1, 784), np.nan), r"inputs holds nan at \[0, 0\], expected only 0 and 1"),
        (np.full((1, 784), "1"), "inputs has type <U1, expected numbers 0 and 1"),
        (np.full((1, 784), -1), r"inputs holds -1 at \[0, 0\], expected only 0 and 1"),
    ],
)
def test_what_is_not_bits_is_refused_by_name(values: np.ndarray, message: str) -> None:
    with pytest.raises(ShapeError, match=f"^{message}$"):
        check_bits("inputs", values)


def test_packed_samples_of_another_width_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"samples have shape \(1, 97\), expected \(batch, 98\)"):
        unpack_samples(np.zeros((1, 97), np.uint8))


@given(outputs)
def test_outputs_are_packed_most_significant_bit_first_output_9_first(values: np.ndarray) -> None:
    bits = "".join(f"{int(value) & 0x1FFFF:017b}" for value in values[::-1]).ljust(176, "0")
    expected = bytes(int(bits[i : i + 8], 2) for i in range(0, 176, 8))
    assert pack_outputs(values) == expected
    assert np.array_equal(unpack_outputs(expected), values)


def test_a_known_y2_block() -> None:
    # output 9 = 1: 16 zeros and a one; output 8 = -1: 17 ones; the others 0
    block = bytes.fromhex("0000 ffffc0") + bytes(17)
    assert pack_outputs([0, 0, 0, 0, 0, 0, 0, 0, -1, 1]) == block


def test_a_y2_block_has_22_bytes() -> None:
    with pytest.raises(ShapeError, match="Y2 block has 21 bytes, expected 22"):
        unpack_outputs(bytes(21))


@pytest.mark.parametrize("label", range(10))
def test_a_one_hot_block_is_little_endian_in_its_first_two_bytes(label: int) -> None:
    block = bytearray(8)
    block[label // 8] = 1 << label % 8
    assert pack_one_hot(label) == block
    assert unpack_one_hot(bytes(block)) == label


@pytest.mark.parametrize("block", [bytes(8), b"\x03" + bytes(7), b"\x01" + bytes(6)])
def test_a_block_that_names_no_single_class_is_refused(block: bytes) -> None:
    with pytest.raises(ShapeError, match="does not name one class"):
        unpack_one_hot(block)
