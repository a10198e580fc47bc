"""The asynchronous client: the same calls as :mod:`starlab.board`, awaited. Keeps no state.

Arguments, results and errors are those of the synchronous twins, where they are described.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab import calls, supply_calls
from starlab.board import Method
from starlab.call import Call
from starlab.doubts import warn
from starlab.errors import StarlabError
from starlab.http import (
    CONNECT_TIMEOUT_S,
    DEFAULT_URL,
    RequestIds,
    answer_of,
    client_options,
    environment_checked,
    error_of_closing,
    error_of_transport,
    request_arguments,
)
from starlab.inputs import Indices, as_labels
from starlab.results import Evaluation, Training, TrainingStep
from starlab.sending import AsyncSend, run_each_async
from starlab.snapshots import AsyncSnapshots
from starlab.training import batches, lessons
from starlab_contract import (
    BalanceReply,
    Calibration,
    Counters,
    EmulatorReply,
    Faults,
    FormReply,
    FoundBoard,
    Health,
    JournaledCommand,
    LevelReply,
    Limits,
    ProgramReply,
    Readiness,
    Register,
    RunningCall,
    Settings,
    Stopped,
    Supplies,
)
from starlab_contract import Board as BoardInfo

T = TypeVar("T")


class AsyncArray:
    """One array; see :class:`starlab.Array`."""

    def __init__(self, board_id: str, number: int, send: AsyncSend) -> None:
        self.number = number
        self._board_id = board_id
        self._send = send

    async def form(
        self, *, rows: Indices | None = None, columns: Indices | None = None
    ) -> FormReply:
        """Form virgin cells."""
        return await self._send(calls.form(self._board_id, self.number, rows, columns))

    async def level(self, *, tolerance_codes: float = 0.12, readings: int = 256) -> LevelReply:
        """Give array 1 SET pulses until both of its planes read alike on average."""
        call = supply_calls.level(self._board_id, self.number, tolerance_codes, readings)
        return await self._send(call)

    async def pulse(
        self,
        kind: Literal["set", "reset"],
        *,
        mask: ArrayLike | None = None,
        rows: Indices | None = None,
        columns: Indices | None = None,
        polarity: Literal["+", "-"] | None = None,
        count: int = 1,
        width_ns: int | None = None,
    ) -> int:
        """Apply programming pulses; gives how many."""
        call = calls.pulse(
            self._board_id, self.number, kind, mask, rows, columns, polarity, count, width_ns
        )
        return (await self._send(call)).pulses

    async def program(
        self,
        conductance_uS: ArrayLike | None = None,
        *,
        weights: ArrayLike | None = None,
        scale_uS: float | None = None,
        tolerance_uS: float = 0.5,
        max_pulses: int | None = None,
        method: Method = "write-verify",
    ) -> ProgramReply:
        """Write conductances or weights."""
        call = calls.program(
            self._board_id,
            self.number,
            conductance_uS,
            weights,
            scale_uS=scale_uS,
            tolerance_uS=tolerance_uS,
            max_pulses=max_pulses,
            method=method,
        )
        return await self._send(call)

    async def conductance_uS(
        self, *, rows: Indices | None = None, columns: Indices | None = None
    ) -> NDArray[np.float32]:
        """Read cells: shape (2, rows, columns), uS."""
        return await self._send(calls.conductance_uS(self._board_id, self.number, rows, columns))

    async def vmm(self, inputs: ArrayLike) -> NDArray[np.int32]:
        """Multiply vectors with the array: codes, shape (batch, outputs)."""
        return await self._send(calls.vmm(self._board_id, self.number, inputs))


class AsyncBoard:
    """One board with its chip; see :class:`starlab.Board`."""

    def __init__(self, board_id: str, send: AsyncSend) -> None:
        self.id = board_id
        self.arrays: Mapping[int, AsyncArray] = MappingProxyType(
            {number: AsyncArray(board_id, number, send) for number in calls.ARRAY_INPUTS}
        )
        self.snapshots = AsyncSnapshots(board_id, send)
        self.send = send

    async def running(self) -> RunningCall | None:
        """The call that runs on the board, and how far it is; None: none does."""
        return (await self.info()).running

    async def info(self) -> BoardInfo:
        """Identity, state, faults and link of the board."""
        return await self.send(calls.board(self.id))

    async def supplies(self) -> Supplies:
        """All supplies."""
        return await self.send(calls.supplies(self.id))

    async def set_supplies(
        self, *, mv: Mapping[str, float] | None = None, ua: Mapping[str, float] | None = None
    ) -> Supplies:
        """Set voltages and currents by name, all of them or none."""
        return await self.send(calls.set_supplies(self.id, mv or {}, ua or {}))

    async def calibrate(self, *, points: int = 5, readings: int = 32) -> Calibration:
        """Measure what the supplies really give; from then on they are set by it."""
        return await self.send(supply_calls.calibrate(self.id, points, readings))

    async def calibration(self) -> Calibration:
        """What was measured last; raises `NotFound` where nothing was."""
        return await self.send(supply_calls.calibration(self.id))

    async def remove_calibration(self) -> Calibration:
        """Set supplies by their nominal codes again; gives what is forgotten."""
        return await self.send(supply_calls.remove_calibration(self.id))

    async def balance(self, *, readings: int = 4) -> BalanceReply:
        """Trim VBL27 and VBL23 until balanced weights of array 1 give no current."""
        return await self.send(supply_calls.balance(self.id, readings))

    async def settings(self) -> Settings:
        """Converters, pulses and learning."""
        return await self.send(calls.settings(self.id))

    async def change_settings(self, **changes: Any) -> Settings:
        """Change settings by name, all of them or none."""
        return await self.send(calls.change_settings(self.id, changes))

    async def limits(self) -> Limits:
        """The safe operating area that the server holds the board to."""
        return await self.send(calls.limits(self.id))

    async def counters(self) -> Counters:
        """Pulses, operations, energy and the chip's own time."""
        return await self.send(calls.counters(self.id))

    async def read_register(self, address: int) -> Register:
        """One 32-bit register."""
        return await self.send(calls.read_register(self.id, address))

    async def write_register(
        self, address: int, value: int, *, mask: int = 0xFFFF_FFFF
    ) -> Register:
        """Replace the masked bits of a register."""
        return await self.send(calls.write_register(self.id, address, value, mask))

    async def emergency_stop(self) -> Stopped:
        """Switch all drivers off, now."""
        return await self.send(calls.emergency_stop(self.id))

    async def clear_emergency_stop(self) -> Faults:
        """Release a latched emergency stop."""
        return await self.send(calls.clear_emergency_stop(self.id))

    async def in_doubt(self) -> list[JournaledCommand]:
        """Commands that may have been executed when the server or the board crashed."""
        return await self.send(calls.in_doubt(self.id))

    async def journal(self, newest: int = 100) -> list[JournaledCommand]:
        """The newest commands that were to change the chip, and what became of them."""
        return await self.send(calls.journal(self.id, newest))

    async def acknowledge(self, entries: Sequence[int] | None = None) -> list[JournaledCommand]:
        """Say that what commands in doubt, by default all, may have changed was read back."""
        return await self.send(calls.acknowledge(self.id, entries))

    async def emulator(self, **commands: Any) -> EmulatorReply:
        """Tell an emulated board what no real one can do."""
        return await self.send(calls.emulator(self.id, commands))

    async def infer(self, images: ArrayLike) -> NDArray[np.int32]:
        """Run the network: outputs, shape (batch, 10)."""
        (outputs,) = await self.send(calls.infer(self.id, images, ["outputs"]))
        return outputs

    async def infer_with_hidden(
        self, images: ArrayLike
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Run the network: outputs (batch, 10) and hidden codes (batch, 100)."""
        outputs, hidden = await self.send(calls.infer(self.id, images, ["outputs", "hidden"]))
        return outputs, hidden

    async def classify(self, images: ArrayLike) -> NDArray[np.uint8]:
        """Run the network: class of the largest output, shape (batch,)."""
        (labels,) = await self.send(calls.infer(self.id, images, ["labels"]))
        return labels.astype(np.uint8)

    async def evaluate(self, images: ArrayLike, labels: ArrayLike) -> Evaluation:
        """Classify labelled images."""
        predicted = await self.classify(images)
        return Evaluation(predicted, as_labels(labels, len(predicted)).astype(np.uint8))

    async def train_step(
        self,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        targets: ArrayLike | None = None,
        layers: Sequence[int] = (1, 2),
        **settings: Any,
    ) -> Training:
        """Learn a batch, one sample after the other, in order."""
        call = calls.train_step(self.id, images, labels, targets, layers, settings)
        return await self.send(call)

    def train(
        self,
        images: ArrayLike,
        labels: ArrayLike,
        *,
        batch: int = 1000,
        epochs: int = 1,
        rng: np.random.Generator | None = None,
        layers: Sequence[int] = (1, 2),
        **settings: Any,
    ) -> AsyncIterator[TrainingStep]:
        """Learn labelled images batch by batch; stop whenever the loop is left."""
        cut = batches(images, labels, batch=batch, epochs=epochs, rng=rng)
        return run_each_async(lessons(self.id, cut, layers, settings), self.send)


class AsyncClient:
    """A connection to a server and its boards; see :class:`starlab.Client`.

    A call whose task is cancelled is stopped on the board like one that is interrupted.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout_s: float | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url
        self.request_ids = RequestIds()
        options = client_options(url, timeout_s, connect_timeout_s)
        with environment_checked():
            self._http = httpx2.AsyncClient(**options, transport=transport)

    async def __aenter__(self) -> Self:
        """Nothing to open: connections are made when needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def boards(self) -> list[BoardInfo]:
        """All boards that the server knows."""
        return await self._send(calls.boards())

    async def discover(
        self, addresses: Sequence[str] = (), *, wait_s: float = 1.0
    ) -> list[FoundBoard]:
        """Look for boards in the server's networks."""
        return await self._send(calls.discover(addresses, wait_s))

    async def health(self) -> Health:
        """That the server lives, and of which version it is."""
        return await self._send(calls.health())

    async def readiness(self) -> Readiness:
        """Whether all of its boards answer, and the state of each."""
        return await self._send(calls.readiness())

    async def emergency_stop(
        self, boards: Sequence[str] | None = None
    ) -> dict[str, Stopped | StarlabError]:
        """Switch all drivers of boards off, now; they stay so until cleared."""
        ids = list(boards or (board.id for board in await self.boards()))
        return dict(zip(ids, await asyncio.gather(*map(self._stopped, ids)), strict=True))

    async def _stopped(self, board_id: str) -> Stopped | StarlabError:
        try:
            return await self.board(board_id).emergency_stop()
        except StarlabError as error:
            return error

    def board(self, board_id: str) -> AsyncBoard:
        """The board of that id; asks nobody whether it exists."""
        return AsyncBoard(board_id, self._send)

    async def _send(self, call: Call[T], /) -> T:
        request_id = self.request_ids.begin()
        try:
            response = await self._http.request(**request_arguments(call, request_id))
        except httpx2.RequestError as error:
            raise error_of_transport(error, call, self.url) from error
        except (RuntimeError, ValueError, OSError) as error:  # a socket that another thread closed
            if not self._http.is_closed:
                raise
            raise error_of_closing(error, call, self.url) from error
        self.request_ids.end(request_id)
        answer = answer_of(response, call)
        warn(response.headers)
        return call.read(answer)
