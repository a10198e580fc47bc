"""Replies that hold arrays, in the media type that the caller asks for; warnings with any reply."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from fastapi import Request, Response

from starlab_api.arrays import write_npy, write_npz
from starlab_api.problems import NotAcceptable
from starlab_contract import JSON_TYPE, NPY_TYPE, NPZ_TYPE, WARNINGS_HEADER

OFFERED: Final = (JSON_TYPE, NPY_TYPE, NPZ_TYPE)

_PIECE_NUMBERS: Final = 1 << 16


def accepted_type(request: Request) -> str:
    """The offered media type that the caller likes best; JSON where it has no wish.

    Raises:
        NotAcceptable: It takes none of them.
    """
    asked = request.headers.get("accept", "*/*")
    quality = {offer: _quality(offer, asked) for offer in OFFERED}
    best = max(OFFERED, key=lambda offer: quality[offer])
    if quality[best] <= 0:
        raise NotAcceptable(asked, OFFERED)
    return best


def warnings_header(warnings: Sequence[str]) -> dict[str, str]:
    """The header that takes warnings along: none where there are none."""
    return {WARNINGS_HEADER: json.dumps(warnings)} if warnings else {}


def array_response(
    media: str, values: Mapping[str, object], *, main: str, warnings: Sequence[str] = ()
) -> Response:
    """A reply in one of the offered media types.

    Args:
        media: As :func:`accepted_type` gives it.
        values: Fields of the reply: arrays, and plain values among them. None is left out.
        main: The field that an `.npy` reply holds.
        warnings: What is doubtful about the request: in a header and, in JSON, as a field too.
    """
    headers = warnings_header(warnings)
    given = {name: value for name, value in values.items() if value is not None}
    if media == NPY_TYPE:
        return Response(write_npy(np.asarray(given[main])), headers=headers, media_type=NPY_TYPE)
    if media == NPZ_TYPE:
        arrays = {name: np.asarray(value) for name, value in given.items()}
        return Response(write_npz(arrays), headers=headers, media_type=NPZ_TYPE)
    if warnings:
        given["warnings"] = list(warnings)
    members = (f"{json.dumps(name)}:{_json(value)}" for name, value in given.items())
    return Response(f"{{{','.join(members)}}}", headers=headers, media_type=JSON_TYPE)


def _json(value: object) -> str:
    """A value as JSON: large arrays in pieces, since each is made in one go without a pause."""
    if not isinstance(value, np.ndarray) or not value.ndim or value.size <= _PIECE_NUMBERS:
        return _dump(value)
    rows = max(_PIECE_NUMBERS * len(value) // value.size, 1)
    pieces = (_dump(value[first : first + rows])[1:-1] for first in range(0, len(value), rows))
    return f"[{','.join(pieces)}]"


def _dump(value: object) -> str:
    return json.dumps(_plain(value), separators=(",", ":"))


def _plain(value: object) -> object:
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind == "f":
        # six digits: what a float32 holds, without the noise of its binary form
        return np.round(value.astype(np.float64), 6).tolist()
    return value.tolist()


def _quality(offer: str, asked: str) -> float:
    """How much a media type is liked: the most specific range of the Accept header decides."""
    group = offer.partition("/")[0]
    specific, quality = -1, 0.0
    for entry in asked.split(","):
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        if media not in (offer, f"{group}/*", "*/*"):
            continue
        rank = (media != "*/*") + (media == offer)
        if rank > specific:
            specific, quality = rank, _weight(parameters)
    return quality


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
