"""The 22 programmable voltage generators: names, codes, units, safe limits. Never sets one.

Source: chip facts, section 5. Conversions and defaults [C]; safe limits: `limits.toml` [O].
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Final

from starlab_spec.errors import LimitExceeded, UnknownName, rounded
from starlab_spec.limits_file import SHIPPED

CODE_MAX: Final = 255
"""The digital potentiometers have 8 bits."""
CLAMP_NOMINAL_OFFSET_MV: Final = -30.0
"""The virtual clamp lies about this far from V25 in the published settings [O, R]."""


@dataclass(frozen=True, slots=True)
class Channel(ABC):
    """One generator. ``low`` and ``high`` are the safe operating area in ``unit``."""

    index: int
    """Position in the power-up order, and the address on the wire."""
    name: str
    """Published name, as in ``VBLset``."""
    chip_select: int
    """Published address: chip select of the potentiometer."""
    register: int = field()  # not bare: the metaclass of ABC has a `register` of its own
    """Published address: register of the potentiometer."""
    default: float
    """Published setting, in ``unit``."""
    low: float
    """Safe operating area: least value, in ``unit``."""
    high: float
    """Safe operating area: greatest value, in ``unit``."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """``mV`` or ``uA``."""

    @abstractmethod
    def value(self, code: int) -> float:
        """What the generator nominally gives at a code, in ``unit``."""

    @abstractmethod
    def nearest_code(self, value: float) -> int:
        """The code that comes nearest to a value, clamped to 0..255."""

    @property
    def default_code(self) -> int:
        """Code of the published setting."""
        return self.nearest_code(self.default)

    @property
    def nominal(self) -> float:
        """What the published setting really gives: the value at its code, in ``unit``."""
        return self.value(self.default_code)

    def code(self, value: float) -> int:
        """The code for a value that must be safe and within the generator's reach.

        Args:
            value: Millivolt for a voltage, microampere for a current.

        Raises:
            LimitExceeded: Outside the safe operating area, or further than half a step beyond
                what codes 0..255 can give.
        """
        self.check(value)
        ends = sorted((self.value(0), self.value(CODE_MAX)))
        code = self.nearest_code(value)
        slack = abs(self.value(code) - self.value(code - 1 if code else 1)) / 2
        for end, beyond in ((ends[0], value < ends[0] - slack), (ends[1], value > ends[1] + slack)):
            if beyond:
                raise LimitExceeded(
                    f"{self.name} reach:",
                    rounded(value, end, 3),
                    rounded(end, value, 3),
                    self.unit,
                )
        return code

    def check(self, value: float) -> None:
        """Refuse a value outside the safe operating area.

        Raises:
            LimitExceeded: With this channel's name, the value and the limit it crosses.
        """
        if not value <= self.high:  # so that NaN is refused too
            raise LimitExceeded(self.name, value, self.high, self.unit)
        if value < self.low:
            raise LimitExceeded(self.name, value, self.low, self.unit)

    def check_code(self, code: int) -> None:
        """Refuse a raw code that is none, or whose value is unsafe.

        Raises:
            LimitExceeded: Named after the channel, in its unit.
        """
        if not 0 <= code <= CODE_MAX:
            raise LimitExceeded(f"{self.name} code", code, 0 if code < 0 else CODE_MAX)
        value = self.value(code)
        # half a step of grace: a limit in round millivolts lies between two codes
        step = abs(self.value(code) - self.value(code - 1 if code else 1))
        if value > self.high + step / 2:
            raise LimitExceeded(self.name, rounded(value, self.high, 1), self.high, self.unit)
        if value < self.low - step / 2:
            raise LimitExceeded(self.name, rounded(value, self.low, 1), self.low, self.unit)


class VoltageChannel(Channel):
    """A voltage: ``mV = 605 * (1200 + 45 + code * 10000 / 255) / 1200`` [C]."""

    __slots__ = ()

    @property
    def unit(self) -> str:
        """Millivolt."""
        return "mV"

    def value(self, code: int) -> float:
        """Millivolt at a code: 627.7 at 0, 5670 at 255."""
        return 605.0 * (1200.0 + 45.0 + code * 10000.0 / CODE_MAX) / 1200.0

    def nearest_code(self, value: float) -> int:
        """Nearest code to a voltage in millivolt."""
        code = (value * 1200.0 / 605.0 - 1245.0) * CODE_MAX / 10000.0
        return min(max(round(code), 0), CODE_MAX)


@dataclass(frozen=True, slots=True)
class CurrentChannel(Channel):
    """A bias current: ``code = (66000 / uA - 50 - Rbase) * 255 / Rab`` [C]."""

    r_ab_ohm: float
    """Resistance of the whole potentiometer."""
    r_base_ohm: float
    """Fixed resistor in series with it."""

    @property
    def unit(self) -> str:
        """Microampere."""
        return "uA"

    def value(self, code: int) -> float:
        """Microampere at a code; falls as the code rises."""
        return 66000.0 / (50.0 + self.r_base_ohm + code * self.r_ab_ohm / CODE_MAX)

    def nearest_code(self, value: float) -> int:
        """Code of a current in microampere, by the published formula."""
        if value <= 0:
            return CODE_MAX
        code = (66000.0 / value - 50.0 - self.r_base_ohm) * CODE_MAX / self.r_ab_ohm
        return min(max(round(code), 0), CODE_MAX)


def _voltages() -> list[VoltageChannel]:
    # name, chip select, register, default: mV
    rows = [
        ("VWLform", 1, 0, 1220),
        ("VWLset", 1, 1, 1813),
        ("VWLvdd", 1, 2, 4166),
        ("VBL27", 1, 3, 2762),
        ("VBL23", 1, 4, 2308),
        ("VBLform", 1, 5, 5016),
        ("VBLset", 2, 0, 2209),
        ("VSLreset", 2, 1, 1600),
        ("Vref_ref_low", 2, 2, 2327),
        ("EXT_DL", 2, 3, 627),
        ("Vref<0>", 2, 4, 627),
        ("Vref<1>", 2, 5, 627),
        ("Vref_ref_high", 3, 0, 2706),
        ("Vref_DA", 3, 1, 5155),
        ("V25", 3, 4, 2565),
    ]
    return [VoltageChannel(index, *row, *_safe(row[0])) for index, row in enumerate(rows)]


def _currents() -> list[CurrentChannel]:
    # name, chip select, register, default: uA; Rab, Rbase: Ohm
    rows = [
        ("Iref_integ", 4, 0, 81, 10_000, 420),
        ("Iref_integ2", 4, 1, 80, 10_000, 420),
        ("Iref_integ3", 4, 2, 80, 10_000, 420),
        ("Ibuf_DA", 5, 1, 201, 1_000, 220),
        ("IMP_IDC_test", 5, 2, 200, 1_000, 220),
        ("Test_integ_in", 6, 1, 1, 100_000, 220),
        ("Vbias_comp", 3, 2, 25, 10_000, 1_200),
    ]
    return [
        CurrentChannel(15 + offset, *row[:4], *_safe(row[0]), *row[4:])
        for offset, row in enumerate(rows)
    ]


def _safe(name: str) -> tuple[float, float]:
    limits = SHIPPED["supplies"][name]
    return limits["low"], limits["high"]


SUPPLIES: Final[tuple[Channel, ...]] = (*_voltages(), *_currents())
"""All 22 channels in the order in which a host powers them up."""

_BY_NAME: Final = {channel.name: channel for channel in SUPPLIES}
_BY_ADDRESS: Final = {(c.chip_select, c.register): c for c in SUPPLIES}


def supply(name: str) -> Channel:
    """The channel of a published name.

    Raises:
        UnknownName: No generator has it.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnknownName("supply", name, _BY_NAME) from None


def supply_at(chip_select: int, register: int) -> Channel:
    """The channel at a published potentiometer address.

    Raises:
        UnknownName: No generator is wired there.
    """
    try:
        return _BY_ADDRESS[chip_select, register]
    except KeyError:
        known = (f"{cs}/{reg}" for cs, reg in _BY_ADDRESS)
        raise UnknownName("supply address", f"{chip_select}/{register}", known) from None


def _clamp_offset_mv() -> float:
    """Offset that leaves the published defaults, as their codes give them, without mismatch."""
    rails = (supply("VBL27").nominal + supply("VBL23").nominal) / 2
    return rails - supply("V25").nominal


CLAMP_OFFSET_MV: Final = _clamp_offset_mv()
"""Virtual clamp minus V25. The published -30 mV, less the rounding of three 8-bit codes [O]."""
NOMINAL_READ_MV: Final = (supply("VBL27").nominal - supply("VBL23").nominal) / 2
"""Read voltage on either side of the clamp at the published defaults, as their codes give it."""
