"""What a command asks and a reply answers: transactions and results, as values and as bytes.

Executes nothing and knows no register by name.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from starlab_spec.foreign_text import shown_text
from starlab_spec.wire.codec import decode_json, encode_json
from starlab_spec.wire.errors import TransactionError

SAME_ADDRESS: Final = 1
"""Flag bit of READ_REG: read the same address each time instead of consecutive words."""

_ITEM: Final = struct.Struct(">BBHII")
"""Head of a transaction and of a result: opcode, flags or status, reserved, length, address."""
_ONE_WORD: Final = struct.Struct(">BBHII4s")
"""Such a head with one word of data: by far the most frequent, and packed in one go."""
_WORD: Final = struct.Struct(">I")
_Fields = tuple[int, int, int, int, int, bytes]
"""A transaction or a result as it travels: the head and its data."""
_as: Final = tuple.__new__
"""Makes a named tuple of a tuple: what its class does, at half the price."""
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")


class Opcode(IntEnum):
    """What a transaction asks for."""

    READ_REG = 0x01
    WRITE_REG = 0x02
    READ_MEM = 0x10
    WRITE_MEM = 0x11
    GET_SUPPLY = 0x20
    SET_SUPPLY = 0x21
    START = 0x30
    ABORT = 0x31
    IDENTIFY = 0x40
    EMULATOR = 0x7F


READ_ONLY_OPCODES: Final = frozenset(
    {Opcode.READ_REG, Opcode.READ_MEM, Opcode.GET_SUPPLY, Opcode.IDENTIFY}
)
"""The transactions that a command flagged READ_ONLY may consist of."""


class Status(IntEnum):
    """How a transaction ended, or why a frame was refused."""

    OK = 0
    BAD_REQUEST = 1
    RANGE = 2
    UNSUPPORTED = 3
    BUSY = 4
    IN_PROGRESS = 5
    ID_REUSED = 6
    TOO_OLD = 7
    FENCED = 8
    INTERLOCK = 9
    COMPLIANCE = 10
    HARDWARE_FAULT = 11
    NOT_READY = 12
    ABORTED = 13
    OUTCOME_UNKNOWN = 14


_OPCODES: Final[Mapping[int, Opcode]] = {int(code): code for code in Opcode}
_STATUSES: Final[Mapping[int, Status]] = {int(code): code for code in Status}


def status_of(code: int) -> int:
    """A code as a `Status`; a number that is none as it came."""
    return _STATUSES.get(code, code)


class Transaction(NamedTuple):
    """One step of a command. A named tuple: hundreds may travel in one frame."""

    opcode: int
    """An `Opcode`; a number that is none is kept as it came, for the board to refuse."""
    address: int = 0
    """Register or memory address in bytes; for supplies the channel index."""
    data: bytes = b""
    flags: int = 0


class Result(NamedTuple):
    """How one transaction of a command ended."""

    opcode: int
    """The opcode of the transaction."""
    status: int
    """A `Status`."""
    address: int = 0
    """The address of the transaction."""
    data: bytes = b""
    """The answer; on failure a message in UTF-8."""

    @property
    def message(self) -> str:
        """What the board says about a failure, fit to be shown; empty on success."""
        if self.status == Status.OK:
            return ""
        return shown_text(self.data.decode(errors="replace"))


class SupplyReading(NamedTuple):
    """What GET_SUPPLY and SET_SUPPLY answer."""

    code: int
    """The converter code that is set."""
    measured: int
    """Microvolt for a voltage channel, nanoampere for a current channel."""
    settled: bool
    fault: bool


def encode_transactions(transactions: Iterable[Transaction]) -> bytes:
    """The payload of a COMMAND.

    Raises:
        TransactionError: A field does not fit its width.
    """
    return _encode(
        [(opcode, flags, address, data) for opcode, address, data, flags in transactions]
    )


def decode_transactions(payload: bytes) -> list[Transaction]:
    """The transactions of a COMMAND, at least one.

    Raises:
        TransactionError: The payload is empty, cut off, or uses the reserved field.
    """
    return [
        _as(Transaction, (_OPCODES.get(opcode, opcode), address, data, flags))
        for opcode, flags, _, _, address, data in _decode(payload, "transaction")
    ]


def encode_results(results: Iterable[Result]) -> bytes:
    """The payload of a REPLY.

    Raises:
        TransactionError: A field does not fit its width.
    """
    return _encode(results)


def decode_results(payload: bytes) -> list[Result]:
    """The results of a REPLY, at least one.

    Raises:
        TransactionError: The payload is empty, cut off, or uses the reserved field.
    """
    return [
        _as(Result, (_OPCODES.get(opcode, opcode), _STATUSES.get(status, status), address, data))
        for opcode, status, _, _, address, data in _decode(payload, "result")
    ]


def read_registers(address: int, count: int = 1, *, fixed: bool = False) -> Transaction:
    """Read `count` words, consecutive or (`fixed`) all from the same address."""
    return Transaction(Opcode.READ_REG, address, _WORD.pack(count), SAME_ADDRESS if fixed else 0)


def write_registers(address: int, values: Sequence[int], *, mask: int = 0xFFFFFFFF) -> Transaction:
    """Replace the bits under `mask` of consecutive words."""
    return Transaction(
        Opcode.WRITE_REG, address, struct.pack(f">{len(values) + 1}I", mask, *values)
    )


def read_memory(address: int, count: int) -> Transaction:
    """Read `count` bytes of the board's memory."""
    return Transaction(Opcode.READ_MEM, address, _WORD.pack(count))


def write_memory(address: int, data: bytes) -> Transaction:
    """Write bytes to the board's memory."""
    return Transaction(Opcode.WRITE_MEM, address, data)


def get_supply(index: int) -> Transaction:
    """Read back supply channel `index`."""
    return Transaction(Opcode.GET_SUPPLY, index)


def set_supply(index: int, code: int) -> Transaction:
    """Set supply channel `index` to a converter code."""
    return Transaction(Opcode.SET_SUPPLY, index, _WORD.pack(code))


def start(operation: int) -> Transaction:
    """Run an operation (one bit of register OPERATION) and wait for it."""
    return Transaction(Opcode.START, 0, _WORD.pack(operation))


def abort() -> Transaction:
    """Stop whatever runs at its next safe point."""
    return Transaction(Opcode.ABORT)


def identify() -> Transaction:
    """Ask who the board is."""
    return Transaction(Opcode.IDENTIFY)


def emulator(request: Mapping[str, Any]) -> Transaction:
    """Ask an emulated board for what no real one can do."""
    return Transaction(Opcode.EMULATOR, 0, encode_json(request))


def words(result: Result) -> tuple[int, ...]:
    """The data of a result as 32-bit words; raises `TransactionError`."""
    count, rest = divmod(len(result.data), 4)
    if rest:
        raise TransactionError(f"{len(result.data)} bytes of result are not whole words")
    return struct.unpack(f">{count}I", result.data)


def supply_reading(result: Result) -> SupplyReading:
    """The data of a supply result; raises `TransactionError`."""
    values = words(result)
    if len(values) != 3:
        raise TransactionError(f"{len(values)} words are not the 3 words of a supply reading")
    code, measured, flags = values
    return SupplyReading(code, measured, bool(flags & 1), bool(flags & 2))


def json_object(result: Result) -> dict[str, Any]:
    """The data of an IDENTIFY or EMULATOR result; raises `PayloadError`."""
    return decode_json(result.data)


def describe(transactions: Sequence[Transaction]) -> str:
    """The transactions in a few words, for messages: ``WRITE_REG 0x2C, START 0x40000``."""
    shown = [_describe_one(transaction) for transaction in transactions[:4]]
    more = len(transactions) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _describe_one(transaction: Transaction) -> str:
    opcode, address, data, _ = transaction
    if opcode == Opcode.START and len(data) == 4:
        return f"START 0x{_WORD.unpack(data)[0]:X}"
    name = opcode.name if isinstance(opcode, Opcode) else f"opcode 0x{opcode:02X}"
    if opcode in (Opcode.ABORT, Opcode.IDENTIFY, Opcode.EMULATOR):
        return name
    return f"{name} 0x{address:X}"


def _encode(items: Iterable[tuple[int, int, int, bytes]]) -> bytes:
    parts: list[bytes] = []
    append, pack, pack_one_word = parts.append, _ITEM.pack, _ONE_WORD.pack
    try:
        for opcode, second, address, data in items:
            size = len(data)
            if size == 4:
                append(pack_one_word(opcode, second, 0, 4, address, data))
                continue
            append(pack(opcode, second, 0, size, address))
            append(data)
            if size & 3:
                append(_PADDING[size & 3])
    except struct.error as error:
        raise TransactionError(f"a field does not fit: {error}") from None
    return b"".join(parts)


def _decode(payload: bytes, name: str) -> Iterable[_Fields]:
    size = len(payload)
    if not size:
        raise TransactionError(f"a message without any {name}")
    if size > _ONE_WORD.size and _has_one_word_each(payload):
        return _ONE_WORD.iter_unpack(payload)
    items: list[_Fields] = []
    unpack = _ITEM.unpack_from
    offset = 0
    while offset < size:
        start_of_data = offset + 12
        if start_of_data > size:
            raise TransactionError(f"{name} {len(items)} is cut off at byte {size}")
        opcode, second, reserved, length, address = unpack(payload, offset)
        if reserved:
            raise TransactionError(f"{name} {len(items)} uses the reserved field: {reserved}")
        end = start_of_data + length
        offset = end + (-length & 3)
        if offset > size:
            raise TransactionError(
                f"{name} {len(items)} has {length} bytes of data, cut off at byte {size}"
            )
        items.append((opcode, second, reserved, length, address, payload[start_of_data:end]))
    return items


def _has_one_word_each(payload: bytes) -> bool:
    """Whether every item has length 4 and reserved 0, looked at byte by byte of all heads."""
    return not (
        len(payload) % _ONE_WORD.size
        or payload[7 :: _ONE_WORD.size].strip(b"\4")
        or any(payload[place :: _ONE_WORD.size].strip(b"\0") for place in range(2, 7))
    )
