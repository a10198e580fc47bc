"""Files that are written whole, or stay what they were. Knows nothing of what they hold."""

from contextlib import suppress
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file whole: where that fails, what was there before is still there.

    Raises:
        OSError: It cannot be written; with its name.
    """
    if path.exists() and not path.is_file():  # a device or a pipe
        _write(path, content, path)
        return
    part = path.with_name(f"{path.name}.part")
    try:
        _write(part, content, path)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _write(to: Path, content: bytes, path: Path) -> None:
    try:
        with to.open("wb") as stream:
            stream.write(content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
