"""How a thread waits, and how one call is asked to stop: without a link."""

from typing import Any

import pytest

from starlab_host.errors import LinkLost
from starlab_host.session.waiting import Call, Progress, Stop, Waiter
from starlab_spec.wire.frames import Event, EventKind


class Sleeping:
    """A waiter's lock, which notes how long somebody wants to sleep."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []

    def acquire(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout)
        return True


def slept(waiter: Waiter, now_s: float) -> list[float | None]:
    waiter.wake = sleeping = Sleeping()  # type: ignore[assignment]
    waiter.sleep(lambda: now_s)
    return sleeping.asked


def test_a_waiter_without_a_limit_sleeps_until_it_is_roused() -> None:
    assert slept(Waiter(), 7.0) == [None]


@pytest.mark.parametrize(("now_s", "seconds"), [(3.0, 2.0), (5.0, 0.0), (9.0, 0.0)])
def test_a_waiter_sleeps_no_longer_than_its_limit(now_s: float, seconds: float) -> None:
    assert slept(Waiter(5.0), now_s) == [seconds]


@pytest.mark.parametrize(
    ("until_s", "now_s", "late"),
    [(5.0, 4.9, False), (5.0, 5.0, True), (5.0, 5.1, True), (None, 1e9, False), (0.0, 0.0, True)],
)
def test_a_waiter_is_late_from_its_limit_on(
    until_s: float | None, now_s: float, late: bool
) -> None:
    assert Waiter(until_s).is_late(lambda: now_s) is late


def test_a_new_waiter_has_nothing_and_would_sleep() -> None:
    waiter = Waiter()
    assert (waiter.outcome, waiter.message_id, waiter.request, waiter.news) == (
        None,
        None,
        None,
        [],
    )
    assert not waiter.stirred
    assert not waiter.was_hit
    assert waiter.wake.locked()


def test_the_first_outcome_counts_and_rouses_once() -> None:
    waiter = Waiter()
    waiter.stir()
    assert waiter.stirred
    assert waiter.outcome is None
    assert not waiter.wake.locked()
    waiter.stir(b"reply")
    waiter.stir(LinkLost("too late"))
    assert waiter.outcome == b"reply"
    assert not waiter.wake.locked()


def test_news_are_taken_once_and_told_in_order() -> None:
    waiter, told = Waiter(), list[Progress]()
    waiter.news += [Event(EventKind.PROGRESS, 1, 9, "row"), Event(EventKind.PROGRESS, 2, 9, "row")]
    call = Call([], b"", on_progress=told.append)
    call.tell(waiter.take_news())
    call.tell(waiter.take_news())
    Call([], b"").tell([Event(EventKind.PROGRESS, 3, 9, "nobody listens")])
    assert told == [Progress(1, 9, "row"), Progress(2, 9, "row")]


def test_a_call_is_a_plain_command_unless_told_otherwise() -> None:
    call = Call([], b"")
    assert (call.flags, call.urgent, call.again, call.before_sending) == (0, False, 0, None)
    assert (call.on_progress, call.stop) == (None, None)


class WatchedStop(Stop):
    """Notes what is changed without its lock."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "_lock" and "requested" in self.__dict__ and not self._lock.locked():
            raise AssertionError(f"{name} was changed by a thread that does not hold the lock")
        super().__setattr__(name, value)


def test_who_is_woken_by_a_stop_changes_only_under_its_lock() -> None:
    stop, woken = WatchedStop(), list[int]()
    assert not stop.requested
    with stop.waking(lambda: woken.append(1)):
        assert stop._wake is not None
        stop.request()
    assert woken == [1]
    assert stop.requested
    assert stop._wake is None


def test_a_stop_wakes_nobody_any_more_after_a_block_that_failed() -> None:
    stop, woken = Stop(), list[int]()
    with pytest.raises(KeyboardInterrupt), stop.waking(lambda: woken.append(1)):
        raise KeyboardInterrupt
    stop.request()
    assert woken == []


def test_who_is_woken_may_ask_again() -> None:
    """The lock is not held while somebody is woken."""
    stop, held = Stop(), list[bool]()
    with stop.waking(lambda: held.append(stop._lock.locked())):
        stop.request()
    assert held == [False]
