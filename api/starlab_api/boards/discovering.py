"""Looking for boards, on threads of its own: whoever looks holds up nobody else.

Who asks the same question while it is being asked gets the same answer.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from starlab_host.discovery import FoundBoard, discover

_THREADS: Final = 4
"""Questions that are asked at once; more queue up."""
_Question = tuple[tuple[str, ...], tuple[str, ...], float]


class Discovery:
    """Looks for boards. For one event loop alone."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="discover")
        self._asked: dict[_Question, asyncio.Future[list[FoundBoard]]] = {}

    async def discover(
        self, addresses: Sequence[str], *, also: Sequence[str], wait_s: float
    ) -> list[FoundBoard]:
        """As :func:`starlab_host.discovery.discover`."""
        question = tuple(addresses), tuple(also), wait_s
        answer = self._asked.get(question)
        if answer is None:
            ask = partial(discover, addresses, also=also, wait_s=wait_s)
            answer = asyncio.get_running_loop().run_in_executor(self._pool, ask)
            self._asked[question] = answer
            answer.add_done_callback(lambda _: self._asked.pop(question))
        return await asyncio.shield(answer)

    def close(self) -> None:
        """End the threads; questions under way end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)
