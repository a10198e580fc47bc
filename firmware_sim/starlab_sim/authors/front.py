"""What the emulated board answers to each request of the authors' protocol. Opens no socket.

That protocol knows no refusal. What the board refuses is logged and left undone, and answered as if
nothing were wrong: a register, a supply or memory stays as it was, what cannot be read is zero. An
operation that is refused, or stopped, gives the message of a finished operation without any result
bytes, the last byte of whose header is the status of our own protocol [O].
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from starlab_sim.errors import PowerFailed
from starlab_spec.authors import HEADER_BYTES, TCP_READ_MAX, Op, Request, reply
from starlab_spec.errors import UnknownName
from starlab_spec.operations import USER_SPACE_BASE
from starlab_spec.registers import register
from starlab_spec.supplies import SUPPLIES, supply_at
from starlab_spec.wire.transactions import (
    Result,
    Status,
    Transaction,
    get_supply,
    read_memory,
    read_registers,
    set_supply,
    start,
    supply_reading,
    words,
    write_memory,
    write_registers,
)

_LOG: Final = logging.getLogger("starlab_sim.authors")
_START: Final = register("START").address
_START_BIT: Final = register("START").field("start").mask
_OPERATION: Final = register("OPERATION").address
_SETTLING_STEP_S: Final = 0.002
_SETTLING_STEPS: Final = 2500
"""Five seconds: the slowest generator that there can be takes two [O]."""


class FrontedBoard(Protocol):
    """What is needed of a board."""

    def execute(
        self, transactions: Sequence[Transaction], *, aborted: Callable[[], bool]
    ) -> list[Result]:
        """Execute a command. Whatever it holds, nothing is raised; no results: its power failed."""

    def break_down(self, error: Exception) -> str:
        """Something has failed that must not: drivers off, latched; what to tell the host."""


class Answer(NamedTuple):
    """What is to be done about a request."""

    reply: bytes | None
    """To be sent at once; None: nothing is."""
    starts: bool = False
    """Whether an operation is to be run now, whose message follows."""


class Front:
    """One client's view of a board.

    Args:
        board: What executes.
        aborted: Asked by running operations whether to stop.
        sleep: Waits for some seconds, where supplies settle.
    """

    def __init__(
        self,
        board: FrontedBoard,
        aborted: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._board = board
        self._aborted = aborted
        self._sleep = sleep
        self._interrupt_bytes = 0
        self._started: Request | None = None

    def answer(self, request: Request) -> Answer:
        """Do what a request asks, but for running an operation.

        Raises:
            PowerFailed: The board's power did.
        """
        match request.op:
            case Op.SET_REGISTER:
                return self._set_register(request)
            case Op.GET_REGISTER:
                result = self._do(read_registers(request.register))
                word = 0 if result is None else words(result)[0]
                return _answer(request, word)
            case Op.WRITE_MEMORY:
                self._do(write_memory(_offset(request.address), request.data))
                return _answer(request)
            case Op.READ_MEMORY:
                return self._read_memory(request)
            case Op.SET_VOLTAGE | Op.SET_CURRENT:
                if (index := self._supply(request)) is not None:
                    self._do(set_supply(index, request.code))
                return _answer(request)
            case Op.GET_VOLTAGE | Op.GET_CURRENT:
                return _answer(request, self._code(request))
            case Op.INTERRUPT_LENGTH:
                self._interrupt_bytes = request.result_bytes
                return Answer(None)
            case Op.TRACE_ON | Op.TRACE_OFF:
                return Answer(None)
            case Op.USER_SPACE:
                return _answer(request, USER_SPACE_BASE)

    def run(self) -> bytes:
        """Run the operation that the last request started; gives the message that it ends with.

        An operation waits for supplies that have been set and not settled: its client cannot know.

        The result is as long as the operation makes it, and filled up with zeros to the interrupt
        read length; it is never cut, as the unit of that length is not published [O].

        Raises:
            PowerFailed: The board's power did.
            ValueError: No operation was started.
        """
        if self._started is None:
            raise ValueError("no operation was started")
        request, self._started = self._started, None
        reading = self._execute(read_registers(_OPERATION))
        operation = start(words(reading)[0])
        result = self._execute(operation)
        for _ in range(_SETTLING_STEPS):
            if result.status != Status.NOT_READY or not self._is_settling():
                break
            self._sleep(_SETTLING_STEP_S)
            result = self._execute(operation)
        header = reply(request)
        if result.status != Status.OK:
            _LOG.warning("operation refused: %s", _reason(result))
            return header[: HEADER_BYTES - 1] + bytes([result.status])
        return header + result.data.ljust(self._interrupt_bytes, b"\0")

    def _is_settling(self) -> bool:
        """Whether all supplies are on, and some have not settled."""
        readings = [supply_reading(self._execute(get_supply(c.index))) for c in SUPPLIES]
        on = all(reading.measured for reading in readings)
        return on and not all(reading.settled for reading in readings)

    def _set_register(self, request: Request) -> Answer:
        if request.register == _START:
            if request.value & _START_BIT:
                self._started = request
            return Answer(reply(request), starts=self._started is not None)
        self._do(write_registers(request.register, [request.value]))
        return _answer(request)

    def _read_memory(self, request: Request) -> Answer:
        count = min(request.length, TCP_READ_MAX)
        result = self._do(read_memory(_offset(request.address), count))
        return Answer(reply(request, bytes(count) if result is None else result.data))

    def _code(self, request: Request) -> int:
        index = self._supply(request)
        result = None if index is None else self._do(get_supply(index))
        return 0 if result is None else supply_reading(result).code

    def _supply(self, request: Request) -> int | None:
        try:
            return supply_at(*request.channel).index
        except UnknownName as error:
            _LOG.warning("%s refused: %s", request.op.name, error)
            return None

    def _do(self, transaction: Transaction) -> Result | None:
        """Execute; None, and a line in the log, if it is refused."""
        result = self._execute(transaction)
        if result.status == Status.OK:
            return result
        _LOG.warning("refused: %s", _reason(result))
        return None

    def _execute(self, transaction: Transaction) -> Result:
        results = self._board.execute([transaction], aborted=self._aborted)
        if not results:
            raise PowerFailed
        return results[0]


def _answer(request: Request, word: int | None = None) -> Answer:
    content = b"" if word is None else word.to_bytes(4, "little")
    return Answer(reply(request, content))


def _offset(address: int) -> int:
    """Where in the board's memory an address of the authors' protocol is."""
    return address - USER_SPACE_BASE


def _reason(result: Result) -> str:
    status = result.status
    name = status.name if isinstance(status, Status) else f"status {status}"
    return f"{result.message} ({name})"
