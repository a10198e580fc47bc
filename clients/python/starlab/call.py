"""What a call of the REST API is: a request, and how its answer is read. Knows no route."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from starlab.bodies import Answer
from starlab.errors import InvalidInput
from starlab.inputs import utf8
from starlab_contract import JSON_TYPE

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

ROOT: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and how to read its answer."""

    method: str
    """HTTP method."""
    path: str
    """Path, from the root of the server."""
    read: Callable[[Answer], T]
    """Makes values of a successful answer."""
    query: tuple[tuple[str, str], ...] = ()
    """Names and values after the question mark."""
    content: bytes | None = None
    """The body."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Content-Type and Accept."""
    changes: bool = False
    """Whether it changes board or chip, so that a lost answer leaves the outcome unknown."""
    answers: frozenset[int] = frozenset()
    """Statuses from 300 on that are answers to it all the same, and report no problem."""


def board_path(board_id: str) -> str:
    """Where a board's calls are."""
    return f"{ROOT}/boards/{segment('board', board_id)}"


def segment(what: str, name: str) -> str:
    """A name as a part of a path.

    Raises:
        InvalidInput: No server can have one of that name: it would lead elsewhere.
    """
    if name in ("", ".", ".."):
        raise InvalidInput(f"{name!r} is no {what}")
    return quote(utf8(what, name), safe="")


def get(path: str, kind: type[Model]) -> Call[Model]:
    """A call that asks for a model."""
    return Call("GET", path, lambda answer: answer.model(kind))


def send(method: str, path: str, body: BaseModel | None, kind: type[Model]) -> Call[Model]:
    """A call that changes something, and is answered by a model."""
    return Call(
        method,
        path,
        lambda answer: answer.model(kind),
        content=None if body is None else json_body(body),
        headers={} if body is None else {"content-type": JSON_TYPE},
        changes=True,
    )


def json_body(body: BaseModel) -> bytes:
    """A request body.

    Raises:
        InvalidInput: A text of it is not to be had in UTF-8.
    """
    try:
        return body.model_dump_json(exclude_none=True).encode()
    except PydanticSerializationError as error:
        raise InvalidInput(f"the request cannot be written as JSON: {error}") from None


def checked(kind: type[Model], values: Mapping[str, Any]) -> Model:
    """A request body, or the caller's fault in the caller's words.

    Raises:
        InvalidInput: Naming the first field that is wrong.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        message = f"{name}: {first['msg']}"
        if first["type"] == "extra_forbidden" and "known:" not in message:
            message += f"; known: {', '.join(kind.model_fields)}"
        raise InvalidInput(message, {"field": name}) from None
