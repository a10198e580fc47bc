"""One server at a time in a folder for data. Reads and writes nothing there but its own lock."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOCK: Final = "server.lock"
_LONGEST_BYTES: Final = 200


class DataInUse(Exception):
    """Another server has the folder, or it cannot be locked."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Have a folder for data within a block; it is free again however this process ends.

    Raises:
        DataInUse: Another one has it; the message says which.
    """
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DataInUse(f"cannot use --data {folder}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, _LONGEST_BYTES, 0).decode(errors="replace").strip()
            said = f"--data {folder} is in use by {holder or 'another server'}"
            raise DataInUse(said) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
