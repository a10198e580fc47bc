"""The register map, against the published start-up words and the specification's table."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_spec import ARRAY1, ARRAY2, LimitExceeded, UnknownName
from starlab_spec.registers import (
    COUNTERS,
    IDENTITY_WORD,
    MAP_END,
    REGISTERS,
    Access,
    Field,
    array1_row,
    array1_row_word,
    register,
    register_at,
)

AFTER_START_UP = {
    0x00: 0x03030047,
    0x04: 0x00FF0005,
    0x08: 0x00FF0000,
    0x0C: 0x00FF0003,
    0x10: 0x003F0000,
    0x14: 0x030F0101,
    0x18: 0x00000063,
    0x1C: 0,
    0x20: 0,
    0x24: 0,
    0x28: 0,
    0x2C: 0x037F0100,
    0x30: 0x0471011F,
    0x34: 0x0071011F,
    0x38: 0x00200000,
    0x68: 0,
    0x70: 0x00000001,
    0x74: 0,
    0x78: 0x00000101,
    0x7C: 0x00FF0000,
    0xC0: 0x00000120,
    0xC4: 0x01000000,  # user space base 0 + 0x1000000
    0xC8: 0x00000062,
}
FIELDS = [field for register in REGISTERS for field in register.fields]


def meanings(name: str) -> dict[str, int]:
    """Every field of a register after power-up."""
    definition = register(name)
    return {field.name: field.get(definition.reset) for field in definition.fields}


@pytest.mark.parametrize("address", AFTER_START_UP, ids=hex)
def test_a_register_wakes_up_as_the_published_start_up_leaves_it(address: int) -> None:
    found = register_at(address)
    assert found is not None
    assert found.reset == AFTER_START_UP[address]


def test_the_start_up_state_means_what_the_specification_says() -> None:
    assert meanings("ADC")["array1_bits"] + 1 == 8
    assert meanings("ADC")["array2_bits"] + 1 == 5
    assert meanings("INTEGRATOR1")["integration_time"] == 1  # t / 50 ns - 1 for 100 ns
    assert meanings("INTEGRATOR2")["integration_time"] == 1
    assert meanings("MODE")["y2_mode"] == 1
    assert meanings("OPERATION")["inference"] == 1
    assert meanings("SAMPLE_STRIDE")["bytes"] == 98
    assert meanings("PERIOD1") == {"set_period": 5, "reset_period": 0, "form_period": 255}
    assert meanings("BP_ARRAY2")["left_pulses"] == meanings("BP_ARRAY2")["right_pulses"] == 1


def test_addresses_rise_in_words_and_names_are_unique() -> None:
    addresses = [register.address for register in REGISTERS]
    assert addresses == sorted(set(addresses))
    assert all(address % 4 == 0 for address in addresses)
    assert 0 <= addresses[0] <= addresses[-1] < MAP_END
    assert len({register.name for register in REGISTERS}) == len(REGISTERS)


def test_our_extension_begins_at_0x100() -> None:
    assert all(register.published == (register.address < 0x100) for register in REGISTERS)


def test_fields_overlap_only_where_the_published_software_writes_both() -> None:
    overlaps = {
        (register.name, *sorted((one.name, other.name)))
        for register in REGISTERS
        for one, other in combinations(register.fields, 2)
        if one.mask & other.mask
    }
    assert overlaps == {
        ("PERIOD2", "array1_group", "form_period"),
        ("PERIOD2", "array2_group", "form_period"),
        ("ROW", "block", "row"),  # the row of array 1 and of array 2: one register, two readings
        ("ROW", "offset", "row"),
    }


def test_every_field_lies_in_its_word_and_has_a_name_of_its_own() -> None:
    for definition in REGISTERS:
        assert all(0 <= field.low <= field.high <= 31 for field in definition.fields)
        assert len({field.name for field in definition.fields}) == len(definition.fields)
        assert all(field.doc for field in definition.fields)


@given(st.sampled_from(FIELDS), st.integers(0, 0xFFFFFFFF), st.data())
def test_a_field_gives_back_what_was_put_in_it(
    field: Field, word: int, data: st.DataObject
) -> None:
    bits = field.high - field.low + 1
    low = -(2 ** (bits - 1)) if field.signed else 0
    value = data.draw(st.integers(low, low + 2**bits - 1))
    changed = word & ~field.mask | field.bits(value)
    assert field.get(changed) == value
    assert changed & ~field.mask == word & ~field.mask
    for beyond in (low - 1, low + 2**bits):
        with pytest.raises(LimitExceeded, match=field.name):
            field.bits(beyond)


def test_a_target_is_a_17_bit_number_in_twos_complement() -> None:
    target = register("TARGET9").field("target")
    assert register("TARGET9").address == 0x64
    assert target.bits(-1) == 0x1FFFF
    assert target.get(0x10000) == -65536


def test_a_word_is_packed_from_named_fields() -> None:
    assert register("BP_ARRAY1").pack(upper_pulses=1, lower_pulses=2, upper_kind=1) == 0x00010201
    with pytest.raises(UnknownName, match="unknown field of BP_ARRAY1 'left_pulses'; known: upper"):
        register("BP_ARRAY1").pack(left_pulses=1)


@pytest.mark.parametrize(
    ("row", "word"), [(0, 3), (195, 195 << 2 | 3), (196, 2), (783, 195 << 2), (588, 0)]
)
def test_known_rows_of_array_1_have_known_words(row: int, word: int) -> None:
    assert array1_row_word(row) == word


@given(st.integers(0, 783))
def test_a_row_of_array_1_is_found_again_in_its_word(row: int) -> None:
    assert array1_row_word(row) == (3 - row // 196) + 4 * (row % 196)
    assert array1_row(array1_row_word(row)) == row


@given(st.integers(0, 3), st.integers(196, 255))
def test_a_word_beyond_a_block_selects_no_row(block: int, offset: int) -> None:
    assert array1_row(offset << 2 | block) >= 784


def test_names_and_addresses_find_each_other() -> None:
    for definition in REGISTERS:
        assert register(definition.name) is register_at(definition.address) is definition
    assert register_at(0x84) is None
    with pytest.raises(UnknownName, match="unknown register 'ADCS'; known: ADC, PERIOD1"):
        register("ADCS")


def test_identity_says_starlab() -> None:
    assert IDENTITY_WORD.to_bytes(4, "big") == b"STLR"
    assert register("IDENTITY").reset == IDENTITY_WORD


def test_counters_are_pairs_of_read_only_words_upper_word_first() -> None:
    for index, (name, _) in enumerate(COUNTERS):
        high, low = register(f"{name}_HIGH"), register(f"{name}_LOW")
        assert (high.address, low.address) == (0x200 + 8 * index, 0x204 + 8 * index)
        assert high.access is low.access is Access.READ_ONLY


def test_geometry_fits_its_registers() -> None:
    for array in (ARRAY1, ARRAY2):
        definition = register(f"GEOMETRY{array.number}")
        word = definition.pack(inputs=array.inputs, outputs=array.outputs)
        assert word == array.inputs << 16 | array.outputs
