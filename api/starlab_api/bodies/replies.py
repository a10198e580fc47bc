"""Replies that hold arrays, in the media type that the caller asks for; warnings with any reply."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from fastapi import Request, Response
from starlette.types import Message, Receive, Scope, Send

from starlab_api.bodies.arrays import write_npy, write_npz
from starlab_api.problems import NotAcceptable
from starlab_contract import JSON_TYPE, NPY_TYPE, NPZ_TYPE, WARNINGS_HEADER

OFFERED: Final = (JSON_TYPE, NPY_TYPE, NPZ_TYPE)

ARRAY_REPLY: Final = "starlab.array_reply"
"""Member of the ASGI message that begins an answer with arrays: its :class:`ArrayReply`."""
_PIECE_NUMBERS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class ArrayReply:
    """What an answer with arrays says, in whatever media type."""

    values: Mapping[str, object]
    """Fields of the reply: arrays, and plain values among them."""
    main: str
    """The field that an `.npy` reply holds."""
    warnings: Sequence[str] = ()
    """What is doubtful about the request: in a header and, in JSON, as a field too."""

    @property
    def size(self) -> int:
        """Bytes of its arrays."""
        return sum(value.nbytes for value in self.values.values() if isinstance(value, np.ndarray))

    def as_response(self, media: str) -> Response:
        """A reply in one of the offered media types."""
        return _ArrayResponse(self, self._content(media), media_type=media)

    def _content(self, media: str) -> bytes | str:
        if media == NPY_TYPE:
            return write_npy(np.asarray(self.values[self.main]))
        if media == NPZ_TYPE:
            return write_npz({name: np.asarray(value) for name, value in self.values.items()})
        told = {"warnings": list(self.warnings)} if self.warnings else {}
        given = {**self.values, **told}
        members = (f"{json.dumps(name)}:{_json(value)}" for name, value in given.items())
        return f"{{{','.join(members)}}}"


class _ArrayResponse(Response):
    """A response that tells what it was made of: who keeps it can give it in another media type."""

    def __init__(self, reply: ArrayReply, content: bytes | str, media_type: str) -> None:
        super().__init__(content, headers=warnings_header(reply.warnings), media_type=media_type)
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, ARRAY_REPLY: self._reply}
            await send(message)

        await super().__call__(scope, receive, tell)


def accepted_type(request: Request) -> str:
    """The offered media type that the caller likes best; JSON where it has no wish.

    Raises:
        NotAcceptable: It takes none of them.
    """
    asked = ", ".join(request.headers.getlist("accept")) or "*/*"
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
    given = {name: value for name, value in values.items() if value is not None}
    return ArrayReply(given, main, warnings).as_response(media)


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
