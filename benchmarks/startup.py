"""How soon an emulator listens after its start, kernels compiled or not. Talks to none of them."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from time import perf_counter

from benchmarks.measure import Figure, at_most, interleaved
from benchmarks.processes import emulator

GROUP = "Start of the emulator"


def start_s(environment: Mapping[str, str]) -> float:
    """Seconds from the start of the process to its listening."""
    start = perf_counter()
    with emulator(environment=environment):
        return perf_counter() - start


def figures(rounds: int) -> Iterator[Figure]:
    """Measure both starts; the first one once, as it takes its time."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        first = start_s(environment)
        second = interleaved({"second": lambda: start_s(environment)}, rounds)["second"]
    yield Figure(GROUP, "first start", first, "s", target=at_most(first, 20, "s"))
    yield Figure(GROUP, "second start", second, "s", target=at_most(second, 3, "s"))
