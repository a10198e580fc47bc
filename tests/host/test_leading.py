"""One thread reads the link for all, by the state machine's deadlines and its own: step by step."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.host.link_bench import Clock

from starlab_host.session.leading import Leading
from starlab_host.session.outstanding import Outstanding
from starlab_host.session.waiting import Waiter


class Script:
    """A link and a state machine that do what a test says, and note what is asked of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.outstanding = Outstanding()
        self.due: float | None = None
        self.came: list[bytes] = []
        self.out: list[bytes] = []
        self.told: list[Any] = []
        self.asked: list[Any] = []
        self.waits: list[float] = []
        self.events_seen: list[Any] = []
        self.failures: list[tuple[str, bool]] = []
        self.on_receive: Callable[[], None] = lambda: None
        self.on_time: Callable[[], None] = lambda: None
        self.leading = Leading(
            *(self, self, self.outstanding, self.clock),  # type: ignore[arg-type]
            on_event=lambda event, now: self.events_seen.append((event, now)),
            on_failure=self._on_failure,
        )

    def _on_failure(self, error: Exception, now: float) -> None:
        self.failures.append((str(error), self.leading.lock.locked()))
        for waiter in list(self.outstanding._waiters):
            waiter.stir()

    # as a link

    def send(self, datagrams: Sequence[bytes]) -> None:
        self.asked.append(("send", list(datagrams)))

    def receive(self, first: Any, now: float | None = None) -> Any:
        if now is not None:
            return self._take_in(first, now)
        self.waits.append(first)
        assert len(self.waits) < 100
        if self.came:
            return self.came.pop(0)
        self.clock.now_s += first
        self.on_time()
        return None

    # as a state machine

    def _take_in(self, datagram: bytes, now: float) -> None:
        assert self.leading.lock.locked()
        self.asked.append(("receive", datagram, now))
        self.on_receive()

    def deadline(self) -> float | None:
        assert self.leading.lock.locked()
        return self.due

    def expire(self, now: float) -> None:
        assert self.leading.lock.locked()
        self.asked.append(("expire", now))
        self.due = None

    def events(self) -> list[Any]:
        told, self.told = self.told, []
        return told

    def datagrams(self, now: float) -> list[bytes]:
        out, self.out = self.out, []
        return out

    def waiter(self, until: float | None = None) -> Waiter:
        made = Waiter(until)
        self.outstanding.join(made)
        return made


@pytest.fixture
def script() -> Script:
    return Script()


def test_what_comes_is_taken_in_and_what_is_said_is_sent(script: Script) -> None:
    waiter = script.waiter()
    script.came, script.told, script.out = [b"in"], ["event"], [b"out"]
    script.on_receive = waiter.stir
    script.leading.wait(waiter)
    assert script.asked == [("receive", b"in", 0.0), ("send", [b"out"])]
    assert script.events_seen == [("event", 0.0)]
    # the next time there is something new to wait for
    assert not waiter.stirred
    assert not script.leading._reading.locked()


def test_nothing_is_sent_where_nothing_is_to_be_said(script: Script) -> None:
    script.leading.turn(0.0)
    assert script.asked == []


def test_the_leader_looks_up_every_hundredth_of_a_second(script: Script) -> None:
    script.leading.wait(script.waiter(0.025))
    assert script.waits == [0.01, 0.01, 0.01]
    assert script.asked == []


def test_the_leader_wakes_at_a_deadline_that_comes_before(script: Script) -> None:
    script.due = 0.004
    script.leading.wait(script.waiter(0.01))
    assert script.waits[0] == pytest.approx(0.004)
    assert script.asked == [("expire", pytest.approx(0.004))]


def test_a_deadline_that_is_over_makes_nobody_wait(script: Script) -> None:
    script.clock.now_s, script.due = 5.0, 4.0
    script.leading.wait(script.waiter(5.005))
    assert script.waits[0] == 0.0
    assert script.asked == [("expire", 5.0)]


def test_before_its_deadline_nothing_is_due(script: Script) -> None:
    script.due = 7.0
    script.leading.wait(script.waiter(0.005))
    assert script.asked == []


def test_the_leader_ends_at_its_own_limit(script: Script) -> None:
    script.leading.wait(script.waiter(0.01))
    assert script.waits == [0.01]
    script.leading.wait(script.waiter(0.01))
    assert script.waits == [0.01]


@pytest.mark.parametrize("others", [0, 1])
def test_who_has_led_lets_another_one_lead(script: Script, others: int) -> None:
    waiter = script.waiter()
    follower = script.waiter() if others else None
    script.came, script.on_receive = [b"in"], waiter.stir
    roused: list[bool] = []
    rouse = script.outstanding.rouse_another

    def rouse_another() -> None:
        roused.append(script.leading.lock.locked() and not script.leading._reading.locked())
        rouse()

    script.outstanding.rouse_another = rouse_another  # type: ignore[method-assign]
    script.leading.wait(waiter)
    # nobody else is there: nobody needs to be told
    assert roused == [True] * others
    if follower is not None:
        assert not follower.wake.locked()


def test_who_cannot_lead_sleeps_until_it_is_roused(script: Script) -> None:
    waiter = script.waiter()
    slept: list[int] = []

    class Lock:
        def acquire(self) -> None:
            slept.append(1)
            waiter.stirred = len(slept) == 2

    waiter.wake = Lock()  # type: ignore[assignment]
    with script.leading._reading:
        script.leading.wait(waiter)
    assert slept == [1, 1]
    assert script.waits == []


@pytest.mark.parametrize("part", ["receive", "events", "datagrams", "send"])
def test_code_that_fails_is_told_once_to_who_waits(
    script: Script, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError(part)

    script.out = [b"out"]
    waiter = script.waiter(1.0)
    monkeypatch.setattr(script, part, fail)
    script.leading.wait(waiter)
    assert script.failures == [(part, True)]
    assert not script.leading._reading.locked()
    assert script.clock.now_s < 1.0


# ---- while nobody waits


def test_all_that_has_come_is_taken_in_without_waiting(script: Script) -> None:
    script.came, script.out, script.told = [b"1", b"2"], [b"out"], ["event"]
    assert script.leading.look_after()
    assert script.waits == [0.0, 0.0, 0.0]
    assert script.asked == [
        ("receive", b"1", 0.0),
        ("receive", b"2", 0.0),
        ("expire", 0.0),
        ("send", [b"out"]),
    ]
    assert script.events_seen == [("event", 0.0)]
    assert not script.leading._reading.locked()


def test_a_session_that_is_over_is_looked_after_no_more(script: Script) -> None:
    script.leading.over = True
    assert not script.leading.look_after()


def test_while_somebody_leads_nobody_else_reads(script: Script) -> None:
    script.came = [b"1"]
    with script.leading._reading:
        assert script.leading.look_after()
    assert script.waits == []


def test_who_came_to_wait_meanwhile_is_roused(script: Script) -> None:
    waiter = script.waiter()
    script.leading.look_after()
    assert not waiter.wake.locked()


def test_a_look_that_fails_ends_nothing_in_silence(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("link")

    monkeypatch.setattr(script, "receive", fail)
    script.leading.look_after()
    assert script.failures == [("link", True)]
    assert not script.leading._reading.locked()
