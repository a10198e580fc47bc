"""How calls reach a server: one, or several of which later ones depend on answers. Knows no HTTP.

What takes several calls is written once, as steps: a generator that yields calls and is given their
answers. Both clients run the same steps.
"""

from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeAlias, TypeVar

from starlab.call import ROOT, Call
from starlab.errors import StarlabError

T = TypeVar("T")

Steps: TypeAlias = Generator[Call[Any], Any, T]
"""Calls in order; each is answered before the next one is made."""


class Send(Protocol):
    """How a synchronous board reaches its server."""

    def __call__(self, call: Call[T], /) -> T:
        """Send a call, wait for its answer, read it."""


class AsyncSend(Protocol):
    """How an asynchronous board reaches its server."""

    async def __call__(self, call: Call[T], /) -> T:
        """Send a call, wait for its answer, read it."""


def ask(call: Call[T]) -> Steps[T]:
    """Send one call; ``yield from`` gives its answer."""
    answer: T = yield call
    return answer


def run(steps: Steps[T], send: Send) -> T:
    """Take steps one after the other; an error of one of them ends them, and tells those before."""
    before: list[str] = []
    try:
        call = next(steps)
        while True:
            with _telling(before):
                answer = send(call)
            _note(before, call)
            call = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def run_async(steps: Steps[T], send: AsyncSend) -> T:
    """The same, awaited."""
    before: list[str] = []
    try:
        call = next(steps)
        while True:
            with _telling(before):
                answer = await send(call)
            _note(before, call)
            call = steps.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


@contextmanager
def _telling(before: Sequence[str]) -> Iterator[None]:
    """A block whose error tells which calls have changed something before."""
    try:
        yield
    except StarlabError as error:
        error.calls_before = tuple(before)
        raise


def _note(before: list[str], call: Call[Any]) -> None:
    if call.changes:
        _, _, what = call.path.removeprefix(f"{ROOT}/boards/").partition("/")
        before.append(f"{call.method} {what}")


def run_each(many: Iterable[Steps[T]], send: Send) -> Iterator[T]:
    """What each of many steps gives; the next ones are taken when their result is asked for."""
    for steps in many:
        yield run(steps, send)


async def run_each_async(many: Iterable[Steps[T]], send: AsyncSend) -> AsyncIterator[T]:
    """The same, awaited."""
    for steps in many:
        yield await run_async(steps, send)
