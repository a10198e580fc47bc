"""Who waits for a call, and what becomes of it when nobody does any more."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from starlette.types import Message, Receive
from tests.api.conftest import Emulator

from starlab_api import ServerSettings
from starlab_api.all_boards import Boards
from starlab_api.boards import BoardSlot
from starlab_api.callers import CALLER, Caller
from starlab_host import Aborted, Work

COUNT = 5


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
