"""A small explicit-state model checker: every reachable state, breadth first. Knows no model."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")
Event = TypeVar("Event")


@dataclass(frozen=True)
class CounterExample(Generic[Event, State]):
    """A shortest way from the beginning to a state that must not be."""

    broken: str
    """What is wrong with the last state."""
    events: tuple[Event, ...]
    last: State

    def __str__(self) -> str:
        """The events, one a line, and what they lead to."""
        lines = [f"{number:3}. {event}" for number, event in enumerate(self.events, 1)]
        return "\n".join([*lines, f"  => {self.broken}"])


@dataclass(frozen=True)
class Exploration(Generic[Event, State]):
    """What was found."""

    states: int
    """Number of states reached."""
    counter_example: CounterExample[Event, State] | None
    """A shortest one; None if there is none."""
    edges: dict[State, list[tuple[Event, State]]]
    """All steps from each state; empty after a counter-example."""


class TooManyStates(Exception):
    """The model is larger than its bounds were meant to make it."""


def explore(
    initial: State,
    steps: Callable[[State], Iterator[tuple[Event, State]]],
    broken: Callable[[State], str | None],
    limit: int,
) -> Exploration[Event, State]:
    """Visit every state that can be reached, until one is broken.

    Args:
        initial: Where everything begins.
        steps: All that can happen in a state, each with what it leads to.
        broken: What is wrong with a state; None if nothing.
        limit: Number of states at most.

    Raises:
        TooManyStates: There are more.
    """
    came_from: dict[State, tuple[Event, State] | None] = {initial: None}
    edges: dict[State, list[tuple[Event, State]]] = {}
    waiting = deque([initial])
    while waiting:
        state = waiting.popleft()
        wrong = broken(state)
        if wrong is not None:
            way = CounterExample(wrong, tuple(_way(state, came_from)), state)
            return Exploration(len(came_from), way, {})
        following = edges[state] = list(steps(state))
        for event, successor in following:
            if successor not in came_from:
                came_from[successor] = (event, state)
                waiting.append(successor)
        if len(came_from) > limit:
            raise TooManyStates(f"more than {limit} states")
    return Exploration(len(came_from), None, edges)


def dead_ends(
    exploration: Exploration[Event, State],
    at_goal: Callable[[State], bool],
    counts: Callable[[Event], bool],
) -> list[State]:
    """States from which no sequence of events that count leads to a goal."""
    before: dict[State, list[State]] = {}
    for state, following in exploration.edges.items():
        for event, successor in following:
            if counts(event):
                before.setdefault(successor, []).append(state)
    good = {state for state in exploration.edges if at_goal(state)}
    waiting = deque(good)
    while waiting:
        for state in before.get(waiting.popleft(), ()):
            if state not in good:
                good.add(state)
                waiting.append(state)
    return [state for state in exploration.edges if state not in good]


def _way(state: State, came_from: dict[State, tuple[Event, State] | None]) -> Iterable[Event]:
    events = []
    origin = came_from[state]
    while origin is not None:
        event, state = origin
        events.append(event)
        origin = came_from[state]
    return reversed(events)
