"""A board as registers, memory, supplies and operations. Knows not what the chip computes."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from starlab_host.board.calibration import Calibration
from starlab_host.board.capabilities import Capabilities, capabilities_of
from starlab_host.board.counters import counters_of
from starlab_host.board.guard import Guard
from starlab_host.board.rails import Rails
from starlab_host.board.work import Report, Work
from starlab_host.errors import BadArgument, StarlabHostError, refusal_of
from starlab_host.results import Counters, SupplyState
from starlab_host.safety import check_whole
from starlab_host.session.numbered import CommandSession
from starlab_host.session.statistics import LinkStatistics
from starlab_host.session.stopping import STOP_TIMEOUT_S, fault_names
from starlab_host.session.waiting import Progress, Stopped
from starlab_spec.operations import Operation, check_memory_range
from starlab_spec.registers import COUNTERS, MAP_END, WORD_MASK, register
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import Channel
from starlab_spec.wire import BoardStatus
from starlab_spec.wire.transactions import (
    Result,
    Status,
    Transaction,
    emulator,
    json_object,
    read_memory,
    read_registers,
    start,
    words,
    write_memory,
    write_registers,
)

_CHUNK_BYTES: Final = 2 << 20
"""Greatest part of a memory transfer that one command carries."""
_FIRST_COUNTER: Final = register(f"{COUNTERS[0][0]}_HIGH").address
_CLEAR_ALL: Final = register("FAULT_CLEAR").field("mask").mask


class Board:
    """One board at the other end of a session, which it owns.

    Many threads may use it at once: every method is one command, or says so.

    Attributes:
        wait: Lets some seconds pass.
        formed: Cells that were found formed, shape (2, inputs, outputs) by array number.
            :class:`starlab_host.Chip` fills it; it is emptied when the chip may be another.
        proved_formed: Those of them that no noise can have made look so; filled and emptied alike.
    """

    def __init__(
        self,
        session: CommandSession,
        area: SafeArea | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take over a session.

        Args:
            session: With the board.
            area: Limits outside of which nothing is sent; default: those that were shipped.
            clock: Seconds, for how long generators may take to settle.
            sleep: Waits for some seconds.
        """
        self._session = session
        self.wait = sleep
        held = area or SafeArea.shipped()
        self._rails = Rails(self.execute, clock=clock, sleep=sleep, channels=held.channels)
        self._guard = Guard(
            held,
            lambda asked: session.execute(asked, read_only=True),
            value=self._rails.value,
            is_played=not self.capabilities.batches,
        )
        self.formed: dict[int, NDArray[np.bool_]] = {}
        self.proved_formed: dict[int, NDArray[np.bool_]] = {}
        self._work: Work | None = None

    def __enter__(self) -> Self:
        """The board itself; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the session."""
        self.close()

    @property
    def identity(self) -> dict[str, Any]:
        """Who the board says it is: serial, firmware, geometry, device model, emulated, ..."""
        return self._session.identity

    @property
    def capabilities(self) -> Capabilities:
        """What the board can do beyond the published block."""
        return capabilities_of(self._session.identity)

    @property
    def boot_id(self) -> int:
        """Drawn anew at each start of the board."""
        return self._session.boot_id

    @property
    def safe_area(self) -> SafeArea:
        """The limits outside of which nothing is sent to this board."""
        return self._guard.area

    @property
    def statistics(self) -> LinkStatistics:
        """How the link has done so far."""
        return self._session.statistics

    @property
    def is_closed(self) -> bool:
        """Whether the session is over: every call fails, and only a new session helps."""
        return self._session.is_closed

    def during(self, work: Work) -> Self:
        """The same board for one call: its commands heed the stop of a work, and are counted.

        Only the one thread that runs the call may use it.
        """
        view = object.__new__(type(self))  # what copy.copy does, in a fifth of the time
        view.__dict__.update(self.__dict__)
        view._work = work
        view._rails = self._rails.by(view.execute)
        return view

    def putting_back(self) -> AbstractContextManager[None]:
        """A block that puts things back: it is not stopped with its call."""
        return nullcontext() if self._work is None else self._work.putting_back()

    def reporting(self, unit: str, also: Report | None = None) -> Report:
        """A function that tells the call under way how far it is; and ``also``, if given."""
        if self._work is not None:
            return self._work.reporting(unit, also)
        return also or _untold

    def status(self) -> BoardStatus:
        """What the board is doing, asked beside the commands: it answers during long operations."""
        return self._session.status()

    def abort(self) -> None:
        """Stop what runs, and what waits to run, at the next safe point between pulses."""
        self._session.abort()

    def close(self) -> None:
        """End the session; the board goes SAFE."""
        self._session.close()

    def execute(
        self,
        transactions: Sequence[Transaction],
        *,
        read_only: bool = False,
        dry_run: bool = False,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[Result]:
        """Run a command: all of its transactions in order, up to the first that fails.

        Raises:
            LimitExceeded: A supply, or an operation (Unsafe), outside of the safe operating area;
                nothing was sent.
            BadArgument: An operation that forms, outside of :meth:`forming`; nothing was sent.
            BoardRefused: One of them failed; those before it were executed.
            LinkError, OutcomeUnknown: As :meth:`starlab_host.Session.execute`.
        """

        def tell(news: Progress) -> None:
            if on_progress is not None:
                on_progress(news.done, news.total)

        if not read_only:
            self._guard.admit(transactions, dry_run=dry_run)
        session, work = self._session, self._work
        execute = session.execute if work is None else partial(work.execute, session)
        try:
            results = execute(transactions, read_only=read_only, dry_run=dry_run, on_progress=tell)
            if results[-1].status != Status.OK:
                raise refusal_of(results[-1])
        except StarlabHostError:
            self._guard.forget()
            raise
        return results

    def forming(self) -> AbstractContextManager[None]:
        """A block within which operations may form cells: nothing else sends any."""
        return self._guard.forming()

    def run(self, operation: Operation) -> bytes:
        """Run one operation with the registers as they are, to its end.

        Returns:
            Its result, as :mod:`starlab_spec.operations` lays it out.
        """
        return self.execute([start(operation)])[0].data

    # registers and memory

    def read_register(self, which: str | int) -> int:
        """The word of a register, by name or byte address."""
        return words(self.execute([read_registers(_address(which))], read_only=True)[0])[0]

    def read_registers(self, addresses: Iterable[int]) -> dict[int, int]:
        """Several words at once, by byte address."""
        wanted = list(addresses)
        results = self.execute([read_registers(address) for address in wanted], read_only=True)
        return {address: words(r)[0] for address, r in zip(wanted, results, strict=True)}

    def write_register(self, which: str | int, word: int, *, mask: int = WORD_MASK) -> None:
        """Replace the bits under ``mask`` of a register, by name or byte address."""
        address = _address(which)
        check_whole("register word", word, 0, WORD_MASK)
        check_whole("register mask", mask, 0, WORD_MASK)
        self.execute([write_registers(address, [word], mask=mask)])

    def read_memory(self, address: int, count: int) -> bytes:
        """Bytes of the board's memory, by several commands where they are many."""
        check_memory_range(address, count)
        parts = []
        for offset in range(0, count, _CHUNK_BYTES):
            size = min(_CHUNK_BYTES, count - offset)
            parts.append(self.execute([read_memory(address + offset, size)], read_only=True)[0])
        return b"".join(part.data for part in parts)

    def write_memory(self, address: int, data: bytes) -> None:
        """Write to the board's memory, by several commands where there is much."""
        check_memory_range(address, len(data))
        for offset in range(0, len(data), _CHUNK_BYTES):
            self.execute([write_memory(address + offset, data[offset : offset + _CHUNK_BYTES])])

    # supplies

    @property
    def calibration(self) -> Calibration | None:
        """What was measured of the generators; None: codes are taken at their nominal value."""
        return self._rails.calibration

    @calibration.setter
    def calibration(self, calibration: Calibration | None) -> None:
        self._rails.calibration = calibration

    def supplies(self) -> list[SupplyState]:
        """All 22 generators, read back, in power-up order."""
        return self._rails.states()

    @property
    def channels(self) -> Sequence[Channel]:
        """All 22 generators, with the limits that hold for this board."""
        return self._rails.channels

    def supply_value(self, name: str, code: int) -> float:
        """What a generator gives at a code, by its calibration if there is one: mV or uA."""
        return self._rails.value(name, code)

    def set_supplies(self, values: Mapping[str, float]) -> list[SupplyState]:
        """Set generators, all of them or none, and wait until they have settled.

        Args:
            values: By published name: millivolt of a voltage, microampere of a current.

        Returns:
            How they read afterwards, in power-up order.

        Raises:
            UnknownName: There is no such generator.
            LimitExceeded: A value outside its safe operating area; nothing was sent.
            BoardRefused: The board does not want one of them; nothing was changed.
            NotReady: They are set, but one of them does not settle.
        """
        return self._rails.set(values)

    def check_supplies(self, values: Mapping[str, float]) -> None:
        """Refuse what :meth:`set_supplies` would, without sending anything.

        Raises:
            UnknownName: There is no such generator.
            LimitExceeded: A value outside its safe operating area.
        """
        self._rails.codes(values)

    def set_supply_codes(
        self, codes: Mapping[str, int], *, requested: Mapping[str, float] | None = None
    ) -> list[SupplyState]:
        """Set generators to raw codes, by published name; otherwise as :meth:`set_supplies`.

        Args:
            codes: 0..255, of values within the safe operating area.
            requested: What the codes stand for, where somebody asked for values.
        """
        return self._rails.set_codes(codes, requested)

    def restore_supply(self, state: SupplyState) -> None:
        """Set a generator to what it was."""
        asked = {} if state.requested is None else {state.name: state.requested}
        with self.putting_back():
            self.set_supply_codes({state.name: state.code}, requested=asked)

    def bring_up(self) -> None:
        """Switch all 22 generators on, in power-up order, at their published settings.

        Raises:
            NotReady: One of them does not settle.
        """
        self._rails.bring_up()

    def make_ready(self) -> None:
        """Bring the board up if it is not, unless a fault or an emergency stop is latched."""
        if not self.status().faults:
            self._rails.make_ready()

    def is_up(self) -> bool:
        """Whether all generators are on and settled."""
        return all(state.settled for state in self.supplies())

    def power_down(self) -> None:
        """Take all rails to their least safe values, in the reverse of the power-up order.

        Waits for what runs, as every command does. Closing the session, or an emergency stop,
        switches all drivers off at once instead.
        """
        self._rails.power_down()

    # counters and faults

    def counters(self) -> Counters:
        """What the board has done since it started."""
        reading = [read_registers(_FIRST_COUNTER, 2 * len(COUNTERS))]
        halves = words(self.execute(reading, read_only=True)[0])
        pairs = zip(halves[0::2], halves[1::2], strict=True)
        count = {name: h << 32 | low for (name, _), (h, low) in zip(COUNTERS, pairs, strict=True)}
        return counters_of(count)

    def faults(self) -> tuple[str, ...]:
        """Names of the latched faults: ``over_current``, ``emergency_stop``, ..."""
        return fault_names(self.read_register("FAULTS"))

    def emergency_stop(self, timeout_s: float = STOP_TIMEOUT_S) -> Stopped:
        """Stop what runs, switch all drivers off and latch it; waits for nothing but the board.

        Args:
            timeout_s: How long to wait until the board confirms it.

        Raises:
            StopUnconfirmed: It has not, or cannot.
        """
        try:
            return self._session.emergency_stop(timeout_s)
        finally:
            self._guard.forget()

    def clear_faults(self) -> None:
        """Clear all latches, the emergency stop too. The drivers stay off: bring the board up."""
        self.write_register("FAULT_CLEAR", _CLEAR_ALL)

    # emulated boards only

    def emulator(self, **commands: Any) -> dict[str, Any]:
        """Tell an emulated board what no real one can do; see ``starlab_sim``.

        Raises:
            BoardRefused: UNSUPPORTED by a real board; BAD_REQUEST for an unknown command or value.
        """
        self.formed.clear()
        self.proved_formed.clear()
        if "restore" in commands:
            self._rails.forget()
        return json_object(self.execute([emulator(commands)])[0])


def _untold(done: int, total: int) -> None:
    """Nobody wants to know."""


def _address(which: str | int) -> int:
    if isinstance(which, str):
        return register(which).address
    address = check_whole("register address", which, 0, MAP_END - 4)
    if address % 4:
        raise BadArgument("register address", f"0x{address:X} is not a multiple of 4")
    return address
