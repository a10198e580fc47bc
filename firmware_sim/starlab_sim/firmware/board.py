"""The emulated board: executes the transactions of commands on registers, memory and chip.

Opens no socket and knows no frame: the server and the protocol's responder do.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from starlab_sim.chip import Chip, Store, warm_up
from starlab_sim.errors import PowerFailed, Refused
from starlab_sim.firmware import snapshot
from starlab_sim.firmware.commands import Command, malformed, reading_words, word_of
from starlab_sim.firmware.control import Control, Report
from starlab_sim.firmware.identity import (
    FIRST_COUNTER,
    identity,
    put_counters,
    put_identity,
    wires_accounts,
)
from starlab_sim.firmware.interlock import Interlock
from starlab_sim.firmware.plain_reads import plain_reads
from starlab_sim.firmware.sequencer import SHORT_OPERATIONS, plan
from starlab_sim.firmware.state import PoweredState
from starlab_sim.requests.emulator import EmulatorRequest, FaultRequest, parse_request
from starlab_sim.requests.faults import EMERGENCY_STOP, ILLEGAL_OPERATION, fault_mask, fault_names
from starlab_sim.serving.network_faults import Network
from starlab_sim.socket.chip_socket import ChipSocket
from starlab_sim.socket.specimen import Specimen
from starlab_sim.supplies import Generators, SupplyRack
from starlab_spec.errors import LimitExceeded, SpecError
from starlab_spec.registers import register
from starlab_spec.safe_area import SafeArea
from starlab_spec.units import TICK_NS
from starlab_spec.wire.codec import encode_json
from starlab_spec.wire.transactions import SAME_ADDRESS, Opcode, Result, Status, Transaction

SHORT_TRANSACTIONS: Final = 1000
"""A command of so many register accesses is over within some milliseconds."""
SHORT_STARTS: Final = 16
"""A command of so many short operations is over within some milliseconds."""
CLOCK_MAX_TICKS: Final = 1 << 62
"""Where `advance_s` ends, after 7,300 years: operations have as much again in 64 bits."""

_LOG: Final = logging.getLogger("starlab_sim.board")
_MAY_TAKE_LONG: Final = frozenset({int(Opcode.START), int(Opcode.WRITE_REG), int(Opcode.EMULATOR)})
_OK: Final = int(Status.OK)
_START: Final = register("START").address
_START_BIT: Final = register("START").field("start").mask
_FAULT_SET: Final = register("FAULT_SET").address
_FAULT_CLEAR: Final = register("FAULT_CLEAR").address
_FAULT_CLEAR_MASK: Final = register("FAULT_CLEAR").field("mask").mask
_ACTIONS: Final = {_START: "START", _FAULT_SET: "FAULT_SET", _FAULT_CLEAR: "FAULT_CLEAR"}
"""Registers that act when written, and read as 0."""


class Board:
    """One emulated board with one chip.

    One thread at a time executes commands. Another one may meanwhile look at :attr:`boot_id`,
    :attr:`lifetime_pulses`, :attr:`faults` and :attr:`is_safe`, and may call :meth:`enter_safe`.
    """

    def __init__(
        self,
        specimen: Specimen,
        *,
        serial: str,
        rng: random.Random,
        network: Network | None = None,
        store: Store | None = None,
        area: SafeArea | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Put the chip in and power up.

        Args:
            specimen: A fresh chip, unless the store keeps one.
            serial: Serial number of the board, likewise.
            rng: Draws boot ids.
            network: The network around the board, where it can be made bad.
            store: What keeps the chip; default: the memory of the process.
            area: Limits that its firmware holds; default: those that were shipped.
            clock: Seconds, by which generators settle; nothing else depends on it.

        Raises:
            UnknownName: There is no such device model.
        """
        self.boot_id = 0
        self._rng = rng
        self._network = network
        self._clock = clock
        self._power_fails_at: int | None = None
        """Lifetime pulses after which the power fails."""
        self._socket = ChipSocket(serial, specimen, store)
        self._interlock = Interlock(area or SafeArea.shipped(), lambda: self._socket.ticks)
        self._state = self._power_up()
        self._handlers: dict[int, Callable[[Command, Transaction], bytes]] = {
            Opcode.READ_REG: self._read_registers,
            Opcode.WRITE_REG: self._write_registers,
            Opcode.READ_MEM: self._read_memory,
            Opcode.WRITE_MEM: self._write_memory,
            Opcode.GET_SUPPLY: self._get_supply,
            Opcode.SET_SUPPLY: self._set_supply,
            Opcode.START: lambda command, t: self._operate(command, word_of(t, t.data)),
            Opcode.ABORT: lambda *_: b"",  # in its turn there is nothing left to stop
            Opcode.IDENTIFY: lambda *_: encode_json(self.identity()),
            Opcode.EMULATOR: self._emulate,
        }

    @property
    def chip(self) -> Chip:
        """The chip in the socket."""
        return self._socket.chip

    @property
    def serial(self) -> str:
        """Serial number of the board."""
        return self._socket.holding.serial

    @property
    def lifetime_pulses(self) -> int:
        """Pulses on cells since the board was made; no restart and no other chip resets it."""
        return self._socket.pulses

    @property
    def emulated_time_s(self) -> float:
        """Emulated time since the board was made."""
        return self._socket.ticks * TICK_NS * 1e-9

    @property
    def faults(self) -> int:
        """Latched faults: bits of register FAULTS."""
        return self._state.faults

    @property
    def is_safe(self) -> bool:
        """Whether the drivers went off and the supplies have not all been set since."""
        return self._state.supplies.safe_reason is not None

    def identity(self) -> dict[str, Any]:
        """Who the board is, as IDENTIFY and ANNOUNCE say it."""
        holding = self._socket.holding
        return identity(self.chip, serial=holding.serial, boot_id=self.boot_id, boots=holding.boots)

    def restore(self, found: snapshot.Restorable) -> None:
        """Be the board of a snapshot, as :meth:`snapshot.Restorable.put_into` does it."""
        found.put_into(self._socket, self._state, boot_id=self.boot_id)

    def enter_safe(self, reason: str) -> None:
        """Drivers off at once. A running operation is aborted at its next safe point."""
        self._state.supplies.switch_off(reason)

    def break_down(self, error: Exception) -> str:
        """Something here has failed that must not: latch it, drivers off, and log it.

        Returns:
            What to tell the host.
        """
        _LOG.error("the emulated board failed; its drivers are off", exc_info=error)
        self._state.trip(ILLEGAL_OPERATION)
        return (
            f"latched {fault_names(ILLEGAL_OPERATION)}: the board itself failed "
            f"({type(error).__name__}: {error}); what this operation has done is not known"
        )

    def takes_long(self, transactions: Sequence[Transaction]) -> bool:
        """Whether a command may run for more than some milliseconds."""
        if len(transactions) > SHORT_TRANSACTIONS:
            return True
        if _MAY_TAKE_LONG.isdisjoint([transaction.opcode for transaction in transactions]):
            return False
        starts = 0
        for opcode, address, data, _ in transactions:
            if opcode == Opcode.START:
                if int.from_bytes(data, "big") not in SHORT_OPERATIONS:
                    return True
                starts += 1
            elif opcode == Opcode.EMULATOR:
                if b'"effects"' in data:  # their kernels may have to be compiled
                    return True
            elif opcode == Opcode.WRITE_REG and address <= _START < address + len(data) - 4:
                return True
        return starts > SHORT_STARTS

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        dry_run: bool = False,
        aborted: Callable[[], bool] = lambda: False,
        progress: Report = lambda done, total, text: None,
    ) -> list[Result]:
        """Execute a command. Whatever it holds, nothing is raised.

        Args:
            transactions: What to do, in order.
            dry_run: Check each transaction against what the ones before would leave, and change
                nothing.
            aborted: Asked by operations, at every safe point between pulses.
            progress: Told by operations how much is done, of how much, and what.

        Returns:
            One result each, up to the first that fails; none if the power failed meanwhile.
        """
        state = self._state.scratch() if dry_run else self._state
        command = Command(state, dry_run, aborted, progress, self._clock())
        results = plain_reads(state.registers, transactions)
        command.reserve(4 * len(results))
        for transaction in transactions[len(results) :]:
            opcode, address, _, _ = transaction
            try:
                handler = self._handlers.get(opcode)
                if handler is None:
                    raise Refused(Status.UNSUPPORTED, f"opcode 0x{opcode:02X} is not supported")
                data = handler(command, transaction)
            except Refused as error:
                status, message = error.status, str(error)
            except LimitExceeded as error:
                status, message = Status.RANGE, str(error)
            except SpecError as error:
                status, message = Status.BAD_REQUEST, str(error)
            except PowerFailed:
                self._state = self._power_up()
                return []
            except Exception as error:  # a defect here: the host must be answered, drivers go off
                status, message = Status.HARDWARE_FAULT, self.break_down(error)
            else:
                results.append(Result(opcode, _OK, address, data))
                continue
            results.append(Result(opcode, status, address, message.encode()))
            break
        return results

    def fail(self, faults: FaultRequest) -> None:
        """Have faults: latched ones at once, others when they are due.

        Raises:
            Refused: UNSUPPORTED: a bad network, where there is no network.
        """
        self._check_network(faults)
        if self._network is not None:
            if faults.network is not None:
                self._network.change(faults.network)
            if faults.stall_s:
                self._network.stall(faults.stall_s)
        if faults.restart_after_pulses is not None:
            after = faults.restart_after_pulses
            self._power_fails_at = self.lifetime_pulses + after if after else None
        if faults.latches:
            self._state.trip(fault_mask(faults.latches))

    def _check_network(self, faults: FaultRequest) -> None:
        if self._network is None and (faults.network is not None or faults.stall_s):
            raise Refused(Status.UNSUPPORTED, "this board is on no network that could be bad")

    def _check_clock(self, ticks: int) -> None:
        if ticks and (clock := self._socket.ticks + ticks) > CLOCK_MAX_TICKS:
            time_s, limit_s = (reading * TICK_NS * 1e-9 for reading in (clock, CLOCK_MAX_TICKS))
            raise LimitExceeded("emulated time after advance_s", time_s, limit_s, "s")

    def _power_fails(self) -> bool:
        fails_at = self._power_fails_at
        return fails_at is not None and self.lifetime_pulses >= fails_at

    def _power_up(self) -> PoweredState:
        self._power_fails_at = None
        self._socket.count_boot()
        old = self.boot_id
        while self.boot_id in (0, old):
            self.boot_id = self._rng.getrandbits(32)
        holding = self._socket.holding
        effects = holding.specimen.effects
        generators = Generators(holding.board_seed, effects, holding.boots)
        channels = self._interlock.area.channels
        state = PoweredState(self._interlock, supplies=SupplyRack(generators, channels))
        put_identity(state.registers, self.chip, boot_id=self.boot_id)
        return state

    def _read_registers(self, command: Command, transaction: Transaction) -> bytes:
        _, address, data, flags = transaction
        registers = command.state.registers
        if flags & ~SAME_ADDRESS:
            raise malformed(transaction, f"flags 0x{flags:02X}")
        count = word_of(transaction, data)
        command.reserve(4 * count)
        distinct = min(count, 1) if flags else count
        if address + 4 * distinct > FIRST_COUNTER:
            put_counters(registers, self.chip.counters, ticks=self._socket.ticks)
        words = registers.read(address, distinct)
        return words * count if flags else words

    def _write_registers(self, command: Command, transaction: Transaction) -> bytes:
        _, address, data, flags = transaction
        size = len(data)
        if size < 8 or size & 3 or flags:
            raise malformed(transaction, f"{size} bytes of data and flags 0x{flags:02X}")
        mask, words = data[:4], data[4:]
        registers = command.state.registers
        end = address + size - 4
        if _ACTIONS.keys().isdisjoint(range(address, end, 4)):
            registers.write(address, words, mask)
            return b""
        before = registers.read(address, len(words) // 4)
        registers.write(address, words, mask)
        try:
            self._act(command, address, end)
        except (Refused, SpecError):
            registers.write(address, before)
            raise
        return b""

    def _act(self, command: Command, address: int, end: int) -> None:
        """Do what was written to the registers that act, within a range of addresses."""
        state = command.state
        written = {}
        for action, name in _ACTIONS.items():
            written[action] = state.registers.word(name) if address <= action < end else 0
            state.registers.put(name, 0)
        if written[_START] & _START_BIT:
            self._operate(command, state.registers.word("OPERATION"))
        if written[_FAULT_SET] & EMERGENCY_STOP:
            state.trip(EMERGENCY_STOP)
        if latches := written[_FAULT_CLEAR] & _FAULT_CLEAR_MASK:
            state.clear_faults(latches)

    def _read_memory(self, command: Command, transaction: Transaction) -> bytes:
        _, address, data, _ = transaction
        count = word_of(transaction, data)
        command.reserve(count)
        return command.state.memory.view(address, count).tobytes()

    def _write_memory(self, command: Command, transaction: Transaction) -> bytes:
        _, address, data, _ = transaction
        command.state.memory.write(address, data)
        return b""

    def _get_supply(self, command: Command, transaction: Transaction) -> bytes:
        index, state = transaction.address, command.state
        return reading_words(state, index, state.supplies.get(index, now_s=command.now_s))

    def _set_supply(self, command: Command, transaction: Transaction) -> bytes:
        code = word_of(transaction, transaction.data)
        index, state = transaction.address, command.state
        state.check_faults()
        reading = state.supplies.set(index, code, now_s=command.now_s)
        state.check_rails(state.supplies.rails())
        return reading_words(state, index, reading)

    def _operate(self, command: Command, operation: int) -> bytes:
        state = command.state
        power_fails = None if self._power_fails_at is None else self._power_fails
        control = Control(state.supplies, command.aborted, command.report, power_fails)
        run = plan(operation, state, self.chip, now_s=command.now_s)
        if command.dry_run:
            return b""
        try:
            return run(control)
        finally:
            if self._power_fails():
                raise PowerFailed

    def _emulate(self, command: Command, transaction: Transaction) -> bytes:
        request = parse_request(transaction.data)
        self._check_network(request.faults)
        self._check_clock(request.advance_ticks)
        run = snapshot.plan(request, self._socket, command.state, boot_id=self.boot_id)
        told = {}
        if not command.dry_run:
            self._apply(request)
            command.state = self._state
            told = run(self._state)
        return encode_json(
            {"emulated_time_s": self.emulated_time_s, **wires_accounts(self.chip), **told}
        )

    def _apply(self, request: EmulatorRequest) -> None:
        """Do all of a request, in the order in which a start does it.

        Chip and effects, then time that passes under them, then the power, then faults.
        """
        if request.effects is not None:
            warm_up(request.effects)
        specimen = request.other_chip(self._socket.holding.specimen)
        if specimen is not None:
            self._socket.exchange(specimen)
        elif request.effects is not None:
            self._socket.change_effects(request.effects)
        if request.effects is not None:
            self._state.supplies.change_effects(request.effects)
        if request.advance_ticks:
            self._socket.advance(request.advance_ticks)
        if request.restart:
            self._state = self._power_up()
        else:
            put_identity(self._state.registers, self.chip, boot_id=self.boot_id)
        self.fail(request.faults)
