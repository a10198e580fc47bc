"""The thread that stops a board: what it tells, and that it goes on until the board confirms."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from starlab_api.boards import stopping
from starlab_api.boards.stopping import StopOutcome, Stopper, is_stop
from starlab_host import LinkLost, Stopped, StopUnconfirmed
from starlab_spec.registers import register

LONG_S = 250.0
LATCHED = register("FAULTS").field("emergency_stop").mask
CONFIRMED = StopOutcome(("emergency_stop",), confirmed=True, detail="")


class Target:
    """Something that confirms a stop, or does not, as often as is wanted."""

    def __init__(self, *answers: Stopped | StopUnconfirmed) -> None:
        self.is_closed = False
        self.answers = list(answers)
        self.limits_s: list[float] = []
        self.confirmed = threading.Event()

    def emergency_stop(self, timeout_s: float) -> Stopped:
        self.limits_s.append(timeout_s)
        answer = self.answers.pop(0) if self.answers else Stopped(LATCHED, 1)
        if isinstance(answer, StopUnconfirmed):
            raise answer
        self.confirmed.set()
        return answer


def no_way() -> "Future[Any]":
    attempt: Future[Any] = Future()
    attempt.set_exception(LinkLost("nobody is there"))
    return attempt


def stopper(
    reach: Callable[[], "Future[Any]"] = no_way,
    noted: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    timeout_s: float = LONG_S,
) -> Stopper:
    return Stopper("test", reach=reach, noted=noted, timeout_s=timeout_s)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/api/v1/boards/emu0/emergency-stop", True),
        ("DELETE", "/api/v1/boards/emu0/emergency-stop", False),
        ("POST", "/api/v1/boards/emu0/emergency-stop/x", False),
        ("POST", "/api/v1/boards/emu0/arrays/1/pulse", False),
    ],
)
def test_a_stop_is_known_by_its_request(method: str, path: str, expected: bool) -> None:
    assert is_stop(method, path) is expected


@pytest.mark.anyio
async def test_what_was_stopped_and_could_not_be_written_down_is_told() -> None:
    one = stopper()
    one.meet(Target(Stopped(LATCHED, 1, unjournaled="the disk is full")))
    assert await one.stop("POST") == StopOutcome(
        ("emergency_stop",),
        confirmed=True,
        detail="stopped, but not written down: the disk is full",
    )
    assert not one.wanted
    one.close()


@pytest.mark.anyio
async def test_the_journal_learns_what_the_server_was_asked() -> None:
    calls: list[str] = []
    within: list[bool] = []
    inside = False

    @contextmanager
    def noted(call: str) -> Any:
        nonlocal inside
        calls.append(call)
        inside = True
        yield
        inside = False

    class Watched(Target):
        def emergency_stop(self, timeout_s: float) -> Stopped:
            within.append(inside)
            return super().emergency_stop(timeout_s)

    one = stopper(noted=noted)
    one.meet(Watched())
    assert await one.stop("POST /first") == CONFIRMED
    assert await one.stop("POST /second") == CONFIRMED
    assert calls == ["POST /first", "POST /second"]
    assert within == [True, True]
    one.close()


@pytest.mark.anyio
async def test_a_stop_that_the_board_does_not_confirm_is_tried_again_until_it_does(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stopping, "_AGAIN_S", 0.001)
    target = Target(StopUnconfirmed("no word"), StopUnconfirmed("no word"))
    one = stopper()
    one.meet(target)
    outcome = await one.stop("POST")
    assert outcome == StopOutcome((), confirmed=False, detail="no word; the server goes on trying")
    assert target.confirmed.wait(LONG_S)
    one.close()
    one._thread.join(LONG_S)
    assert not one.wanted
    assert len(target.limits_s) == 3
    assert "an emergency stop is not confirmed: no word" in caplog.text
    assert "asked for earlier is confirmed now" in caplog.text


@pytest.mark.anyio
async def test_a_board_that_is_not_there_is_looked_for_and_the_reason_told() -> None:
    one = stopper()
    outcome = await one.stop("POST")
    assert outcome.detail == "nobody is there; the server goes on trying"
    assert one.wanted
    target = Target()
    one.meet(target)
    assert len(target.limits_s) == 1
    assert not one.wanted
    one.close()


@pytest.mark.anyio
async def test_a_board_whose_session_is_over_is_reached_anew() -> None:
    old, new = Target(), Target()
    old.is_closed = True
    one = stopper(reach=lambda: meeting())

    def meeting() -> "Future[Any]":
        one.meet(new)
        attempt: Future[Any] = Future()
        attempt.set_result(new)
        return attempt

    one.meet(old)
    assert await one.stop("POST") == CONFIRMED
    assert (len(old.limits_s), len(new.limits_s)) == (0, 1)
    one.close()


@pytest.mark.anyio
async def test_a_session_that_ends_during_the_stop_is_followed_by_another() -> None:
    class Ending(Target):
        def emergency_stop(self, timeout_s: float) -> Stopped:
            self.is_closed = True
            return super().emergency_stop(timeout_s)

    old, new = Ending(StopUnconfirmed("the link broke")), Target()
    one = stopper(reach=lambda: meeting())

    def meeting() -> "Future[Any]":
        one.meet(new)
        attempt: Future[Any] = Future()
        attempt.set_result(new)
        return attempt

    one.meet(old)
    assert await one.stop("POST") == CONFIRMED
    assert (len(old.limits_s), len(new.limits_s)) == (1, 1)
    assert new.limits_s[0] <= LONG_S
    one.close()


@pytest.mark.anyio
async def test_a_stop_that_was_withdrawn_stops_nothing_later() -> None:
    one = stopper()
    assert not (await one.stop("POST")).confirmed
    one.withdraw()
    target = Target()
    one.meet(target)
    assert target.limits_s == []
    assert not one.wanted
    one.close()


@pytest.mark.anyio
async def test_without_time_nothing_is_said_to_be_stopped() -> None:
    one = stopper(timeout_s=0.0)
    target = Target()
    one.meet(target)
    outcome = await one.stop("POST")
    assert not outcome.confirmed
    assert "the board was not reached in time" in outcome.detail
    assert target.limits_s == []
    one.withdraw()
    one.close()


def test_a_stop_that_is_not_confirmed_when_the_board_is_met_stays_wanted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = stopper()
    one.wanted = True
    one.meet(Target(StopUnconfirmed("no word")))
    assert one.wanted
    assert "an emergency stop is not confirmed yet: no word" in caplog.text
    one.withdraw()
    one.close()
    one._thread.join(LONG_S)
    assert not one._thread.is_alive()
