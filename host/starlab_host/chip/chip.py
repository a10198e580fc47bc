"""A chip's work in physical units: form, pulse, program, read, multiply, infer, learn.

Every call is checked as a whole before anything is sent, and is built from registers, memory and
operations of the board alone. Never talks to a link, and knows nothing of how a board does it.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab_host import safety
from starlab_host.board import commands
from starlab_host.board.board import Board
from starlab_host.board.commands import INFERENCE_WITH_HIDDEN, MaskedPulses
from starlab_host.board.work import on_the_whole
from starlab_host.chip import programming
from starlab_host.chip.batches import run_batch
from starlab_host.chip.cells import ArrayCells
from starlab_host.chip.setting_changes import setting_change
from starlab_host.chip.settings import (
    SETTING_ADDRESSES,
    Settings,
    SettingValue,
    settings_of,
)
from starlab_host.errors import BadArgument
from starlab_host.results import FormReport, Inference, ProgramReport, Training, Vmm
from starlab_spec import ARRAY1, ARRAY2, UnknownName, array_geometry
from starlab_spec.operations import INFERENCE_RECORD, TRAINING_RECORD, PulseKind
from starlab_spec.wire.transactions import Transaction

Progress = Callable[[int, int], None]
"""Told how much is done, of how much: samples of a batch, cells of an array."""

_AS_THEY_ARE: Final[Mapping[str, SettingValue]] = MappingProxyType({})
_Command = Callable[[NDArray[np.uint8]], Sequence[Transaction]]

METHODS: Final = ("write-verify", "open-loop", "stellar-cyclic")
"""Strategies of programming; see :mod:`starlab_host.chip.programming`."""
MAX_PULSES: Final = 2000
"""Cap of pulses per cell in programming: five times what crosses the window with the slowest
published table [O]."""


class Chip:
    """The chip on a board. One caller at a time, except where a method is a single command.

    High-level calls own the registers that say where in memory samples, targets, records, masks
    and readings are, and the array select; pulse widths and numbers are put back.
    """

    def __init__(self, board: Board) -> None:
        self._board = board

    # settings

    def settings(self) -> Settings:
        """All settings, read from the board."""
        return settings_of(self._board.read_registers(SETTING_ADDRESSES))

    def change_settings(self, **changes: SettingValue) -> Settings:
        """Change some settings, all or none of them: one command, undone if the board refuses.

        Args:
            **changes: By the names of :class:`Settings`.

        Returns:
            All settings afterwards.

        Raises:
            UnknownName: There is no such setting, or no such choice of it.
            LimitExceeded: A value out of its range, or pulses outside of the safe operating area
                (Unsafe); nothing was sent.
            BadArgument: No number, no whole number, or no multiple of 50 ns.
        """
        change = setting_change(self._board, changes)
        with change.whole(self._board):
            change.make(self._board)
        return self.settings()

    # cells

    def form(
        self,
        array: int,
        rows: Sequence[int] | None = None,
        columns: Sequence[int] | None = None,
        on_progress: Progress | None = None,
    ) -> FormReport:
        """Form cells that are still virgin: both cells of each pair at the crossings.

        Pulse and verify: one pulse, then as many again as a cell has had, on what is still virgin,
        until the settings' number of FORM pulses is spent. Formed cells get none, nor does a cell
        of which cannot be told whether it is formed. The width is that of the settings. A board
        that does not tell which cells are formed has those that are not surely formed watched and
        asked, by a few SET pulses; see :mod:`starlab_host.chip.formed`.

        Args:
            array: 1 or 2.
            rows: Inputs; None: all.
            columns: Outputs; None: all.
            on_progress: Told of rows done by the pulses under way.

        Raises:
            BadArgument, LimitExceeded: A selection of nothing, or of what does not exist.
        """
        cells = self._cells(array)
        addressed = safety.cell_mask(cells.geometry, rows, columns)
        allowed = getattr(self.settings(), f"form_count_{array}")
        pulses = given = 0
        tell = self._board.reporting("cells")
        with cells.restored_pulses():
            now = cells.judge(addressed, dark_too=True)
            pulsed = np.zeros_like(addressed)
            while given < allowed and now.virgin.any():
                count = min(max(given, 1), allowed - given)
                with self._board.forming():
                    group = MaskedPulses(PulseKind.FORM, now.virgin, count)
                    pulses += cells.pulse(group, on_progress=on_progress)
                given += count
                pulsed |= now.virgin
                now = now.after(cells.judge(addressed & ~now.formed, dark_too=True))
                tell(int((addressed & now.formed).sum()), int(addressed.sum()))
        return FormReport(
            formed=int((addressed & now.formed).sum()),
            newly_formed=int((pulsed & now.formed).sum()),
            failed=int((addressed & ~now.formed).sum()),
            pulses=pulses,
            unsure=np.argwhere(addressed & ~(now.formed | now.virgin)),
        )

    def pulse(
        self,
        array: int,
        kind: PulseKind,
        mask: ArrayLike,
        *,
        count: int = 1,
        width_ns: int | None = None,
        on_progress: Progress | None = None,
    ) -> int:
        """Give SET or RESET pulses to cells.

        Args:
            array: 1 or 2.
            kind: SET or RESET; forming has a call of its own.
            mask: Shape (2, inputs, outputs): which cells; see
                :func:`starlab_host.safety.cell_mask`.
            count: Pulses on each of them, 1..10000.
            width_ns: Width of each, a multiple of 50, within the safe operating area; None: as set.
            on_progress: Told of rows done, of each operation anew.

        Returns:
            Pulses on all cells together.

        Raises:
            SpecError: Nothing was sent.
            NotFormed: More than half of these cells are virgin; no pulse was given.
        """
        cells = self._cells(array)
        if kind not in (PulseKind.SET, PulseKind.RESET):
            raise BadArgument("kind", f"{kind!r} is neither SET nor RESET")
        selected = safety.check_mask(cells.geometry, mask)
        pulses = safety.check_whole("count", count, 1, safety.PULSES_MAX, "pulses")
        width = None if width_ns is None else safety.check_width_ns("width_ns", width_ns)
        area = self._board.safe_area
        if width is not None:
            area.check_width(array, kind, width)
        cells.require_formed(selected)
        operations = commands.operations_of(pulses)
        tell = on_the_whole(operations, self._board.reporting("rows"), on_progress)
        with cells.restored_pulses():
            group = MaskedPulses(kind, selected, pulses)
            return cells.pulse(group, width_ns=width, on_progress=tell)

    def read_conductance_uS(
        self,
        array: int,
        rows: Sequence[int] | None = None,
        columns: Sequence[int] | None = None,
    ) -> NDArray[np.float32]:
        """Conductances through the chip's own read path, in steps of 0.1 uS: a single command.

        The code of a cell is scaled by the read voltage and the bias current that are set.

        Args:
            array: 1 or 2.
            rows: Inputs; None: all.
            columns: Outputs; None: all.

        Returns:
            Shape (2, rows, columns): plane 0 holds the "+" cells.
        """
        cells = self._cells(array)
        selected_rows = safety.check_indices("rows", rows, cells.geometry.inputs)
        selected_columns = safety.check_indices("columns", columns, cells.geometry.outputs)
        conductance = cells.read_uS().astype(np.float32)
        if rows is None and columns is None:
            return conductance
        return conductance[:, selected_rows[:, None], selected_columns]

    def program(
        self,
        array: int,
        target_uS: ArrayLike | None = None,
        *,
        weights: ArrayLike | None = None,
        scale_uS: float | None = None,
        tolerance_uS: float = 0.5,
        max_pulses: int = MAX_PULSES,
        method: str = "write-verify",
        on_progress: Progress | None = None,
    ) -> ProgramReport:
        """Bring every cell of an array to a conductance.

        Args:
            array: 1 or 2.
            target_uS: Shape (2, inputs, outputs), 2..20 uS; or
            weights: shape (inputs, outputs): G+ = 11 uS + scale w / 2, G- = 11 uS - scale w / 2.
            scale_uS: Conductance difference of a weight of 1; None: 18 uS / max |weights|.
            tolerance_uS: How near each cell must come, at least 0.1 uS.
            max_pulses: Cap of pulses on each cell.
            method: One of :data:`METHODS`.
            on_progress: Told of cells within tolerance.

        Raises:
            SpecError: Nothing was sent.
            NotFormed: More than half of the cells are virgin; no pulse was given.
        """
        cells = self._cells(array)
        if (target_uS is None) == (weights is None):
            raise BadArgument("conductance_uS", "or weights: exactly one of them is needed")
        if weights is not None:
            target = safety.conductance_of_weights(cells.geometry, weights, scale_uS)
        else:
            target = safety.check_target_conductance(cells.geometry, np.asarray(target_uS))
        if method not in METHODS:
            raise UnknownName("method", method, METHODS)
        tolerance = safety.check_tolerance(tolerance_uS)
        cap = safety.check_whole("max_pulses", max_pulses, 1, safety.PULSES_MAX, "pulses")
        cells.require_formed()
        strategy = programming.write_verify
        if method == "open-loop":
            strategy = programming.open_loop
        elif method == "stellar-cyclic":
            pulses = getattr(self.settings(), f"update_pulses_{array}")
            strategy = partial(programming.stellar_cyclic, update_pulses=pulses)
        with cells.restored_pulses():
            return strategy(
                cells,
                target,
                tolerance_uS=tolerance,
                max_pulses=cap,
                usable=cells.judge(dark_too=False).formed,
                on_progress=self._board.reporting("cells", on_progress),
            )

    # the network

    def vmm(self, array: int, inputs: ArrayLike) -> Vmm:
        """Multiply a batch of vectors with one array.

        Args:
            array: 1 or 2.
            inputs: Array 1: pixels, shape (batch, 784) of 0 and 1, or (batch, 98) packed bytes in
                the order of :func:`numpy.packbits`. Array 2: pulse counts, shape (batch, 100),
                0 .. 2^N1 - 1.

        Raises:
            SpecError: Inputs of another shape or out of range; nothing was run.
            BoardRefused: UNSUPPORTED: the board cannot; nothing was run.
            NotFormed: More than half of the array's cells are virgin.
        """
        cells = self._cells(array)
        self._board.capabilities.require("hidden_codes" if array == 1 else "array2_alone")
        settings = self.settings()
        if array == 1:
            samples = safety.check_samples(inputs)
            record, field = INFERENCE_WITH_HIDDEN, "hidden"
            command: _Command = partial(commands.infer, hidden=True)
        else:
            samples = safety.check_pulse_counts(inputs, settings.adc_bits_1)
            record, field = INFERENCE_RECORD, "outputs"
            command = commands.multiply2
        cells.require_formed()
        records = run_batch(self._board, len(samples), record, lambda part: command(samples[part]))
        codes = records[field].astype(np.int32)
        per_code_ua = cells.read_path().current_per_code_ua(cells.geometry, settings)
        return Vmm(codes, codes.astype(np.float64) * per_code_ua)

    def infer(
        self, inputs: ArrayLike, *, hidden: bool = False, on_progress: Progress | None = None
    ) -> Inference:
        """Run a batch of images through both layers.

        Args:
            inputs: Shape (batch, 784) of 0 and 1, or (batch, 98) packed bytes in the order of
                :func:`numpy.packbits`.
            hidden: Whether to return the hidden pulse counts too.
            on_progress: Told of samples done.

        Raises:
            SpecError: Nothing was sent.
            BoardRefused: UNSUPPORTED: the board does not give the hidden codes; nothing was run.
            NotFormed: More than half of an array's cells are virgin.
        """
        samples = safety.check_samples(inputs)
        if hidden:
            self._board.capabilities.require("hidden_codes")
        self._require_network()
        records = run_batch(
            self._board,
            len(samples),
            INFERENCE_WITH_HIDDEN if hidden else INFERENCE_RECORD,
            lambda part: commands.infer(samples[part], hidden=hidden),
            on_progress,
        )
        outputs = records["outputs"].astype(np.int32)
        return Inference(
            outputs=outputs,
            labels=outputs.argmax(axis=1).astype(np.uint8),
            hidden=np.ascontiguousarray(records["hidden"]) if hidden else None,
        )

    def train_step(
        self,
        inputs: ArrayLike,
        *,
        labels: ArrayLike | None = None,
        targets: ArrayLike | None = None,
        layers: Sequence[int] = (1, 2),
        settings: Mapping[str, SettingValue] = _AS_THEY_ARE,
        on_progress: Progress | None = None,
    ) -> Training:
        """Learn a batch, one sample after the other, in order.

        Args:
            inputs: As :meth:`infer` takes them.
            labels: Shape (batch,), 0..9: the targets are ``target_on`` and ``target_off``; or
            targets: shape (batch, 10), in output codes.
            layers: Which arrays are tuned.
            settings: Changed before, in the same command, as by :meth:`change_settings`; they
                stay. Where nothing was learned they are as they were.
            on_progress: Told of samples done.

        Raises:
            SpecError: Nothing was sent.
            NotFormed: More than half of an array's cells are virgin; nothing was learned.
            BoardRefused: Its ``done`` says how many samples were learned before; :class:`Aborted`
                where someone stopped it. :class:`Compliance`: a current limit tripped in the sample
                after those; the message says how many pulses this one has had.
            OutcomeUnknown: The message says how many samples were surely learned.
        """
        samples = safety.check_samples(inputs)
        if labels is not None and targets is None:
            wanted: NDArray[np.uint8] | NDArray[np.int32] = safety.check_labels(
                labels, len(samples)
            )
            classes = wanted
        elif targets is not None and labels is None:
            wanted = safety.check_targets(targets, len(samples))
            classes = wanted.argmax(axis=1)
        else:
            raise BadArgument("labels", "or targets: exactly one of them is needed")
        tuned = safety.check_layers(layers)
        change = setting_change(self._board, settings)
        self._require_network()

        def learn(part: slice) -> list[Transaction]:
            lesson = commands.train(samples[part], wanted[part], tuned)
            return lesson if part.start else [*change.making, *lesson]

        with change.whole(self._board):
            if not len(samples):
                change.make(self._board)
            records = run_batch(self._board, len(samples), TRAINING_RECORD, learn, on_progress)
        outputs = records["outputs"].astype(np.int32)
        return Training(
            outputs=outputs,
            correct=outputs.argmax(axis=1) == classes,
            pulses=records["pulses"].astype(np.int64),
        )

    def _cells(self, array: int) -> ArrayCells:
        return ArrayCells(self._board, array_geometry(array))

    def _require_network(self) -> None:
        for geometry in (ARRAY1, ARRAY2):
            ArrayCells(self._board, geometry).require_formed()
