"""The host's side, frame by frame: doubts, when it gives up, and frames that make no sense."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.board_by_hand import BOOT, DONE, PULSE, READ, SESSION, BoardByHand

from starlab_spec.wire import codec
from starlab_spec.wire.congestion import MAX_TRIES
from starlab_spec.wire.frames import Frame, FrameFlag, FrameType, Nak
from starlab_spec.wire.requester.events import Ended, EndReason, RequesterState
from starlab_spec.wire.requester.keepalive import STATUS_TRIES
from starlab_spec.wire.transactions import Status


def test_a_silent_board_is_given_up_and_its_commands_are_in_doubt(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.requester.submit(READ, 0.0, flags=FrameFlag.READ_ONLY)
    board.requester.submit(PULSE, 0.0, flags=FrameFlag.DRY_RUN)
    frames = board.wait(60.0)
    resent = [frame.sequence for frame in frames if frame.type == FrameType.COMMAND]
    assert resent == [0, 1, 2, 2] + [0] * (MAX_TRIES - 1)
    asked = [frame for frame in frames if frame.type == FrameType.STATUS_REQUEST]
    assert len(asked) == STATUS_TRIES
    assert board.end() == Ended(
        EndReason.UNANSWERED,
        Status.OK,
        "8 timeouts of the oldest frame, 5 STATUS_REQUEST unanswered",
    )
    assert [command.message_id for command in board.requester.in_doubt()] == [1]
    assert not board.requester.outstanding[1].delivered


def test_a_command_of_which_a_part_was_never_sent_is_not_in_doubt(board: BoardByHand) -> None:
    board.requester.submit(bytes(1408 * 10), 0.0)
    board.requester.submit(PULSE, 0.0)
    board.wait(60.0)
    assert board.end().reason is EndReason.UNANSWERED
    assert board.requester.in_doubt() == []


def test_a_board_that_answers_but_takes_no_command_is_given_up_in_the_end(
    board: BoardByHand,
) -> None:
    board.requester.submit(PULSE, 0.0)
    while board.requester.state is RequesterState.OPEN:
        for frame in board.wait(0.1):
            if frame.type == FrameType.STATUS_REQUEST:
                board.status(1, message=frame.message)
    assert board.end().detail == (
        "the board answers STATUS_REQUEST, but in 8 timeouts no frame of the command got through"
    )


# ---- the end by the board


@pytest.mark.parametrize("kind", [FrameType.NAK, FrameType.RESET])
def test_the_board_ends_a_session_and_says_why(board: BoardByHand, kind: FrameType) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.say(kind, codec.encode_nak(Nak(Status.FENCED, "lease epoch 3 is older")))
    assert board.end() == Ended(EndReason.ENDED_BY_BOARD, Status.FENCED, "lease epoch 3 is older")
    assert [command.message_id for command in board.requester.in_doubt()] == [1]


@pytest.mark.parametrize("kind", [FrameType.NAK, FrameType.RESET, FrameType.STATUS])
def test_a_frame_with_another_boot_id_tells_of_a_restart(
    board: BoardByHand, kind: FrameType
) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.say(kind, b"", boot=0xB008)
    assert board.end() == Ended(
        EndReason.BOARD_RESTARTED, Status.OK, "boot id 0x0000B007 is now 0x0000B008"
    )


def test_frames_of_other_sessions_are_dropped_and_counted(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    board.reply(1, session=1)
    board.say(FrameType.NAK, b"", session=1)
    board.say(FrameType.DISCOVER)
    board.requester.receive(b"noise", 0.0)
    assert board.events[1:] == []
    assert board.requester.counters().frames_dropped == 4
    assert board.requester.counters().crc_errors == 0


def test_a_wrong_crc_is_counted_apart_from_what_else_is_dropped(board: BoardByHand) -> None:
    frame = codec.encode_frame(Frame(FrameType.ACK, session=SESSION, boot=BOOT))
    board.requester.receive(frame[:-1] + bytes([frame[-1] ^ 1]), 0.0)
    board.requester.receive(frame[:-1], 0.0)
    counters = board.requester.counters()
    assert (counters.crc_errors, counters.frames_dropped) == (1, 2)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            Frame,
            type=st.sampled_from([*FrameType, 0, 7, 99]),
            flags=st.integers(0, 0xFFFF),
            session=st.sampled_from([SESSION, SESSION, 0]),
            boot=st.sampled_from([BOOT, BOOT, BOOT, 5]),
            sequence=st.integers(0, 0xFFFFFFFF) | st.integers(0, 9),
            acknowledged=st.integers(0, 0xFFFFFFFF) | st.integers(0, 9),
            message=st.integers(0, 5),
            fragment=st.integers(0, 0xFFFF) | st.integers(0, 3),
            fragments=st.integers(0, 0xFFFF) | st.integers(1, 4),
            payload=st.binary(max_size=80) | st.just(DONE),
        ),
        max_size=30,
    )
)
def test_well_formed_nonsense_never_makes_the_host_raise(frames: list[Frame]) -> None:
    board = BoardByHand()
    board.open()
    for _ in range(3):
        board.requester.submit(PULSE, 0.0)
    for frame in frames:
        board.requester.receive(codec.encode_frame(frame), board.now)
        board.wait(0.05)
