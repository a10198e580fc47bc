"""What FastAPI cannot say about the API by itself: bodies that hold arrays, errors. Serves none.

Arrays travel in three media types, and parameters in two places; the description is made from the
same :class:`ArrayCall` that decodes them.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from starlab_api.bodies.array_calls import ArrayCall
from starlab_api.bodies.calls import ARRAY_CALLS
from starlab_contract import JSON_TYPE, NPY_TYPE, NPZ_TYPE, PROBLEM_TYPE, Problem

_REFERENCE: Final = "#/components/schemas/{model}"
_BINARY: Final = {"type": "string", "format": "binary"}
_FASTAPI_ERRORS: Final = ("HTTPValidationError", "ValidationError")


def array_requests(call: ArrayCall[Any]) -> dict[str, Any]:
    """`openapi_extra` of a route whose body holds arrays."""
    content = {
        JSON_TYPE: {"schema": {"$ref": _REFERENCE.format(model=call.body.__name__)}},
        NPY_TYPE: {"schema": {**_BINARY, "description": "The main array."}},
        NPZ_TYPE: {"schema": {**_BINARY, "description": f"Arrays {', '.join(call.arrays)}."}},
    }
    return {
        "requestBody": {"required": True, "content": content},
        "parameters": [
            parameter
            for name, schema in _properties(call.parameters).items()
            for parameter in _query_parameters(call, name, schema)
        ],
    }


def array_replies(main: str) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that answers with arrays."""
    content = {
        NPY_TYPE: {"schema": {**_BINARY, "description": f"The array `{main}`."}},
        NPZ_TYPE: {"schema": {**_BINARY, "description": "All fields, by name."}},
    }
    return {200: {"content": content}}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    schemas = document["components"]["schemas"]
    models: list[type[BaseModel]] = [*(call.body for call in ARRAY_CALLS), Problem]
    for model in models:
        schemas |= _definitions(model)
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {
                "description": "What went wrong (RFC 9457).",
                "content": {
                    PROBLEM_TYPE: {"schema": {"$ref": _REFERENCE.format(model=Problem.__name__)}}
                },
            }
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _definitions(model: type[BaseModel]) -> Mapping[str, Any]:
    schema = model.model_json_schema(ref_template=_REFERENCE)
    nested: dict[str, Any] = schema.pop("$defs", {})
    return {**nested, model.__name__: schema}


def _properties(model: type[BaseModel]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = model.model_json_schema(ref_template=_REFERENCE).get(
        "properties", {}
    )
    return properties


def _query_parameters(
    call: ArrayCall[Any], name: str, schema: Mapping[str, Any]
) -> list[dict[str, Any]]:
    nested = call.nested.get(name)
    inner = {name: schema} if nested is None else _properties(nested)
    return [
        {
            "name": field,
            "in": "query",
            "required": False,
            "description": "With an `.npy` or `.npz` body.",
            "schema": about,
        }
        for field, about in inner.items()
    ]
