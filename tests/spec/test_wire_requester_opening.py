"""The host's side, frame by frame: handshake, farewell, and a session that is resumed."""

import pytest
from tests.spec.board_by_hand import BOOT, DONE, LAST, PULSE, READ, SESSION, BoardByHand

from starlab_spec.wire import codec
from starlab_spec.wire.congestion import MAX_TRIES
from starlab_spec.wire.frames import BoardStatus, Frame, FrameFlag, FrameType, Hello, HelloAck, Nak
from starlab_spec.wire.requester.events import Ended, EndReason, Opened, Replied
from starlab_spec.wire.requester.greeting import BYE_TRIES
from starlab_spec.wire.requester.keepalive import STATUS_TRIES
from starlab_spec.wire.transactions import Status


def test_hello_is_repeated_under_one_nonce_until_it_is_given_up() -> None:
    board = BoardByHand()
    board.requester.open(0.0)
    frames = board.wait(60.0)
    assert [frame.type for frame in frames] == [FrameType.HELLO] * MAX_TRIES
    assert len({frame.message for frame in frames}) == 1
    assert board.end() == Ended(EndReason.UNANSWERED, Status.OK, "no answer to 8 HELLO")


def test_an_answer_to_somebody_elses_hello_is_none() -> None:
    board = BoardByHand()
    board.requester.open(0.0)
    (hello,) = board.sent()
    for message in (hello.message ^ 1, 0):
        board.say(FrameType.HELLO_ACK, codec.encode_hello_ack(HelloAck(1, 2)), message=message)
        board.say(FrameType.NAK, codec.encode_nak(Nak(4, "busy")), message=message)
    assert board.events == []


def test_a_refused_handshake_says_why() -> None:
    board = BoardByHand()
    board.requester.open(0.0)
    (hello,) = board.sent()
    refused = codec.encode_nak(Nak(Status.RANGE, "window 0 is below 1 frame"))
    board.say(FrameType.NAK, refused, session=0, message=hello.message)
    assert board.end() == Ended(EndReason.REFUSED, Status.RANGE, "window 0 is below 1 frame")


def test_the_grant_becomes_the_terms_of_the_session(board: BoardByHand) -> None:
    (opened,) = board.events
    assert isinstance(opened, Opened)
    assert opened.answer.window == 4
    board.requester.submit(PULSE, 0.0)
    (frame,) = board.sent()
    assert frame == Frame(
        FrameType.COMMAND, LAST, SESSION, BOOT, sequence=0, message=1, payload=PULSE
    )


def test_no_command_can_be_sent_before_the_session_is_open() -> None:
    board = BoardByHand()
    with pytest.raises(RuntimeError, match=r"^no command can be sent: HELLO sent$"):
        board.requester.submit(PULSE, 0.0)


def test_bye_is_repeated_until_it_is_confirmed_or_given_up(board: BoardByHand) -> None:
    board.requester.close(0.0)
    assert board.kinds() == [FrameType.BYE]
    board.say(FrameType.BYE)
    assert board.end().reason is EndReason.CLOSED

    deaf = BoardByHand()
    deaf.open()
    deaf.requester.close(0.0)
    assert [frame.type for frame in deaf.wait(10.0)] == [FrameType.BYE] * BYE_TRIES
    assert deaf.end() == Ended(EndReason.CLOSED, Status.OK, "BYE was not confirmed")


def test_a_resumed_session_begins_beyond_all_numbers_under_way() -> None:
    board = BoardByHand(Hello(resume_session=SESSION))
    board.requester.open(0.0)
    (hello,) = board.sent()
    assert hello.sequence > 1 << 16
    answer = codec.encode_hello_ack(HelloAck(SESSION, BOOT, next_message_id=9))
    board.say(FrameType.HELLO_ACK, answer, message=hello.message)
    assert board.kinds() == [FrameType.STATUS_REQUEST]
    board.status(9)
    assert board.requester.submit(PULSE, 0.0) == 9
    (command,) = board.sent()
    assert (command.sequence, command.message) == (hello.sequence, 9)


@pytest.mark.parametrize(
    ("status", "upcoming"),
    [
        (BoardStatus(9, executing_message_id=9), 10),
        (BoardStatus(10), 10),
        (BoardStatus(10, executing_message_id=9), 10),
    ],
    ids=["executing", "executed meanwhile", "a board that counts what it executes as begun"],
)
def test_a_resumed_session_goes_on_after_what_the_board_executes(
    status: BoardStatus, upcoming: int
) -> None:
    board = BoardByHand(Hello(resume_session=SESSION))
    board.requester.open(0.0)
    (hello,) = board.sent()
    answer = codec.encode_hello_ack(HelloAck(SESSION, BOOT, next_message_id=9))
    board.say(FrameType.HELLO_ACK, answer, message=hello.message)
    assert board.requester.answer is None
    board.say(FrameType.STATUS, codec.encode_status(status), message=1)
    assert board.requester.answer == HelloAck(SESSION, BOOT, next_message_id=upcoming)
    assert board.requester.next_message_id == upcoming


def test_the_reply_to_a_command_of_an_earlier_life_can_be_asked_for() -> None:
    board = BoardByHand(Hello(resume_session=SESSION))
    board.requester.open(0.0)
    (hello,) = board.sent()
    answer = codec.encode_hello_ack(HelloAck(SESSION, BOOT, next_message_id=9))
    board.say(FrameType.HELLO_ACK, answer, message=hello.message)
    board.status(9)
    board.sent()
    assert board.requester.submit(PULSE, 0.0, again=8) == 8
    assert board.requester.submit(READ, 0.0) == 9
    assert [frame.message for frame in board.sent()] == [8, 9]
    assert [command.message_id for command in board.requester.in_doubt()] == [8, 9]
    board.reply(8, flags=LAST | FrameFlag.REPLAYED)
    assert Replied(8, DONE, 0.0) in board.events
    assert board.requester.counters().replies_replayed == 1


def test_a_session_whose_board_tells_no_status_is_not_resumed() -> None:
    board = BoardByHand(Hello(resume_session=SESSION))
    board.requester.open(0.0)
    (hello,) = board.sent()
    answer = codec.encode_hello_ack(HelloAck(SESSION, BOOT, next_message_id=9))
    board.say(FrameType.HELLO_ACK, answer, message=hello.message)
    frames = board.wait(30.0)
    assert {frame.type for frame in frames} == {FrameType.STATUS_REQUEST}
    assert board.requester.answer is None
    assert board.end().detail == f"{STATUS_TRIES} STATUS_REQUEST unanswered"
