"""What may be kept of a board, value by value: what a snapshot or a state file holds is input.

A right checksum says that a file is as it was written, not that a board ever was like that. All
values are checked before anything of the board is replaced; totals must leave room for a board's
life to go on. Replaces nothing itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.fabrication import BOTTOM_LIMITS_uS, TOP_LIMITS_uS
from starlab_sim.devices import device_model
from starlab_sim.errors import Refused, StateUnusable
from starlab_sim.requests.emulator import SEED_MAX
from starlab_sim.requests.faults import FAULT_BITS
from starlab_sim.socket.chip_socket import Holding
from starlab_sim.supplies.rack import DRIVING
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.geometry import VIRGIN_MAX_uS
from starlab_spec.registers import IDENTITY_WORD, MAP_END, register
from starlab_spec.supplies import CODE_MAX, SUPPLIES

TOTAL_MAX: Final = 1 << 62
"""Greatest total of pulses or operations: 64 bits hold as much again, and half of that."""
TICKS_MAX: Final = (1 << 62) + (1 << 61)
"""Greatest reading of the clock: where `advance_s` ends, and half as much again of operations."""
CELL_PULSES_MAX: Final = (1 << 32) - (1 << 28)
"""Most pulses of a cell: its 32 bits hold some hundred million more."""
ENERGY_MAX_J: Final = 9000.0
"""Greatest energy: the counters hold twice as many femtojoule in 64 bits."""
_BITS_128: Final = (1 << 128) - 1
_BITS_32: Final = (1 << 32) - 1
_GAIN_MAX: Final = 1e6
"""A cell that conducts nearly nothing may contribute many times its own conductance."""
_NORMAL_MAX: Final = 40.0
"""No normal number that was ever drawn is further off."""
_TEXT_MAX: Final = 1 << 17
"""Why the board is SAFE may name a client, and a client its name at length."""
_ACTIONS: Final = ("START", "FAULT_SET", "FAULT_CLEAR")
_ENERGIES: Final = ("programming_j", "reading_j")


def check_holding(holding: Holding) -> None:
    """Refuse what no board's label says.

    Raises:
        LimitExceeded, ShapeError: By name.
    """
    _check_text("holding.serial", holding.serial, longest=64)
    specimen = holding.specimen
    _check_whole("holding.specimen.seed", specimen.seed, SEED_MAX)
    if not isinstance(specimen.virgin, bool):
        raise ShapeError("holding.specimen.virgin", "is neither true nor false")
    _check_whole("holding.board_seed", holding.board_seed, SEED_MAX)
    _check_whole("holding.pulses_before", holding.pulses_before, TOTAL_MAX)
    _check_whole("holding.ticks_before", holding.ticks_before, TICKS_MAX)
    _check_whole("holding.boots", holding.boots, TOTAL_MAX)


def check_chip(label: bytes, content: NDArray[np.void]) -> None:
    """Refuse a chip that no store of ours ever kept.

    Args:
        label: What was kept with it; empty: there is no chip.
        content: Of type :data:`starlab_sim.chip.CHIP`.

    Raises:
        StateUnusable: What is wrong with it, by name.
    """
    if not label:
        return
    try:
        holding = Holding.of(label)
        check_holding(holding)
        device_model(holding.specimen.device)
        pulses, ticks = _own_totals(content["meter"])
        check_content(
            content, pulses=holding.pulses_before + pulses, ticks=holding.ticks_before + ticks
        )
    except KeyError as error:
        raise StateUnusable(f"it lacks {error}") from error
    except (LookupError, ArithmeticError, TypeError, ValueError, AttributeError) as error:
        raise StateUnusable(str(error)) from error
    except Refused as error:
        raise StateUnusable(str(error)) from error


def check_content(content: NDArray[np.void], *, pulses: object, ticks: object) -> None:
    """Refuse cells that no chip has, and totals that no board counts.

    Args:
        content: Of type :data:`starlab_sim.chip.CHIP`.
        pulses: Pulses on all chips ever of its board.
        ticks: Emulated time of its board.

    Raises:
        LimitExceeded, ShapeError: By name.
    """
    all_pulses = _check_whole("lifetime_pulses", pulses, TOTAL_MAX)
    clock = _check_whole("emulated_ticks", ticks, TICKS_MAX)
    meter = content["meter"]
    for name in meter.dtype.names or ():
        most = ENERGY_MAX_J if name in _ENERGIES else TOTAL_MAX
        _check_within(f"meter.{name}", meter[name], 0, most, "J" if name in _ENERGIES else "")
    own_pulses, own_ticks = _own_totals(meter)
    for name, total, most in (
        ("meter.pulses, all together,", own_pulses, all_pulses),
        ("meter ticks, all together,", own_ticks, clock),
        ("meter.aged_ticks", int(meter["aged_ticks"]), clock),
    ):
        if total > most:
            raise LimitExceeded(name, total, most)
    for array in ("array1", "array2"):
        cells = content[array]
        _check_conductance(f"{array}.conductance_uS", cells["conductance_uS"])
        _check_within(f"{array}.pulses", cells["pulses"], 0, CELL_PULSES_MAX, "pulses")
        _check_within(f"{array}.pulsed_ticks", cells["pulsed_ticks"], 0, clock, "ticks")


def _own_totals(meter: NDArray[np.void]) -> tuple[int, int]:
    """Pulses and clock cycles of a chip itself: sums that no word is too short for."""
    pulses, *ticks = (
        sum(meter[name].reshape(-1).tolist())
        for name in ("pulses", "programming_ticks", "reading_ticks")
    )
    return pulses, sum(ticks)


def check_wires(wires: Mapping[str, NDArray[Any]]) -> None:
    """Refuse gains that no wires have.

    Raises:
        LimitExceeded, ShapeError: By name.
    """
    for name, values in wires.items():
        if name.endswith(".gain"):
            _check_within(name, values, -_GAIN_MAX, _GAIN_MAX)


def check_registers(content: bytes) -> None:
    """Refuse what no writing could bring about.

    Raises:
        LimitExceeded, ShapeError: By name.
    """
    if len(content) != MAP_END:
        raise ShapeError("registers", f"are {len(content)} bytes, expected {MAP_END}")

    def word(name: str) -> int:
        address = register(name).address
        return int.from_bytes(content[address : address + 4], "big")

    if (found := word("IDENTITY")) != IDENTITY_WORD:
        problem = f"is 0x{found:08X}, expected 0x{IDENTITY_WORD:08X}"
        raise ShapeError("register IDENTITY", problem)
    if unknown := word("FAULTS") & ~sum(FAULT_BITS.values()):
        raise ShapeError("register FAULTS", f"has bits 0x{unknown:X} that are no fault")
    for name in _ACTIONS:
        if found := word(name):
            raise ShapeError(f"register {name}", f"is 0x{found:X}, but it reads as 0")


def check_supplies(kept: Mapping[str, Any]) -> None:
    """Refuse what no rack of generators says of itself; the limits of supplies are checked apart.

    Raises:
        LimitExceeded, ShapeError: By name.
    """
    codes = _check_list("supplies.codes", kept["codes"], len(SUPPLIES))
    for channel, code in zip(SUPPLIES, codes, strict=True):
        if code is not None:
            _check_whole(f"supplies.codes of {channel.name}", code, CODE_MAX)
    for index in _check_list("supplies.early", kept["early"], None):
        if _check_whole("supplies.early", index, len(SUPPLIES) - 1) not in DRIVING:
            raise ShapeError("supplies.early", f"has {SUPPLIES[index].name}, which drives no cell")
    if kept["safe_reason"] is not None:
        _check_text("supplies.safe_reason", kept["safe_reason"], longest=_TEXT_MAX)
    if kept["tripped"] is not None:
        _check_whole("supplies.tripped", kept["tripped"], len(SUPPLIES) - 1)
    noise = kept["noise"]
    check_stream("supplies.noise.operations", noise["operations"])
    streams = _check_list("supplies.noise.measurements", noise["measurements"], len(SUPPLIES))
    for index, stream in enumerate(streams):
        check_stream(f"supplies.noise.measurements[{index}]", stream)
    numbers = _check_list("supplies.noise.next", noise["next"], len(SUPPLIES))
    for index, number in enumerate(numbers):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ShapeError(f"supplies.noise.next[{index}]", "is no number")
    _check_within("supplies.noise.next", np.array(numbers, np.float64), -_NORMAL_MAX, _NORMAL_MAX)


def check_stream(name: str, state: Mapping[str, Any]) -> None:
    """Refuse what no source of noise of ours says of itself.

    Raises:
        LimitExceeded, ShapeError: By name.
    """
    if state["bit_generator"] != "PCG64":
        raise ShapeError(f"{name}.bit_generator", f"is {state['bit_generator']!r:.40}, not 'PCG64'")
    inner = state["state"]
    _check_whole(f"{name}.state.state", inner["state"], _BITS_128)
    if _check_whole(f"{name}.state.inc", inner["inc"], _BITS_128) % 2 == 0:
        raise ShapeError(f"{name}.state.inc", "is even")
    _check_whole(f"{name}.has_uint32", state["has_uint32"], 1)
    _check_whole(f"{name}.uinteger", state["uinteger"], _BITS_32)


def _check_conductance(name: str, values_uS: NDArray[np.float32]) -> None:
    _check_within(name, values_uS, 0.0, TOP_LIMITS_uS[1], "uS")
    lowest_uS = np.float32(BOTTOM_LIMITS_uS[0])
    neither = (values_uS >= np.float32(VIRGIN_MAX_uS)) & (values_uS < lowest_uS)
    if neither.any():
        where = _place(name, neither)
        value = values_uS[neither][0]
        raise ShapeError(where, f"{value:g} uS is neither that of a virgin nor of a formed cell")


def _check_within(name: str, values: NDArray[Any], low: float, high: float, unit: str = "") -> None:
    outside = ~((values >= low) & (values <= high))  # so that NaN is refused too
    if outside.any():
        value = values[outside].reshape(-1)[0].item()
        if value != value:
            raise ShapeError(_place(name, outside), "is not a number")
        raise LimitExceeded(_place(name, outside), value, low if value < low else high, unit)


def _place(name: str, where: NDArray[np.bool_]) -> str:
    if not where.ndim:
        return name
    return f"{name}[{', '.join(str(int(index)) for index in np.argwhere(where)[0])}]"


def _check_whole(name: str, value: object, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ShapeError(name, f"{value!r:.40} is no whole number")
    if not 0 <= value <= high:
        raise LimitExceeded(name, value, 0 if value < 0 else high)
    return value


def _check_list(name: str, values: object, length: int | None) -> Sequence[Any]:
    if not isinstance(values, list | tuple):
        raise ShapeError(name, "is no list")
    if length is not None and len(values) != length:
        raise ShapeError(name, f"has {len(values)} entries, expected {length}")
    return values


def _check_text(name: str, value: object, *, longest: int) -> None:
    if not isinstance(value, str):
        raise ShapeError(name, "is no text")
    if not value or not value.isprintable():
        raise ShapeError(name, "is empty, or has characters that cannot be printed")
    if len(value) > longest:
        raise LimitExceeded(f"{name}: length", len(value), longest, "characters")
