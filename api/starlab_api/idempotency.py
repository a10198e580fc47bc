"""Answers to calls with an Idempotency-Key, kept and given again. Executes nothing twice.

Kept is the answer of every call that did, or may have done, something. A refusal that surely came
before anything was executed, and that a later try may escape, is not kept: the board was away, held
by another call, or not formed, or the journal could not be written. The same key may be tried again
then; the answer says so, as `nothing_done`. Nor is a refusal of a media type kept: how something is
said is no part of what was asked, and a stored answer is given as whoever asks again can read it.
An emergency stop is carried out each time, whatever its key: an answer of before stops nothing.
"""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starlab_api.boards.stopping import is_stop
from starlab_api.bodies.array_calls import in_turn, media_type, whole_body
from starlab_api.bodies.replies import ARRAY_REPLY, ArrayReply, accepted_type
from starlab_api.problems import (
    AnswerNotKept,
    ApiProblem,
    InvalidInput,
    KeyInUse,
    KeyReused,
    problem_of,
    problem_response,
)

_PASSING: Final = frozenset({409, 500, 503, 507})
"""Statuses that may mean that nothing was done, and are documents of problems."""
UNSAFE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UNREAD: Final = frozenset({406, 415})
"""Statuses of refused media types: nothing was done."""
_INLINE_BYTES: Final = 1 << 20
"""Bodies up to this size are hashed at once; larger ones on a thread."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What a call was answered."""

    fingerprint: bytes
    """Of the call: method, address, parameters, body."""
    messages: Sequence[Message]
    """The ASGI messages of the answer."""
    size: int
    """Bytes that it takes."""
    reply: ArrayReply | None = None
    """What it says, if it may be said in several media types."""
    dropped: bool = False
    """Only that it was given is still known: there was no room for it."""

    def without_content(self) -> "StoredAnswer":
        """What is left of it where there is no room: its call must not be executed again."""
        return StoredAnswer(self.fingerprint, (), 0, dropped=True)


class AnswerStore:
    """A bounded memory of answers: the oldest go first. For one event loop alone.

    Where bytes are what is short, only contents go, and only of answers that take more than their
    share: whoever asks again is told that the call was executed.
    """

    def __init__(self, *, count: int, size: int) -> None:
        self._count = count
        self._size = size
        self._answers: OrderedDict[str, StoredAnswer] = OrderedDict()
        self._running: dict[str, bytes] = {}
        self._held = 0

    def begin(self, key: str, fingerprint: bytes) -> StoredAnswer | None:
        """The answer that is already there; None: the call runs now, and :meth:`end` must come.

        Raises:
            KeyInUse: The first call with this key is still running.
            KeyReused: The key belongs to another call.
            AnswerNotKept: It was executed, and there was no room for its answer.
        """
        running = self._running.get(key)
        stored = self._answers.get(key)
        first = running if stored is None else stored.fingerprint
        if first is not None and first != fingerprint:
            raise KeyReused(key)
        if running is not None:
            raise KeyInUse(key)
        if stored is None:
            self._running[key] = fingerprint
        elif stored.dropped:
            raise AnswerNotKept(key)
        return stored

    def end(self, key: str, answer: StoredAnswer | None) -> None:
        """A call has ended: keep its answer, or forget that it ran."""
        del self._running[key]
        if answer is None:
            return
        self._answers[key] = answer.without_content() if answer.size > self._size else answer
        self._held += self._answers[key].size
        while len(self._answers) > self._count:
            _, oldest = self._answers.popitem(last=False)
            self._held -= oldest.size
        share = self._size // self._count
        large = [name for name, kept in self._answers.items() if kept.size > share]
        while self._held > self._size:
            name = large.pop(0)
            self._held -= self._answers[name].size
            self._answers[name] = self._answers[name].without_content()


class Idempotency:
    """ASGI middleware: gives calls with an Idempotency-Key their stored answers."""

    def __init__(self, app: ASGIApp, *, store: AnswerStore) -> None:
        self._app = app
        self._store = store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer it as the first of its key was answered."""
        if scope["type"] != "http" or scope["method"] not in UNSAFE_METHODS:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        keys = request.headers.getlist("idempotency-key")
        if not keys or is_stop(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            key = _one(keys)
            body = await whole_body(request)
            fingerprint = await _fingerprint(scope, request, body)
            stored = self._store.begin(key, fingerprint)
            if stored is not None:
                await _give(stored, request, send)
                return
        except ApiProblem as error:
            await problem_response(problem_of(error))(scope, receive, send)
            return
        recorder = _Recorder(body, receive, send)
        try:
            await self._app(scope, recorder.receive, recorder.send)
        finally:
            # an answer cut short by a defect of the server is kept too: what it did is done
            self._store.end(key, recorder.answer(fingerprint))


class _Recorder:
    """Stands between the application and the connection: body read already, answer noted."""

    def __init__(self, body: bytes, receive: Receive, send: Send) -> None:
        self._unread: bytes | None = body
        self._receive = receive
        self._send = send
        self._messages: list[Message] = []
        self._reply: ArrayReply | None = None

    async def receive(self) -> Message:
        """The whole body once, then what the connection says."""
        body, self._unread = self._unread, None
        if body is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Note and pass on."""
        message = dict(message)
        self._reply = message.pop(ARRAY_REPLY, self._reply)
        self._messages.append(_copy(message))
        await self._send(message)

    def answer(self, fingerprint: bytes) -> StoredAnswer | None:
        """The answer to keep, if it is one to keep."""
        body = b"".join(message.get("body", b"") for message in self._messages)
        if not self._messages or self._messages[-1].get("more_body", False):
            response = problem_response(problem_of(RuntimeError()))
            start: Message = {
                "type": "http.response.start",
                "status": response.status_code,
                "headers": response.raw_headers,
            }
            whole = [start, {"type": "http.response.body", "body": response.body}]
            return StoredAnswer(fingerprint, whole, len(response.body))
        status = self._messages[0]["status"]
        if status in _UNREAD:
            return None
        if status in _PASSING and json.loads(body).get("nothing_done", False):
            return None
        size = len(body) + (0 if self._reply is None else self._reply.size)
        return StoredAnswer(fingerprint, self._messages, size, self._reply)


def _one(keys: Sequence[str]) -> str:
    """The key of a call.

    Raises:
        InvalidInput: There are several, or it is empty.
    """
    if len(keys) > 1 or not keys[0].strip():
        problem = f"is given {len(keys)} times, and means one" if len(keys) > 1 else "is empty"
        raise InvalidInput("Idempotency-Key", problem)
    return keys[0]


async def _give(stored: StoredAnswer, request: Request, send: Send) -> None:
    """Send a stored answer, in the media type that is asked for now.

    Raises:
        NotAcceptable: It cannot be given so; it stays stored.
    """
    if stored.reply is not None:
        media = accepted_type(request)
        if media != Headers(raw=stored.messages[0]["headers"])["content-type"]:
            response = await in_turn(request, partial(stored.reply.as_response, media))
            await response(request.scope, request.receive, send)
            return
    for message in stored.messages:
        await send(_copy(message))


def _copy(message: Message) -> Message:
    """A message whose headers nobody else adds to."""
    return {**message, "headers": [*message["headers"]]} if "headers" in message else message


async def _fingerprint(scope: Scope, request: Request, body: bytes) -> bytes:
    query = sorted(request.query_params.multi_items(), key=itemgetter(0))
    digest = hashlib.blake2b(digest_size=16)
    for part in (
        scope["method"].encode(),
        scope["path"].encode("utf-8", "surrogatepass"),
        json.dumps(query).encode(),
        media_type(request).encode(),
    ):
        digest.update(part + b"\0")
    if len(body) > _INLINE_BYTES:
        await asyncio.to_thread(digest.update, body)
    else:
        digest.update(body)
    return digest.digest()
