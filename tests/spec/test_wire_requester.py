"""The host's side, frame by frame: commands, replies and news of the board."""

import pytest
from tests.spec.board_by_hand import BOOT, DONE, LAST, PULSE, READ, SESSION, BoardByHand, ids

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.frames import (
    Acknowledgement,
    BoardStatus,
    Event,
    EventKind,
    Frame,
    FrameFlag,
    FrameType,
)
from starlab_spec.wire.requester.events import Replied, Reported, StatusCame
from starlab_spec.wire.transactions import Opcode, Result, Status


def test_a_reply_is_given_out_once_and_acknowledged_at_once(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.now = 0.25
    board.reply(1)
    assert board.events[1:] == [Replied(1, DONE, 0.25)]
    (ack,) = board.sent()
    assert codec.decode_ack(ack.payload) == Acknowledgement(1, 0, 4, 0)
    board.reply(1, sequence=0, flags=LAST | FrameFlag.REPLAYED)
    board.reply(1, sequence=1, flags=LAST | FrameFlag.REPLAYED)
    assert ids(board.events) == [1]


def test_a_next_command_carries_the_acknowledgement(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.reply(1, acknowledged=1)
    board.requester.submit(PULSE, 0.0)
    (command,) = board.sent()
    assert (command.type, command.acknowledged) == (FrameType.COMMAND, 1)


def test_no_more_commands_are_sent_than_the_board_holds(board: BoardByHand) -> None:
    for _ in range(7):
        board.requester.submit(PULSE, 0.0)
    assert [frame.message for frame in board.sent()] == [1, 2, 3, 4]
    board.reply(1, acknowledged=4)
    assert [frame.message for frame in board.sent()] == [5]
    board.reply(3)
    assert [f.message for f in board.sent() if f.type == FrameType.COMMAND] == []
    board.reply(2)
    assert [frame.message for frame in board.sent()] == [6, 7]


def test_an_urgent_command_overtakes_what_waits(board: BoardByHand) -> None:
    for _ in range(7):
        board.requester.submit(PULSE, 0.0)
    board.sent()
    board.requester.submit(tr.encode_transactions([tr.abort()]), 0.0, urgent=True)
    assert [frame.message for frame in board.sent()] == [8]


def test_a_command_too_long_for_one_message_is_refused_with_the_limit(board: BoardByHand) -> None:
    with pytest.raises(
        PayloadError, match=r"^command of 16777729 bytes is above the 16777216-byte limit$"
    ):
        board.requester.submit(bytes((16 << 20) + 513), 0.0)


def test_a_reply_in_fragments_is_put_together(board: BoardByHand) -> None:
    board.requester.submit(READ, 0.0)
    board.sent()
    for part in (2, 0, 1):
        board.reply(
            1, DONE[4 * part : 4 * part + 4], sequence=part, fragment=part, fragments=3, flags=0
        )
    assert board.events[1:] == [Replied(1, DONE, 0.0)]


def test_in_progress_is_no_reply(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.reply(1, tr.encode_results([Result(Opcode.START, Status.IN_PROGRESS)]))
    assert ids(board.events) == []
    board.reply(1)
    assert ids(board.events) == [1]


def test_a_command_that_the_board_had_no_room_for_is_sent_again_later(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    busy = tr.encode_results([Result(Opcode.START, Status.BUSY)])
    board.acknowledged = 1
    board.reply(1, busy, flags=LAST | FrameFlag.BUSY)
    again = [frame for frame in board.wait(0.5) if frame.type == FrameType.COMMAND]
    assert again[0] == Frame(
        FrameType.COMMAND, LAST, SESSION, BOOT, 1, again[0].acknowledged, 1, payload=PULSE
    )
    board.reply(1, acknowledged=2)
    assert ids(board.events) == [1]
    assert board.requester.outstanding == {}


def test_a_status_busy_of_the_boards_own_is_a_reply(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.reply(1, tr.encode_results([Result(Opcode.START, Status.BUSY)]))
    assert ids(board.events) == [1]


def test_a_reply_that_got_lost_on_the_way_is_asked_for_by_the_same_command(
    board: BoardByHand,
) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.say(FrameType.ACK, codec.encode_ack(Acknowledgement(1, 0, 4)))
    (request,) = board.wait(1.0)
    assert request.type == FrameType.STATUS_REQUEST
    board.status(1, executing=1)
    assert board.kinds() == []
    board.wait(1.0)
    board.status(2)
    (command,) = board.sent()
    assert (command.type, command.sequence, command.message) == (FrameType.COMMAND, 1, 1)


def test_news_of_commands_and_of_the_board_are_given_out(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    progress, safe = Event(EventKind.PROGRESS, 1, 2, "x"), Event(EventKind.ENTERED_SAFE)
    board.say(FrameType.EVENT, codec.encode_event(progress), message=1)
    board.say(FrameType.EVENT, codec.encode_event(safe))
    assert board.events[1:] == [Reported(1, progress), Reported(0, safe)]


# ---- time


def test_an_idle_host_asks_for_the_status_every_second(board: BoardByHand) -> None:
    asked_at = []
    while board.now < 5.5:
        for frame in board.wait(0.01):
            assert frame.type == FrameType.STATUS_REQUEST
            asked_at.append(board.now)
            board.status(1, message=frame.message)
    assert asked_at == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0], abs=0.06)


def test_a_wanted_status_is_asked_for_until_it_comes_whatever_else_comes(
    board: BoardByHand,
) -> None:
    assert board.requester.request_status(0.0) == 1
    assert board.kinds() == [FrameType.STATUS_REQUEST]
    board.say(FrameType.EVENT, codec.encode_event(Event(EventKind.PROGRESS)), message=1)
    requests = [f.message for f in board.wait(0.2) if f.type == FrameType.STATUS_REQUEST]
    assert requests == [2]
    board.status(1, message=2)
    assert board.events[-1] == StatusCame(BoardStatus(1), 2)
    assert board.wait(0.9) == []
