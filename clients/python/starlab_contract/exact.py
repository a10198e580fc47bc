"""How strictly values and names are taken: numbers are numbers, typos are told. Holds no body."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import ValidationInfo
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

TEXT: Final = "text"
"""Validation context of values that travelled as text, in a query string."""
_SHOWN: Final = 100
"""Letters of a name that are looked at."""
_LISTED: Final = 8
"""All names are told where there are no more ..."""
_NEAREST: Final = 3
"""... and else as many, the nearest."""
INT_MIN: Final = -(1 << 63)
INT_MAX: Final = (1 << 64) - 1
"""Integers beyond these mean nothing to any board, as text and as JSON."""
_DIGITS: Final = 20
"""Letters of the longest of them."""
_WHOLE: Final = re.compile("-?(0|[1-9][0-9]*)")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_TRUTH: Final = re.compile("true|false|1|0")
_KINDS: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "int": ("an integer", _WHOLE),
    "float": ("a number", _NUMBER),
    "bool": ("true or false", _TRUTH),
}


_LEFT: Final = frozenset({"cls", "config", "default", "function", "metadata", "serialization"})
"""Parts of a core schema that describe no value."""


def check_text(kind: str, text: str) -> None:
    """Refuse text that JSON would not write so: ``1_0``, `` 5 ``, ``1e3`` for an integer.

    Args:
        kind: "int", "float" or "bool".
        text: As it travelled.

    Raises:
        ValueError: It is none of that kind.
    """
    what, pattern = _KINDS[kind]
    if pattern.fullmatch(text) is None:
        raise ValueError(f"should be {what}, not {text[:_SHOWN]!r}")
    if kind == "float" and is_lost(text):
        raise ValueError("is a number too small for a 64-bit float")
    if kind == "int" and (len(text) > _DIGITS or not INT_MIN <= int(text) <= INT_MAX):
        raise ValueError("is a number beyond 64 bits")


def is_lost(text: str) -> bool:
    """Whether a number that is not 0 becomes 0 as a 64-bit float: ``1e-99999``."""
    digits = text.lower().partition("e")[0]
    return any(one in "123456789" for one in digits) and float(text) == 0


def nearest(name: str, known: Iterable[str]) -> str:
    """What somebody may have meant by a name that is not known, in words."""
    by_lower = {one.lower(): one for one in sorted(known)}
    close = difflib.get_close_matches(name[:_SHOWN].lower(), by_lower, n=1, cutoff=0.5)
    if close:
        return f"did you mean {by_lower[close[0]]}?"
    if not by_lower:
        return "it takes none"
    if len(by_lower) <= _LISTED:
        return f"known: {', '.join(by_lower.values())}"
    close = difflib.get_close_matches(name[:_SHOWN].lower(), by_lower, n=_NEAREST, cutoff=0)
    return f"the nearest are {', '.join(by_lower[one] for one in close)}"


def _check(kind: str) -> Callable[[Any, ValidationInfo], Any]:
    def check(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and info.context == TEXT:
            check_text(kind, value)
        elif isinstance(value, str | bytes) or (isinstance(value, bool) != (kind == "bool")):
            what, _ = _KINDS[kind]
            raise PydanticCustomError(f"{kind}_type", "Input should be {what}", {"what": what})
        return value

    return check


_CHECKS: Final = {kind: _check(kind) for kind in _KINDS}


def exact(schema: Any) -> Any:
    """A core schema of pydantic whose numbers and truth values take nothing else."""
    if isinstance(schema, list | tuple):
        return type(schema)(map(exact, schema))
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type", "")
    if kind == "literal" and any(isinstance(one, int) for one in schema["expected"]):
        kind = "int"
    if kind in _CHECKS:
        return core_schema.with_info_before_validator_function(_CHECKS[kind], schema)
    if kind == "function-before" and schema["function"]["function"] in _CHECKS.values():
        return schema  # of a body within a body
    if kind == "union":  # else errors would be told of by how this very function works
        choices = [
            exact(one) if isinstance(one, tuple) else (exact(one), _name(one))
            for one in schema["choices"]
        ]
        return {**schema, "choices": choices}
    return {key: value if key in _LEFT else exact(value) for key, value in schema.items()}


def _name(choice: Any) -> str:
    """What errors call one of several kinds of value."""
    while "schema" in choice and "cls" not in choice:
        choice = choice["schema"]
    if choice["type"] == "definition-ref":  # module.Class:number
        return str(choice["schema_ref"]).partition(":")[0].rpartition(".")[2]
    return str(choice["cls"].__name__ if "cls" in choice else choice["type"])


def with_nearest(error: Mapping[str, Any], known: Iterable[str] | None) -> InitErrorDetails:
    """One of pydantic's errors once more; of an unknown field, with the nearest that is known.

    Args:
        error: As ``ValidationError.errors()`` gives it.
        known: Names of the fields; None: they are not looked up.
    """
    message, loc = error["msg"], error["loc"]
    if error["type"] == "extra_forbidden" and len(loc) == 1 and known is not None:
        message = f"Unknown field; {nearest(str(loc[0]), known)}"
    context = {key: value for key, value in error.get("ctx", {}).items() if key != "error"}
    kind = PydanticCustomError(error["type"], message, context)
    return InitErrorDetails(type=kind, loc=loc, input=error["input"])
