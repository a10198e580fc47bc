"""What a host refuses of the terms and states that a board tells: by name, value and limit."""

from dataclasses import replace

import pytest
from tests.spec.board_by_hand import BOOT, DONE, PULSE, SESSION, BoardByHand

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import BoardStatus, Feature, FrameType, Hello, HelloAck
from starlab_spec.wire.requester.events import EndReason, Opened, RequesterState

GOOD = HelloAck(SESSION, BOOT)
WISH = Hello(window=32, payload_bytes=1408)


def greet(answer: HelloAck | bytes, hello: Hello = WISH, **fields: int) -> BoardByHand:
    """A host that has said HELLO and was answered so."""
    board = BoardByHand(hello)
    board.requester.open(0.0)
    (said,) = board.sent()
    payload = answer if isinstance(answer, bytes) else codec.encode_hello_ack(answer)
    board.say(FrameType.HELLO_ACK, payload, message=said.message, **fields)
    return board


def test_good_terms_are_taken() -> None:
    assert greet(GOOD).events == [Opened(GOOD)]
    smaller = replace(GOOD, window=1, payload_bytes=32)
    assert greet(smaller).events == [Opened(smaller)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"session_id": 0}, "session id 0 is none"),
        ({"boot_id": 0}, "boot id 0x00000000 in a frame of boot id 0x0000B007"),
        ({"boot_id": 7}, "boot id 0x00000007 in a frame of boot id 0x0000B007"),
        ({"version": 0x20}, "version 32 is above the 16 limit"),
        ({"version": 0x00}, "version 0 is below the 16 limit"),
        ({"window": 0}, "window 0 is below the 1 limit (frames)"),
        ({"window": 33}, "window 33 is above the 32 limit (frames)"),
        ({"payload_bytes": 0}, "payload 0 is below the 32 limit (bytes)"),
        ({"payload_bytes": 31}, "payload 31 is below the 32 limit (bytes)"),
        ({"payload_bytes": 1409}, "payload 1409 is above the 1408 limit (bytes)"),
        ({"features": Feature.JUMBO}, "features 0x0001 were not asked for"),
        ({"features": 1 << 15}, "features 0x8000 were not asked for"),
        ({"next_message_id": 0}, "next message id 0: the ids of a session start at 1"),
        ({"next_message_id": 2}, "next message id 2: the ids of a session start at 1"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_name(change: dict[str, int], problem: str) -> None:
    board = greet(replace(GOOD, **change))  # type: ignore[arg-type]
    assert board.end().reason is EndReason.MISBEHAVED
    assert board.end().detail == f"HELLO_ACK: {problem}"
    (reset,) = board.sent()
    assert (reset.type, reset.session, reset.boot) == (FrameType.RESET, SESSION, BOOT)


@pytest.mark.parametrize(("wanted", "granted"), [(128, 129), (300, 129)])
def test_no_window_is_wider_than_the_bitmap(wanted: int, granted: int) -> None:
    board = greet(replace(GOOD, window=granted), Hello(window=wanted))
    assert board.end().detail == "HELLO_ACK: window 129 is above the 128 limit (frames)"


def test_another_session_than_the_one_to_resume_is_refused() -> None:
    board = greet(GOOD, Hello(resume_session=7))
    assert "session 0x00005E55 is not 0x00000007" in board.end().detail
    assert board.sent() == []


def test_an_answer_that_is_cut_off_is_refused_at_once() -> None:
    board = greet(codec.encode_hello_ack(GOOD)[:-1])
    assert board.end().detail == "HELLO_ACK: HELLO_ACK identity of 2 bytes is cut off"


def test_an_answer_to_somebody_else_says_nothing() -> None:
    board = BoardByHand()
    board.requester.open(0.0)
    board.say(FrameType.HELLO_ACK, b"", message=1)
    assert board.requester.state is RequesterState.OPENING


# ---- in the session


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (BoardStatus(0), "next message id 0 is below the 1 limit"),
        (BoardStatus(3), "next message id 3 is above the 2 limit"),
        (BoardStatus(1, 3), "executing message id 3 with next message id 1"),
        (BoardStatus(2, 2), "executing message id 2 is above the 1 limit"),
    ],
)
def test_a_status_of_commands_that_were_never_sent_is_refused(
    board: BoardByHand, status: BoardStatus, problem: str
) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.say(FrameType.STATUS, codec.encode_status(status))
    assert board.end().reason is EndReason.MISBEHAVED
    assert board.end().detail == f"STATUS: {problem}"
    assert [command.message_id for command in board.requester.in_doubt()] == [1]


@pytest.mark.parametrize("executing", [0, 1])
def test_a_status_of_what_was_sent_is_taken(board: BoardByHand, executing: int) -> None:
    board.requester.submit(PULSE, 0.0)
    board.status(1, executing)
    board.status(2, executing)
    assert board.requester.state is RequesterState.OPEN


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (FrameType.STATUS, b"short"),
        (FrameType.STATUS, bytes(3) + b"\1" + bytes(16) + b"\4" + bytes(3)),
        (FrameType.ACK, b""),
        (FrameType.EVENT, b"\x09" + bytes(11)),
        (FrameType.EVENT, b"\1" + bytes(11) + b"\xff"),
        (FrameType.NAK, b"\1\0\0\x09x"),
        (FrameType.RESET, b"\1\0\0\1\xff"),
    ],
)
def test_a_frame_of_the_session_that_cannot_be_read_ends_it_by_name(
    board: BoardByHand, kind: FrameType, payload: bytes
) -> None:
    board.say(kind, payload)
    assert board.end().reason is EndReason.MISBEHAVED
    assert board.end().detail.startswith(f"{kind.name}: ")


def test_fragments_that_contradict_themselves_end_the_session(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.reply(1, DONE, fragment=3, fragments=2)
    assert board.end().detail == "REPLY: fragment 3 of 2"


def test_such_frames_of_another_session_are_dropped(board: BoardByHand) -> None:
    board.say(FrameType.STATUS, b"", session=1)
    assert board.requester.state is RequesterState.OPEN
    assert board.requester.counters().frames_dropped == 1


def test_a_command_that_reads_is_not_in_doubt_after_it(board: BoardByHand) -> None:
    board.requester.submit(tr.encode_transactions([tr.identify()]), 0.0, flags=4)
    board.say(FrameType.STATUS, b"")
    assert board.requester.in_doubt() == []
