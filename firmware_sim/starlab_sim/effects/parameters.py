"""How the settings of an effect are declared, checked and read from JSON or TOML. Has no effect.

A parameter carries its meaning, unit, bounds and source: one declaration serves the check, the
messages and the table in the documentation.
"""

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, ClassVar, Final, Protocol, TypeVar

from starlab_sim.errors import Refused
from starlab_spec.errors import LimitExceeded
from starlab_spec.wire.transactions import Status

ASSUMPTION: Final = "assumption"
"""The source of a value that no publication gives."""
_KEY: Final = "parameter"


class Settings(Protocol):
    """A frozen dataclass all of whose fields are parameters, choices or dataclasses of such."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is known about a field."""

    doc: str
    """What it means."""
    unit: str
    """Its unit; empty: a plain number."""
    low: float
    """Least value."""
    high: float
    """Greatest value."""
    source: str
    """Where the default comes from: a mark of the chip facts, a reference, or an assumption."""
    choices: tuple[str, ...] = ()
    """Words that it may be, where it is no number."""
    whole: bool = False
    """Whether it is a whole number."""
    at_most: str = ""
    """The parameter beside it that it may not exceed; empty: none."""


def parameter(
    default: float,
    doc: str,
    *,
    unit: str = "",
    low: float = 0.0,
    high: float,
    source: str = ASSUMPTION,
    whole: bool = False,
    at_most: str = "",
) -> Any:
    """A number with bounds, as the default of a dataclass field."""
    known = Parameter(doc, unit, low, high, source, whole=whole, at_most=at_most)
    return field(default=default, metadata={_KEY: known})


def choice(default: str, doc: str, choices: tuple[str, ...], *, source: str = ASSUMPTION) -> Any:
    """One of some words, as the default of a dataclass field."""
    return field(default=default, metadata={_KEY: Parameter(doc, "", 0, 0, source, choices)})


def parameters(settings: type[Settings]) -> dict[str, Parameter]:
    """The parameters of an effect, by name; those of parts within it as ``part.name``."""
    found: dict[str, Parameter] = {}
    for one in fields(settings):
        known = one.metadata.get(_KEY)
        if known is not None:
            found[one.name] = known
        else:
            nested = parameters(_part(one))
            found |= {f"{one.name}.{name}": what for name, what in nested.items()}
    return found


def check(path: str, settings: Settings) -> None:
    """Refuse values of another type, out of bounds or out of order.

    Raises:
        Refused: BAD_REQUEST: a value of another type.
        LimitExceeded: Named ``path.parameter``, in its unit.
    """
    for one in fields(settings):
        known: Parameter | None = one.metadata.get(_KEY)
        value = getattr(settings, one.name)
        if known is None:
            check(f"{path}.{one.name}", value)
            continue
        _check_type(f"{path}.{one.name}", known, value)
        if known.choices:
            continue
        if not value >= known.low:  # so that NaN is refused too
            raise LimitExceeded(f"{path}.{one.name}", value, known.low, known.unit)
        if value > known.high:
            raise LimitExceeded(f"{path}.{one.name}", value, known.high, known.unit)
    for name, known in parameters(type(settings)).items():
        if known.at_most and getattr(settings, name) > getattr(settings, known.at_most):
            value, most = getattr(settings, name), getattr(settings, known.at_most)
            place = f"(at most {known.at_most})"
            raise LimitExceeded(f"{path}.{name}", value, most, known.unit, place=place)


def read(path: str, settings: type[S], values: object) -> S:
    """Settings from JSON: an object with some of the parameters, or true for all defaults.

    Args:
        path: What messages call them.
        settings: The effect.
        values: As JSON or TOML gives them.

    Raises:
        Refused: BAD_REQUEST: another form, an unknown parameter, a value of another type.
        LimitExceeded: A number out of bounds.
    """
    if values is True:
        return settings()
    if not isinstance(values, Mapping):
        raise _bad(f"{path} {values!r} is not an object with its parameters, nor true or false")
    known = {one.name: one for one in fields(settings)}
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise _bad(f"unknown parameter {path}.{name}; known: {', '.join(known)}")
        chosen[name] = _value(f"{path}.{name}", known[name], value)
    made = settings(**chosen)
    check(path, made)
    return made


def _value(path: str, one: "Field[Any]", value: object) -> Any:
    known: Parameter | None = one.metadata.get(_KEY)
    if known is None:
        return read(path, _part(one), value)
    return value


def _check_type(path: str, known: Parameter, value: object) -> None:
    if known.choices:
        if value not in known.choices:
            raise _bad(f"{path} {value!r} is not one of {', '.join(known.choices)}")
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"{path} {value!r} is not a number")
    if known.whole and isinstance(value, float) and math.isfinite(value) and value % 1:
        raise _bad(f"{path} {value!r} is not a whole number")


def _part(one: "Field[Any]") -> type[Settings]:
    """The dataclass of a nested part, which is its default factory."""
    factory = one.default_factory
    if not isinstance(factory, type):
        raise TypeError(f"{one.name} is neither a parameter nor a part")
    return factory


def _bad(message: str) -> Refused:
    return Refused(Status.BAD_REQUEST, message)
