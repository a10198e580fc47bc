"""What a caller is told of a session that is over, and of a reply that is none; and its thread."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from starlab_host.errors import (
    BoardAway,
    BoardMisbehaves,
    HandshakeRefused,
    LinkLost,
    OutcomeUnknown,
    SessionEnded,
    StarlabHostError,
)
from starlab_host.session import idle_thread
from starlab_host.session.failures import failure_of, no_session, results_of
from starlab_host.session.idle_thread import IdleThread
from starlab_host.session.reply_shapes import message_bytes
from starlab_host.session.waiting import Call
from starlab_spec.operations import Operation
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import BoardState, BoardStatus, FrameFlag
from starlab_spec.wire.requester.events import Command, Ended, EndReason
from starlab_spec.wire.transactions import Result, Status

ASKED = {1: [tr.start(Operation.SET)], 2: [tr.read_memory(0, 8)], 3: [tr.start(Operation.RESET)]}


def requester(
    doubtful: tuple[int, ...] = (), *, status: BoardStatus | None = None, delivered: bool = False
) -> Any:
    """A state machine that is over, with its commands 1 to 3 outstanding since second 5."""
    commands = {number: Command(number, bytes(number), 0, 5.0) for number in ASKED}
    for command in commands.values():
        command.delivered = delivered
    return SimpleNamespace(
        outstanding=commands,
        in_doubt=lambda: [commands[number] for number in doubtful],
        last_status=status,
    )


def told(reason: EndReason, message_id: int | None, of: Any, detail: str = "") -> StarlabHostError:
    return failure_of(Ended(reason, Status.OK, detail), of, message_id, ASKED, 7.5)


def test_who_is_in_doubt_is_told_of_all_that_is() -> None:
    error = told(EndReason.UNANSWERED, 1, requester((1, 3)), "8 timeouts")
    assert isinstance(error, OutcomeUnknown)
    assert [number for number, _ in error.commands] == [1, 3]
    assert str(error).startswith("message 1 (START 0x40000) has no reply after 2.5 s, ")
    assert "the request was not acknowledged: " in str(error)
    assert "(8 timeouts). It may have been executed: read back" in str(error)


def test_who_is_not_in_doubt_is_told_why_the_link_is_lost() -> None:
    status = BoardStatus(4, 3, state=BoardState.EXECUTING)
    of = requester((1, 3), status=status, delivered=True)
    error = told(EndReason.SWALLOWED, 2, of)
    assert type(error) is LinkLost
    assert "message 2 (READ_MEM 0x0) has no reply" in str(error)
    assert "the request arrived, the reply is missing" in str(error)
    assert str(error).endswith("; last status: EXECUTING, next message 4, executing 3")
    idle = requester(status=BoardStatus(4))
    assert str(told(EndReason.UNANSWERED, None, idle)).endswith("next message 4, executing none")


@pytest.mark.parametrize("message_id", [None, 9])
def test_who_waits_for_no_command_is_told_of_none(message_id: int | None) -> None:
    error = told(EndReason.CLOSED, message_id, requester((1,), status=BoardStatus(4)))
    assert type(error) is SessionEnded
    # what the board said last matters only where the link was lost
    assert str(error) == EndReason.CLOSED.value


def test_a_board_that_misbehaves_is_named_as_such_but_where_there_is_doubt() -> None:
    of = requester((1,))
    assert type(told(EndReason.MISBEHAVED, 2, of, "a lie")) is BoardMisbehaves
    assert type(told(EndReason.MISBEHAVED, 1, of, "a lie")) is OutcomeUnknown


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (EndReason.REFUSED, HandshakeRefused),
        (EndReason.MISBEHAVED, BoardMisbehaves),
        (EndReason.UNANSWERED, BoardAway),
    ],
)
def test_a_handshake_that_came_to_nothing_says_why(
    reason: EndReason, kind: type[Exception]
) -> None:
    error = no_session(Ended(reason, Status.BUSY, "why"))
    assert type(error) is kind
    assert "why" in str(error)


# ---- replies


def reply(*results: Result) -> bytes:
    return tr.encode_results(results)


def call(flags: int = 0) -> Call:
    asked = [tr.start(Operation.SET)]
    return Call(asked, tr.encode_transactions(asked), flags)


def test_a_good_reply_is_its_results() -> None:
    done = Result(tr.Opcode.START, Status.OK)
    assert results_of(call(), 4, reply(done)) == [done]


def test_a_reply_that_is_none_leaves_a_write_in_doubt_and_names_it() -> None:
    with pytest.raises(OutcomeUnknown, match="reply to message 4: ") as caught:
        results_of(call(), 4, b"\x30")
    assert caught.value.commands == ((4, "START 0x40000"),)


@pytest.mark.parametrize("flag", [FrameFlag.READ_ONLY, FrameFlag.DRY_RUN])
def test_a_reply_that_is_none_changes_nothing_after_a_read_or_a_rehearsal(flag: FrameFlag) -> None:
    with pytest.raises(BoardMisbehaves, match="reply to message 4: "):
        results_of(call(int(flag)), 4, b"\x30")


def test_only_a_rehearsal_may_answer_without_data() -> None:
    asked = [tr.read_memory(0, 8)]
    empty = reply(Result(tr.Opcode.READ_MEM, Status.OK))
    payload = tr.encode_transactions(asked)
    assert len(results_of(Call(asked, payload, int(FrameFlag.DRY_RUN)), 1, empty)) == 1
    with pytest.raises(BoardMisbehaves):
        results_of(Call(asked, payload, int(FrameFlag.READ_ONLY)), 1, empty)


def test_the_message_that_is_stuck_is_the_request_or_the_reply_of_known_length() -> None:
    asked = {1: [tr.read_memory(0, 5), tr.read_registers(0, 2), tr.get_supply(0)]}
    assert message_bytes(requester(), asked) == 1
    assert message_bytes(requester(delivered=True), asked) == (12 + 8) + (12 + 8) + (12 + 12)
    assert message_bytes(requester(delivered=True), {1: [tr.abort()]}) == 12
    # what nobody can tell, nobody asked, or nobody waits for
    assert message_bytes(requester(delivered=True), {1: [tr.abort(), tr.start(1)]}) is None
    assert message_bytes(requester(delivered=True), {}) is None
    assert message_bytes(SimpleNamespace(outstanding={}), asked) is None  # type: ignore[arg-type]


# ---- the thread that looks after an idle session


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert idle_thread._STEP_S == 0.25
    monkeypatch.setattr(idle_thread, "_STEP_S", 0.0)


def looking(looks: Callable[[], bool]) -> IdleThread:
    thread = IdleThread(looks)
    assert (thread._thread.daemon, thread._thread.name) == (True, "keepalive")
    thread.start()
    return thread


def test_it_looks_until_it_is_told_that_there_is_nothing_more(quick: None) -> None:
    seen: list[int] = []

    def look() -> bool:
        seen.append(1)
        return len(seen) < 3

    thread = looking(look)
    thread._thread.join(60)
    assert len(seen) == 3
    thread.stop()


def test_after_a_stop_it_has_ended_and_looks_no_more(quick: None) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def look() -> bool:
        inside.set()
        assert go_on.wait(60)
        return True

    thread = looking(look)
    assert inside.wait(60)
    stopping = threading.Thread(target=thread.stop)
    stopping.start()
    assert stopping.is_alive()
    go_on.set()
    stopping.join(60)
    assert not thread._thread.is_alive()
    thread.stop()


def test_it_may_stop_itself_and_be_stopped_before_it_began(quick: None) -> None:
    IdleThread(lambda: True).stop()  # nothing to wait for

    def stop_itself() -> bool:
        thread.stop()
        return True

    thread = IdleThread(stop_itself)
    thread.start()
    thread._thread.join(60)
    assert not thread._thread.is_alive()
