"""One connection that all who need it share: made once, found lost, given up."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from starlab_api.boards.reaching import Reaching

LONG_S = 60.0


class Connection:
    """One that counts how often it was closed."""

    def __init__(self) -> None:
        self.is_closed = False
        self.closed = 0

    def close(self) -> None:
        self.closed += 1
        self.is_closed = True


class Meeting:
    """Makes connections, or fails, when it is let go."""

    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.attempts = 0
        self.error: BaseException | None = None
        self.go = threading.Event()
        self.go.set()
        self.closed_before: list[int] = []

    def __call__(self) -> Connection:
        self.attempts += 1
        self.closed_before.append(sum(one.closed for one in self.made))
        assert self.go.wait(LONG_S)
        if self.error is not None:
            raise self.error
        self.made.append(Connection())
        return self.made[-1]


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    meeting = Meeting()
    yield meeting
    meeting.go.set()


@pytest.fixture
def way(meeting: Meeting) -> Reaching[Connection]:
    return Reaching(meeting)


def met(way: Reaching[Connection]) -> Connection:
    return way.reach().result(LONG_S)


def test_nothing_is_met_before_somebody_needs_it(
    way: Reaching[Connection], meeting: Meeting
) -> None:
    assert way.connection is None
    assert meeting.attempts == 0


def test_all_who_need_it_meanwhile_wait_for_one_attempt(
    way: Reaching[Connection], meeting: Meeting
) -> None:
    meeting.go.clear()
    with ThreadPoolExecutor(4) as pool:
        attempts = list(pool.map(lambda _: way.reach(), range(40)))
    assert way.connection is None
    assert not any(attempt.done() for attempt in attempts)
    meeting.go.set()
    assert {id(attempt.result(LONG_S)) for attempt in attempts} == {id(meeting.made[0])}
    assert way.connection is meeting.made[0]
    assert meeting.attempts == 1


def test_a_connection_that_is_there_is_given_at_once(
    way: Reaching[Connection], meeting: Meeting
) -> None:
    first = met(way)
    again = way.reach()
    assert again.done()
    assert again.result() is first is way.connection
    assert meeting.attempts == 1


@pytest.mark.parametrize("error", [OSError("no answer"), RuntimeError("a defect"), SystemExit()])
def test_a_failure_is_told_to_all_who_wait_and_the_next_one_tries_anew(
    way: Reaching[Connection], meeting: Meeting, error: BaseException
) -> None:
    meeting.go.clear()
    meeting.error = error
    waiting = [way.reach(), way.reach()]
    meeting.go.set()
    assert [attempt.exception(LONG_S) for attempt in waiting] == [error, error]
    assert way.connection is None
    meeting.error = None
    assert met(way) is meeting.made[0]
    assert meeting.attempts == 2


def test_one_that_was_lost_unnoticed_is_closed_before_the_next_is_made(
    way: Reaching[Connection], meeting: Meeting
) -> None:
    first = met(way)
    first.is_closed = True
    assert way.connection is None
    second = met(way)
    assert second is not first
    assert way.connection is second
    assert meeting.closed_before == [0, 1]
    assert (first.closed, second.closed) == (1, 0)


def test_one_that_is_dropped_is_closed_and_the_next_is_another(
    way: Reaching[Connection], meeting: Meeting
) -> None:
    first = met(way)
    way.drop(first)
    assert first.closed == 1
    assert way.connection is None
    assert met(way) is meeting.made[1]
    assert first.closed == 1


def test_who_drops_an_old_one_leaves_the_new_one(way: Reaching[Connection]) -> None:
    old = met(way)
    way.drop(old)
    new = met(way)
    way.drop(old)
    assert way.connection is new
    assert new.closed == 0


def test_closing_closes_what_is_there(way: Reaching[Connection]) -> None:
    way.close()
    connection = met(Reaching(Connection))
    assert connection.closed == 0
    other = Reaching(Connection)
    connection = met(other)
    other.close()
    assert connection.closed == 1
    assert other.connection is None


def test_one_that_was_being_made_when_it_was_closed_is_given_up(meeting: Meeting) -> None:
    given_up = threading.Event()

    class Told(Connection):
        def close(self) -> None:
            super().close()
            given_up.set()

    def meet() -> Told:
        assert meeting.go.wait(LONG_S)
        return Told()

    way = Reaching(meet)
    meeting.go.clear()
    attempt = way.reach()
    way.close()
    meeting.go.set()
    connection = attempt.result(LONG_S)
    assert given_up.wait(LONG_S)
    assert connection.closed == 1
    assert way.connection is None
