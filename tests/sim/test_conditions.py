"""Every register field and every generator reaches the setting that it is for, and no other."""

from typing import Any

import pytest

from starlab_sim.chip import Converters, Learning, Rails, Schedule, Tuning
from starlab_sim.firmware import conditions
from starlab_sim.firmware.register_file import RegisterFile
from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.operations import Activation, PulseKind, Scheme
from starlab_spec.registers import MAP_END, REGISTERS, register
from starlab_spec.supplies import CLAMP_OFFSET_MV, SUPPLIES

SUPPLIED = {channel.name: 1000.0 + 10 * channel.index for channel in SUPPLIES}
"""Another value for each generator."""


def registers(**words: int) -> RegisterFile:
    made = RegisterFile()
    for name, word in words.items():
        made.put(name, word)
    return made


def test_each_rail_is_the_generator_of_its_name() -> None:
    assert conditions.rails(SUPPLIED) == Rails(
        wl_form_mv=SUPPLIED["VWLform"],
        wl_set_mv=SUPPLIED["VWLset"],
        wl_vdd_mv=SUPPLIED["VWLvdd"],
        bl27_mv=SUPPLIED["VBL27"],
        bl23_mv=SUPPLIED["VBL23"],
        bl_form_mv=SUPPLIED["VBLform"],
        bl_set_mv=SUPPLIED["VBLset"],
        sl_reset_mv=SUPPLIED["VSLreset"],
        v25_mv=SUPPLIED["V25"],
        clamp_offset_mv=CLAMP_OFFSET_MV,
    )


def test_each_converter_has_its_own_bits_time_and_current() -> None:
    held = registers(
        ADC=register("ADC").pack(array1_bits=5, array2_bits=3),
        INTEGRATOR1=register("INTEGRATOR1").pack(integration_time=11),
        INTEGRATOR2=register("INTEGRATOR2").pack(integration_time=23),
    )
    assert conditions.converters(held, SUPPLIED) == Converters(
        bits1=6,
        bits2=4,
        integration1_ns=600,
        integration2_ns=1200,
        iref1_ua=SUPPLIED["Iref_integ"],
        iref2_ua=SUPPLIED["Iref_integ2"],
    )


@pytest.mark.parametrize(("array", "word"), [(ARRAY1, 0x030201), (ARRAY2, 0x060504)])
def test_each_kind_of_pulse_has_its_own_width_and_number(array: Any, word: int) -> None:
    held = registers(PERIOD1=0x030201, PERIOD2=0x060504, NUMBER1=0x030201, NUMBER2=0x060504)
    names = ("set", "reset", "form")
    for kind, name in zip((PulseKind.SET, PulseKind.RESET, PulseKind.FORM), names, strict=True):
        code = register(f"PERIOD{array.number}").field(f"{name}_period").get(word)
        assert conditions.pulse_width_ns(held, array, kind) == 50 * (code + 1)
        number = register(f"NUMBER{array.number}").field(f"{name}_number").get(word)
        assert conditions.pulse_count(held, array, kind) == number + 1


def test_learning_widths_are_those_of_their_array_and_kind() -> None:
    held = registers(PERIOD1=0x030201, PERIOD2=0x060504)
    schedule = Schedule.cyclic()
    assert conditions.tuning(held, SUPPLIED, schedule) == Tuning.at(
        conditions.rails(SUPPLIED),
        schedule,
        set1_ns=conditions.pulse_width_ns(held, ARRAY1, PulseKind.SET),
        reset1_ns=conditions.pulse_width_ns(held, ARRAY1, PulseKind.RESET),
        set2_ns=conditions.pulse_width_ns(held, ARRAY2, PulseKind.SET),
        reset2_ns=conditions.pulse_width_ns(held, ARRAY2, PulseKind.RESET),
    )
    widths = {
        conditions.pulse_width_ns(held, array, kind)
        for array in (ARRAY1, ARRAY2)
        for kind in (PulseKind.SET, PulseKind.RESET)
    }
    assert len(widths) == 4


@pytest.mark.parametrize(
    ("activation", "c2"),
    [
        (Activation.NONE, 250.0),
        (Activation.RELU, 250.0),
        (Activation.SIGMOID, 0.25),
        (Activation.TANH, 0.25),
    ],
)
def test_thresholds_are_in_the_units_that_the_register_map_says(
    activation: Activation, c2: float
) -> None:
    held = registers(
        TH=56,
        TH1=2500,
        C1=register("C1").pack(value=300, relative=1),
        C2=250,
        ACTIVATION=activation,
        ACTIVATION_SCALE=32,
        ACTIVATION_AMPLITUDE=77,
    )
    assert conditions.learning(held) == Learning(
        threshold=56,
        hidden_threshold_uS=2.5,
        c1=300,
        c1_relative=True,
        c2=c2,
        activation=activation,
        activation_scale=32,
        activation_amplitude=77,
    )
    held.put("C1", register("C1").pack(value=300, relative=0))
    assert not conditions.learning(held).c1_relative


def test_an_activation_needs_a_scale() -> None:
    assert conditions.learning(registers(ACTIVATION_SCALE=1)).activation_scale == 1
    with pytest.raises(LimitExceeded, match="ACTIVATION_SCALE 0 is below the 1 limit"):
        conditions.learning(registers(ACTIVATION_SCALE=0))


def test_the_published_step_takes_each_kind_and_number_from_its_own_field() -> None:
    held = registers(
        BP_ARRAY1=register("BP_ARRAY1").pack(
            upper_kind=0, lower_kind=1, upper_pulses=3, lower_pulses=5
        ),
        BP_ARRAY2=register("BP_ARRAY2").pack(
            right_kind=1, left_kind=0, right_pulses=7, left_pulses=9
        ),
    )
    counts = conditions.published_schedule(held).pulse_counts()
    # (phase, array, plane, rising or falling): SET lifts "+" of rising and "-" of falling weights
    assert counts.tolist() == [[[[3, 0], [5, 0]], [[0, 7], [0, 9]]]]
    for name, field in (("BP_ARRAY1", "lower_kind"), ("BP_ARRAY2", "right_kind")):
        wrong = registers(**{name: register(name).pack(**{field: 2})})
        with pytest.raises(LimitExceeded, match=f"{name} {field} 2 is above the 1 limit"):
            conditions.published_schedule(wrong)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_batch_teaches_the_layers_that_are_to_learn(layers: int) -> None:
    words = {"UPDATE_PULSES": 3 << 8 | 2, "LAYERS": layers}
    counts = [2 if layers & 1 else 0, 3 if layers & 2 else 0]
    cyclic = conditions.batch_schedule(registers(**words, SCHEME=Scheme.CYCLIC))
    assert cyclic == Schedule.cyclic(*counts)
    other = conditions.batch_schedule(registers(**words, SCHEME=Scheme.NON_CYCLIC))
    assert other == Schedule.non_cyclic(*counts)


def test_a_batch_that_would_teach_nothing_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="LAYERS 0 is below the 1 limit"):
        conditions.batch_schedule(registers(LAYERS=0))
    with pytest.raises(LimitExceeded, match="UPDATE_PULSES array2 0 is below the 1 limit"):
        conditions.batch_schedule(registers(LAYERS=2, UPDATE_PULSES=1))
    conditions.batch_schedule(registers(LAYERS=1, UPDATE_PULSES=1))


def test_every_register_wakes_up_at_its_place() -> None:
    content = RegisterFile().content
    expected = bytearray(MAP_END)
    for one in REGISTERS:
        expected[one.address : one.address + 4] = one.reset.to_bytes(4, "big")
    assert content == bytes(expected)
    assert len(content) == MAP_END


@pytest.mark.parametrize("address", [1, 2, 3, 5, 6, 7])
def test_words_begin_at_multiples_of_four(address: int) -> None:
    for access in (
        lambda: RegisterFile().read(address, 1),
        lambda: RegisterFile().write(address, bytes(4), b"\xff" * 4),
    ):
        with pytest.raises(Exception, match=f"0x{address:X} is not a multiple of 4"):
            access()


def test_the_last_word_can_be_read_and_none_after_it() -> None:
    last = MAP_END - 4
    assert len(RegisterFile().read(last, 1)) == 4
    for address, count in ((MAP_END, 1), (last, 2)):
        with pytest.raises(LimitExceeded, match="register end address"):
            RegisterFile().read(address, count)
