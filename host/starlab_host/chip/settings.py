"""The board's settings in physical units, and the register fields that hold them. Sends nothing.

A setting is a field of a register; this module knows which, and how its number becomes a code.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NamedTuple

from starlab_host.errors import BadArgument
from starlab_spec import LimitExceeded, UnknownName
from starlab_spec.errors import exact
from starlab_spec.operations import Activation, PulseKind, Scheme
from starlab_spec.registers import Field, Register, register
from starlab_spec.safe_area import SafeArea
from starlab_spec.units import TICK_NS

ActivationName = Literal["none", "relu", "sigmoid", "tanh"]
SchemeName = Literal["cyclic", "non-cyclic"]
PhaseName = Literal["set", "reset"]
SettingValue = bool | int | float | str

_ACTIVATIONS: Final[dict[str, int]] = {member.name.lower(): member for member in Activation}
_SCHEMES: Final[dict[str, int]] = {m.name.lower().replace("_", "-"): m for m in Scheme}
_PHASES: Final[dict[str, int]] = {"set": 0, "reset": 1}
_SLOPED: Final = ("sigmoid", "tanh")
"""Activations whose C2 compares the derivative, in thousandths of its maximum."""
_TH1_MAX_uS: Final = 1000.0
"""Ten weights of at most 18 uS drive back less than a fifth of this: it switches layer 1 off."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What converters, pulses and learning are set to. Suffixes _1 and _2 name the array."""

    adc_bits_1: int
    """N1: bits of the array-1 converter, 1..8."""
    adc_bits_2: int
    """N2: bits of the array-2 converter, 1..8."""
    integration_time_1_ns: int
    """Ti of array 1, 50..12800 ns in steps of 50."""
    integration_time_2_ns: int
    """Ti of array 2, 50..12800 ns in steps of 50."""
    set_width_1_ns: int
    """Width of a SET pulse on array 1, 50..12800 ns in steps of 50."""
    reset_width_1_ns: int
    """Width of a RESET pulse on array 1, likewise."""
    form_width_1_ns: int
    """Width of a FORM pulse on array 1, likewise."""
    set_width_2_ns: int
    """Width of a SET pulse on array 2, likewise."""
    reset_width_2_ns: int
    """Width of a RESET pulse on array 2, likewise."""
    form_width_2_ns: int
    """Width of a FORM pulse on array 2, likewise."""
    set_count_1: int
    """Pulses of one SET operation on array 1, 1..256."""
    reset_count_1: int
    """Pulses of one RESET operation on array 1, 1..256."""
    form_count_1: int
    """Pulses of one FORM operation on array 1, 1..256."""
    set_count_2: int
    """Pulses of one SET operation on array 2, 1..256."""
    reset_count_2: int
    """Pulses of one RESET operation on array 2, 1..256."""
    form_count_2: int
    """Pulses of one FORM operation on array 2, 1..256."""
    th: int
    """Th: threshold of the output error, in output codes."""
    th1_uS: float
    """Th1: threshold of the error driven back through array 2, in steps of 0.001 uS."""
    c1: float
    """C1: threshold of the hidden activity: a fraction of max(Y1) in steps of 0.001, or counts."""
    c1_relative: bool
    """Whether ``c1`` is a fraction of max(Y1) or an absolute pulse count."""
    c2: float
    """C2: ReLU: output codes. Sigmoid, tanh: fraction of the derivative's maximum, 0..1."""
    output_activation: ActivationName
    """Activation of the ten outputs."""
    activation_scale: int
    """s of ``y2 = A f(z / s)`` for sigmoid and tanh, in output codes, at least 1."""
    activation_amplitude: int
    """A of the same, in output codes."""
    scheme: SchemeName
    """Tuning scheme: "cyclic" is stellar1, "non-cyclic" stellar2."""
    phase: PhaseName
    """Kind of pulse that the next sample of the cyclic scheme gives."""
    update_pulses_1: int
    """Pulses per update of a selected cell of array 1, 1..15."""
    update_pulses_2: int
    """Pulses per update of a selected cell of array 2, 1..15."""
    target_on: int
    """Target of the labelled class, in output codes."""
    target_off: int
    """Target of the other classes, in output codes."""


@dataclass(frozen=True, slots=True)
class RegisterWrite:
    """Bits of a register that are to change."""

    address: int
    """Byte address."""
    mask: int
    """Bits that are replaced."""
    word: int
    """Their values, in place."""


def settings_of(words: Mapping[int, int]) -> Settings:
    """The settings that register words stand for.

    Args:
        words: Word by byte address; those of :data:`SETTING_ADDRESSES` at least.
    """
    values: dict[str, Any] = {}
    for name, binding in _BINDINGS.items():
        code = binding.field.get(words[binding.register.address])
        values[name] = binding.conversion.decode(code)
    for name in ("c1", "c2"):
        if _in_thousandths(name, values):
            values[name] /= 1000
    return Settings(**values)


def setting_writes(current: Settings, changes: Mapping[str, SettingValue]) -> list[RegisterWrite]:
    """What must be written to change some settings: all of the changes, or an error.

    A change of what a threshold is relative to (``c1_relative``, ``output_activation``) writes
    that threshold again.

    Raises:
        UnknownName: There is no such setting, or no such choice of it.
        LimitExceeded: A value that its register cannot hold or that has no meaning.
        BadArgument: No number, no whole number, or no multiple of 50 ns.
    """
    for name in changes:
        if name not in _BINDINGS:
            raise UnknownName("setting", name, _BINDINGS)
    wanted = {**asdict(current), **changes}
    masks: dict[int, int] = {}
    words: dict[int, int] = {}
    for name, binding in _BINDINGS.items():
        if name not in changes and _BASIS.get(name) not in changes:
            continue
        conversion = _fraction() if _in_thousandths(name, wanted) else binding.conversion
        address, field = binding.register.address, binding.field
        bits = field.bits(conversion.encode(name, wanted[name]))
        masks[address] = masks.get(address, 0) | field.mask
        words[address] = words.get(address, 0) | bits
    return [RegisterWrite(address, masks[address], words[address]) for address in sorted(words)]


def check_pulse_settings(area: SafeArea, changes: Mapping[str, SettingValue]) -> None:
    """Refuse pulses that the safe operating area does not allow, whatever their voltage.

    Args:
        area: The limits.
        changes: Of which :func:`setting_writes` has nothing to say.

    Raises:
        Unsafe: A width or a number of pulses is above its limit.
    """
    for name, value in changes.items():
        what, _, rest = name.partition("_")
        if isinstance(value, str) or not rest.startswith(("width_", "count_")):
            continue
        array, kind = int(rest.split("_")[1]), PulseKind[what.upper()]
        if rest.startswith("width_"):
            area.check_width(array, kind, int(value))
        else:
            area.check_count(array, kind, int(value))
    for array in (1, 2):
        value = changes.get(f"update_pulses_{array}", 0)
        for kind in (PulseKind.SET, PulseKind.RESET):
            area.check_count(array, kind, int(value))


class _Conversion(NamedTuple):
    """How the number of a setting becomes the code of a field, and back."""

    encode: Callable[[str, SettingValue], int]
    decode: Callable[[int], SettingValue]


class _Binding(NamedTuple):
    """The field that holds a setting."""

    register: Register
    field: Field
    conversion: _Conversion


def _number(name: str, value: SettingValue) -> float:
    # NaN is not below anything; math.isnan does not take integers of any size
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= math.inf:
        raise BadArgument(name, f"{value!r} is not a number")
    return value


def _within(name: str, value: SettingValue, low: float, high: float, unit: str) -> float:
    number = _number(name, value)
    if number > high:
        raise LimitExceeded(name, number, high, unit)
    if number < low:
        raise LimitExceeded(name, number, low, unit)
    return number


def _whole(low: int, high: int, *, code_of_low: int | None = None, unit: str = "") -> _Conversion:
    """A whole number; its code is the number itself unless the lowest has another one."""
    offset = 0 if code_of_low is None else low - code_of_low

    def encode(name: str, value: SettingValue) -> int:
        number = _within(name, value, low, high, unit)
        if number != int(number):
            raise BadArgument(name, f"{exact(number)} is not a whole number")
        return int(number) - offset

    return _Conversion(encode, lambda code: code + offset)


def _duration() -> _Conversion:
    """Nanoseconds of ``code + 1`` clock cycles."""
    longest = 256 * TICK_NS

    def encode(name: str, value: SettingValue) -> int:
        number = _within(name, value, TICK_NS, longest, "ns")
        if number % TICK_NS:
            raise BadArgument(name, f"{exact(number)} ns is not a multiple of {TICK_NS} ns")
        return int(number) // TICK_NS - 1

    return _Conversion(encode, lambda code: (code + 1) * TICK_NS)


def _thousandths(high: float, unit: str = "") -> _Conversion:
    """A code of 0.001 each."""
    return _Conversion(
        lambda name, value: round(1000 * _within(name, value, 0, high, unit)),
        lambda code: code / 1000,
    )


def _fraction() -> _Conversion:
    return _thousandths(1.0)


def _choice(codes: Mapping[str, int]) -> _Conversion:
    names = {code: name for name, code in codes.items()}

    def encode(name: str, value: SettingValue) -> int:
        if not isinstance(value, str):
            raise BadArgument(name, f"{value!r} is none of {', '.join(codes)}")
        if value not in codes:
            raise UnknownName(name, value, codes)
        return codes[value]

    return _Conversion(encode, names.__getitem__)


def _flag() -> _Conversion:
    def encode(name: str, value: SettingValue) -> int:
        if not isinstance(value, bool):
            raise BadArgument(name, f"{value!r} is neither true nor false")
        return int(value)

    return _Conversion(encode, bool)


def _bindings() -> dict[str, _Binding]:
    def bind(register_name: str, field_name: str, conversion: _Conversion) -> _Binding:
        holder = register(register_name)
        return _Binding(holder, holder.field(field_name), conversion)

    code_17 = _whole(0, (1 << 17) - 1)
    target = _whole(-(1 << 16), (1 << 16) - 1)
    bindings: dict[str, _Binding] = {}
    for n in (1, 2):
        bits = _whole(1, 8, code_of_low=0)
        bindings[f"adc_bits_{n}"] = bind("ADC", f"array{n}_bits", bits)
        bindings[f"integration_time_{n}_ns"] = bind(
            f"INTEGRATOR{n}", "integration_time", _duration()
        )
        for kind in ("set", "reset", "form"):
            count = _whole(1, 256, code_of_low=0, unit="pulses")
            bindings[f"{kind}_width_{n}_ns"] = bind(f"PERIOD{n}", f"{kind}_period", _duration())
            bindings[f"{kind}_count_{n}"] = bind(f"NUMBER{n}", f"{kind}_number", count)
        bindings[f"update_pulses_{n}"] = bind(
            "UPDATE_PULSES", f"array{n}", _whole(1, 15, unit="pulses")
        )
    return bindings | {
        "th": bind("TH", "value", code_17),
        "th1_uS": bind("TH1", "value", _thousandths(_TH1_MAX_uS, "uS")),
        "c1_relative": bind("C1", "relative", _flag()),
        "c1": bind("C1", "value", _whole(0, 255, unit="counts")),
        "c2": bind("C2", "value", code_17),
        "output_activation": bind("ACTIVATION", "value", _choice(_ACTIVATIONS)),
        "activation_scale": bind("ACTIVATION_SCALE", "value", _whole(1, (1 << 17) - 1)),
        "activation_amplitude": bind("ACTIVATION_AMPLITUDE", "value", _whole(0, (1 << 16) - 1)),
        "scheme": bind("SCHEME", "value", _choice(_SCHEMES)),
        "phase": bind("PHASE", "value", _choice(_PHASES)),
        "target_on": bind("TARGET_ON", "value", target),
        "target_off": bind("TARGET_OFF", "value", target),
    }


_BINDINGS: Final = _bindings()
_BASIS: Final = {"c1": "c1_relative", "c2": "output_activation"}
"""The setting that says what a threshold is relative to."""

SETTING_ADDRESSES: Final = tuple(sorted({b.register.address for b in _BINDINGS.values()}))
"""Byte addresses of the registers that hold settings."""


def _in_thousandths(name: str, values: Mapping[str, Any]) -> bool:
    """Whether a threshold counts thousandths, given the other settings."""
    if name == "c1":
        return values["c1_relative"] is True
    return name == "c2" and values["output_activation"] in _SLOPED
