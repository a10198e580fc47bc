"""A board and its two arrays, as seen by a synchronous client. Keeps no state of the board."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab import calls, supply_calls
from starlab.inputs import Indices, as_labels
from starlab.results import Evaluation, Training, TrainingStep
from starlab.sending import Send, run_each
from starlab.snapshots import Snapshots
from starlab.training import batches, lessons
from starlab_contract import (
    BalanceReply,
    Calibration,
    Counters,
    EmulatorReply,
    Faults,
    FormReply,
    JournaledCommand,
    LevelReply,
    Limits,
    ProgramReply,
    Register,
    RunningCall,
    Settings,
    Stopped,
    Supplies,
)
from starlab_contract import Board as BoardInfo

Method = Literal["write-verify", "open-loop", "stellar-cyclic"]


class Array:
    """One array: 1 has 784 inputs and 100 outputs, 2 has 100 and 10.

    Cells have shape (2, inputs, outputs): plane 0 holds G+, plane 1 holds G-.
    """

    def __init__(self, board_id: str, number: int, send: Send) -> None:
        self.number = number
        self._board_id = board_id
        self._send = send

    def form(self, *, rows: Indices | None = None, columns: Indices | None = None) -> FormReply:
        """Form virgin cells, both of each pair of rows times columns; all where left out."""
        return self._send(calls.form(self._board_id, self.number, rows, columns))

    def level(self, *, tolerance_codes: float = 0.12, readings: int = 256) -> LevelReply:
        """Give array 1 SET pulses until both of its planes read alike on average.

        What balancing the rails leaves, the cells then take up: balanced weights give no current.
        Only after forming or wiping, before learning: it shifts all weights.

        Args:
            tolerance_codes: Difference of the mean READ codes that will do, 0.02..10; 0.12 leaves a
                hidden code with 100 pixels on.
            readings: Of the array in each round at most, 8..1000; fewer where they agree.

        Returns:
            How it ended, and the difference before and after.
        """
        call = supply_calls.level(self._board_id, self.number, tolerance_codes, readings)
        return self._send(call)

    def pulse(
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
        """Apply programming pulses.

        Args:
            kind: SET raises a conductance, RESET lowers it.
            mask: Shape (2, inputs, outputs): which cells; or else give rows, columns, polarity.
            rows: Inputs.
            columns: Outputs.
            polarity: G+ or G- of the cross product of rows and columns.
            count: Pulses on each cell.
            width_ns: Width of each, a multiple of 50; None: that of the settings.

        Returns:
            Pulses applied: one for each pulse on each cell.
        """
        call = calls.pulse(
            self._board_id, self.number, kind, mask, rows, columns, polarity, count, width_ns
        )
        return self._send(call).pulses

    def program(
        self,
        conductance_uS: ArrayLike | None = None,
        *,
        weights: ArrayLike | None = None,
        scale_uS: float | None = None,
        tolerance_uS: float = 0.5,
        max_pulses: int | None = None,
        method: Method = "write-verify",
    ) -> ProgramReply:
        """Write conductances, or weights as ``G+- = 11 uS +- scale * w / 2``.

        Args:
            conductance_uS: Shape (2, inputs, outputs), 2..20 uS.
            weights: Shape (inputs, outputs), instead.
            scale_uS: Conductance difference of a weight of 1; None: 18 uS / max |weights|.
            tolerance_uS: How near each cell must come.
            max_pulses: Cap for each cell; None: the method's own.
            method: ``write-verify``, ``open-loop`` or ``stellar-cyclic``.

        Returns:
            How it went, and which cells did not get there.
        """
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
        return self._send(call)

    def conductance_uS(
        self, *, rows: Indices | None = None, columns: Indices | None = None
    ) -> NDArray[np.float32]:
        """Read cells through the chip's own read path: shape (2, rows, columns), uS."""
        return self._send(calls.conductance_uS(self._board_id, self.number, rows, columns))

    def vmm(self, inputs: ArrayLike) -> NDArray[np.int32]:
        """Multiply vectors with the array.

        Args:
            inputs: Array 1: shape (batch, 784), zeros and ones, or packed (batch, 98).
                Array 2: shape (batch, 100), pulse counts 0 .. 2^N1 - 1.

        Returns:
            Codes, shape (batch, outputs). Array 1: 0 .. 2^N1 - 1, negative products give 0.
            Array 2: signed 17 bits.
        """
        return self._send(calls.vmm(self._board_id, self.number, inputs))


class Board:
    """One board with its chip.

    Attributes:
        id: What the server calls it.
        arrays: Both arrays, by number.
        snapshots: Its snapshots.
        send: How its calls reach the server.
    """

    def __init__(self, board_id: str, send: Send) -> None:
        self.id = board_id
        self.arrays: Mapping[int, Array] = MappingProxyType(
            {number: Array(board_id, number, send) for number in calls.ARRAY_INPUTS}
        )
        self.snapshots = Snapshots(board_id, send)
        self.send = send

    def running(self) -> RunningCall | None:
        """The call that runs on the board, whoever made it, and how far it is; None: none does."""
        return self.info().running

    def info(self) -> BoardInfo:
        """Identity, state, faults and link of the board."""
        return self.send(calls.board(self.id))

    def supplies(self) -> Supplies:
        """All supplies: what was asked, code, measurement, limits."""
        return self.send(calls.supplies(self.id))

    def set_supplies(
        self, *, mv: Mapping[str, float] | None = None, ua: Mapping[str, float] | None = None
    ) -> Supplies:
        """Set voltages (millivolt) and currents (microampere) by name, all of them or none."""
        return self.send(calls.set_supplies(self.id, mv or {}, ua or {}))

    def calibrate(self, *, points: int = 5, readings: int = 32) -> Calibration:
        """Measure what the supplies really give; from then on they are set by it.

        Args:
            points: Codes of each channel, 3..64.
            readings: Measurements at each code, 2..1000.

        Returns:
            Gain, offset and their uncertainty by channel. What is set stays until it is set again.
        """
        return self.send(supply_calls.calibrate(self.id, points, readings))

    def calibration(self) -> Calibration:
        """What was measured last; raises `NotFound` where nothing was."""
        return self.send(supply_calls.calibration(self.id))

    def remove_calibration(self) -> Calibration:
        """Set supplies by their nominal codes again; gives what is forgotten."""
        return self.send(supply_calls.remove_calibration(self.id))

    def balance(self, *, readings: int = 4) -> BalanceReply:
        """Trim VBL27 and VBL23 until balanced weights of array 1 give no current.

        Args:
            readings: Of the array, at each of seven codes of V25: 1..100.

        Returns:
            Read voltages before and after, and the codes.
        """
        return self.send(supply_calls.balance(self.id, readings))

    def settings(self) -> Settings:
        """Converters, pulses and learning."""
        return self.send(calls.settings(self.id))

    def change_settings(self, **changes: Any) -> Settings:
        """Change settings by name, all of them or none; gives all settings."""
        return self.send(calls.change_settings(self.id, changes))

    def limits(self) -> Limits:
        """The safe operating area that the server holds the board to; no call changes it."""
        return self.send(calls.limits(self.id))

    def counters(self) -> Counters:
        """Pulses, operations, energy and the chip's own time so far."""
        return self.send(calls.counters(self.id))

    def read_register(self, address: int) -> Register:
        """One 32-bit register, by byte address."""
        return self.send(calls.read_register(self.id, address))

    def write_register(self, address: int, value: int, *, mask: int = 0xFFFF_FFFF) -> Register:
        """Replace the masked bits of a register."""
        return self.send(calls.write_register(self.id, address, value, mask))

    def emergency_stop(self) -> Stopped:
        """Switch all drivers off, now; stays so until cleared."""
        return self.send(calls.emergency_stop(self.id))

    def clear_emergency_stop(self) -> Faults:
        """Release a latched emergency stop."""
        return self.send(calls.clear_emergency_stop(self.id))

    def in_doubt(self) -> list[JournaledCommand]:
        """Commands that may have been executed when the server or the board crashed."""
        return self.send(calls.in_doubt(self.id))

    def journal(self, newest: int = 100) -> list[JournaledCommand]:
        """The newest commands that were to change the chip, and what became of them."""
        return self.send(calls.journal(self.id, newest))

    def acknowledge(self, entries: Sequence[int] | None = None) -> list[JournaledCommand]:
        """Say that what commands in doubt, by default all, may have changed was read back."""
        return self.send(calls.acknowledge(self.id, entries))

    def emulator(self, **commands: Any) -> EmulatorReply:
        """Tell an emulated board: advance_s, faults, seed, device_model, virgin, effects, restart.

        ``faults`` is a list of latches to trip, or has the form of
        :class:`starlab_contract.EmulatorFaults`: ``{"network": {"loss": 0.05}}``. ``effects`` is
        "none", "all", or names what the board does: ``{"wires": {"mode": "exact"}}``.
        """
        return self.send(calls.emulator(self.id, commands))

    def infer(self, images: ArrayLike) -> NDArray[np.int32]:
        """Run the network.

        Args:
            images: Shape (batch, 784), zeros and ones, or packed (batch, 98).

        Returns:
            Outputs, shape (batch, 10), signed 17 bits.
        """
        (outputs,) = self.send(calls.infer(self.id, images, ["outputs"]))
        return outputs

    def infer_with_hidden(self, images: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Run the network: outputs (batch, 10) and the codes of the hidden layer (batch, 100)."""
        outputs, hidden = self.send(calls.infer(self.id, images, ["outputs", "hidden"]))
        return outputs, hidden

    def classify(self, images: ArrayLike) -> NDArray[np.uint8]:
        """Run the network: class of the largest output, shape (batch,)."""
        (labels,) = self.send(calls.infer(self.id, images, ["labels"]))
        return labels.astype(np.uint8)

    def evaluate(self, images: ArrayLike, labels: ArrayLike) -> Evaluation:
        """Classify labelled images, shape (n, 784) or packed, with labels of shape (n,)."""
        predicted = self.classify(images)
        return Evaluation(predicted, as_labels(labels, len(predicted)).astype(np.uint8))

    def train_step(
        self,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        targets: ArrayLike | None = None,
        layers: Sequence[int] = (1, 2),
        **settings: Any,
    ) -> Training:
        """Learn a batch, one sample after the other, in order.

        Args:
            images: Shape (batch, 784), zeros and ones, or packed (batch, 98).
            labels: Shape (batch,), 0..9; or else give targets.
            targets: Shape (batch, 10), output codes.
            layers: Arrays to tune.
            settings: Changed before, as by :meth:`change_settings`; they stay changed.

        Returns:
            Outputs before each update, which were right, pulses.
        """
        return self.send(calls.train_step(self.id, images, labels, targets, layers, settings))

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
    ) -> Iterator[TrainingStep]:
        """Learn labelled images batch by batch; stop whenever the loop is left.

        Args:
            images: Shape (n, 784), zeros and ones, or packed (n, 98).
            labels: Shape (n,), 0..9.
            batch: Samples sent together; the chip still learns them one by one.
            epochs: Passes through all samples.
            rng: Shuffles the samples anew in each epoch; None keeps their order.
            layers: Arrays to tune.
            settings: Changed with the first batch, as by :meth:`change_settings`.

        Yields:
            One step per batch: accuracy before the update, outputs, pulses.
        """
        cut = batches(images, labels, batch=batch, epochs=epochs, rng=rng)
        return run_each(lessons(self.id, cut, layers, settings), self.send)
