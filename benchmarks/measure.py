"""Takes two or more sides in turn and keeps the medians. Knows nothing of what it measures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure must reach."""

    text: str
    """As the documentation prints it."""
    met: bool
    """Whether this run reached it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    group: str
    """Heading that it stands under."""
    work: str
    """What was done."""
    value: float
    """What the product reached, in ``unit``."""
    unit: str
    """Such as "us a sample"."""
    peer: str = ""
    """What it is measured against."""
    peer_value: float | None = None
    """What the peer reached in the same run, in ``unit``; none: not measured."""
    ratio: float | None = None
    """How many times better than the peer; below 1: worse."""
    quoted: str = ""
    """The peer's figure from elsewhere, where the peer is not installed."""
    target: Target | None = None
    """What must be reached; none: told for orientation."""
    note: str = ""
    """What a reader must know to judge it."""


def at_most(value: float, limit: float, unit: str) -> Target:
    """A target that a smaller figure meets."""
    return Target(f"<= {limit:g} {unit}", value <= limit)


def at_least(value: float, limit: float, unit: str) -> Target:
    """A target that a greater figure meets."""
    return Target(f">= {limit:g} {unit}", value >= limit)


def times_faster(ratio: float | None, limit: float, peer: str) -> Target | None:
    """A target on the ratio to a peer; none where the peer was not measured."""
    if ratio is None:
        return None
    return Target(f">= {limit:g} x {peer}", ratio >= limit)


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call, in seconds."""
    start = perf_counter()
    work()
    return perf_counter() - start


def interleaved(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median of each side over some rounds, all sides taking turns within a round.

    Every other round goes backwards, so that a drift of the machine's speed favours no side.

    Args:
        sides: By name: does some work and returns its own figure.
        rounds: At least one; a first, uncounted one warms up.
    """
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for side in sides.values():
        side()
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
            figures[name].append(sides[name]())
    return {name: median(values) for name, values in figures.items()}
