"""The safe operating area of a board's cells, and what lies outside of it. Drives nothing.

The limits are those of `limits.toml` unless a file for one board says otherwise. Host and emulated
firmware each hold an area of their own and ask it the same questions, so that both refuse in the
same words.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from starlab_spec.errors import BadLimits, LimitExceeded, Unsafe, apart, exact, rounded
from starlab_spec.geometry import ARRAY1, ARRAY2, CONDUCTANCE_MAX_uS, array_geometry
from starlab_spec.limits_file import SHIPPED, Table
from starlab_spec.operations import PulseKind
from starlab_spec.supplies import SUPPLIES, Channel
from starlab_spec.units import TICK_NS, current_ua

DRIVING_RAIL: Final[Mapping[PulseKind, str]] = MappingProxyType(
    {PulseKind.SET: "VBLset", PulseKind.RESET: "VSLreset", PulseKind.FORM: "VBLform"}
)
"""The supply whose voltage lies over cell and selector in a pulse [C]."""
REGISTER_WIDTH_NS: Final = 256 * TICK_NS
"""Greatest width that a register holds."""
REGISTER_PULSES: Final = 256
"""Most pulses of one operation that a register holds."""


@dataclass(frozen=True, slots=True)
class PulseLimits:
    """Limits of one kind of pulse on one array."""

    width_ns: int
    """Greatest width."""
    pulses: int
    """Most pulses of one operation (in learning: of one update) on a cell."""
    energy_pj: float
    """Most energy of one pulse on a cell at the top of the conductance window."""
    cell_ua: float
    """Greatest current of such a cell."""
    row_ma: float
    """Greatest current of all such cells of one row and polarity together."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How fast pulses may follow one another on a cell."""

    pulses: int
    """Most pulses of any kind on a cell within the window."""
    window_s: float
    """Length of any such window, on the chip's own clock."""


@dataclass(frozen=True, slots=True)
class SafeArea:
    """All limits of a board."""

    channels: tuple[Channel, ...]
    """The 22 generators in power-up order, ``low`` and ``high`` as they hold on this board."""
    pulses: Mapping[tuple[int, PulseKind], PulseLimits]
    """By array and kind."""
    rates: Mapping[int, RateLimit]
    """By array."""
    forming_level_mv: float
    """From this voltage on only FORM may drive cells."""
    trip_margin: float
    """Share of its limit by which a rail must really exceed it to trip the over-voltage fault."""
    differences: tuple[str, ...] = ()
    """Keys that differ from the limits that were shipped, with both values."""
    widened: tuple[str, ...] = ()
    """Those of them that allow more."""

    @classmethod
    def shipped(cls) -> "SafeArea":
        """The limits that come with this package."""
        return _SHIPPED_AREA

    @classmethod
    def of(cls, table: Table) -> "SafeArea":
        """The limits that were shipped, but for what a table says.

        Args:
            table: As TOML gives it; any part of what `limits.toml` has.

        Raises:
            BadLimits: An unknown key, no number, or limits that contradict one another.
            LimitExceeded: A limit that the hardware could not even reach, or none at all.
        """
        changes = {path: _checked(path, value) for path, value in _flat(table)}
        return _area({**_SHIPPED, **changes})

    @classmethod
    def parse(cls, content: bytes) -> "SafeArea":
        """The limits of a board's own file.

        Raises:
            BadLimits: It is no TOML; and as :meth:`of`.
            LimitExceeded: As :meth:`of`.
        """
        try:
            table = tomllib.loads(content.decode("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadLimits("content", f"is no TOML: {error}") from None
        return cls.of(table)

    def check_width(self, array: int, kind: PulseKind, width_ns: int) -> None:
        """Refuse pulses that are too wide.

        Raises:
            Unsafe: The width is above its limit.
        """
        limit = self.pulses[array, kind].width_ns
        if width_ns > limit:
            raise _unsafe(array, kind, "width", width_ns, limit, "ns")

    def check_count(self, array: int, kind: PulseKind, count: int) -> None:
        """Refuse too many pulses of one operation on a cell.

        Raises:
            Unsafe: The number is above its limit.
        """
        limit = self.pulses[array, kind].pulses
        if count > limit:
            raise _unsafe(array, kind, "pulses", count, limit)

    def check_voltage(
        self, array: int, kind: PulseKind, amplitude_mv: float, width_ns: int, row_cells: int
    ) -> None:
        """Refuse pulses whose voltage, energy or current is too great.

        Args:
            array: 1 or 2.
            kind: SET, RESET or FORM.
            amplitude_mv: Voltage of the rail that drives them.
            width_ns: Their width.
            row_cells: Greatest number of cells of one row and polarity that are pulsed at once.

        Raises:
            Unsafe: SET or RESET at forming level; energy, cell or row current above its limit.
        """
        limits = self.pulses[array, kind]
        if kind is not PulseKind.FORM and amplitude_mv >= self.forming_level_mv:
            raise Unsafe(
                f"{kind.name} voltage",
                rounded(amplitude_mv, self.forming_level_mv, 1),
                self.forming_level_mv,
                "mV",
                place=f"on array {array}",
                channel=DRIVING_RAIL[kind],
            )
        cell_ua = current_ua(amplitude_mv, CONDUCTANCE_MAX_uS)
        # V * uA = uW; uW * ns = fJ
        energy_pj = amplitude_mv * 1e-3 * cell_ua * width_ns * 1e-3
        if energy_pj > limits.energy_pj:
            raise _unsafe(array, kind, "energy", energy_pj, limits.energy_pj, "pJ")
        if cell_ua > limits.cell_ua:
            raise _unsafe(array, kind, "cell current", cell_ua, limits.cell_ua, "uA")
        row_ma = row_cells * cell_ua * 1e-3
        if row_ma > limits.row_ma:
            raise _unsafe(array, kind, "row current", row_ma, limits.row_ma, "mA")

    def rows_matter(self, array: int, kind: PulseKind, amplitude_mv: float) -> bool:
        """Whether a whole row of cells would be too many, so that those pulsed must be counted."""
        cells = array_geometry(array).outputs
        row_ma = cells * current_ua(amplitude_mv, CONDUCTANCE_MAX_uS) * 1e-3
        return row_ma > self.pulses[array, kind].row_ma

    def trip_mv(self, channel: Channel) -> float:
        """The voltage from which on a rail is a fault, whoever asked for it."""
        return self.channels[channel.index].high * (1 + self.trip_margin)


def _unsafe(
    array: int, kind: PulseKind, what: str, value: float, limit: float, unit: str = ""
) -> Unsafe:
    return Unsafe(
        f"{kind.name} {what}",
        rounded(value, limit, 3),
        limit,
        unit,
        place=f"on array {array}",
        channel=DRIVING_RAIL[kind],
    )


class _Bound(NamedTuple):
    """What a limit itself may be."""

    low: float
    high: float
    unit: str
    wider: int = 1
    """+1 where a greater limit allows more, -1 where a smaller one does."""
    whole: bool = False


_PULSE_BOUNDS: Final = {
    "width_ns": _Bound(TICK_NS, REGISTER_WIDTH_NS, "ns", whole=True),
    "pulses": _Bound(1, REGISTER_PULSES, "pulses", whole=True),
    "energy_pj": _Bound(0.001, 10_000, "pJ"),
    "cell_ua": _Bound(0.001, 120, "uA"),
    "row_ma": _Bound(0.001, 12, "mA"),
}
_ARRAYS: Final = {f"array{geometry.number}": geometry.number for geometry in (ARRAY1, ARRAY2)}
_KINDS: Final = {kind.name.lower(): kind for kind in PulseKind}


def _bounds() -> dict[str, _Bound]:
    bounds = {}
    for channel in SUPPLIES:
        reach = math.ceil(max(channel.value(0), channel.value(255)))
        bounds[f"supplies.{channel.name}.low"] = _Bound(0, reach, channel.unit, wider=-1)
        bounds[f"supplies.{channel.name}.high"] = _Bound(0, reach, channel.unit)
    bounds["rails.trip_margin"] = _Bound(0.01, 0.2, "")
    bounds["forming.level_mv"] = _Bound(2500, 4500, "mV")
    for array in _ARRAYS:
        for kind in _KINDS:
            for key, bound in _PULSE_BOUNDS.items():
                bounds[f"pulses.{array}.{kind}.{key}"] = bound
        bounds[f"rate.{array}.pulses"] = _Bound(1, 10**9, "pulses", whole=True)
        bounds[f"rate.{array}.window_s"] = _Bound(0.001, 10, "s", wider=-1)
    return bounds


_BOUNDS: Final = _bounds()


def _flat(table: Table, within: str = "") -> Iterator[tuple[str, Any]]:
    """The values of a table by their whole paths."""
    for name, value in table.items():
        path = f"{within}{name}"
        if path in _BOUNDS:
            yield path, value
        elif not any(known.startswith(f"{path}.") for known in _BOUNDS):
            rest = {k[len(within) :].split(".")[0] for k in _BOUNDS if k.startswith(within)}
            raise BadLimits(path, f"is no limit; known there: {', '.join(sorted(rest))}")
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{path}.")
        else:
            raise BadLimits(path, f"is {value!r}, expected a table")


def _checked(path: str, value: object) -> float:
    bound = _BOUNDS[path]
    # NaN is not below anything; math.isnan does not take integers of any size
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= math.inf:
        raise BadLimits(path, f"is {value!r}, expected a number")
    if not bound.low <= value <= bound.high:
        raise LimitExceeded(path, value, bound.low if value < bound.low else bound.high, bound.unit)
    if bound.whole and value != int(value):
        raise BadLimits(path, f"is {value!r}, expected a whole number")
    return int(value) if bound.whole else value


def _area(limits: Mapping[str, float]) -> SafeArea:
    """The area of a complete set of limits."""
    channels = []
    for channel in SUPPLIES:
        path = f"supplies.{channel.name}"
        low, high = limits[f"{path}.low"], limits[f"{path}.high"]
        # the published setting must stay possible: a board is brought up at it
        if low > channel.default:
            raise LimitExceeded(f"{path}.low", low, channel.default, channel.unit)
        if high < channel.default:
            raise LimitExceeded(f"{path}.high", high, channel.default, channel.unit)
        channels.append(replace(channel, low=low, high=high))
    level_mv, margin = limits["forming.level_mv"], limits["rails.trip_margin"]
    for kind in (PulseKind.SET, PulseKind.RESET):
        path = f"supplies.{DRIVING_RAIL[kind]}.high"
        if limits[path] * (1 + margin) >= level_mv:
            problem = (
                f"{exact(limits[path])} mV, {margin:.0%} more to trip, reaches forming.level_mv"
            )
            raise BadLimits(path, f"{problem} {exact(level_mv)} mV: {kind.name} must not form")
    differing = [path for path in _BOUNDS if limits[path] != _SHIPPED[path]]
    told = {
        path: "{} {} instead of {}".format(path, *apart(limits[path], _SHIPPED[path]))
        for path in differing
    }
    return SafeArea(
        channels=tuple(channels),
        pulses=MappingProxyType(
            {
                (number, kind): PulseLimits(
                    **{key: limits[f"pulses.{array}.{name}.{key}"] for key in _PULSE_BOUNDS}  # type: ignore[arg-type]
                )
                for array, number in _ARRAYS.items()
                for name, kind in _KINDS.items()
            }
        ),
        rates=MappingProxyType(
            {
                number: RateLimit(
                    int(limits[f"rate.{array}.pulses"]), limits[f"rate.{array}.window_s"]
                )
                for array, number in _ARRAYS.items()
            }
        ),
        forming_level_mv=level_mv,
        trip_margin=margin,
        differences=tuple(told.values()),
        widened=tuple(
            told[path]
            for path in differing
            if (limits[path] - _SHIPPED[path]) * _BOUNDS[path].wider > 0
        ),
    )


_SHIPPED: Final = {path: _checked(path, value) for path, value in _flat(SHIPPED)}
_SHIPPED_AREA: Final = _area(_SHIPPED)
