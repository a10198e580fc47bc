"""From register fields and supplies to the chip's physical settings. Changes neither.

Field meanings: register map; which rail drives what: chip facts, section 5 [C].
"""

from collections.abc import Mapping
from typing import Final

from starlab_sim.chip import ArrayTuning, Converters, Learning, Rails, Schedule, Tuning, TuningStep
from starlab_sim.devices import PulseConditions
from starlab_sim.firmware.register_file import RegisterFile
from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import ARRAY1, ARRAY2, ArrayGeometry
from starlab_spec.operations import Activation, PulseKind, Scheme
from starlab_spec.supplies import CLAMP_OFFSET_MV
from starlab_spec.units import ticks_to_ns

Supplied = Mapping[str, float]
"""What the generators give, by name: millivolt or microampere."""

_KINDS: Final = {PulseKind.SET: "set", PulseKind.RESET: "reset", PulseKind.FORM: "form"}


def selected_array(registers: RegisterFile) -> ArrayGeometry:
    """The array that register MODE selects."""
    return ARRAY1 if registers.get("MODE", "array1") else ARRAY2


def rails(supplied: Supplied) -> Rails:
    """The rails of the arrays, and the virtual clamp next to V25."""
    return Rails(
        wl_form_mv=supplied["VWLform"],
        wl_set_mv=supplied["VWLset"],
        wl_vdd_mv=supplied["VWLvdd"],
        bl27_mv=supplied["VBL27"],
        bl23_mv=supplied["VBL23"],
        bl_form_mv=supplied["VBLform"],
        bl_set_mv=supplied["VBLset"],
        sl_reset_mv=supplied["VSLreset"],
        v25_mv=supplied["V25"],
        clamp_offset_mv=CLAMP_OFFSET_MV,
    )


def converters(registers: RegisterFile, supplied: Supplied) -> Converters:
    """Bits, integration times and bias currents of both arrays' converters."""
    return Converters(
        bits1=registers.get("ADC", "array1_bits") + 1,
        bits2=registers.get("ADC", "array2_bits") + 1,
        integration1_ns=ticks_to_ns(registers.get("INTEGRATOR1", "integration_time") + 1),
        integration2_ns=ticks_to_ns(registers.get("INTEGRATOR2", "integration_time") + 1),
        iref1_ua=supplied["Iref_integ"],
        iref2_ua=supplied["Iref_integ2"],
    )


def pulse_width_ns(registers: RegisterFile, array: ArrayGeometry, kind: PulseKind) -> int:
    """Width of programming pulses."""
    period = registers.get(f"PERIOD{array.number}", f"{_KINDS[kind]}_period")
    return ticks_to_ns(period + 1)


def pulse_count(registers: RegisterFile, array: ArrayGeometry, kind: PulseKind) -> int:
    """Pulses that one operation puts on each selected cell."""
    return registers.get(f"NUMBER{array.number}", f"{_KINDS[kind]}_number") + 1


def pulse_conditions(
    registers: RegisterFile, supplied: Supplied, array: ArrayGeometry, kind: PulseKind
) -> PulseConditions:
    """Voltages and width of programming pulses."""
    return rails(supplied).pulse(kind, pulse_width_ns(registers, array, kind))


def learning(registers: RegisterFile) -> Learning:
    """Thresholds and output activation.

    Raises:
        LimitExceeded: The activation's scale is 0.
    """
    activation = Activation(registers.get("ACTIVATION"))
    c2 = registers.get("C2")
    scale = registers.get("ACTIVATION_SCALE")
    if scale < 1:
        raise LimitExceeded("ACTIVATION_SCALE", scale, 1)
    return Learning(
        threshold=registers.get("TH"),
        hidden_threshold_uS=registers.get("TH1") / 1000,
        c1=registers.get("C1"),
        c1_relative=bool(registers.get("C1", "relative")),
        c2=c2 / 1000 if activation in (Activation.SIGMOID, Activation.TANH) else c2,
        activation=activation,
        activation_scale=scale,
        activation_amplitude=registers.get("ACTIVATION_AMPLITUDE"),
    )


def tuning(registers: RegisterFile, supplied: Supplied, schedule: Schedule) -> Tuning:
    """A schedule with SET and RESET pulses of the widths that the registers hold."""
    return Tuning.at(
        rails(supplied),
        schedule,
        set1_ns=pulse_width_ns(registers, ARRAY1, PulseKind.SET),
        reset1_ns=pulse_width_ns(registers, ARRAY1, PulseKind.RESET),
        set2_ns=pulse_width_ns(registers, ARRAY2, PulseKind.SET),
        reset2_ns=pulse_width_ns(registers, ARRAY2, PulseKind.RESET),
    )


def published_schedule(registers: RegisterFile) -> Schedule:
    """The one step of the published BP operation, registers BP_ARRAY1 and BP_ARRAY2.

    Raises:
        LimitExceeded: A kind that is neither SET nor RESET.
    """
    return Schedule.single(
        TuningStep(
            array1=_array_tuning(registers, "BP_ARRAY1", plus="upper", minus="lower"),
            array2=_array_tuning(registers, "BP_ARRAY2", plus="right", minus="left"),
        )
    )


def batch_schedule(registers: RegisterFile) -> Schedule:
    """The scheme of batch training on the layers that are to learn.

    Raises:
        LimitExceeded: No layer, or a layer that is to learn with 0 pulses an update.
    """
    if not registers.get("LAYERS", "array1") | registers.get("LAYERS", "array2"):
        raise LimitExceeded("LAYERS", 0, 1)
    counts = [_update_pulses(registers, array) for array in (ARRAY1, ARRAY2)]
    if registers.get("SCHEME") == Scheme.CYCLIC:
        return Schedule.cyclic(*counts)
    return Schedule.non_cyclic(*counts)


def _array_tuning(registers: RegisterFile, register: str, *, plus: str, minus: str) -> ArrayTuning:
    kinds = []
    for cells in (plus, minus):
        kind = registers.get(register, f"{cells}_kind")
        if kind > PulseKind.RESET:
            raise LimitExceeded(f"{register} {cells}_kind", kind, PulseKind.RESET)
        kinds.append(PulseKind(kind))
    return ArrayTuning(
        plus_kind=kinds[0],
        minus_kind=kinds[1],
        plus_count=registers.get(register, f"{plus}_pulses"),
        minus_count=registers.get(register, f"{minus}_pulses"),
    )


def _update_pulses(registers: RegisterFile, array: ArrayGeometry) -> int:
    name = f"array{array.number}"
    if not registers.get("LAYERS", name):
        return 0
    count = registers.get("UPDATE_PULSES", name)
    if count < 1:
        raise LimitExceeded(f"UPDATE_PULSES {name}", count, 1)
    return count
