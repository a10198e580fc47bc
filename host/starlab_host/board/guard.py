"""What the host does not send: operations outside of the safe operating area. Sends nothing itself.

Follows every command through registers and supplies, as far as they decide about pulses, and judges
each operation that it would start by what it would then find. The firmware judges again, by what it
really finds; and by the pace of pulses, which only it knows.
"""

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from starlab_host.errors import BadArgument, refusal_of
from starlab_spec import ARRAY1, ARRAY2, ArrayGeometry
from starlab_spec.operations import PULSING, Operation, PulseKind, mask_bytes, unpack_mask
from starlab_spec.registers import WORD_MASK, Field, register
from starlab_spec.safe_area import DRIVING_RAIL, SafeArea
from starlab_spec.supplies import SUPPLIES, supply
from starlab_spec.units import ticks_to_ns
from starlab_spec.wire.transactions import (
    Opcode,
    Result,
    Status,
    Transaction,
    get_supply,
    read_memory,
    read_registers,
    supply_reading,
    words,
)

Read = Callable[[Sequence[Transaction]], Sequence[Result]]
"""Runs a command that only reads."""

_COLUMNS: Final = ("COLUMNS0", "COLUMNS1", "COLUMNS2", "COLUMNS3")
_NAMES: Final = (
    *("OPERATION", "MODE", "CELL", *_COLUMNS, "MASK_KIND", "MASK_ADDRESS"),
    *("PERIOD1", "NUMBER1", "PERIOD2", "NUMBER2"),
    *("BP_ARRAY1", "BP_ARRAY2", "LAYERS", "UPDATE_PULSES"),
)
_WATCHED: Final = {register(name).address: name for name in _NAMES}
_START: Final = register("START").address
_START_BIT: Final = register("START").field("start").mask
_RAILS: Final = tuple(supply(name) for name in DRIVING_RAIL.values())
_ROW_KINDS: Final = {
    Operation.SET: PulseKind.SET,
    Operation.RESET: PulseKind.RESET,
    Operation.FORM: PulseKind.FORM,
}
_OF_KIND: Final = {int(kind): operation for operation, kind in _ROW_KINDS.items()}
_PLAYED: Final = {
    Operation.PULSE_MASK: Operation.SET,
    Operation.READ_ARRAY: Operation.READ,
    Operation.BATCH_INFERENCE: Operation.INFERENCE,
    Operation.BATCH_TRAINING: Operation.BP,
}
"""What of the published block stands for an operation of our extension; for a mask by its kind."""
_BP_CELLS: Final = {1: ("upper", "lower"), 2: ("right", "left")}


@dataclass(slots=True)
class _Known:
    """What decides about pulses on a board."""

    words: dict[str, int]
    """Register words, by name."""
    codes: dict[str, int | None]
    """Codes of the rails that drive pulses; None: off."""
    written: list[tuple[int, bytes]] = field(default_factory=list)
    """Addresses and data that the command under way has written to memory, in order."""

    def get(self, name: str, field_name: str) -> int:
        """A field of a register."""
        return _field(name, field_name).get(self.words[name])

    def array(self) -> ArrayGeometry:
        """The array that is selected."""
        return ARRAY1 if self.get("MODE", "array1") else ARRAY2

    def play(self, operation: Operation) -> None:
        """Hold the most that registers may hold once the host has played an operation."""
        self.words["OPERATION"] = _PLAYED[operation]
        if operation == Operation.PULSE_MASK:
            self.words["OPERATION"] = _OF_KIND.get(self.get("MASK_KIND", "kind"), Operation.SET)
        if operation in (Operation.PULSE_MASK, Operation.READ_ARRAY):
            self.words |= dict.fromkeys(_COLUMNS, WORD_MASK)
        if operation == Operation.BATCH_TRAINING:
            for number, (one, other) in _BP_CELLS.items():
                pulses = self.get("UPDATE_PULSES", f"array{number}")
                if not self.get("LAYERS", f"array{number}"):
                    pulses = 0
                fields: dict[str, int] = {
                    f"{one}_kind": PulseKind.SET,
                    f"{other}_kind": PulseKind.RESET,
                }
                fields |= dict.fromkeys((f"{one}_pulses", f"{other}_pulses"), pulses)
                self.words[f"BP_ARRAY{number}"] = register(f"BP_ARRAY{number}").pack(**fields)

    def copy(self) -> "_Known":
        """A copy for the next command."""
        return _Known(dict(self.words), dict(self.codes))


@cache
def _field(name: str, field_name: str) -> Field:
    """The field of a register: looked up once."""
    return register(name).field(field_name)


def nominal(name: str, code: int) -> float:
    """What an ideal generator gives at a code: millivolt or microampere."""
    return supply(name).value(code)


class Guard:
    """The safe operating area of one board, as the host holds it.

    Args:
        area: The limits.
        read: Asks the board, where it is not known how its registers and supplies are.
        value: What a generator gives at a code, as far as is known: millivolt.
        is_played: Whether the host goes through masks and batches row by row and sample by sample,
            so that they change registers.

    Attributes:
        area: The limits.
    """

    def __init__(
        self,
        area: SafeArea,
        read: Read,
        *,
        value: Callable[[str, int], float] = nominal,
        is_played: bool = False,
    ) -> None:
        self.area = area
        self._read = read
        self._value = value
        self._is_played = is_played
        self._known: _Known | None = None
        self._forming = 0

    @contextmanager
    def forming(self) -> Iterator[None]:
        """Operations of kind FORM may be sent within the block, and nowhere else."""
        self._forming += 1
        try:
            yield
        finally:
            self._forming -= 1

    def admit(self, transactions: Sequence[Transaction], *, dry_run: bool = False) -> None:
        """Check a command that is about to be sent.

        Raises:
            LimitExceeded: A supply outside its limits.
            Unsafe: An operation outside of the safe operating area.
            BadArgument: An operation that forms, where nobody has asked for forming.
        """
        if self._known is None:
            if not any(map(_starts, transactions)):
                self._check_supplies(transactions)
                return
            self._known = self._load()
        known = self._known.copy()
        for transaction in transactions:
            opcode, address, data, _ = transaction
            if opcode == Opcode.WRITE_REG:
                if self._write(known, address, data):
                    self._start(known, known.words["OPERATION"])
            elif opcode == Opcode.START and len(data) == 4:
                self._start(known, int.from_bytes(data, "big"))
            elif opcode == Opcode.WRITE_MEM:
                known.written.append((address, data))
            elif opcode == Opcode.SET_SUPPLY:
                self._check_supplies([transaction])
                if address < len(SUPPLIES):
                    known.codes[SUPPLIES[address].name] = int.from_bytes(data, "big")
            elif opcode == Opcode.EMULATOR:
                self._known = None  # whatever it does, the board is asked anew
        if not dry_run and self._known is not None:
            self._known = known

    def forget(self) -> None:
        """A command was not executed as a whole: the board is asked anew."""
        self._known = None

    def _check_supplies(self, transactions: Sequence[Transaction]) -> None:
        for opcode, address, data, _ in transactions:
            if opcode == Opcode.SET_SUPPLY and len(data) == 4 and address < len(SUPPLIES):
                self.area.channels[address].check_code(int.from_bytes(data, "big"))

    def _load(self) -> _Known:
        results = self._read(
            [
                *map(read_registers, _WATCHED),
                *(get_supply(channel.index) for channel in _RAILS),
            ]
        )
        if results[-1].status != Status.OK:
            raise refusal_of(results[-1])
        count = len(_WATCHED)
        readings = map(supply_reading, results[count:])
        return _Known(
            {name: words(r)[0] for name, r in zip(_WATCHED.values(), results[:count], strict=True)},
            {
                channel.name: reading.code if reading.measured else None
                for channel, reading in zip(_RAILS, readings, strict=True)
            },
        )

    def _start(self, known: _Known, operation: int) -> None:
        self._check(known, operation)
        if self._is_played and operation in _PLAYED:
            known.play(Operation(operation))
            # within the command the worst that they may hold; afterwards the board is asked
            self._known = None

    @staticmethod
    def _write(known: _Known, address: int, data: bytes) -> bool:
        """Follow a write to registers; whether it starts what OPERATION then holds."""
        size = len(data)
        if size < 8 or size & 3:
            return False
        mask, *values = struct.unpack(f">{size >> 2}I", data)
        starts = False
        for offset, value in enumerate(values):
            at = address + 4 * offset
            name = _WATCHED.get(at)
            if name is not None:
                known.words[name] = known.words[name] & ~mask | value & mask
            elif at == _START:
                starts = bool(value & mask & _START_BIT)
        return starts

    def _check(self, known: _Known, operation: int) -> None:
        if operation in _ROW_KINDS:
            kind = _ROW_KINDS[Operation(operation)]
            self._check_masked(known, kind, lambda array: _selected(known, array))
        elif operation == Operation.PULSE_MASK:
            number = known.get("MASK_KIND", "kind")
            if number <= PulseKind.FORM:
                self._check_masked(known, PulseKind(number), lambda a: self._masked(known, a))
        elif operation in (Operation.BP, Operation.BATCH_TRAINING):
            for array in (ARRAY1, ARRAY2):
                counts = _tuned(known, operation, array)
                for kind, count in counts.items():
                    if count:
                        self._check_pulses(known, array, kind, count, array.outputs)

    def _check_masked(
        self, known: _Known, kind: PulseKind, row_cells: Callable[[ArrayGeometry], int]
    ) -> None:
        if kind is PulseKind.FORM and not self._forming:
            raise BadArgument("operation", "would form cells: only the call that forms may do so")
        array = known.array()
        count = known.get(f"NUMBER{array.number}", f"{kind.name.lower()}_number") + 1
        cells = array.outputs
        amplitude_mv = self._amplitude_mv(known, kind)
        if amplitude_mv is not None and self.area.rows_matter(array.number, kind, amplitude_mv):
            cells = row_cells(array)
        self._check_pulses(known, array, kind, count, cells)

    def _check_pulses(
        self, known: _Known, array: ArrayGeometry, kind: PulseKind, count: int, row_cells: int
    ) -> None:
        period = known.get(f"PERIOD{array.number}", f"{kind.name.lower()}_period")
        width_ns = ticks_to_ns(period + 1)
        self.area.check_width(array.number, kind, width_ns)
        self.area.check_count(array.number, kind, count)
        amplitude_mv = self._amplitude_mv(known, kind)
        if amplitude_mv is not None:  # else the board is not ready, and says so
            self.area.check_voltage(array.number, kind, amplitude_mv, width_ns, row_cells)

    def _amplitude_mv(self, known: _Known, kind: PulseKind) -> float | None:
        name = DRIVING_RAIL[kind]
        code = known.codes[name]
        return None if code is None else self._value(name, code)

    def _masked(self, known: _Known, array: ArrayGeometry) -> int:
        """Most cells of one row and polarity of the mask in memory."""
        packed = self._memory(known, known.words["MASK_ADDRESS"], mask_bytes(array))
        if packed is None:
            return 0  # beyond the memory: the board refuses it
        return int(np.count_nonzero(unpack_mask(packed, array), axis=2).max())

    def _memory(self, known: _Known, address: int, size: int) -> bytes | None:
        """What memory holds once the command has written to it; None: there is no memory there."""
        end, later = address + size, known.written
        found: bytearray | None = None
        for number, (at, data) in enumerate(known.written, start=1):
            if at <= address and end <= at + len(data):
                found, later = bytearray(data[address - at : end - at]), known.written[number:]
        if found is None:
            result = self._read([read_memory(address, size)])[0]
            if result.status != Status.OK:
                return None
            found = bytearray(result.data)
        for at, data in later:
            first, last = max(at, address), min(at + len(data), end)
            if first < last:
                found[first - address : last - address] = data[first - at : last - at]
        return bytes(found)


def _starts(transaction: Transaction) -> bool:
    """Whether a transaction may put pulses on cells."""
    opcode, address, data, _ = transaction
    if opcode == Opcode.START:
        return int.from_bytes(data, "big") in PULSING
    return opcode == Opcode.WRITE_REG and address <= _START < address + len(data) - 4


def _selected(known: _Known, array: ArrayGeometry) -> int:
    """Most selected cells of one polarity in the selected row."""
    word = sum(known.get(name, "mask") << 32 * place for place, name in enumerate(_COLUMNS))
    if array is ARRAY1:
        return word.bit_count()
    even = sum(1 << bit for bit in range(0, array.columns, 2))
    return max((word & even).bit_count(), (word & even << 1).bit_count())


def _tuned(known: _Known, operation: int, array: ArrayGeometry) -> Mapping[PulseKind, int]:
    """Most pulses of each kind that a learning step gives to a cell."""
    counts = dict.fromkeys((PulseKind.SET, PulseKind.RESET), 0)
    number = array.number
    if operation == Operation.BP:
        for cells in _BP_CELLS[number]:
            kind = known.get(f"BP_ARRAY{number}", f"{cells}_kind")
            if kind <= PulseKind.RESET:
                pulses = known.get(f"BP_ARRAY{number}", f"{cells}_pulses")
                counts[PulseKind(kind)] = max(counts[PulseKind(kind)], pulses)
    elif known.get("LAYERS", f"array{number}"):
        counts = dict.fromkeys(counts, known.get("UPDATE_PULSES", f"array{number}"))
    return counts
