"""What may be kept of a board, to the last that may and the first that may not."""

from typing import Any

import numpy as np
import pytest

from starlab_sim import Specimen
from starlab_sim.chip import CHIP
from starlab_sim.firmware.register_file import RegisterFile
from starlab_sim.keeping.kept_values import (
    CELL_PULSES_MAX,
    ENERGY_MAX_J,
    TICKS_MAX,
    TOTAL_MAX,
    check_content,
    check_holding,
    check_registers,
    check_stream,
    check_supplies,
    check_wires,
)
from starlab_sim.socket.chip_socket import Holding
from starlab_sim.supplies import SupplyRack
from starlab_spec.errors import SpecError
from starlab_spec.registers import register


def content(**values: Any) -> "np.ndarray[Any, Any]":
    """A chip like any, but for the first of some of its values."""
    made = np.zeros((), CHIP)
    for array in ("array1", "array2"):
        made[array]["conductance_uS"] = 11.0
    for name, value in values.items():
        part, field = name.split("__")
        made[part][field].reshape(-1)[0] = value
    return made


@pytest.mark.parametrize(
    ("name", "good", "bad", "said"),
    [
        ("array1__conductance_uS", 60.0, 60.1, "60.1 uS is above the 60 uS limit"),
        ("array1__conductance_uS", 0.0, -0.001, "-0.001 uS is below the 0 uS limit"),
        ("array2__conductance_uS", 0.0999, 0.1, "0.1 uS is neither that of a virgin nor"),
        ("array2__conductance_uS", 0.2, 0.1999, "0.1999 uS is neither that of a virgin nor"),
        ("array2__conductance_uS", 2.0, np.nan, "is not a number"),
        ("array1__pulses", CELL_PULSES_MAX, CELL_PULSES_MAX + 1, "is above the 4026531840"),
        ("array2__pulsed_ticks", 1000, 1001, "1001 ticks is above the 1000 ticks limit"),
        ("array2__pulsed_ticks", 0, -1, "-1 ticks is below the 0 ticks limit"),
        ("meter__pulses", 500, 501, "meter.pulses, all together, 501 is above the 500 limit"),
        ("meter__programming_ticks", 1000, 1001, "meter ticks, all together, 1001 is above"),
        ("meter__reading_ticks", 1000, 1001, "meter ticks, all together, 1001 is above"),
        ("meter__aged_ticks", 1000, 1001, "meter.aged_ticks 1001 is above the 1000 limit"),
        ("meter__inferences", TOTAL_MAX, TOTAL_MAX + 1, "meter.inferences 46116860184273879"),
        ("meter__reading_j", ENERGY_MAX_J, ENERGY_MAX_J + 1, "meter.reading_j[0] 9001 J is"),
        ("meter__programming_j", 0.0, np.inf, "meter.programming_j[0, 0] inf J is above"),
    ],
)
def test_cells_and_totals_have_limits(name: str, good: float, bad: float, said: str) -> None:
    check_content(content(**{name: good}), pulses=500, ticks=1000)
    with pytest.raises(SpecError) as refused:
        check_content(content(**{name: bad}), pulses=500, ticks=1000)
    assert said in str(refused.value)


def test_totals_of_the_board_leave_room_to_go_on() -> None:
    check_content(content(), pulses=TOTAL_MAX, ticks=TICKS_MAX)
    for pulses, ticks in ((TOTAL_MAX + 1, 0), (0, TICKS_MAX + 1), (-1, 0), (0, -1), (True, 0)):
        with pytest.raises(SpecError, match=r"lifetime_pulses|emulated_ticks"):
            check_content(content(), pulses=pulses, ticks=ticks)
    assert TOTAL_MAX + (1 << 61) < 1 << 63
    assert TICKS_MAX + (1 << 60) < 1 << 63


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"serial": "x" * 65}, "holding.serial: length 65 characters is above the 64"),
        ({"serial": 1}, "holding.serial is no text"),
        ({"board_seed": 1 << 64}, "holding.board_seed 18446744073709551616 is above"),
        ({"boots": TOTAL_MAX + 1}, "holding.boots "),
        ({"pulses_before": -1}, "holding.pulses_before -1 is below the 0 limit"),
        ({"ticks_before": TICKS_MAX + 1}, "holding.ticks_before "),
        ({"specimen": Specimen(seed=-1)}, "holding.specimen.seed -1 is below"),
        ({"specimen": Specimen(virgin=1)}, "holding.specimen.virgin is neither"),  # type: ignore[arg-type]
    ],
)
def test_labels_have_limits(change: dict[str, Any], said: str) -> None:
    good: dict[str, Any] = {"serial": "x" * 64, "specimen": Specimen(seed=(1 << 64) - 1)}
    check_holding(Holding(**good, boots=TOTAL_MAX, ticks_before=TICKS_MAX))
    with pytest.raises(SpecError) as refused:
        check_holding(Holding(**{**good, **change}))
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("name", "word", "said"),
    [
        ("IDENTITY", 0, "register IDENTITY is 0x00000000, expected 0x53544C52"),
        ("FAULTS", 0x8000_0000, "register FAULTS has bits 0x80000000 that are no fault"),
        ("START", 8, "register START is 0x8, but it reads as 0"),
        ("FAULT_SET", 1, "register FAULT_SET is 0x1, but it reads as 0"),
        ("FAULT_CLEAR", 1, "register FAULT_CLEAR is 0x1, but it reads as 0"),
    ],
)
def test_registers_hold_what_writing_could_bring_about(name: str, word: int, said: str) -> None:
    registers = RegisterFile()
    registers.put("FAULTS", sum(field.mask for field in register("FAULTS").fields))
    check_registers(registers.content)
    registers.put(name, word)
    with pytest.raises(SpecError) as refused:
        check_registers(registers.content)
    assert str(refused.value) == said
    with pytest.raises(SpecError, match="registers are 764 bytes, expected 768"):
        check_registers(registers.content[:-4])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"codes": [0] * 21}, "supplies.codes has 21 entries, expected 22"),
        ({"codes": {}}, "supplies.codes is no list"),
        ({"codes": [256, *[0] * 21]}, "supplies.codes of VWLform 256 is above the 255 limit"),
        ({"codes": [True, *[0] * 21]}, "supplies.codes of VWLform True is no whole number"),
        ({"early": [0]}, "supplies.early has VWLform, which drives no cell"),
        ({"early": [22]}, "supplies.early 22 is above the 21 limit"),
        ({"safe_reason": ""}, "supplies.safe_reason is empty"),
        ({"safe_reason": "a\nb"}, "supplies.safe_reason is empty, or has characters"),
        ({"tripped": 22}, "supplies.tripped 22 is above the 21 limit"),
    ],
)
def test_supplies_are_what_a_rack_says_of_itself(change: dict[str, Any], said: str) -> None:
    kept = SupplyRack().keep()
    check_supplies({**kept, "codes": [255, *[None] * 21], "tripped": 21, "safe_reason": "why"})
    with pytest.raises(SpecError) as refused:
        check_supplies({**kept, **change})
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("number", [np.nan, np.inf, 40.1, -40.1, "1", None, True])
def test_the_next_noise_of_supplies_is_a_normal_number(number: Any) -> None:
    kept = SupplyRack().keep()
    check_supplies({**kept, "noise": {**kept["noise"], "next": [40.0, -40.0, *[0] * 20]}})
    with pytest.raises(SpecError, match=r"supplies\.noise\.next"):
        check_supplies({**kept, "noise": {**kept["noise"], "next": [number, *[0.0] * 21]}})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bit_generator": "MT19937"}, "one.bit_generator is 'MT19937', not 'PCG64'"),
        ({"has_uint32": 2}, "one.has_uint32 2 is above the 1 limit"),
        ({"uinteger": 1 << 32}, "one.uinteger 4294967296 is above"),
        ({"state": {"state": -1, "inc": 1}}, "one.state.state -1 is below the 0 limit"),
        ({"state": {"state": 1 << 128, "inc": 1}}, "one.state.state "),
        ({"state": {"state": 0, "inc": 2}}, "one.state.inc is even"),
    ],
)
def test_sources_of_noise_are_ours(change: dict[str, Any], said: str) -> None:
    state = dict(np.random.default_rng(1).bit_generator.state)
    check_stream("one", state)
    with pytest.raises(SpecError) as refused:
        check_stream("one", {**state, **change})
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("gain", [np.nan, np.inf, 1.1e6, -1.1e6])
def test_gains_of_wires_are_finite(gain: float) -> None:
    check_wires({"wires.array1.gain": np.array([[-1e6, 1e6]])})
    with pytest.raises(SpecError, match=r"wires\.array1\.gain\[0, 1\]"):
        check_wires({"wires.array1.gain": np.array([[0.0, gain]])})
