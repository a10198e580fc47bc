"""Operations on a board of the authors' protocol: the published ones, and ours made of these.

Each is checked as a whole before the board hears of it. Knows no transaction.
"""

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from starlab_host.authors.storage import Storage
from starlab_host.authors.words import Refused, Words
from starlab_host.board.capabilities import REASONS
from starlab_host.links import AuthorsLink
from starlab_spec import ARRAY1, ARRAY2, MINUS, PLUS, ArrayGeometry
from starlab_spec.authors import HEADER_BYTES
from starlab_spec.errors import LimitExceeded, ShapeError
from starlab_spec.operations import (
    INFERENCE_RECORD,
    TRAINING_RECORD,
    Operation,
    PulseKind,
    Scheme,
    TargetMode,
    mask_bytes,
    unpack_mask,
)
from starlab_spec.registers import array1_row_word, register
from starlab_spec.samples import ONE_HOT_BYTES, Y2_BLOCK_BYTES, unpack_outputs
from starlab_spec.wire.transactions import Status

Report = Callable[[int, int, str], None]
"""Told how much is done, of how much, and what it is."""

_COLUMN_REGISTERS: Final = 4
_INDEX_MAX: Final = 0xFFFF
_TARGET: Final = register("TARGET0").field("target")
_ROW_KINDS: Final = {
    PulseKind.SET: Operation.SET,
    PulseKind.RESET: Operation.RESET,
    PulseKind.FORM: Operation.FORM,
}


class Control(NamedTuple):
    """How a running operation is stopped, and tells how far it is."""

    aborted: Callable[[], bool]
    """Asked between rows and samples."""
    report: Report
    """Told after each."""


class Operations:
    """What START can run on such a board.

    Args:
        link: The way to the board.
        words: Its registers and ours.
        storage: Its memory and ours.
    """

    def __init__(self, link: AuthorsLink, words: Words, storage: Storage) -> None:
        self._link = link
        self._words = words
        self._storage = storage
        self._kinds: dict[int, Callable[[Control], bytes]] = {
            Operation.FORM: lambda _: self._published(Operation.FORM),
            Operation.SET: lambda _: self._published(Operation.SET),
            Operation.RESET: lambda _: self._published(Operation.RESET),
            Operation.READ: lambda _: self._published(Operation.READ),
            Operation.BP: lambda _: self._published(Operation.BP),
            Operation.INFERENCE: lambda _: self._published(Operation.INFERENCE),
            Operation.PULSE_MASK: self._pulse_mask,
            Operation.READ_ARRAY: self._read_array,
            Operation.BATCH_INFERENCE: self._infer,
            Operation.BATCH_TRAINING: self._train,
        }

    def check(self, operation: int) -> None:
        """Refuse what such a board cannot run.

        Raises:
            Refused: UNSUPPORTED for what it cannot; BAD_REQUEST for what is no operation.
        """
        if operation == Operation.VMM2:
            raise Refused(Status.UNSUPPORTED, REASONS["array2_alone"])
        if operation not in self._kinds:
            names = ", ".join(member.name for member in Operation)
            message = f"operation 0x{operation:08X} must be one bit of {names}"
            raise Refused(Status.BAD_REQUEST, message)

    def run(self, operation: int, control: Control) -> bytes:
        """Run an operation to its end; its result is as :mod:`starlab_spec.operations` has it.

        Raises:
            Refused: It cannot be run, was stopped, or the board gave no result.
            SpecError: A register or memory content that it cannot work with.
            ConnectionGone: The board was lost.
        """
        self.check(operation)
        self._words.forget()
        return self._kinds[operation](control)

    # published ones

    def _published(self, operation: Operation) -> bytes:
        result = self._start(operation, self._result_bytes(operation))
        if operation in (Operation.BP, Operation.INFERENCE):
            samples = 1 if operation is Operation.BP else self._range()
            counter = "TRAINING" if operation is Operation.BP else "INFERENCE"
            self._words.count(f"{counter}_OPERATIONS", samples)
        elif operation is Operation.READ:
            self._words.count("READ_OPERATIONS", 1)
        else:
            self._count_row(PulseKind[operation.name], self._array(), self._selected_cells())
        return result

    def _result_bytes(self, operation: Operation) -> int:
        if operation is Operation.READ:
            return 4 * self._selected_cells()
        if operation is Operation.BP:
            return Y2_BLOCK_BYTES
        if operation is Operation.INFERENCE:
            return (
                Y2_BLOCK_BYTES
                if self._words.field("MODE", "y2_mode")
                else (ONE_HOT_BYTES * self._range())
            )
        return 0

    def _range(self) -> int:
        first = self._words.field("INFERENCE_RANGE", "first")
        last = self._words.field("INFERENCE_RANGE", "last")
        if last < first:
            raise LimitExceeded("last sample of INFERENCE_RANGE", last, first)
        return last - first + 1

    def _array(self) -> ArrayGeometry:
        return ARRAY1 if self._words.field("MODE", "array1") else ARRAY2

    def _selected_cells(self) -> int:
        columns = sum(word.bit_count() for word in self._words.words("COLUMNS0", _COLUMN_REGISTERS))
        if self._array() is ARRAY2:
            return columns
        planes = self._words.field("CELL", "upper") + self._words.field("CELL", "lower")
        return columns * planes

    def _start(self, operation: Operation, result_bytes: int) -> bytes:
        self._words.put("OPERATION", operation)
        message = self._link.run(result_bytes)
        if len(message) < HEADER_BYTES + result_bytes:
            # the emulated board says by the last byte of the header why there is no result
            status = message[HEADER_BYTES - 1]
            known = status in set(Status) - {Status.OK}
            why = f": {Status(status).name} on an emulated board" if known else ""
            raise Refused(
                Status(status) if known else Status.NOT_READY,
                f"{operation.name} ended without a result{why}",
            )
        return message[HEADER_BYTES:]

    def _count_row(self, kind: PulseKind, array: ArrayGeometry, cells: int) -> None:
        number = self._words.field(f"NUMBER{array.number}", f"{kind.name.lower()}_number") + 1
        self._words.count(f"{kind.name}_OPERATIONS", 1)
        self._words.count(f"ARRAY{array.number}_{kind.name}_PULSES", cells * number)

    # whole arrays, row by row

    def _pulse_mask(self, control: Control) -> bytes:
        number = self._words.kept_field("MASK_KIND", "kind")
        if number > PulseKind.FORM:
            raise LimitExceeded("MASK_KIND", number, PulseKind.FORM)
        kind, array = PulseKind(number), self._array()
        packed = self._storage.read(self._words.kept("MASK_ADDRESS"), mask_bytes(array))
        mask = unpack_mask(packed, array)
        count = self._words.field(f"NUMBER{array.number}", f"{kind.name.lower()}_number") + 1
        done = 0
        for row in self._rows("PULSE_MASK", array, control):
            for cells in _groups(array, mask[:, row]):
                self._select(array, row, cells)
                self._start(_ROW_KINDS[kind], 0)
                done += int(cells.sum())
                self._count_row(kind, array, int(cells.sum()))
                self._words.keep("BATCH_DONE", done)
        return _two_words(done, done * count)

    def _read_array(self, control: Control) -> bytes:
        array = self._array()
        address = self._words.kept("READ_ADDRESS")
        codes = np.zeros(array.shape, np.uint8)
        every = np.ones((2, array.outputs), np.bool_)
        for row in self._rows("READ_ARRAY", array, control):
            self._select(array, row, every)
            result = np.frombuffer(self._start(Operation.READ, 8 * array.outputs), ">u4")
            if array is ARRAY1:
                codes[:, row] = result.reshape(2, -1)
            else:
                codes[[MINUS, PLUS], row] = result.reshape(-1, 2).T
            self._words.count("READ_OPERATIONS", 1)
        self._storage.write(address, codes.tobytes())
        self._words.keep("BATCH_DONE", codes.size)
        return _two_words(codes.size, 0)

    def _select(self, array: ArrayGeometry, row: int, cells: NDArray[np.bool_]) -> None:
        """Select cells of a row, shape (2, outputs); of array 1 both planes alike, or one."""
        if array is ARRAY1:
            upper, lower = (int(plane.any()) for plane in cells)
            self._words.put_fields("CELL", upper=upper, lower=lower)
            columns = cells.any(axis=0)
        else:
            columns = cells[[MINUS, PLUS]].T.ravel()
        packed = np.packbits(columns, bitorder="little").tobytes().ljust(16, b"\0")
        self._words.put("ROW", array1_row_word(row) if array is ARRAY1 else row)
        self._words.put("COLUMNS0", *np.frombuffer(packed, "<u4").tolist())

    def _rows(self, name: str, array: ArrayGeometry, control: Control) -> Iterator[int]:
        return _steps(name, array.inputs, "rows", control)

    # batches, sample by sample

    def _batch(self) -> range:
        first, count = self._words.kept("BATCH_FIRST"), self._words.kept("BATCH_COUNT")
        if first + count > _INDEX_MAX + 1:
            raise LimitExceeded("last sample of a batch", first + count - 1, _INDEX_MAX)
        self._words.keep("BATCH_DONE", 0)
        return range(first, first + count)

    def _infer(self, control: Control) -> bytes:
        batch = self._batch()
        records = np.zeros(len(batch), INFERENCE_RECORD)
        self._words.put_fields("MODE", y2_mode=1)
        for done in _steps("BATCH_INFERENCE", len(batch), "samples", control):
            index = batch[done]
            self._words.put("INFERENCE_RANGE", index << 16 | index)
            block = self._start(Operation.INFERENCE, Y2_BLOCK_BYTES)
            records["outputs"][done] = unpack_outputs(block)
            self._sample_done("INFERENCE", done, records[done : done + 1])
        return _two_words(len(batch), 0)

    def _train(self, control: Control) -> bytes:
        if self._words.kept("SCHEME") != Scheme.CYCLIC:
            raise Refused(Status.UNSUPPORTED, "only the cyclic scheme can be trained")
        batch = self._batch()
        targets = self._targets(batch)
        pulses = [self._update_pulses(array) for array in (ARRAY1, ARRAY2)]
        if not any(pulses):
            raise LimitExceeded("LAYERS", 0, 1)
        records = np.zeros(len(batch), TRAINING_RECORD)
        for done in _steps("BATCH_TRAINING", len(batch), "samples", control):
            phase = self._words.kept_field("PHASE")
            self._words.put("TARGET0", *(_TARGET.bits(int(value)) for value in targets[done]))
            self._words.put("TRAINING_INDEX", batch[done])
            self._words.put("BP_ARRAY1", _tuning("BP_ARRAY1", phase, pulses[0]))
            self._words.put("BP_ARRAY2", _tuning("BP_ARRAY2", phase, pulses[1]))
            block = self._start(Operation.BP, Y2_BLOCK_BYTES)
            records["outputs"][done] = unpack_outputs(block)
            self._words.keep("PHASE", 1 - phase)
            self._sample_done("TRAINING", done, records[done : done + 1])
        return _two_words(len(batch), 0)

    def _sample_done(self, counter: str, done: int, record: NDArray[np.void]) -> None:
        address = self._words.kept("RESULT_ADDRESS") + done * record.itemsize
        self._storage.write(address, record.tobytes())
        self._words.count(f"{counter}_OPERATIONS", 1)
        self._words.keep("BATCH_DONE", done + 1)

    def _update_pulses(self, array: ArrayGeometry) -> int:
        name = f"array{array.number}"
        if not self._words.kept_field("LAYERS", name):
            return 0
        count = self._words.kept_field("UPDATE_PULSES", name)
        if count < 1:
            raise LimitExceeded(f"UPDATE_PULSES {name}", count, 1)
        return count

    def _targets(self, batch: range) -> NDArray[np.int32]:
        address = self._words.kept("TARGET_ADDRESS")
        if self._words.kept("TARGET_MODE") == TargetMode.LABELS:
            content = self._storage.read(address + batch.start, len(batch))
            labels = np.frombuffer(content, np.uint8)
            if len(labels) and labels.max() >= ARRAY2.outputs:
                raise LimitExceeded("label", int(labels.max()), ARRAY2.outputs - 1)
            on, off = self._words.kept_field("TARGET_ON"), self._words.kept_field("TARGET_OFF")
            hit = labels[:, None] == np.arange(ARRAY2.outputs)
            return np.where(hit, on, off).astype(np.int32)
        width = 4 * ARRAY2.outputs
        content = self._storage.read(address + batch.start * width, len(batch) * width)
        targets = np.frombuffer(content, ">i4").reshape(-1, ARRAY2.outputs).astype(np.int32)
        limit = 1 << _TARGET.width - 1
        if len(targets) and not (-limit <= targets.min() and targets.max() < limit):
            raise ShapeError("targets", f"exceed {_TARGET.width} bits with sign")
        return targets


def _groups(array: ArrayGeometry, cells: NDArray[np.bool_]) -> Iterator[NDArray[np.bool_]]:
    """Cells of a row, shape (2, outputs), as selections that the published registers can express.

    Of array 1 a selection is the same columns in both planes, or columns of one plane.
    """
    if array is ARRAY2 or (cells[PLUS] == cells[MINUS]).all():
        if cells.any():
            yield cells
        return
    for plane in (PLUS, MINUS):
        alone = np.zeros_like(cells)
        alone[plane] = cells[plane]
        if alone.any():
            yield alone


def _steps(name: str, total: int, unit: str, control: Control) -> Iterator[int]:
    """Steps of an operation, until it is aborted."""
    for done in range(total):
        if control.aborted():
            raise Refused(Status.ABORTED, f"{name} stopped after {done} of {total} {unit}")
        yield done
        control.report(done + 1, total, name)


def _tuning(name: str, phase: int, pulses: int) -> int:
    """Word of BP_ARRAY1 or BP_ARRAY2: the same kind and number for both sides."""
    sides = ("upper", "lower") if name == "BP_ARRAY1" else ("left", "right")
    fields = {f"{side}_pulses": pulses for side in sides}
    fields |= {f"{side}_kind": phase for side in sides}
    return register(name).pack(**fields)


def _two_words(done: int, pulses: int) -> bytes:
    return done.to_bytes(4, "big") + (pulses & 0xFFFFFFFF).to_bytes(4, "big")
