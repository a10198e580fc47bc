"""How limits of connections fit a process, and how the log counts what repeats."""

import io
import logging

import pytest

from starlab_api.access.connections import fitting
from starlab_api.repeats import CountingHandler
from starlab_api.settings import ConnectionLimits


def test_a_usual_process_has_room_for_all_connections() -> None:
    assert fitting(ConnectionLimits(), 1024) == ConnectionLimits()


@pytest.mark.parametrize("descriptors", [32, 64, 100, 256, 500])
def test_where_descriptors_are_few_connections_are_fewer(descriptors: int) -> None:
    limits = fitting(ConnectionLimits(), descriptors)
    assert limits.calls >= 1
    assert limits.waiting >= 1
    taken = limits.calls + limits.waiting + 4 * limits.accepted
    assert taken <= max(descriptors - 128, descriptors // 2)


class Clock:
    """One that a test sets."""

    now_s = 5.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def handler(clock: Clock) -> CountingHandler:
    return CountingHandler(io.StringIO(), clock, window_s=10.0)


def lines(handler: CountingHandler) -> list[str]:
    assert isinstance(handler.stream, io.StringIO)
    return handler.stream.getvalue().splitlines()


def say(handler: CountingHandler, message: str, count: int = 1) -> None:
    for _ in range(count):
        handler.handle(logging.LogRecord("bench", logging.INFO, "", 0, message, (), None))


def test_a_message_that_repeats_is_written_thrice_and_then_counted(
    handler: CountingHandler, clock: Clock
) -> None:
    say(handler, "lost", 50)
    say(handler, "found")
    assert lines(handler) == ["lost"] * 3 + ["found"]
    clock.now_s += 10
    handler.tell()
    assert lines(handler)[4:] == ["... 47 more in the last 10 s: INFO bench: lost"]
    say(handler, "lost")
    assert lines(handler)[5:] == ["lost"]


def test_a_window_that_is_not_over_tells_nothing(handler: CountingHandler, clock: Clock) -> None:
    say(handler, "lost", 4)
    clock.now_s += 9.9
    handler.tell()
    assert len(lines(handler)) == 3
    handler.close()
    assert len(lines(handler)) == 4


def test_messages_that_all_differ_are_bounded_too(handler: CountingHandler, clock: Clock) -> None:
    for number in range(1000):
        say(handler, f"client {number}")
    assert len(lines(handler)) == 100
    clock.now_s += 10
    say(handler, "at last")
    assert lines(handler)[100:] == ["... 900 more in the last 10 s: other messages", "at last"]
