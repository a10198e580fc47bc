"""The model explored to its last state, and each rule of the protocol taken away once."""

from collections.abc import Iterator

import pytest
from tests.spec.model.explorer import Exploration, TooManyStates, dead_ends, explore
from tests.spec.model.protocol import ALL_RULES, Protocol, Rule
from tests.spec.model.world import FAILURES, Event, World, broken, settled


def waiting_for_ever(exploration: Exploration[Event, World]) -> list[World]:
    """Worlds in which a command gets no verdict any more, though nothing fails from now on."""
    return dead_ends(exploration, settled, lambda event: event not in FAILURES)


def explored(protocol: Protocol, limit: int = 60_000) -> Exploration[Event, World]:
    """All worlds that there are, none of them broken."""
    exploration = explore(World(), protocol.steps, broken, limit)
    assert exploration.counter_example is None, f"\n{exploration.counter_example}"
    return exploration


def test_a_bad_network_alone_breaks_nothing() -> None:
    """Loss, repetition, delay and reordering; more commands than fit into window and cache."""
    exploration = explored(Protocol(commands=5, sessions=1, host_crashes=0, board_crashes=0))
    assert exploration.states > 3_000
    assert waiting_for_ever(exploration) == []


def test_crashes_of_host_and_board_break_nothing() -> None:
    assert explored(Protocol()).states > 6_000
    assert explored(Protocol(commands=3, sessions=1)).states > 3_000


def test_a_host_that_crashes_twice_breaks_nothing() -> None:
    assert explored(Protocol(host_crashes=2, sessions=1)).states > 3_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("protocol", "states"),
    [
        (Protocol(commands=3), 50_000),
        (Protocol(commands=3, sessions=1, host_crashes=2, board_crashes=0), 10_000),
        (Protocol(host_crashes=2, board_crashes=2), 50_000),
    ],
)
def test_larger_worlds_break_nothing_either(protocol: Protocol, states: int) -> None:
    assert explored(protocol, limit=500_000).states > states


def test_no_command_waits_for_ever_while_the_cache_outlasts_the_crashes() -> None:
    """Each life of a host may leave a window of replies unconfirmed: four windows outlast three."""
    ample = Protocol(commands=3, window=1, cache=2, sessions=1)
    assert waiting_for_ever(explored(ample)) == []
    scanty = Protocol(commands=3, window=1, cache=1, sessions=1)
    assert waiting_for_ever(explored(scanty))


@pytest.mark.parametrize(
    ("rule", "host_crashes", "events", "outcome"),
    [
        (Rule.REPLY_CACHE, 0, 7, "command 0 was executed, and reported as not executed"),
        (Rule.CONFIRMED_EVICTION, 0, 11, "command 0 was executed, and reported as not executed"),
        (Rule.TOO_OLD, 0, 11, "command 0 was executed 2 times"),
        (Rule.IN_PROGRESS, 0, 5, "command 0 was executed 2 times"),
        (Rule.IN_ORDER, 0, 4, "id 2 was executed when id 1 was next"),
        (Rule.SESSION_ID, 0, 8, "command 0 was executed 2 times"),
        (Rule.BOOT_ID, 0, 9, "command 0 was executed 2 times"),
        (Rule.NEVER_RESEND, 0, 9, "command 0 was executed 2 times"),
        (Rule.FENCE, 1, 5, "command 0 was executed, and reported as not executed"),
        (Rule.REQUEST_CRC, 1, 9, "command 1 was never executed, and reported as executed"),
        (Rule.ASKED_ANEW, 1, 8, "command 1 was never executed, and reported as executed"),
        (Rule.ASK_AGAIN, 2, 7, "command 1 was never executed, and reported as executed"),
    ],
)
def test_without_a_rule_there_is_a_way_to_break_the_promise(
    rule: Rule, host_crashes: int, events: int, outcome: str
) -> None:
    protocol = Protocol(ALL_RULES - {rule}, host_crashes=host_crashes)
    found = explore(World(), protocol.steps, broken, limit=50_000).counter_example
    assert found is not None
    print(f"without {rule.name}:\n{found}")
    assert (len(found.events), found.broken) == (events, outcome)


def test_the_promise_holds_without_crashes_of_the_host_whatever_guards_a_resumption() -> None:
    rules = ALL_RULES - {Rule.FENCE, Rule.ASKED_ANEW, Rule.ASK_AGAIN}
    assert explored(Protocol(rules, host_crashes=0)).states > 500


def test_a_counter_example_reads_as_a_story() -> None:
    protocol = Protocol(ALL_RULES - {Rule.IN_PROGRESS})
    found = explore(World(), protocol.steps, broken, limit=50_000).counter_example
    assert str(found) == (
        "  1. host opens a session\n"
        "  2. host sends a command\n"
        "  3. board receives command 0 as id 1\n"
        "  4. board begins the next command\n"
        "  5. board receives command 0 as id 1\n"
        "  => command 0 was executed 2 times"
    )


def doubling(number: int) -> Iterator[tuple[str, int]]:
    """A small graph to try the explorer on: add one, double, or fall into a hole at 13."""
    if number < 100 and number != 13:
        yield "add one", number + 1
        yield "double", number * 2


def test_the_explorer_finds_a_shortest_way_to_what_is_broken() -> None:
    found = explore(1, doubling, lambda n: "it is 11" if n == 11 else None, 1000).counter_example
    assert found is not None
    assert found.events == ("add one", "double", "add one", "double", "add one")
    assert found.last == 11


def test_the_explorer_finds_dead_ends_and_its_own_limit() -> None:
    exploration = explore(1, doubling, lambda _: None, 1000)
    assert 13 in dead_ends(exploration, lambda n: n >= 100, lambda _: True)
    assert 12 not in dead_ends(exploration, lambda n: n >= 100, lambda _: True)
    assert 12 in dead_ends(exploration, lambda n: n >= 100, lambda event: event == "add one")
    with pytest.raises(TooManyStates, match="more than 20 states"):
        explore(1, doubling, lambda _: None, 20)
