"""JSON that strangers send: strict, bounded, and refused in one message. Knows no call.

The parser is compiled code that holds the interpreter's lock from the first byte to the last, and a
list of nothing takes thirty times the bytes that it has in JSON. So what a body may hold is bounded
before it is parsed, and what a parameter may be before it is validated.
"""

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from starlab_api.access.limits import bounded
from starlab_api.problems import InvalidInput, shown
from starlab_contract import INT_MAX, INT_MIN
from starlab_contract.exact import is_lost

SMALL_BYTES: Final = 64 * 1024
"""Most bytes of a JSON body without arrays: the greatest, a device model as a table, has some
kilobytes."""
_PARTS_MAX: Final = 1 << 16
"""Most lists, objects and strings of a body. Arrays of numbers have one list for ten numbers and
more, and a body of numbers alone reaches its limit in bytes first."""
_VALUES_MAX: Final = 2_000
"""Most values of all parameters together: all rows and columns of an array are 884. As many wrong
ones take a tenth of a second to be told, in which nobody else is served."""
_DEPTH_MAX: Final = 32
"""Deepest nesting of a parameter; device models and effects have four levels."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def parse(content: bytes) -> Any:
    """The value of a JSON text: UTF-8, each key once, no NaN and no infinity.

    Args:
        content: The text, of bounded size.

    Raises:
        InvalidInput: It is none, or holds more lists, objects and strings than any call takes.
    """
    parts = content.count(b"[") + content.count(b"{") + content.count(b'"') // 2
    if parts > _PARTS_MAX:
        problem = f"holds {parts} lists, objects and strings, above the {_PARTS_MAX} limit"
        raise InvalidInput("body", problem)
    try:
        return json.loads(
            content.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_float,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise InvalidInput("body", f"is not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise InvalidInput("body", f"is nested deeper than {_DEPTH_MAX} levels") from error
    except ValueError as error:  # no JSON, or a number of thousands of digits
        raise InvalidInput("body", f"is not JSON: {shown(str(error))}") from error


def check_plain(value: object) -> None:
    """Refuse parameters that no call takes, whatever its fields.

    Args:
        value: What :func:`parse` gave, without arrays.

    Raises:
        InvalidInput: Too many values or too deep, half a character, or a number that neither 64
            bits nor a finite float can hold.
    """
    waiting: list[tuple[str, int, object]] = [("", 0, value)]
    found = 0
    while waiting:
        path, depth, item = waiting.pop()
        name = path or "body"
        _check_leaf(name, item)
        if not isinstance(item, dict | list):
            continue
        found += len(item)
        if found > _VALUES_MAX:
            raise InvalidInput(name, f"holds more than {_VALUES_MAX} values")
        if item and depth == _DEPTH_MAX:
            raise InvalidInput(name, f"is nested deeper than {_DEPTH_MAX} levels")
        for key, inner in item.items() if isinstance(item, dict) else enumerate(item):
            _check_leaf(name, key)
            below = shown(str(key))
            waiting.append((f"{path}.{below}" if path else below, depth + 1, inner))


class JsonRoute(APIRoute):
    """A route whose body, if FastAPI is to read it, is small JSON, parsed by :func:`parse`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, given a request that reads its body strictly."""
        handle = super().get_route_handler()
        if self.body_field is None:  # it reads its body itself, if it has one
            return handle

        async def strict(request: Request) -> Response:
            return await handle(_JsonRequest(request.scope, bounded(request.receive, SMALL_BYTES)))

        return strict


class _JsonRequest(Request):
    async def json(self) -> Any:
        """The body's value."""
        value = parse(await self.body())
        check_plain(value)
        return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidInput(name, "is given twice")
            seen.add(name)
    return found


def _float(text: str) -> float:
    number = float(text)
    if number == 0 and is_lost(text):
        raise InvalidInput("body", f"holds {shown(text)}, too small for a 64-bit float")
    return number


def _refuse_constant(word: str) -> float:
    raise InvalidInput("body", f"is not JSON: it holds {word}")


def _check_leaf(path: str, value: object) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise InvalidInput(path, "holds half of a character, a lone surrogate")
    elif isinstance(value, int):
        if not INT_MIN <= value <= INT_MAX:
            raise InvalidInput(path, "is a number beyond 64 bits")
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(path, "is a number beyond the range of a 64-bit float")
