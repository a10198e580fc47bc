"""How calls reach a server: one, or several of which later ones depend on answers. Knows no HTTP.

What takes several calls is written once, as steps: a generator that yields calls and is given their
answers. Both clients run the same steps.
"""

from collections.abc import AsyncIterator, Generator, Iterable, Iterator
from typing import Any, Protocol, TypeAlias, TypeVar

from starlab.call import Call

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
    """Take steps one after the other; an error of one of them ends them."""
    try:
        call = next(steps)
        while True:
            call = steps.send(send(call))
    except StopIteration as end:
        result: T = end.value
        return result


async def run_async(steps: Steps[T], send: AsyncSend) -> T:
    """The same, awaited."""
    try:
        call = next(steps)
        while True:
            call = steps.send(await send(call))
    except StopIteration as end:
        result: T = end.value
        return result


def run_each(many: Iterable[Steps[T]], send: Send) -> Iterator[T]:
    """What each of many steps gives; the next ones are taken when their result is asked for."""
    for steps in many:
        yield run(steps, send)


async def run_each_async(many: Iterable[Steps[T]], send: AsyncSend) -> AsyncIterator[T]:
    """The same, awaited."""
    for steps in many:
        yield await run_async(steps, send)
