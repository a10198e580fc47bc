"""`.npy` and `.npz` bytes: what NumPy writes is read, and nothing else is."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from starlab_api.bodies.archives import Room, read_npz
from starlab_api.bodies.arrays import array_of_lists, read_npy, write_npy, write_npz
from starlab_api.problems import ApiProblem, InvalidInput

NUMBERS = hnp.boolean_dtypes() | hnp.integer_dtypes() | hnp.floating_dtypes()
ROOMS = {"inputs": Room(6), "labels": Room(3)}
ARRAYS = hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, min_side=0, max_side=5))


@given(ARRAYS, st.booleans())
def test_what_numpy_writes_is_read(array: np.ndarray, fortran: bool) -> None:
    stream = io.BytesIO()
    np.save(stream, np.asfortranarray(array) if fortran else array)
    read = read_npy(stream.getvalue(), name="x")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@given(ARRAYS)
def test_numpy_reads_what_is_written(array: np.ndarray) -> None:
    np.testing.assert_array_equal(np.load(io.BytesIO(write_npy(array))), array)
    archive = np.load(io.BytesIO(write_npz({"a": array})))
    np.testing.assert_array_equal(archive["a"], array)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_array_or_refused(content: bytes) -> None:
    for magic in (b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00"):
        with pytest.raises(InvalidInput):
            read_npy(magic + content, name="x")


@given(st.data())
def test_a_damaged_archive_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(write_npz({"inputs": np.arange(6.0), "labels": np.arange(3)}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        arrays = read_npz(bytes(whole), arrays=ROOMS, limit_bytes=10_000)
    except ApiProblem:
        return
    assert all(array.dtype.kind in "biufU" for array in arrays.values())


def test_an_array_shares_the_bytes_of_its_file() -> None:
    content = write_npy(np.arange(1000))
    assert np.shares_memory(read_npy(content, name="x"), np.frombuffer(content, np.uint8))


def test_an_archive_names_an_array_once() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("inputs.npy", "inputs"):
            archive.writestr(name, write_npy(np.zeros(1)))
    with pytest.raises(InvalidInput, match="inputs is in"):
        read_npz(stream.getvalue(), arrays=ROOMS, limit_bytes=10_000)


@pytest.mark.parametrize("lists", [[[1], [1, 2]], [1, [2]], [2**70]])
def test_lists_that_are_no_array_are_refused(lists: object) -> None:
    with pytest.raises(InvalidInput):
        array_of_lists("inputs", lists)


@given(st.text("{}()[],:'-0 \n\\#descrshapefortran_order", max_size=200), st.integers(1, 3))
def test_any_header_is_one_or_refused(header: str, version: int) -> None:
    text = header.encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    with pytest.raises(InvalidInput):
        read_npy(b"\x93NUMPY" + bytes([version, 0]) + length + text, name="x")


SHAPES = ["(" * 900, "-" * 900, f"({'9,' * 200})", f"({'9' * 99})", f"({'0,' * 99})"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_of_endless_depth_or_size_is_refused(shape: str) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    length = len(header).to_bytes(2, "little")
    with pytest.raises(InvalidInput):
        read_npy(b"\x93NUMPY\x01\x00" + length + header, name="x")


def test_keys_of_a_header_may_come_in_any_order() -> None:
    header = b'{"shape": (2,), "fortran_order": False, "descr": "|u1"}'
    length = len(header).to_bytes(4, "little")
    array = read_npy(b"\x93NUMPY\x02\x00" + length + header + b"\x07\x08", name="x")
    assert array.tolist() == [7, 8]
