"""The file of limits: what is in it, what may differ, and how a bad one is refused."""

import math
from typing import Any

import pytest

from starlab_spec.errors import BadLimits, LimitExceeded, SpecError, Unsafe
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.operations import PulseKind
from starlab_spec.registers import register
from starlab_spec.safe_area import DRIVING_RAIL, SafeArea
from starlab_spec.supplies import SUPPLIES, supply

SHIPPED = SafeArea.shipped()


@pytest.mark.parametrize("array", [ARRAY1, ARRAY2])
@pytest.mark.parametrize("kind", PulseKind)
def test_what_the_published_start_up_leaves_is_within_the_area(array: Any, kind: PulseKind) -> None:
    name, number = kind.name.lower(), array.number

    def field(which: str) -> int:
        holder = register(f"{which}{number}")
        return holder.field(f"{name}_{which.lower()}").get(holder.reset)

    width_ns = 50 * (field("PERIOD") + 1)
    SHIPPED.check_width(number, kind, width_ns)
    SHIPPED.check_count(number, kind, field("NUMBER") + 1)
    nominal_mv = supply(DRIVING_RAIL[kind]).nominal
    # a board with generators that are 3 % and 30 mV off must be able to work as published
    SHIPPED.check_voltage(number, kind, 1.03 * nominal_mv + 30, width_ns, array.outputs)


def test_no_generator_that_is_usual_trips_at_its_limit() -> None:
    for channel in SHIPPED.channels:
        if channel.unit == "mV" and channel.high >= 2000:
            assert 1.03 * channel.high + 30 < SHIPPED.trip_mv(channel)


def test_set_and_reset_are_far_from_forming_and_form_is_not() -> None:
    for kind in (PulseKind.SET, PulseKind.RESET):
        assert SHIPPED.trip_mv(supply(DRIVING_RAIL[kind])) < SHIPPED.forming_level_mv
        with pytest.raises(Unsafe, match=f"^{kind.name} voltage 3500 mV on array 1 is not within"):
            SHIPPED.check_voltage(1, kind, 3500, 50, 1)
    SHIPPED.check_voltage(1, PulseKind.FORM, 5000, 50, 1)


def test_a_refusal_names_limit_value_place_and_channel() -> None:
    with pytest.raises(Unsafe) as refused:
        SHIPPED.check_width(1, PulseKind.SET, 12_800)
    assert str(refused.value) == "SET width 12800 ns on array 1 is above the 5000 ns limit"
    told = refused.value
    assert (told.name, told.value, told.limit, told.unit) == ("SET width", 12_800, 5000, "ns")
    assert (told.place, told.channel) == ("on array 1", "VBLset")


@pytest.mark.parametrize(
    ("voltage_mv", "width_ns", "cells", "message"),
    [
        (2500, 4050, 1, "SET energy 506.25 pJ on array 1 is above the 500 pJ limit"),
        (2800, 50, 1, "SET cell current 56 uA on array 1 is above the 55 uA limit"),
        (2740, 50, 101, "SET row current 5.535 mA on array 1 is above the 5.5 mA limit"),
    ],
)
def test_energy_and_currents_are_those_of_cells_at_the_top_of_the_window(
    voltage_mv: float, width_ns: int, cells: int, message: str
) -> None:
    # V^2 * 20 uS * t; V * 20 uS; V * 20 uS * cells
    with pytest.raises(Unsafe) as refused:
        SHIPPED.check_voltage(1, PulseKind.SET, voltage_mv, width_ns, cells)
    assert str(refused.value) == message


def test_a_file_holds_only_what_differs() -> None:
    area = SafeArea.parse(
        b'supplies."Vref<0>".high = 1000\npulses.array2.set.width_ns = 400\n'
        b"rate.array1.window_s = 0.05\n"
    )
    assert area.channels[supply("Vref<0>").index].high == 1000
    assert area.pulses[2, PulseKind.SET].width_ns == 400
    assert area.pulses[1, PulseKind.SET] == SHIPPED.pulses[1, PulseKind.SET]
    assert area.differences == (
        "supplies.Vref<0>.high 1000 instead of 3300",
        "rate.array1.window_s 0.05 instead of 0.1",
        "pulses.array2.set.width_ns 400 instead of 5000",
    )
    assert area.widened == ("rate.array1.window_s 0.05 instead of 0.1",)


def test_what_was_shipped_differs_from_itself_in_nothing() -> None:
    assert SafeArea.of({}) == SHIPPED
    assert (SHIPPED.differences, SHIPPED.widened) == ((), ())
    assert [c.name for c in SHIPPED.channels] == [c.name for c in SUPPLIES]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"supplies": {"VBLset": {"high": 9000}}},
            "supplies.VBLset.high 9000 mV is above the 5670 mV limit",
        ),
        (
            {"supplies": {"VBLset": {"high": 2000}}},  # a board is brought up at 2209
            "supplies.VBLset.high 2000 mV is below the 2209 mV limit",
        ),
        (
            {"supplies": {"V25": {"low": 2600}}},
            "supplies.V25.low 2600 mV is above the 2565 mV limit",
        ),
        (
            {"supplies": {"VBLset": {"high": 3400}}},
            "supplies.VBLset.high 3400 mV, 5% more to trip, reaches forming.level_mv 3500 mV: "
            "SET must not form",
        ),
        (
            {"pulses": {"array1": {"set": {"width_ns": 20}}}},
            "pulses.array1.set.width_ns 20 ns is below the 50 ns limit",
        ),
        (
            {"pulses": {"array1": {"set": {"pulses": 2.5}}}},
            "pulses.array1.set.pulses is 2.5, expected a whole number",
        ),
        (
            {"pulses": {"array1": {"set": {"pulses": math.inf}}}},
            "pulses.array1.set.pulses inf pulses is above the 256 pulses limit",
        ),
        (
            {"pulses": {"array1": {"set": {"width": 3}}}},
            "pulses.array1.set.width is no limit; known there: cell_ua, energy_pj, pulses, row_ma, "
            "width_ns",
        ),
        (
            {"puls": {}},
            "puls is no limit; known there: forming, pulses, rails, rate, supplies",
        ),
        ({"rate": 3}, "rate is 3, expected a table"),
        ({"forming": {"level_mv": math.nan}}, "forming.level_mv is nan, expected a number"),
        (
            {"forming": {"level_mv": 10**400}},
            f"forming.level_mv 1{'0' * 400} mV is above the 4500 mV limit",
        ),
        ({"forming": {"level_mv": True}}, "forming.level_mv is True, expected a number"),
        ({"forming": {"level_mv": "3 V"}}, "forming.level_mv is '3 V', expected a number"),
        ({"rails": {"trip_margin": 0}}, "rails.trip_margin 0 is below the 0.01 limit"),
    ],
)
def test_limits_that_make_no_sense_are_refused_by_key_value_and_bound(
    table: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as refused:
        SafeArea.of(table)
    assert str(refused.value) == message
    assert isinstance(refused.value, BadLimits | LimitExceeded)


@pytest.mark.parametrize("content", [b"x = ", b"\xff"])
def test_what_is_no_toml_is_refused(content: bytes) -> None:
    with pytest.raises(BadLimits, match="content is no TOML: "):
        SafeArea.parse(content)
