"""Operation bits, memory layouts and limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_spec import ARRAY1, ARRAY2, ArrayGeometry, LimitExceeded, ShapeError
from starlab_spec.operations import (
    INFERENCE_RECORD,
    MEMORY_BYTES,
    TRAINING_RECORD,
    Operation,
    PulseKind,
    check_memory_range,
    mask_bytes,
    pack_mask,
    unpack_mask,
    with_hidden,
)
from starlab_spec.registers import register


def test_the_published_operations_have_the_published_bits() -> None:
    published = ["FORM", "SET", "RESET", "BP", "INFERENCE", "READ"]
    assert [Operation[name].bit_length() - 1 for name in published] == [17, 18, 19, 20, 21, 22]


def test_every_operation_is_a_field_of_its_register_and_the_other_way_round() -> None:
    fields = {field.name.upper(): field.mask for field in register("OPERATION").fields}
    assert fields == {operation.name: operation.value for operation in Operation}


def test_records_are_big_endian_and_without_gaps() -> None:
    record = np.zeros(1, with_hidden(TRAINING_RECORD))
    record["outputs"] = [[1, -2, 0, 0, 0, 0, 0, 0, 0, 3]]
    record["pulses"] = [[258, 4]]
    record["hidden"][0, 99] = 255
    expected = (
        bytes.fromhex("00000001 fffffffe") + bytes(28) + bytes.fromhex("00000003 00000102 00000004")
    )
    assert record.tobytes() == expected + bytes(99) + b"\xff"
    assert TRAINING_RECORD.itemsize == 48
    assert INFERENCE_RECORD.itemsize == 40
    assert with_hidden(INFERENCE_RECORD).itemsize == 140


@pytest.mark.parametrize(("array", "count"), [(ARRAY1, 19_600), (ARRAY2, 250)])
def test_a_mask_has_a_bit_for_each_cell(array: ArrayGeometry, count: int) -> None:
    assert mask_bytes(array) == count
    assert len(pack_mask(np.zeros(array.shape, np.bool_))) == count


@given(st.sampled_from([ARRAY1, ARRAY2]), st.data())
def test_a_mask_bit_is_where_its_cell_is_in_c_order(
    array: ArrayGeometry, data: st.DataObject
) -> None:
    cell = tuple(data.draw(st.integers(0, size - 1)) for size in array.shape)
    mask = np.zeros(array.shape, np.bool_)
    mask[cell] = True
    position = (cell[0] * array.inputs + cell[1]) * array.outputs + cell[2]
    packed = pack_mask(mask)
    assert packed[position // 8] == 0x80 >> position % 8
    assert sum(packed) == packed[position // 8]
    assert np.array_equal(unpack_mask(packed, array), mask)


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"^mask has 249 bytes, array needs 250$"):
        unpack_mask(bytes(249), ARRAY2)


def test_memory_reaches_to_128_mib() -> None:
    assert MEMORY_BYTES == 128 * 1024 * 1024
    check_memory_range(0, MEMORY_BYTES)
    check_memory_range(MEMORY_BYTES, 0)
    message = r"^memory end address 134217729 is above the 134217728 limit$"
    with pytest.raises(LimitExceeded, match=message):
        check_memory_range(1, MEMORY_BYTES)


@given(st.integers(-10, MEMORY_BYTES + 10), st.integers(-10, MEMORY_BYTES + 10))
def test_a_range_is_accepted_if_and_only_if_all_of_it_exists(address: int, count: int) -> None:
    exists = address >= 0 and count >= 0 and address + count <= MEMORY_BYTES
    if exists:
        check_memory_range(address, count)
    else:
        with pytest.raises(LimitExceeded):
            check_memory_range(address, count)


def test_pulse_kinds_are_numbered_as_in_the_registers() -> None:
    assert [(kind.name, kind.value) for kind in PulseKind] == [
        ("SET", 0),
        ("RESET", 1),
        ("FORM", 2),
    ]
