"""Requests that hold arrays: JSON, `.npy` and `.npz` to one form. Knows no call.

An :class:`ArrayCall` says which fields of a body are arrays. A JSON body holds all fields, an
`.npz` body the arrays (and, if the caller likes, parameters) by name, an `.npy` body the main
array alone; with the last two, parameters travel in the query string.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

from fastapi import Request
from pydantic import ValidationError

from starlab_api.bodies.archives import Room, read_npz
from starlab_api.bodies.arrays import NUMBERS, Array, array_of_lists, read_npy
from starlab_api.bodies.json_bodies import check_plain, parse
from starlab_api.problems import InvalidInput, UnsupportedMediaType, invalid_fields
from starlab_contract import JSON_TYPE, NPY_TYPE, NPZ_TYPE, TEXT, RequestBody

Parameters = TypeVar("Parameters", bound=RequestBody)
T = TypeVar("T")

_INLINE_BYTES: Final = 64 * 1024
"""Bodies up to this size are decoded at once; larger ones, and packed ones, on a thread."""
_TYPES: Final = (JSON_TYPE, NPY_TYPE, NPZ_TYPE)


@dataclass(frozen=True, slots=True)
class ArrayCall(Generic[Parameters]):
    """What the body of a call may hold."""

    parameters: type[Parameters]
    """The fields that are no arrays."""
    body: type[RequestBody]
    """All fields: the JSON body."""
    arrays: Mapping[str, Room]
    """Of the fields that are arrays, how much they may hold."""
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
        content = await whole_body(request)
        query = {
            name: values if len(values) > 1 else values[0]
            for name in request.query_params
            if (values := request.query_params.getlist(name))
        }
        if len(content) <= _INLINE_BYTES and media != NPZ_TYPE:
            return self.decode(media, content, query, limit_bytes)
        decode = partial(self.decode, media, content, query, limit_bytes)
        return await in_turn(request, decode)

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
            name = self.main(array)
            if array.dtype.kind not in NUMBERS:
                raise InvalidInput(name, f"has type {array.dtype}, expected numbers")
            return Decoded(self._parameters(query), {name: array})
        found = read_npz(
            content, arrays=self.arrays, parameters=self._names(), limit_bytes=limit_bytes
        )
        arrays = {name: array for name, array in found.items() if name in self.arrays}
        others = {name: _plain(name, found[name]) for name in found.keys() - arrays.keys()}
        for name in others.keys() & query.keys():
            raise InvalidInput(name, "is in the body and in the query string")
        return Decoded(self._parameters({**others, **query}), arrays)

    def _decode_json(self, content: bytes) -> "Decoded[Parameters]":
        body = parse(content or b"{}")
        if not isinstance(body, dict):
            raise InvalidInput("body", "is not a JSON object")
        lists = {name: body.pop(name) for name in self.arrays if name in body}
        check_plain(body)
        parameters = _validated(self.parameters, body)
        arrays = {
            name: array_of_lists(name, lists[name]) for name in lists if lists[name] is not None
        }
        return Decoded(parameters, arrays)

    def _parameters(self, values: Mapping[str, Any]) -> Parameters:
        """Parameters by the names that a query string knows them by."""
        gathered: dict[str, Any] = {}
        for name, value in values.items():
            if name in self.nested:
                raise InvalidInput(name, "is no parameter: its fields go by their own names")
            parents = (key for key, model in self.nested.items() if name in model.model_fields)
            parent = next(parents, None)
            (gathered if parent is None else gathered.setdefault(parent, {}))[name] = value
        check_plain(gathered)
        return _validated(self.parameters, gathered, context=TEXT)

    def _names(self) -> list[str]:
        """Names of all parameters, as a query string knows them."""
        own = [name for name in self.parameters.model_fields if name not in self.nested]
        return own + [name for model in self.nested.values() for name in model.model_fields]


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


def _plain(name: str, array: Array) -> Any:
    """The value of a parameter that came as an array."""
    try:
        return array.tolist()
    except ValueError as error:  # text of what are no characters
        raise InvalidInput(name, f"is no text: {error}") from error


async def whole_body(request: Request) -> bytes:
    """The body of a request; one that came in one piece is not copied."""
    parts = [part async for part in request.stream() if part]
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def in_turn(request: Request, function: Callable[[], T]) -> T:
    """Run what takes time or memory on a thread, of which there are few for all requests."""
    threads: Executor = request.app.state.large_bodies
    return await asyncio.get_running_loop().run_in_executor(threads, function)


def _validated(
    model: type[Parameters], values: Mapping[str, Any], *, context: str | None = None
) -> Parameters:
    try:
        return model.model_validate(values, context=context)
    except ValidationError as error:
        raise invalid_fields(error.errors()) from error
