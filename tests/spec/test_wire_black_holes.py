"""Ways that swallow some frames and let the others through: every call ends, nothing runs twice."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.board_by_hand import DONE, PULSE, READ, BoardByHand
from tests.spec.wire_world import Network, World

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import BoardState, BoardStatus, Frame, FrameFlag, FrameType, Hello
from starlab_spec.wire.requester.events import EndReason, RequesterState
from starlab_spec.wire.requester.greeting import PAYLOAD_STEPS, PROBE_TRIES
from starlab_spec.wire.requester.keepalive import STATUS_OWED_MAX
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.transactions import Result, Status

BOUND_S = 30.0
"""Every call ends within this, whatever the way swallows."""
LONGER = 3 * 1408


def longer_than(limit: int) -> Callable[[bytes, bool], bool]:
    return lambda datagram, to_board: len(datagram) > limit


def of_length(length: int, *, to_board: bool = False) -> Callable[[bytes, bool], bool]:
    return lambda datagram, there: there is to_board and len(datagram) == length


def of_type(kind: FrameType, *, to_board: bool = False) -> Callable[[bytes, bool], bool]:
    return lambda datagram, there: there is to_board and datagram[3] == kind


def opened(**options: object) -> World:
    world = World(**options)  # type: ignore[arg-type]
    world.open()
    return world


def run_to_the_end(world: World) -> EndReason | None:
    began = world.now
    world.run_until_answered()
    assert world.now - began < BOUND_S
    return None if world.ended is None else world.ended.reason


# ---- replies that do not get through


@pytest.mark.parametrize("swallows", [longer_than(1200), of_length(1444)], ids=["long", "exact"])
def test_a_reply_that_is_swallowed_ends_the_session_although_the_board_answers(
    swallows: Callable[[bytes, bool], bool],
) -> None:
    world = opened()
    world.swallows = swallows
    pulse = world.submit(tr.start(1), tr.read_memory(0, LONGER))
    world.submit(tr.read_memory(0, 4), flags=FrameFlag.READ_ONLY)
    assert run_to_the_end(world) is EndReason.SWALLOWED
    assert world.ended is not None
    assert world.ended.detail == (
        "the board answers STATUS_REQUEST, but asked 8 times for its reply to message 1 it got "
        "none through"
    )
    assert world.board.lifetime_pulses == 1
    assert world.requester.outstanding[pulse].delivered
    assert [command.message_id for command in world.requester.in_doubt()] == [pulse]


def test_one_small_reply_after_another_does_not_hold_up_the_end() -> None:
    world = opened()
    world.swallows = longer_than(1200)
    world.submit(tr.read_memory(0, LONGER))
    for _ in range(200):
        world.submit(tr.read_memory(0, 4))
    assert run_to_the_end(world) is EndReason.SWALLOWED


@pytest.mark.parametrize("kind", list(FrameType))
@pytest.mark.parametrize("to_board", [True, False])
@pytest.mark.parametrize("resumed", [False, True])
def test_every_call_ends_whatever_type_of_frame_is_swallowed(
    kind: FrameType, to_board: bool, resumed: bool
) -> None:
    world = opened(execution_s=0.3)
    world.swallows = of_type(kind, to_board=to_board)
    for _ in range(3):
        world.submit(tr.start(1), tr.read_memory(0, LONGER))
    if resumed:
        world.run_for(0.5)
        hello = replace(world.hello, resume_session=world.requester.answer.session_id)  # type: ignore[union-attr]
        world.requester = Requester(hello, rng=random.Random(5))
        world.requester.open(world.now)
        world.run_until(lambda: world.requester.answer is not None or world.ended, BOUND_S)
    else:
        run_to_the_end(world)
    assert world.board.lifetime_pulses <= 3
    doubtful = len(world.requester.in_doubt())
    assert world.board.lifetime_pulses <= len(world.replies) + doubtful or resumed


@pytest.mark.parametrize("swallows", [longer_than(1200), of_length(1444, to_board=True)])
def test_a_request_that_is_swallowed_in_part_is_never_executed(
    swallows: Callable[[bytes, bool], bool],
) -> None:
    world = opened()
    world.swallows = swallows
    world.submit(tr.write_memory(0, bytes(LONGER)), tr.start(1))
    assert run_to_the_end(world) is EndReason.SWALLOWED
    assert world.board.lifetime_pulses == 0


def test_a_long_execution_is_waited_for_however_long_it_takes() -> None:
    world = opened(execution_s=300.0)
    world.submit(tr.start(1))
    world.submit(tr.start(1))
    world.run_until(lambda: len(world.replies) == 2, limit_s=700)
    assert world.ended is None


# ---- boards that answer, but not what is missing


def answer_while_open(board: BoardByHand, status: BoardStatus, *, acks: bool = True) -> None:
    """Acknowledge all and answer each STATUS_REQUEST so, for as long as the host asks."""
    while board.requester.state is RequesterState.OPEN:
        assert board.now < BOUND_S
        for frame in board.wait(0.05):
            if frame.type == FrameType.COMMAND and acks:
                board.acknowledged = frame.sequence + 1
            elif frame.type == FrameType.STATUS_REQUEST:
                payload = codec.encode_status(status)
                board.say(FrameType.STATUS, payload, message=frame.message)


@pytest.mark.parametrize("upcoming", [1, 2])
def test_a_board_that_never_replies_is_given_up(board: BoardByHand, upcoming: int) -> None:
    board.requester.submit(PULSE, 0.0)
    answer_while_open(board, BoardStatus(upcoming))
    assert board.end().reason is EndReason.SWALLOWED


def test_a_board_that_runs_something_of_an_earlier_session_is_waited_for(
    board: BoardByHand,
) -> None:
    board.requester.submit(PULSE, 0.0)
    with pytest.raises(AssertionError):
        answer_while_open(board, BoardStatus(1, state=BoardState.EXECUTING))


@pytest.mark.parametrize("flags", [FrameFlag.BUSY | FrameFlag.LAST, FrameFlag.LAST])
def test_a_board_that_puts_off_for_ever_is_given_up(board: BoardByHand, flags: FrameFlag) -> None:
    refusal = Status.BUSY if flags & FrameFlag.BUSY else Status.IN_PROGRESS
    board.requester.submit(PULSE, 0.0)
    while board.requester.state is RequesterState.OPEN:
        assert board.now < BOUND_S
        for frame in board.wait(0.05):
            if frame.type == FrameType.COMMAND:
                board.acknowledged = frame.sequence + 1
                payload = tr.encode_results([Result(tr.Opcode.START, refusal)])
                board.reply(1, payload, flags=int(flags))
            elif frame.type == FrameType.STATUS_REQUEST:
                board.status(1, message=frame.message)
    assert board.end().reason is EndReason.SWALLOWED


def test_a_board_whose_status_is_swallowed_is_given_up_although_it_replies(
    board: BoardByHand,
) -> None:
    board.requester.request_status(0.0)
    asked = 0
    while board.requester.state is RequesterState.OPEN:
        assert board.now < BOUND_S
        number = board.requester.submit(READ, board.now, flags=FrameFlag.READ_ONLY)
        frames = board.wait(0.05)
        asked += sum(frame.type == FrameType.STATUS_REQUEST for frame in frames)
        board.acknowledged = number
        board.reply(number, DONE)
    assert asked == STATUS_OWED_MAX
    assert board.end().reason is EndReason.SWALLOWED
    assert board.end().detail == ("frames come, but 16 STATUS_REQUEST were answered by no STATUS")


# ---- the next session


class Wary:
    """A host that has lost frames on its way before."""

    def __init__(self, payload_bytes: int = 1408) -> None:
        self.requester = Requester(
            Hello(payload_bytes=payload_bytes), rng=random.Random(1), wary=True
        )
        self.now = 0.0
        self.requester.open(self.now)

    def says(self, *, later: bool = False) -> tuple[FrameType, int]:
        """Type of the next frame, and the payload that it carries or asks for."""
        if later:
            due = self.requester.deadline()
            assert due is not None
            self.now = due
            self.requester.expire(self.now)
        (datagram,) = self.requester.datagrams(self.now)
        frame = codec.decode_frame(datagram)
        self.nonce = frame.message
        if frame.type == FrameType.HELLO:
            return FrameType.HELLO, codec.decode_hello(frame.payload).payload_bytes
        return FrameType(frame.type), len(frame.payload)

    def hears_announce(self, length: int) -> None:
        frame = Frame(FrameType.ANNOUNCE, message=self.nonce, payload=b"{}".ljust(length))
        self.requester.receive(codec.encode_frame(frame), self.now)


def test_who_has_lost_frames_proves_the_payload_before_it_asks_for_it() -> None:
    host = Wary(1024)
    assert host.says() == (FrameType.DISCOVER, 1024)
    host.hears_announce(1024)
    assert host.says() == (FrameType.HELLO, 1024)


def test_who_gets_no_answer_takes_the_next_smaller_payload_that_is_answered() -> None:
    host = Wary()
    said = [host.says(), *(host.says(later=True) for _ in range(2 * PROBE_TRIES))]
    assert said == [
        *[(FrameType.DISCOVER, 1408)] * PROBE_TRIES,
        *[(FrameType.DISCOVER, 1024)] * PROBE_TRIES,
        (FrameType.DISCOVER, 512),
    ]
    host.hears_announce(512)
    assert host.says() == (FrameType.HELLO, 512)


def test_the_least_payload_needs_no_proof() -> None:
    host = Wary()
    probes = PROBE_TRIES * (len(PAYLOAD_STEPS) - 1)
    said = [host.says(), *(host.says(later=True) for _ in range(probes))]
    assert said[-1] == (FrameType.HELLO, 128)


def test_a_board_that_answers_short_is_taken_at_its_word() -> None:
    host = Wary(1024)
    host.says()
    host.hears_announce(100)
    assert host.says() == (FrameType.HELLO, 1024)


def test_a_jumbo_payload_that_does_not_come_back_leads_to_the_usual_one_proven() -> None:
    host = Wary(8896)
    said = [host.says(), *(host.says(later=True) for _ in range(PROBE_TRIES))]
    assert said[-1] == (FrameType.DISCOVER, 1408)


@pytest.mark.parametrize(("resumable", "told"), [(True, False), (False, True)])
def test_a_board_is_told_of_a_loss_unless_somebody_may_resume(resumable: bool, told: bool) -> None:
    board = BoardByHand(resumable=resumable)
    board.open()
    board.requester.submit(PULSE, 0.0)
    said = []
    while board.requester.state is RequesterState.OPEN:
        for frame in board.wait(0.05):
            said.append(frame.type)
            if frame.type == FrameType.STATUS_REQUEST:
                board.status(1, message=frame.message)
    said += [frame.type for frame in board.sent()]
    assert (FrameType.RESET in said) is told


@settings(max_examples=40, deadline=None)
@given(
    limit=st.integers(100, 1500),
    exact=st.booleans(),
    to_board=st.sampled_from([True, False, None]),
    loss=st.sampled_from([0.0, 0.0, 0.1]),
    sizes=st.lists(st.sampled_from([4, 200, 1000, 1396, 1400, 4000]), min_size=1, max_size=6),
    seed=st.integers(0, 999),
)
def test_whatever_lengths_are_swallowed_each_pulse_is_given_once_or_in_doubt(
    limit: int, exact: bool, to_board: bool | None, loss: float, sizes: list[int], seed: int
) -> None:
    world = opened(network=Network(loss=loss), seed=seed)

    def swallows(datagram: bytes, there: bool) -> bool:
        concerned = to_board is None or there is to_board
        return concerned and (len(datagram) == limit if exact else len(datagram) > limit)

    world.swallows = swallows
    numbers = [world.submit(tr.start(size), tr.read_memory(0, size)) for size in sizes]
    run_to_the_end(world)
    given_ = [operation for (operation,) in world.board.executed]
    assert given_ == sizes[: len(given_)]
    doubtful = {command.message_id for command in world.requester.in_doubt()}
    for number in numbers:
        executed = number <= len(given_)
        assert not (executed and number not in world.replies and number not in doubtful)
        assert not (number in world.replies and not executed)
