"""Who waits for a call, and what becomes of it when nobody does any more."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import numpy as np
import pytest
from starlette.requests import Request
from starlette.types import Message, Receive
from tests.api.conftest import Emulator

from starlab_api import ServerSettings
from starlab_api.boards.all_boards import Boards
from starlab_api.boards.callers import CALLER, Caller, RunningCalls
from starlab_api.boards.slot import BoardSlot, Connection
from starlab_host import Aborted, Done, Inference, Work, so_far
from starlab_spec import ARRAY2
from starlab_spec.operations import PulseKind
from starlab_spec.wire import Opcode, Status

COUNT = 5
MANY = 400_000
"""Samples that take seconds."""
RNG = np.random.default_rng(3)
T = TypeVar("T")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """A board that nobody else has a session with."""
    board = Emulator()
    yield board
    board.kill()


@pytest.fixture
def slot(emulator: Emulator) -> Iterator[BoardSlot]:
    boards = Boards([emulator.url], ServerSettings(boards=(emulator.url,)))
    yield boards["emu0"]
    boards.close()


def leaving(gone: asyncio.Event) -> Receive:
    """A client that has sent its body, and goes away at some time."""
    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive


async def until(what: Callable[[], bool]) -> None:
    while not what():
        await asyncio.sleep(0)


def test_a_call_whose_client_goes_away_while_it_waits_never_begins(slot: BoardSlot) -> None:
    began: list[bool] = []

    async def check() -> None:
        gone = asyncio.Event()
        who = Caller(Work("POST /second"), receive=leaving(gone))
        CALLER.set(who)
        async with slot._writing:
            waiting = asyncio.create_task(slot.write(lambda _: began.append(True)))
            gone.set()
            await until(lambda: who.work.stop.requested)
        with pytest.raises(Aborted, match="gone before it began"):
            await waiting
        assert not slot._writing.locked()

    asyncio.run(check())
    assert began == []


def test_the_board_is_free_only_when_a_stopped_call_has_ended(slot: BoardSlot) -> None:
    async def check() -> None:
        gone = asyncio.Event()
        who = Caller(Work("POST /first"), receive=leaving(gone))
        CALLER.set(who)

        def reads(link: object) -> None:
            while True:
                link.board.read_register("ADC")  # type: ignore[attr-defined]

        running = asyncio.create_task(slot.write(reads))
        await until(lambda: slot.calls.current is who)
        gone.set()
        with pytest.raises(Aborted):
            await running
        assert slot.calls.current is None
        assert not slot._writing.locked()
        last = slot.calls.last_stopped
        assert last is not None
        assert last.caller is who

    asyncio.run(check())


def test_a_call_that_ends_in_time_is_not_watched(slot: BoardSlot) -> None:
    asked: list[bool] = []

    async def receive() -> Message:
        asked.append(True)
        return {"type": "http.disconnect"}

    async def check() -> int:
        CALLER.set(Caller(receive=receive))
        await slot.read(lambda link: link.board.read_register("ADC"))
        return await slot.read(lambda _: COUNT)

    assert asyncio.run(check()) == COUNT
    assert asked == []


def test_the_last_call_that_had_the_board_is_remembered(slot: BoardSlot) -> None:
    async def check() -> None:
        who = Caller(Work("PATCH /settings"))
        CALLER.set(who)
        await slot.write(lambda link: link.chip.change_settings(th=41))
        CALLER.set(Caller(Work("GET /settings")))
        await slot.read(lambda link: link.chip.settings())
        last = slot.calls.last
        assert last is not None
        assert (last.caller, last.how) == (who, "it had come to its end")
        assert last.caller.work.done.changed
        assert slot.calls.last_stopped is None

    asyncio.run(check())


@pytest.mark.parametrize(
    ("opcode", "how"),
    [
        (Opcode.START, "stopped: its last command: aborted before it began"),
        (0, "stopped: aborted before it began"),
    ],
)
def test_what_the_board_says_of_a_command_is_not_said_of_the_whole_call(
    slot: BoardSlot, opcode: int, how: str
) -> None:
    def stopped(_: Connection) -> None:
        raise Aborted(Status.ABORTED, "aborted before it began", opcode=opcode)

    async def check() -> None:
        CALLER.set(Caller(Work("POST /program")))
        with pytest.raises(Aborted):
            await slot.write(stopped)
        last = slot.calls.last
        assert last is not None
        assert last.how == how

    asyncio.run(check())


def long_batch(slot: BoardSlot, began: threading.Event) -> Callable[[Connection], object]:
    """An inference of many samples."""
    samples = RNG.integers(0, 256, (MANY, 98), np.uint8)

    def run(link: Connection) -> object:
        return link.chip.infer(samples, on_progress=lambda *_: began.set())

    return run


def stopped_beside(slot: BoardSlot, other: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What another call gives that waits on the board behind one that is stopped."""

    async def check() -> T:
        gone, began = asyncio.Event(), threading.Event()
        who = Caller(Work("POST /infer"), receive=leaving(gone))
        CALLER.set(who)
        running = asyncio.create_task(slot.read(long_batch(slot, began)))
        await until(lambda: began.is_set() or running.done())
        CALLER.set(Caller(Work("other")))
        beside = asyncio.create_task(other())
        await until(lambda: len(slot.calls._running) > 1)
        gone.set()
        with pytest.raises(Aborted):
            await running
        return await beside

    return asyncio.run(check())


def test_an_inference_behind_one_that_is_stopped_is_answered(slot: BoardSlot) -> None:
    inputs = np.zeros((3, 98), np.uint8)

    async def infer() -> Inference:
        return await slot.read(lambda link: link.chip.infer(inputs))

    assert stopped_beside(slot, infer).outputs.shape == (3, 10)


def test_pulses_behind_an_inference_that_is_stopped_are_given_once(slot: BoardSlot) -> None:
    mask = np.zeros(ARRAY2.shape, np.bool_)
    mask[0, 0, 0] = True

    async def pulse() -> tuple[int, int]:
        before = await slot.read(lambda link: link.board.status().lifetime_pulses)
        given = await slot.write(lambda link: link.chip.pulse(2, PulseKind.SET, mask, count=3))
        after = await slot.read(lambda link: link.board.status().lifetime_pulses)
        return given, after - before

    assert stopped_beside(slot, pulse) == (3, 3)


def test_a_learning_step_is_stopped_in_the_middle_of_its_command(slot: BoardSlot) -> None:
    samples = RNG.integers(0, 256, (MANY, 98), np.uint8)
    labels = RNG.integers(0, 10, MANY, np.uint8)

    async def check() -> Done:
        gone, began = asyncio.Event(), threading.Event()
        who = Caller(Work("POST /train-step"), receive=leaving(gone))
        CALLER.set(who)

        def learn(link: Connection) -> object:
            return link.chip.train_step(samples, labels=labels, on_progress=lambda *_: began.set())

        running = asyncio.create_task(slot.write(learn))
        await until(lambda: began.is_set() or running.done())
        gone.set()
        with pytest.raises(Aborted) as raised:
            await running
        found = so_far(raised.value)
        assert found is not None
        return found

    done = asyncio.run(check())
    assert done.extent is not None
    assert 0 < done.extent.done < MANY


def request_of(headers: dict[str, str], client: tuple[str, int] | None) -> Request:
    """A request as a server gives it to the application."""
    raw = [(name.encode(), text.encode()) for name, text in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/x", "headers": raw, "query_string": b""}
    return Request({**scope, "client": client, "server": ("h", 1), "scheme": "http"}, no_receive)


async def no_receive() -> Message:
    raise AssertionError("nobody asks for the body")


def test_a_caller_is_known_by_its_address_and_its_own_name_for_the_call() -> None:
    who = Caller.of(request_of({"x-request-id": "r" * 101}, ("10.0.0.7", 4711)))
    assert (who.work.what, who.client) == ("POST /x", "10.0.0.7:4711")
    assert who.request_id == "r" * 100
    assert who.receive is no_receive
    nobody = Caller.of(request_of({}, None))
    assert (nobody.client, nobody.request_id) == (None, None)


def test_a_call_with_a_key_runs_to_its_end_though_its_client_goes() -> None:
    who = Caller.of(request_of({"idempotency-key": "k7"}, ("10.0.0.7", 4711)))
    assert who.receive is None
    assert who.work.what == "POST /x (k7)"


def test_the_call_that_has_the_board_is_told_before_those_that_share_it() -> None:
    async def check() -> None:
        calls, loop = RunningCalls(), asyncio.get_running_loop()
        reads, writes, later = (Caller(Work(name)) for name in ("read", "write", "later"))
        futures = {who: loop.create_future() for who in (reads, writes, later)}
        assert calls.current is None
        calls.add(reads, futures[reads], has_board=False)
        calls.add(later, futures[later], has_board=False)
        assert calls.current is reads  # the one that has run longest
        calls.add(writes, futures[writes], has_board=True)
        assert calls.current is writes
        futures[writes].set_exception(Aborted(Status.ABORTED, "stopped by a test"))
        futures[later].cancel()
        await asyncio.sleep(0)
        assert calls.current is reads
        assert calls.last is not None
        assert (calls.last.caller, calls.last.how) == (writes, "stopped: stopped by a test")
        assert calls.last_stopped is None
        reads.work.stop.request()
        futures[reads].set_exception(OSError("no way"))
        await asyncio.sleep(0)
        assert calls.current is None
        assert calls.last.caller is writes
        stopped = calls.last_stopped
        assert stopped is not None
        assert (stopped.caller, stopped.how) == (reads, "no way")

    asyncio.run(check())
