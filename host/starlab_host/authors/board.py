"""Transactions on a board of the authors' protocol, executed one by one. Waits for no thread.

What is refused before anything is sent: a whole command of which one write cannot be done. Else
what comes before a refusal is executed, as on a board of ours.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from starlab_host.authors.operations import Control, Operations
from starlab_host.authors.storage import Storage
from starlab_host.authors.words import Refused, Words
from starlab_host.links import AuthorsLink
from starlab_spec.errors import LimitExceeded, SpecError
from starlab_spec.operations import PULSING
from starlab_spec.registers import register
from starlab_spec.safe_area import DRIVING_RAIL
from starlab_spec.supplies import SUPPLIES, Channel, supply
from starlab_spec.wire.codec import encode_json
from starlab_spec.wire.transactions import SAME_ADDRESS, Opcode, Result, Status, Transaction

PROGRAMMING_RAILS: Final = ("VWLform", "VWLset", "VWLvdd", "VBLform", "VBLset", "VSLreset")
"""What an emergency stop takes to the lowest code: without them no cell moves."""

_START: Final = register("START")
_FAULT_SET: Final = register("FAULT_SET").address
_FAULT_CLEAR: Final = register("FAULT_CLEAR").address
_EMERGENCY_STOP: Final = register("FAULTS").field("emergency_stop").mask
_SETTLED: Final = 1
_OFF: Final = (0, 0, 0)


class AuthorsBoard:
    """A board of the authors' protocol in the shape of one of ours.

    Args:
        link: The way to it.
        identity: What IDENTIFY answers.
        channels: All 22 generators, with the limits that hold.
    """

    def __init__(
        self,
        link: AuthorsLink,
        identity: Mapping[str, Any],
        channels: Sequence[Channel] = SUPPLIES,
    ) -> None:
        self._link = link
        self._identity = identity
        self._channels = channels
        self._words = Words(link)
        self._storage = Storage(link)
        self._operations = Operations(link, self._words, self._storage)
        self._supplies: dict[int, int] = {}
        """Codes that were set, by channel."""
        self._handlers: dict[int, Callable[[Transaction, Control], bytes]] = {
            Opcode.READ_REG: self._read_registers,
            Opcode.WRITE_REG: self._write_registers,
            Opcode.READ_MEM: self._read_memory,
            Opcode.WRITE_MEM: self._write_memory,
            Opcode.GET_SUPPLY: self._get_supply,
            Opcode.SET_SUPPLY: self._set_supply,
            Opcode.START: self._start,
            Opcode.ABORT: lambda transaction, control: b"",
            Opcode.IDENTIFY: lambda transaction, control: encode_json(self._identity),
            Opcode.EMULATOR: self._emulate,
        }

    @property
    def faults(self) -> int:
        """Latches, which the host keeps for this board."""
        return self._words.kept("FAULTS")

    @property
    def pulses(self) -> int:
        """Pulses that were asked for row by row."""
        return self._words.pulses

    def execute(
        self, transactions: Iterable[Transaction], control: Control, *, dry_run: bool = False
    ) -> list[Result]:
        """Execute a command.

        Args:
            transactions: What to do, in order.
            control: Stops it between rows and samples, and is told how far it is.
            dry_run: Only find out what would be refused, as far as that is known here.

        Returns:
            One result each, up to the first that failed; or that of the one that cannot be done
            alone, and then none was executed.

        Raises:
            ConnectionGone: The board was lost.
        """
        asked = list(transactions)
        for transaction in asked:
            refusal = self._attempt(transaction, self._check)
            if refusal.status != Status.OK:
                return [refusal]
        if dry_run:
            return [self._rehearsed(transaction) for transaction in asked]
        results: list[Result] = []
        for transaction in asked:
            if transaction.opcode != Opcode.ABORT and control.aborted():
                stopped = b"stopped before it began"
                opcode, address = transaction.opcode, transaction.address
                results.append(Result(opcode, Status.ABORTED, address, stopped))
                break
            handler = self._handlers[transaction.opcode]

            def handle(each: Transaction, do: Any = handler) -> bytes:
                data: bytes = do(each, control)
                return data

            results.append(self._attempt(transaction, handle))
            if results[-1].status != Status.OK:
                break
        return results

    def _attempt(self, transaction: Transaction, do: Callable[[Transaction], bytes]) -> Result:
        opcode, address, _, _ = transaction
        try:
            return Result(opcode, Status.OK, address, do(transaction))
        except Refused as error:
            status, message = error.status, str(error)
        except LimitExceeded as error:
            status, message = Status.RANGE, str(error)
        except SpecError as error:
            status, message = Status.BAD_REQUEST, str(error)
        return Result(opcode, status, address, message.encode())

    def _rehearsed(self, transaction: Transaction) -> Result:
        opcode, address, data, _ = transaction
        answer = b""
        if opcode == Opcode.SET_SUPPLY:
            answer = _reading(SUPPLIES[address], _word(data))
        return Result(opcode, Status.OK, address, answer)

    # before anything is sent

    def _check(self, transaction: Transaction) -> bytes:
        opcode, address, data, flags = transaction
        if opcode not in self._handlers:
            raise Refused(Status.UNSUPPORTED, f"opcode 0x{opcode:02X} is not supported")
        if opcode == Opcode.EMULATOR:
            self._emulate(transaction, None)
        if opcode == Opcode.WRITE_REG:
            mask, *values = _words(data)
            if not values or flags:
                raise Refused(Status.BAD_REQUEST, "WRITE_REG without a value")
            for offset, value in enumerate(values):
                self._words.check_write(address + 4 * offset, value, mask)
        if opcode == Opcode.START:
            self._operations.check(_word(data))
        if opcode in (Opcode.GET_SUPPLY, Opcode.SET_SUPPLY) and address >= len(SUPPLIES):
            raise LimitExceeded("supply index", address, len(SUPPLIES) - 1)
        if opcode == Opcode.SET_SUPPLY:
            try:
                self._channels[address].check_code(_word(data))
            except LimitExceeded as error:
                raise Refused(Status.INTERLOCK, str(error)) from None
        return b""

    # one handler an opcode

    def _read_registers(self, transaction: Transaction, control: Control) -> bytes:
        _, address, data, flags = transaction
        step = 0 if flags & SAME_ADDRESS else 4
        words = [self._words.read(address + step * i) for i in range(_word(data))]
        return struct.pack(f">{len(words)}I", *words)

    def _write_registers(self, transaction: Transaction, control: Control) -> bytes:
        _, address, data, _ = transaction
        mask, *values = _words(data)
        for offset, value in enumerate(values):
            target = address + 4 * offset
            if target == _START.address:
                if value & mask & _START.field("start").mask:
                    self._run(self._words.read(register("OPERATION").address), control)
            elif target == _FAULT_SET:
                if value & mask & _EMERGENCY_STOP:
                    self._stop()
            elif target == _FAULT_CLEAR:
                self._words.keep("FAULTS", self.faults & ~(value & mask))
            else:
                self._words.write(target, value, mask)
        return b""

    def _read_memory(self, transaction: Transaction, control: Control) -> bytes:
        return self._storage.read(transaction.address, _word(transaction.data))

    def _write_memory(self, transaction: Transaction, control: Control) -> bytes:
        self._storage.write(transaction.address, transaction.data)
        return b""

    def _get_supply(self, transaction: Transaction, control: Control) -> bytes:
        channel = SUPPLIES[transaction.address]
        return _reading(channel, self._supplies.get(channel.index))

    def _set_supply(self, transaction: Transaction, control: Control) -> bytes:
        self._check_faults()
        channel, code = SUPPLIES[transaction.address], _word(transaction.data)
        self._set(channel, code)
        return _reading(channel, code)

    def _start(self, transaction: Transaction, control: Control) -> bytes:
        return self._run(_word(transaction.data), control)

    def _emulate(self, transaction: Transaction, control: Control | None) -> bytes:
        message = "nothing in the authors' protocol tells that a board is an emulated one"
        raise Refused(Status.UNSUPPORTED, message)

    def _run(self, operation: int, control: Control) -> bytes:
        self._check_faults()
        if operation in PULSING:
            self._check_rails()
        return self._operations.run(operation, control)

    def _check_faults(self) -> None:
        if self.faults:
            message = "latched: emergency_stop, by the host, as this board has no latch"
            raise Refused(Status.HARDWARE_FAULT, message)

    def _check_rails(self) -> None:
        """Refuse pulses from rails of which nobody knows what they give."""
        for name in DRIVING_RAIL.values():
            if supply(name).index not in self._supplies:
                message = f"supply {name} was not set by this host, and cannot be read back"
                raise Refused(Status.NOT_READY, message)

    def _set(self, channel: Channel, code: int) -> None:
        is_ua = channel.unit == "uA"
        self._link.set_supply(channel.chip_select, channel.register, code, is_ua=is_ua)
        self._supplies[channel.index] = code

    def _stop(self) -> None:
        """Latch an emergency stop, and do what such a board can be asked for."""
        self._words.keep("FAULTS", self.faults | _EMERGENCY_STOP)
        self._link.set_register(_START.address, 0)
        for channel in SUPPLIES:
            if channel.name in PROGRAMMING_RAILS:
                self._set(channel, 0)
        self._supplies.clear()


def _reading(channel: Channel, code: int | None) -> bytes:
    """A supply as GET_SUPPLY tells it: nominal, as nothing can be measured; None: not set yet."""
    found = _OFF if code is None else (code, round(channel.value(code) * 1000), _SETTLED)
    return struct.pack(">3I", *found)


def _words(data: bytes) -> Sequence[int]:
    if len(data) < 4 or len(data) % 4:
        raise Refused(Status.BAD_REQUEST, f"{len(data)} bytes of data are no words")
    return struct.unpack(f">{len(data) // 4}I", data)


def _word(data: bytes) -> int:
    if len(data) != 4:
        raise Refused(Status.BAD_REQUEST, f"{len(data)} bytes of data, expected 4")
    return int.from_bytes(data, "big")
