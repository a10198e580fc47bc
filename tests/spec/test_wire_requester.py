"""The host's side, frame by frame: handshake, replies, doubts, and when it gives up."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.congestion import MAX_TRIES
from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.frames import (
    Acknowledgement,
    BoardStatus,
    Event,
    EventKind,
    Frame,
    FrameFlag,
    FrameType,
    Hello,
    HelloAck,
    Nak,
)
from starlab_spec.wire.keepalive import STATUS_TRIES
from starlab_spec.wire.requester import BYE_TRIES, Requester
from starlab_spec.wire.requester_events import (
    Ended,
    EndReason,
    Opened,
    Replied,
    Reported,
    RequesterEvent,
    RequesterState,
    StatusCame,
)
from starlab_spec.wire.transactions import Opcode, Result, Status

SESSION, BOOT = 0x5E55, 0xB007
LAST = int(FrameFlag.LAST)
PULSE = tr.encode_transactions([tr.start(1)])
READ = tr.encode_transactions([tr.read_registers(0)])
DONE = tr.encode_results([Result(Opcode.START, Status.OK)])


class BoardByHand:
    """A requester, and a board that says what a test says."""

    def __init__(self, hello: Hello | None = None) -> None:
        self.now = 0.0
        self.requester = Requester(Hello() if hello is None else hello, rng=random.Random(1))
        self.sequence = self.acknowledged = 0
        self.events: list[RequesterEvent] = []

    def sent(self) -> list[Frame]:
        """What the host sends now."""
        return [codec.decode_frame(d) for d in self.requester.datagrams(self.now)]

    def kinds(self) -> list[FrameType]:
        """Types of the frames that the host sends now."""
        return [FrameType(frame.type) for frame in self.sent()]

    def say(self, kind: FrameType, payload: bytes = b"", **fields: int) -> None:
        """A frame from the board."""
        own = {
            "session": SESSION,
            "boot": BOOT,
            "sequence": self.sequence,
            "acknowledged": self.acknowledged,
        }
        datagram = codec.encode_frame(Frame(kind, payload=payload, **(own | fields)))
        self.requester.receive(datagram, self.now)
        if kind in (FrameType.REPLY, FrameType.EVENT):
            self.sequence = fields.get("sequence", self.sequence) + 1
        self.events += self.requester.events()

    def reply(self, message: int, payload: bytes = DONE, **fields: int) -> None:
        self.say(FrameType.REPLY, payload, message=message, **({"flags": LAST} | fields))

    def status(self, upcoming: int, executing: int = 0, **fields: int) -> None:
        self.say(FrameType.STATUS, codec.encode_status(BoardStatus(upcoming, executing)), **fields)

    def open(self, window: int = 32) -> None:
        """Let the handshake succeed."""
        self.requester.open(self.now)
        (hello,) = self.sent()
        answer = HelloAck(SESSION, BOOT, window=window)
        payload = codec.encode_hello_ack(answer)
        self.say(FrameType.HELLO_ACK, payload, message=hello.message, sequence=0)

    def wait(self, seconds: float) -> list[Frame]:
        """Let time pass; returns what the host sends on the way."""
        end, frames = self.now + seconds, self.sent()
        while True:
            due = self.requester.deadline()
            if due is None or due > end:
                self.now = end
                return frames
            self.now = max(self.now, due)
            self.requester.expire(self.now)
            frames += self.sent()
            self.events += self.requester.events()

    def end(self) -> Ended:
        """How the session ended."""
        (ended,) = (event for event in self.events if isinstance(event, Ended))
        assert self.requester.state is RequesterState.CLOSED
        return ended


@pytest.fixture
def board() -> BoardByHand:
    """A board with an open session of window 4."""
    opened = BoardByHand()
    opened.open(window=4)
    return opened


def ids(events: list[RequesterEvent]) -> list[int]:
    return [event.message_id for event in events if isinstance(event, Replied)]


# ---- handshake and end


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


# ---- commands and replies


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
