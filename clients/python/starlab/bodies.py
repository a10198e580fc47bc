"""Arrays and JSON in HTTP bodies: bytes to values and back. Sends nothing.

Bulk travels in NumPy's own formats, never pickled: ``npy`` for one array, ``npz`` for several.
"""

import io
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from starlab.errors import ServerFailed, error_of
from starlab_contract import JSON_TYPE

Model = TypeVar("Model", bound=BaseModel)


NO_ARRAY: Final = (
    ValueError,
    EOFError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    NotImplementedError,
)
"""What NumPy raises on bytes that are no file of its own, or on one with an absurd shape."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP."""

    status: int
    """HTTP status."""
    content: bytes
    """The body."""
    content_type: str = JSON_TYPE
    """Media type, without parameters."""

    def raise_for_problem(self) -> None:
        """Turn an answer that reports a problem into its error.

        Raises:
            StarlabError: Of the class that status and problem document mean.
        """
        if self.status < 300:
            return
        try:
            problem = json.loads(self.content)
        except (ValueError, RecursionError):
            problem = {}
        if not isinstance(problem, dict):
            problem = {}
        if not problem and self.status < 500:
            kind = f" and {self.content_type}" if self.content_type else ""
            raise ServerFailed(f"no starlab server answers there, but one with {self.status}{kind}")
        raise error_of(self.status, problem)

    def model(self, kind: type[Model]) -> Model:
        """The JSON body as a contract model.

        Raises:
            ServerFailed: It is none.
        """
        try:
            return kind.model_validate_json(self.content)
        except ValidationError as error:
            raise ServerFailed(self._no(kind, error)) from error

    def models(self, kind: type[Model]) -> list[Model]:
        """The JSON body as a list of contract models.

        Raises:
            ServerFailed: It is none.
        """
        try:
            items = json.loads(self.content)
            if not isinstance(items, list):
                raise ValueError("it is no list")
            return [kind.model_validate(item) for item in items]
        except (ValueError, RecursionError) as error:
            raise ServerFailed(self._no(kind, error, "lists no")) from error

    def _no(self, kind: type[BaseModel], error: Exception, verb: str = "is no") -> str:
        """Why the answer is none of a starlab server of this version."""
        if not isinstance(error, ValidationError):
            said = "it is no JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        else:
            first = error.errors(include_url=False, include_input=False)[0]
            said = ": ".join((".".join(str(part) for part in first["loc"]), first["msg"]))
        return (
            f"the server's answer, {self.content_type or 'of no kind'}, {verb} {kind.__name__}"
            f" ({said.removeprefix(': ')}): no starlab server, or one of another version"
        )

    def array(self) -> NDArray[Any]:
        """The ``npy`` body.

        Raises:
            ServerFailed: It is none.
        """
        loaded = self._load()
        if not isinstance(loaded, np.ndarray):
            raise ServerFailed(f"the server's answer is no array but {self.content_type}")
        return _of_numbers(loaded)

    def arrays(self, *names: str) -> list[NDArray[Any]]:
        """Arrays of these names out of the ``npz`` body.

        Raises:
            ServerFailed: It is none, or lacks one of them.
        """
        loaded = self._load()
        if isinstance(loaded, np.ndarray):
            raise ServerFailed(f"the server's answer is one array, not {', '.join(names)}")
        with loaded:
            try:
                return [_of_numbers(loaded[name]) for name in names]
            except (KeyError, *NO_ARRAY) as error:
                raise ServerFailed(f"the server's answer lacks an array: {error}") from error

    def _load(self) -> Any:
        try:
            return np.load(io.BytesIO(self.content), allow_pickle=False)
        # all that NumPy raises on bytes that are none of its formats
        except (*NO_ARRAY, OSError) as error:
            raise ServerFailed(f"the server's {self.content_type} makes no sense") from error


def _of_numbers(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "biuf":
        raise ServerFailed(f"the server's answer is no array of numbers but of {array.dtype}")
    return array


def npy(array: NDArray[Any]) -> bytes:
    """One array as an ``npy`` body."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Several named arrays as an ``npz`` body."""
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()
