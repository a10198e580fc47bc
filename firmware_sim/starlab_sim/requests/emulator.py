"""What only an emulated board can be told: time, faults, another chip, a restart. Does none of it.

The JSON of transaction EMULATOR and of option ``--faults``, checked as a whole.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from starlab_sim.devices import PRESET_NAMES, Device, device_model
from starlab_sim.effects import Effects
from starlab_sim.errors import Refused
from starlab_sim.requests.faults import FAULT_BITS
from starlab_sim.serving.network_faults import NetworkFaults
from starlab_sim.socket.specimen import Specimen
from starlab_spec.errors import LimitExceeded
from starlab_spec.geometry import array_geometry
from starlab_spec.operations import check_memory_range
from starlab_spec.units import TICK_NS
from starlab_spec.wire.codec import decode_json
from starlab_spec.wire.transactions import Status

SEED_MAX: Final = (1 << 64) - 1
ADVANCE_MAX_S: Final = 1e9
"""Three decades: what a retention study could ask for at most."""
STALL_MAX_S: Final = 60.0
"""Nothing gets through meanwhile, what would end the stall neither: it ends by itself."""
PULSES_MAX: Final = (1 << 63) - 1

_Keys = Mapping[str, tuple[str, Callable[[object], bool]]]
"""What a JSON object may hold: by key, the words for its values and their test."""


@dataclass(frozen=True, slots=True)
class FaultRequest:
    """Faults wanted; its attributes are the keys of the JSON."""

    latches: Sequence[str] = ()
    """Latches to trip."""
    network: NetworkFaults | None = None
    """How bad the network is from now on; None: as it is."""
    stall_s: float = 0.0
    """Time for which the network lets nothing through."""
    restart_after_pulses: int | None = None
    """The power fails, and comes back, at the first safe point after so many pulses; 0: never."""

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        _check_range("stall_s", self.stall_s, STALL_MAX_S, "s")
        _check_range("restart_after_pulses", self.restart_after_pulses or 0, PULSES_MAX, "pulses")


@dataclass(frozen=True, slots=True)
class PulseCounts:
    """Where to write how many pulses each cell has had: words in C order (2, inputs, outputs)."""

    array: int
    """1 or 2."""
    address: int
    """In the board's memory."""

    def __post_init__(self) -> None:
        """Refuse an array that is none, and words beyond the memory."""
        check_memory_range(self.address, 4 * array_geometry(self.array).cells)


@dataclass(frozen=True, slots=True)
class FormedCells:
    """Where to write which cells are formed: bytes 0 and 1 in C order (2, inputs, outputs)."""

    array: int
    """1 or 2."""
    address: int
    """In the board's memory."""

    def __post_init__(self) -> None:
        """Refuse an array that is none, and bytes beyond the memory."""
        check_memory_range(self.address, array_geometry(self.array).cells)


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Where to write a snapshot of the board."""

    address: int
    """In the board's memory."""
    memory: bool = False
    """Whether to take the memory below that address along."""

    def __post_init__(self) -> None:
        """Refuse an address beyond the memory."""
        check_memory_range(self.address, 0)


@dataclass(frozen=True, slots=True)
class RestoreSnapshot:
    """Where a snapshot lies that the board is to be."""

    address: int
    """In the board's memory."""
    bytes: int
    """Its size."""

    def __post_init__(self) -> None:
        """Refuse bytes beyond the memory."""
        check_memory_range(self.address, self.bytes)


@dataclass(frozen=True, slots=True)
class EmulatorRequest:
    """A valid EMULATOR request; its attributes are the keys of the JSON."""

    advance_s: float = 0.0
    """Emulated time to let pass."""
    seed: int | None = None
    """Put in a fresh chip of this seed."""
    device_model: Device | None = None
    """Put in a fresh chip of this device model."""
    virgin: bool | None = None
    """Put in a fresh chip, virgin or formed."""
    effects: Effects | None = None
    """What the board is to do from now on that an ideal one does not; None: what it does."""
    faults: FaultRequest = field(default_factory=FaultRequest)
    """Latches to trip, a bad network, a power failure to come."""
    restart: bool = False
    """Power off and on again."""
    pulse_counts: PulseCounts | None = None
    """Pulses of the cells to write to memory."""
    formed: FormedCells | None = None
    """Which cells are formed, to write to memory."""
    snapshot: TakeSnapshot | None = None
    """A snapshot of the board to write to memory; comes alone."""
    restore: RestoreSnapshot | None = None
    """A snapshot in memory to be from now on; comes alone."""

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        _check_range("advance_s", self.advance_s, ADVANCE_MAX_S, "s")
        _check_range("seed", self.seed or 0, SEED_MAX, "")

    @property
    def advance_ticks(self) -> int:
        """Emulated time to let pass, in clock cycles."""
        return round(self.advance_s * 1e9 / TICK_NS)

    def other_chip(self, current: Specimen) -> Specimen | None:
        """The fresh chip that is wanted, like the current one but for what is named; or None.

        It is made under the effects that are named with it.
        """
        named = {"seed": self.seed, "device": self.device_model, "virgin": self.virgin}
        changes: dict[str, Any] = {name: v for name, v in named.items() if v is not None}
        if not changes:
            return None
        if self.effects is not None:
            changes["effects"] = self.effects
        return replace(current, **changes)


def parse_request(data: bytes) -> EmulatorRequest:
    """Check an EMULATOR request.

    Raises:
        PayloadError: It is no JSON object.
        Refused: BAD_REQUEST: an unknown key, a value of another type, an unknown name.
        LimitExceeded: A number out of range.
    """
    values = decode_json(data)
    _check("emulator command", "", values, _COMMANDS)
    for alone in ("snapshot", "restore"):
        if alone in values and len(values) > 1:
            others = ", ".join(key for key in values if key != alone)
            raise Refused(Status.BAD_REQUEST, f"{alone} comes alone, not with {others}")
    if "device_model" in values:
        device_model(values["device_model"])
    if "effects" in values:
        values["effects"] = Effects.read(values["effects"])
    if "faults" in values:
        values["faults"] = fault_request(values["faults"])
    if "pulse_counts" in values:
        _check("key of pulse_counts", "pulse_counts ", values["pulse_counts"], _CELL_VALUES)
        values["pulse_counts"] = PulseCounts(**values["pulse_counts"])
    if "formed" in values:
        _check("key of formed", "formed ", values["formed"], _CELL_VALUES)
        values["formed"] = FormedCells(**values["formed"])
    if "snapshot" in values:
        _check("key of snapshot", "snapshot ", values["snapshot"], _SNAPSHOT)
        values["snapshot"] = TakeSnapshot(**values["snapshot"])
    if "restore" in values:
        _check("key of restore", "restore ", values["restore"], _RESTORE)
        values["restore"] = RestoreSnapshot(**values["restore"])
    return EmulatorRequest(**values)


def fault_request(wanted: Any) -> FaultRequest:
    """Faults as JSON names them: an object, or for latches alone a list of their names.

    Raises:
        Refused: BAD_REQUEST: of another form.
        LimitExceeded: A number out of range.
    """
    values = {"latches": wanted} if _is_fault_list(wanted) else dict(wanted)
    _check("fault", "faults ", values, _FAULTS)
    if "network" in values:
        _check("network fault", "network ", values["network"], _NETWORK)
        values["network"] = NetworkFaults(**values["network"])
    return FaultRequest(**values)


def _check(noun: str, prefix: str, values: Mapping[str, Any], known: _Keys) -> None:
    for key, value in values.items():
        if key not in known:
            message = f"unknown {noun} {_shortened(key)}; known: {', '.join(known)}"
            raise Refused(Status.BAD_REQUEST, message)
        expected, accepts = known[key]
        if not accepts(value):
            message = f"{prefix}{key} {_shortened(value)} is not {expected}"
            raise Refused(Status.BAD_REQUEST, message)


def _check_range(name: str, value: float, high: float, unit: str) -> None:
    if not 0 <= value <= high:
        raise LimitExceeded(name, value, 0 if value < 0 else high, unit)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _is_model(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, str) and value in PRESET_NAMES)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_natural(value: object) -> bool:
    return _is_integer(value) and value >= 0  # type: ignore[operator]


def _has(*names: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and value.keys() >= set(names)


def _is_fault_list(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) and name in FAULT_BITS for name in value
    )


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_LATCHES: Final = f"a list of {', '.join(FAULT_BITS)}"
_COMMANDS: Final[_Keys] = {
    "advance_s": ("a number of seconds", _is_number),
    "seed": ("an integer", _is_integer),
    "device_model": (f"one of {', '.join(PRESET_NAMES)}, nor an object", _is_model),
    "virgin": ("true or false", _is_flag),
    "effects": ('"none", "all" or an object', lambda v: isinstance(v, str | dict)),
    "faults": (f"{_LATCHES}, nor an object", lambda v: _is_fault_list(v) or _is_object(v)),
    "restart": ("true or false", _is_flag),
    "pulse_counts": ("an object with array and address", _has("array", "address")),
    "formed": ("an object with array and address", _has("array", "address")),
    "snapshot": ("an object with address", _has("address")),
    "restore": ("an object with address and bytes", _has("address", "bytes")),
}
_SNAPSHOT: Final[_Keys] = {
    "address": ("an integer", _is_natural),
    "memory": ("true or false", _is_flag),
}
_RESTORE: Final[_Keys] = dict.fromkeys(("address", "bytes"), ("an integer", _is_natural))
_CELL_VALUES: Final[_Keys] = {
    "array": ("an integer", _is_integer),
    "address": ("an integer", _is_integer),
}
_FAULTS: Final[_Keys] = {
    "latches": (_LATCHES, _is_fault_list),
    "network": ("an object", _is_object),
    "stall_s": ("a number of seconds", _is_number),
    "restart_after_pulses": ("an integer", _is_integer),
}
_NETWORK: Final[_Keys] = {
    **dict.fromkeys(("loss", "duplication", "reordering", "corruption"), ("a number", _is_number)),
    "delay_s": ("a number of seconds", _is_number),
    "seed": ("an integer", _is_integer),
}
