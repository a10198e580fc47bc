"""Requests that hold arrays: JSON, `.npy` and `.npz` to one form. Knows no call.

An :class:`ArrayCall` says which fields of a body are arrays. A JSON body holds all fields, an
`.npz` body the arrays (and, if the caller likes, parameters) by name, an `.npy` body the main
array alone; with the last two, parameters travel in the query string.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from fastapi import Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from starlab_api.arrays import NUMBERS, Array, array_of_lists, read_npy, read_npz
from starlab_api.problems import InvalidInput, UnsupportedMediaType, invalid_fields
from starlab_contract import JSON_TYPE, NPY_TYPE, NPZ_TYPE, RequestBody

Parameters = TypeVar("Parameters", bound=RequestBody)

_INLINE_BYTES: Final = 64 * 1024
"""Bodies up to this size are decoded at once; larger ones on a thread."""
_TYPES: Final = (JSON_TYPE, NPY_TYPE, NPZ_TYPE)


@dataclass(frozen=True, slots=True)
class ArrayCall(Generic[Parameters]):
    """What the body of a call may hold."""

    parameters: type[Parameters]
    """The fields that are no arrays."""
    body: type[RequestBody]
    """All fields: the JSON body."""
    arrays: tuple[str, ...]
    """Names of the fields that are arrays."""
    main: Callable[[Array], str]
    """Name of the field that a single array is."""
    nested: Mapping[str, type[RequestBody]] = field(default_factory=dict)
    """Parameters that are objects: in a query string, their fields go by their own names."""

    async def read(self, request: Request, *, limit_bytes: int) -> "Decoded[Parameters]":
        """Decode the body of a request.

        Args:
            request: Any request.
            limit_bytes: What an `.npz` may unpack to.

        Raises:
            UnsupportedMediaType: Neither JSON nor `.npy` nor `.npz`.
            InvalidInput: What the body holds is not what the call takes.
        """
        media = media_type(request)
        if media not in _TYPES:
            raise UnsupportedMediaType(media, _TYPES)
        content = await request.body()
        query = {
            name: values if len(values) > 1 else values[0]
            for name in request.query_params
            if (values := request.query_params.getlist(name))
        }
        if len(content) <= _INLINE_BYTES:
            return self.decode(media, content, query, limit_bytes)
        return await run_in_threadpool(self.decode, media, content, query, limit_bytes)

    def decode(
        self, media: str, content: bytes, query: Mapping[str, str | list[str]], limit_bytes: int
    ) -> "Decoded[Parameters]":
        """Decode a body of one of the three media types."""
        if media == JSON_TYPE:
            if query:
                name = next(iter(query))
                raise InvalidInput(name, "belongs into the JSON body, not the query string")
            return self._decode_json(content)
        if media == NPY_TYPE:
            array = read_npy(content, name="body")
            found = {self.main(array): array}
        else:
            found = read_npz(content, limit_bytes=limit_bytes)
        arrays = {name: array for name, array in found.items() if name in self.arrays}
        for name, array in arrays.items():
            if array.dtype.kind not in NUMBERS:
                raise InvalidInput(name, f"has type {array.dtype}, expected numbers")
        others = {name: array.tolist() for name, array in found.items() if name not in arrays}
        parameters = _validated(self.parameters, self._gathered({**others, **query}))
        return Decoded(parameters, arrays)

    def _decode_json(self, content: bytes) -> "Decoded[Parameters]":
        try:
            body = self.body.model_validate_json(content or b"{}")
        except ValidationError as error:
            raise invalid_fields(error.errors()) from error
        arrays = {
            name: array_of_lists(name, lists)
            for name in self.arrays
            if (lists := getattr(body, name)) is not None
        }
        names = self.parameters.model_fields.keys() & body.model_fields_set
        parameters = _validated(self.parameters, {name: getattr(body, name) for name in names})
        return Decoded(parameters, arrays)

    def _gathered(self, values: Mapping[str, Any]) -> dict[str, Any]:
        gathered: dict[str, Any] = {}
        for name, value in values.items():
            for parent, model in self.nested.items():
                if name in model.model_fields:
                    gathered.setdefault(parent, {})[name] = value
                    break
            else:
                gathered[name] = value
        return gathered


@dataclass(frozen=True, slots=True)
class Decoded(Generic[Parameters]):
    """What a body held."""

    parameters: Parameters
    """The fields that are no arrays."""
    arrays: Mapping[str, Array]
    """The arrays that were given, by name."""

    def array(self, name: str) -> Array:
        """An array that must be there.

        Raises:
            InvalidInput: It is not.
        """
        if name not in self.arrays:
            raise InvalidInput(name, "is missing")
        return self.arrays[name]

    def one_of(self, *names: str) -> None:
        """Refuse a body with none or several of some arrays.

        Raises:
            InvalidInput: Naming the first of them.
        """
        given = [name for name in names if name in self.arrays]
        if len(given) != 1:
            wanted, found = " or ".join(names[1:]), " and ".join(given) or "none"
            raise InvalidInput(names[0], f"or {wanted}: give one of them, not {found}")


def media_type(request: Request) -> str:
    """Media type of a request's body, without parameters; JSON where none is stated."""
    return request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()


async def json_only(request: Request) -> None:
    """Dependency of the calls that take JSON alone.

    Raises:
        UnsupportedMediaType: The body is something else.
    """
    media = media_type(request)
    if media != JSON_TYPE:
        raise UnsupportedMediaType(media, (JSON_TYPE,))


def _validated(model: type[Parameters], values: Mapping[str, Any]) -> Parameters:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid_fields(error.errors()) from error
