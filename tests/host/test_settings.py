"""Settings in physical units against the register fields that hold them."""

from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_host.chip.settings import (
    SETTING_ADDRESSES,
    Settings,
    SettingValue,
    setting_writes,
    settings_of,
)
from starlab_host.errors import BadArgument
from starlab_spec import LimitExceeded, SpecError, UnknownName
from starlab_spec.registers import REGISTERS

RESET_WORDS = {register.address: register.reset for register in REGISTERS}

PUBLISHED = Settings(
    adc_bits_1=8,
    adc_bits_2=5,
    integration_time_1_ns=100,
    integration_time_2_ns=100,
    set_width_1_ns=300,
    reset_width_1_ns=50,
    form_width_1_ns=12800,
    set_width_2_ns=200,
    reset_width_2_ns=50,
    form_width_2_ns=12800,
    set_count_1=1,
    reset_count_1=1,
    form_count_1=256,
    set_count_2=1,
    reset_count_2=1,
    form_count_2=64,
    th=56,
    th1_uS=2.5,
    c1=0.25,
    c1_relative=True,
    c2=0,
    output_activation="none",
    activation_scale=64,
    activation_amplitude=100,
    scheme="cyclic",
    phase="set",
    update_pulses_1=1,
    update_pulses_2=1,
    target_on=100,
    target_off=-40,
)

WIDTH_NS = st.integers(1, 256).map(lambda n: 50 * n)
CODE = st.integers(0, (1 << 17) - 1)
RANGES: dict[str, st.SearchStrategy[Any]] = {
    **{f"adc_bits_{n}": st.integers(1, 8) for n in (1, 2)},
    **{f"integration_time_{n}_ns": WIDTH_NS for n in (1, 2)},
    **{f"{k}_width_{n}_ns": WIDTH_NS for k in ("set", "reset", "form") for n in (1, 2)},
    **{f"{k}_count_{n}": st.integers(1, 256) for k in ("set", "reset", "form") for n in (1, 2)},
    **{f"update_pulses_{n}": st.integers(1, 15) for n in (1, 2)},
    "th": CODE,
    "th1_uS": st.integers(0, 1_000_000).map(lambda n: n / 1000),
    "c1": st.integers(0, 1000).map(lambda n: n / 1000),
    "c1_relative": st.just(True),
    "c2": CODE,
    "output_activation": st.sampled_from(["none", "relu"]),
    "activation_scale": st.integers(1, (1 << 17) - 1),
    "activation_amplitude": st.integers(0, (1 << 16) - 1),
    "scheme": st.sampled_from(["cyclic", "non-cyclic"]),
    "phase": st.sampled_from(["set", "reset"]),
    "target_on": st.integers(-(1 << 16), (1 << 16) - 1),
    "target_off": st.integers(-(1 << 16), (1 << 16) - 1),
}


def written(changes: dict[str, SettingValue]) -> dict[int, int]:
    """All words after the changes, starting from the published ones."""
    words = dict(RESET_WORDS)
    for write in setting_writes(PUBLISHED, changes):
        words[write.address] = words[write.address] & ~write.mask | write.word
    return words


def test_the_reset_words_are_the_published_working_point() -> None:
    assert settings_of(RESET_WORDS) == PUBLISHED


def test_every_setting_has_a_range_here_and_a_register() -> None:
    assert set(RANGES) == {field.name for field in fields(Settings)}
    assert set(RESET_WORDS) > set(SETTING_ADDRESSES)


@given(st.fixed_dictionaries({}, optional=RANGES))
def test_what_is_written_is_what_is_read(changes: dict[str, Any]) -> None:
    assert asdict(settings_of(written(changes))) == {**asdict(PUBLISHED), **changes}


@given(st.fixed_dictionaries({}, optional=RANGES))
def test_no_bit_outside_a_setting_changes(changes: dict[str, Any]) -> None:
    masks = {write.address: write.mask for write in setting_writes(PUBLISHED, changes)}
    for address, word in written(changes).items():
        assert (word ^ RESET_WORDS[address]) & ~masks.get(address, 0) == 0


def test_published_fields_have_the_published_codes() -> None:
    words = written({"adc_bits_1": 6, "set_width_1_ns": 500, "reset_count_2": 7})
    assert words[0x00] == 0x03030045
    assert words[0x04] == 0x00FF0009
    assert words[0x10] == 0x003F0600


def test_an_absolute_c1_is_a_number_of_pulses() -> None:
    words = written({"c1_relative": False, "c1": 40})
    assert words[0x148] == 40
    assert settings_of(words).c1 == 40


def test_making_c1_absolute_without_a_count_is_refused() -> None:
    with pytest.raises(BadArgument, match=r"^c1 0\.25 is not a whole number$"):
        setting_writes(PUBLISHED, {"c1_relative": False})


def test_c2_of_a_sloped_activation_is_a_fraction() -> None:
    words = written({"output_activation": "tanh", "c2": 0.25})
    assert words[0x14C] == 250
    assert settings_of(words).c2 == 0.25
    with pytest.raises(LimitExceeded, match=r"^c2 2 is above the 1 limit$"):
        setting_writes(PUBLISHED, {"output_activation": "sigmoid", "c2": 2})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adc_bits_1": 9}, "adc_bits_1 9 is above the 8 limit"),
        ({"adc_bits_2": 0}, "adc_bits_2 0 is below the 1 limit"),
        ({"set_width_1_ns": 125}, "set_width_1_ns 125 ns is not a multiple of 50 ns"),
        ({"set_width_1_ns": 12850}, "set_width_1_ns 12850 ns is above the 12800 ns limit"),
        ({"reset_count_2": 257}, "reset_count_2 257 pulses is above the 256 pulses limit"),
        ({"th": 2.5}, "th 2.5 is not a whole number"),
        ({"th": float("nan")}, "th nan is not a number"),
        ({"th": "high"}, "th 'high' is not a number"),
        ({"th": 10**400}, f"th 1{'0' * 400} is above the 131071 limit"),
        ({"th": True}, "th True is not a number"),
        ({"th1_uS": -0.1}, "th1_uS -0.1 uS is below the 0 uS limit"),
        ({"c1_relative": 1}, "c1_relative 1 is neither true nor false"),
        ({"update_pulses_1": 0}, "update_pulses_1 0 pulses is below the 1 pulses limit"),
        ({"scheme": 0}, "scheme 0 is none of cyclic, non-cyclic"),
        ({"scheme": "zigzag"}, "unknown scheme 'zigzag'; known: cyclic, non-cyclic"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name_value_and_limit(
    changes: dict[str, SettingValue], message: str
) -> None:
    with pytest.raises(SpecError) as refusal:
        setting_writes(PUBLISHED, {"th": 30, **changes})
    assert str(refusal.value) == message


def test_an_unknown_setting_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"^unknown setting 'thr'; known: adc_bits_1, "):
        setting_writes(PUBLISHED, {"thr": 1})
