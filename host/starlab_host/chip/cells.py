"""The cells of one array: read them, pulse them, know which are formed. Chooses no pulses."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from starlab_host.board import commands, memory
from starlab_host.board.board import Board
from starlab_host.board.commands import MaskedPulses
from starlab_host.chip import formed
from starlab_host.chip.converters import READ_SUPPLIES, ReadPath
from starlab_host.errors import BoardRefused, LinkError, NotFormed, OutcomeUnknown
from starlab_spec import ArrayGeometry
from starlab_spec.registers import register
from starlab_spec.supplies import supply
from starlab_spec.wire.transactions import (
    Result,
    Status,
    Transaction,
    emulator,
    get_supply,
    read_memory,
    supply_reading,
    write_registers,
)


class ArrayCells:
    """One array of the chip on a board.

    Attributes:
        geometry: Which array.
    """

    def __init__(self, board: Board, geometry: ArrayGeometry) -> None:
        self._board = board
        self.geometry = geometry
        self._read_path = [get_supply(supply(name).index) for name in READ_SUPPLIES]
        self._reading = [*commands.read_array(geometry), *self._read_path]

    def read_uS(self) -> NDArray[np.float64]:
        """All conductances, shape (2, inputs, outputs), in steps of one code of READ."""
        return self._conductance_uS(self._board.execute(self._reading))

    def pulse_uS(self, counts: NDArray[np.int64]) -> tuple[int, NDArray[np.float64]]:
        """Pulse every cell by its own number, then read all of them: one command.

        Changes the pulse numbers of the settings: see :meth:`restored_pulses`.

        Args:
            counts: Shape (2, inputs, outputs): SET where positive, RESET where negative.

        Returns:
            Pulses on all cells together; conductances afterwards.
        """
        pulses = commands.pulse_masks(self.geometry, commands.pulses_of_counts(counts))
        results = self._board.execute([*pulses, *self._reading])
        return commands.pulses_applied(results), self._conductance_uS(results)

    def pulse(
        self,
        pulses: MaskedPulses,
        *,
        width_ns: int | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Give the same number of pulses to some cells: one command.

        Changes widths and numbers of the settings: see :meth:`restored_pulses`.

        Returns:
            Pulses on all cells together.
        """
        transactions = commands.pulse_masks(self.geometry, [pulses])
        if width_ns is not None:
            width = commands.write_pulse_width(self.geometry, pulses.kind, width_ns)
            transactions.insert(0, width)
        results = self._board.execute(transactions, on_progress=on_progress)
        return commands.pulses_applied(results)

    @contextmanager
    def restored_pulses(self) -> Iterator[None]:
        """Put pulse widths and numbers of this array back at the end of a block.

        Not after the link has failed: then a command that does so could not be trusted either.
        """
        number = self.geometry.number
        addresses = [register(f"{name}{number}").address for name in ("PERIOD", "NUMBER")]
        before = self._board.read_registers(addresses)
        restoring = [write_registers(address, [word]) for address, word in before.items()]
        try:
            yield
        except (LinkError, OutcomeUnknown):
            raise
        except BaseException:
            self._put_back(restoring)
            raise
        self._put_back(restoring)

    def _put_back(self, restoring: Sequence[Transaction]) -> None:
        with self._board.putting_back():
            self._board.execute(restoring)

    def read_path(self) -> ReadPath:
        """The supplies that a reading or a multiplication depends on, as they are set."""
        readings = self._board.execute(self._read_path, read_only=True)
        return ReadPath.of(map(supply_reading, readings), self._board.supply_value)

    def code_uS(self) -> NDArray[np.float64]:
        """What one code of READ stands for, shape (2, 1, 1)."""
        return self.read_path().conductance_per_code_uS(self.geometry)[:, None, None]

    def told_formed(self) -> NDArray[np.bool_] | None:
        """Which cells the board says are formed; None: it keeps no record of them."""
        if not self._board.capabilities.emulator:
            return None
        place = {"array": self.geometry.number, "address": memory.READS.address}
        asking = [
            emulator({"formed": place}),
            read_memory(memory.READS.address, self.geometry.cells),
        ]
        try:
            told = self._board.execute(asking)[-1].data
        except BoardRefused as error:
            if error.status in (Status.BAD_REQUEST, Status.UNSUPPORTED):
                return None
            raise
        return np.frombuffer(told, np.bool_).reshape(self.geometry.shape)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._board.wait(seconds)

    def was_pulsed_to_form(self) -> bool:
        """Whether the board has given FORM pulses on this array since it started."""
        counters = self._board.counters()
        counted = counters.array1 if self.geometry.number == 1 else counters.array2
        return counted.form > 0

    def judge(self, cells: NDArray[np.bool_] | None = None, *, dark_too: bool) -> formed.Judgement:
        """Find out which cells are formed, as :func:`starlab_host.chip.formed.judge` does it.

        Changes the pulse numbers of the settings: see :meth:`restored_pulses`.
        """
        addressed = np.ones(self.geometry.shape, np.bool_) if cells is None else cells
        proved = self._board.proved_formed.get(self.geometry.number)
        found = formed.judge(self, addressed, dark_too=dark_too, proved=proved)
        self._board.proved_formed[self.geometry.number] = found.formed
        self._board.formed[self.geometry.number] = found.formed
        return found

    def read_formed(self) -> NDArray[np.bool_]:
        """Which cells are formed, as far as can be told without a pulse; it is remembered."""
        found = self.told_formed()
        if found is None:
            seen = formed.look(self)
            proved = self._board.proved_formed.get(self.geometry.number, False) | seen.sure
            self._board.proved_formed[self.geometry.number] = proved
            found = ~seen.dark | proved
        self._board.formed[self.geometry.number] = found
        return found

    def require_formed(self, cells: NDArray[np.bool_] | None = None) -> None:
        """Make sure that most of some cells are formed, of the whole array by default.

        The board is asked, or reads them, once for each start, and again where they seem virgin.

        Raises:
            NotFormed: More than half of them are not.
        """
        selected = np.ones(self.geometry.shape, np.bool_) if cells is None else cells
        total = int(selected.sum())
        for known in (self._board.formed.get(self.geometry.number), None):
            found = self.read_formed() if known is None else known
            unformed = total - int((selected & found).sum())
            if 2 * unformed <= total:
                return
        raise NotFormed(self.geometry.number, unformed, total)

    def _conductance_uS(self, results: Sequence[Result]) -> NDArray[np.float64]:
        """What the results of a command that ends with a reading say."""
        count = len(READ_SUPPLIES)
        readings = map(supply_reading, results[-count:])
        path = ReadPath.of(readings, self._board.supply_value)
        codes = np.frombuffer(results[-count - 1].data, np.uint8).reshape(self.geometry.shape)
        return codes * path.conductance_per_code_uS(self.geometry)[:, None, None]
