"""Files that a command reads and writes: looked at before anything is done. Asks no board."""

import math
import os
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import numpy as np
import typer
from numpy.typing import NDArray

from starlab.bodies import NO_ARRAY
from starlab.writing import write

LARGEST_BYTES: Final = 256 << 20
"""Nothing that is read here whole comes near to that; a device that never ends does."""


def writable(path: Path | None) -> Path | None:
    """A file that can be written, as far as can be told without writing it.

    Raises:
        typer.BadParameter: It is in no folder, or may not be written.
    """
    if path is None:
        return None
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"{path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise typer.BadParameter(f"{path} may not be written")
    return path


Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", dir_okay=False, callback=writable, help="Write the array to this .npy."
    ),
]


def read_bytes(path: Path, option: str) -> bytes:
    """What a file holds.

    Raises:
        typer.BadParameter: It cannot be read, or never ends, naming the option.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}", param_hint=option) from None
    if len(content) > LARGEST_BYTES:
        raise typer.BadParameter(f"{path} has more than {LARGEST_BYTES:,} bytes", param_hint=option)
    return content


def read_text(path: Path, option: str) -> str:
    """A text.

    Raises:
        typer.BadParameter: It cannot be read or is none, naming the option.
    """
    try:
        return read_bytes(path, option).decode()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{path} is not text: {error}", param_hint=option) from None


def load_array(path: Path, option: str) -> NDArray[Any]:
    """An array from a `.npy` file.

    Raises:
        typer.BadParameter: It is none of numbers, naming the option.
    """
    try:
        with path.open("rb") as stream:
            _check_size(stream)
            array = np.load(stream, allow_pickle=False)
    except (*NO_ARRAY, OSError) as error:
        raise typer.BadParameter(f"{path} is no .npy of numbers", param_hint=option) from error
    if not isinstance(array, np.ndarray):
        raise typer.BadParameter(f"{path} holds several arrays; give one .npy", param_hint=option)
    if array.dtype.kind not in "biuf":
        raise typer.BadParameter(
            f"{path} is no .npy of numbers, but of {array.dtype}", param_hint=option
        )
    return array


def _check_size(stream: BinaryIO) -> None:
    """Refuse an array that its file is too short for, before there is room made for it.

    Raises:
        ValueError: It is, or it is no array of a version that plain numbers have.
        OSError: The file cannot be read back and forth.
    """
    several = stream.read(2) == b"PK"
    stream.seek(0)
    if several:
        return
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(version)
    begin = stream.tell()
    if math.prod(shape) * dtype.itemsize > stream.seek(0, os.SEEK_END) - begin:
        raise ValueError(shape)
    stream.seek(0)


def values_or_file(name: str, array: NDArray[Any], output: Path | None) -> dict[str, Any]:
    """An array for a JSON result: its values, or where they have been written to."""
    if output is None:
        return {name: array.tolist()}
    stream = BytesIO()
    np.save(stream, array, allow_pickle=False)
    write(output, stream.getvalue())
    return {"output": str(output)}
