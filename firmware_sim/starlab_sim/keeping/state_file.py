"""A chip's cells and totals in a file that the process has in its memory: they outlive it.

The file is mapped, so that whatever the process writes there is in the hands of the operating
system at once: the process may be killed at any instruction. Of what a chunk of pulses is about to
change, the file keeps a copy until the chunk is complete: whoever opens it next puts back what was
left in part. That saves the process, not the machine: nothing waits for the disk.
"""

import contextlib
import fcntl
import mmap
import os
import stat
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from starlab_sim.chip.counters import Meter
from starlab_sim.chip.store import CHIP, Rows
from starlab_sim.errors import StateUnusable

MAGIC: Final = b"STLRCHIP"
VERSION: Final = 4
_STATE: Final = np.dtype([("label", "S8192"), ("chip", CHIP)], align=True)
_FILE: Final = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u8"),
        ("begun", "<u8"),
        ("done", "<u8"),
        ("rows", "<i8", (2, 2)),
        ("now", _STATE),
        ("before", _STATE),
    ],
    align=True,
)
"""``begun`` and ``done`` number the chunks; where they differ, ``before`` counts: label, meter, and
of each array the ``rows`` from the first number to before the second."""
_HEAD: Final = MAGIC + VERSION.to_bytes(8, "little")
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK


class StateFile:
    """A store for one chip in one file, which one process at a time uses.

    Attributes:
        label: As of :class:`starlab_sim.chip.Store`; empty while there is no chip.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it where there is none; undo what was left in part.

        Raises:
            StateUnusable: It cannot be opened, is in use, or is something else: then it stays as it
                is.
        """
        try:
            self._descriptor = _opened(path)
        except OSError as error:
            raise StateUnusable(f"{path}: {error.strerror}") from None
        try:
            file = _mapped(self._descriptor, path)
        except BaseException:
            self.close()
            raise
        now, before = file["now"], file["before"]
        self.content: NDArray[np.void] = now["chip"]
        self._now_label, self._before_label = now["label"], before["label"]
        self._now_meter, self._before_meter = self.content["meter"], before["chip"]["meter"]
        self._begun, self._done = file["begun"], file["done"]
        self._rows = file["rows"]
        self._arrays = [
            [
                (self.content[array][kind], before["chip"][array][kind])
                for kind in self.content[array].dtype.names or ()
            ]
            for array in ("array1", "array2")
        ]
        if self._begun != self._done:
            self._undo()
        self.label = bytes(self._now_label[()])

    def close(self) -> None:
        """Let another one have the file. Call nothing after it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # the mapping holds the file open
        os.close(self._descriptor)

    def begin(self, rows: Rows) -> None:
        """Copy what is about to change."""
        self._before_label[()] = self._now_label
        self._before_meter[()] = self._now_meter
        self._rows[:] = 0
        for number, part in rows.items():
            for now, before in self._arrays[number - 1]:
                start, stop, _ = part.indices(now.shape[1])
                self._rows[number - 1] = start, stop
                before[:, start:stop] = now[:, start:stop]
        self._begun[()] = self._done + np.uint64(1)

    def commit(self, meter: Meter) -> None:
        """One store of eight bytes makes it count."""
        self._now_label[()] = self.label
        meter.save(self._now_meter)
        self._done[()] = self._begun

    def _undo(self) -> None:
        for (start, stop), parts in zip(self._rows, self._arrays, strict=True):
            for now, before in parts:
                now[:, start:stop] = before[:, start:stop]
        self._now_meter[()] = self._before_meter
        self._now_label[()] = self._before_label
        self._done[()] = self._begun


def _opened(path: Path) -> int:
    """The descriptor of the file, which is made where there is none.

    Raises:
        OSError: It cannot be opened, or made.
        StateUnusable: The path leads nowhere, or to no file.
    """
    try:
        descriptor = os.open(path, _OPEN)
    except FileNotFoundError:
        if path.is_symlink():
            raise StateUnusable(
                f"{path} leads to {os.readlink(path)}, which is not there"
            ) from None
        _make(path)
        descriptor = os.open(path, _OPEN)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StateUnusable(f"{path} is no file")
    return descriptor


def _make(path: Path) -> None:
    """A file without a chip, at its place only once it is whole.

    Room for all of it is made now: a full disk met later, through the mapping, would kill the
    process.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            file.write(_HEAD)
            file.write(bytes(_FILE.itemsize - len(_HEAD)))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first: it has the file
            os.link(part, path)
    finally:
        part.unlink(missing_ok=True)


def _mapped(descriptor: int, path: Path) -> NDArray[np.void]:
    """The file as one record, shape ()."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise StateUnusable(f"{path} is in use by another emulator") from None
    try:
        begin = os.pread(descriptor, len(_HEAD), 0)
        size = os.fstat(descriptor).st_size
        if not size:
            raise StateUnusable(f"{path} is empty: if it is to be a new chip, remove it first")
        if begin != _HEAD or size != _FILE.itemsize:
            raise StateUnusable(f"{path} is no state of an emulated board, or of another version")
        mapping = mmap.mmap(descriptor, _FILE.itemsize)
    except OSError as error:
        raise StateUnusable(f"{path}: {error.strerror}") from None
    return np.frombuffer(mapping, _FILE).reshape(())
