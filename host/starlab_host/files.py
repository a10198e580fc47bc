"""Files that are there as a whole, on the disk, or not at all. Knows nothing of what they hold."""

import os
from contextlib import suppress
from pathlib import Path

from starlab_host.errors import StorageFailed


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, its folder too where there is none; one that was there before is replaced.

    Raises:
        StorageFailed: It cannot be written. What was there before still is, and nothing else.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            raise StorageFailed(path, error) from error
        raise


def remove(path: Path) -> None:
    """Remove a file, if there is one.

    Raises:
        StorageFailed: It cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(path, error) from error


def sync_folder(folder: Path) -> None:
    """Make sure that what a folder lists now is found there after a crash of the system."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
