"""What a request may say beside its body: no parameter that the API's description does not name.

One dependency of the whole application, so that no route can be forgotten: it asks the description,
which is made from the routes, and knows none of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import Request

from starlab_api.boards.stopping import is_stop
from starlab_api.problems import InvalidInput
from starlab_contract import check_text, nearest

ROOT: Final = "/api/v1"
"""Where the routes are included; a route knows its own part of the path alone."""
_TEXTS: Final = {"integer": "int", "number": "float", "boolean": "bool"}


async def check_parameters(request: Request) -> None:
    """Refuse what a call does not take: an unknown parameter, one given twice, a body.

    Raises:
        InvalidInput: Naming it, and the nearest that is known.
    """
    route = request.scope["route"]
    if not route.include_in_schema:  # a page for people
        return
    path = route.path_format
    paths = request.app.openapi()["paths"]
    operation = paths[path if path in paths else ROOT + path][request.method.lower()]
    known = {
        parameter["name"]: parameter["schema"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }
    for name in request.query_params:
        if name not in known:
            raise InvalidInput(name, f"is no parameter of this call; {nearest(name, known)}")
        _check_values(name, known[name], request.query_params.getlist(name))
    if is_stop(request.method, path):  # never refused for a thing like this
        return
    if "requestBody" not in operation and _has_body(request):
        raise InvalidInput("body", "cannot be given: this call takes none")


def _check_values(name: str, schema: Mapping[str, Any], values: Sequence[str]) -> None:
    """Hold values against the type of their parameter, as far as it is one of numbers."""
    kinds = schema.get("anyOf", [schema])
    lists = [kind["items"] for kind in kinds if kind.get("type") == "array"]
    if len(values) > 1 and not lists:
        raise InvalidInput(name, f"is given {len(values)} times, and means one")
    types = {kind.get("type") for kind in (*kinds, *lists)} - {"array", "null"}
    if len(types) != 1:
        return  # some text will do
    (kind,) = types
    parts = [part for value in values for part in (value.split(",") if lists else [value])]
    for value in parts if kind in _TEXTS else ():
        try:
            check_text(_TEXTS[kind], value)
        except ValueError as error:
            raise InvalidInput(name, str(error)) from None


def _has_body(request: Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
