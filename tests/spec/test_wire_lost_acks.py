"""Ways that swallow the ACKs and little else: what they tell is told by other frames too."""

import itertools
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.board_by_hand import DONE, PULSE, READ, BoardByHand
from tests.spec.wire_world import Network, World

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Event, EventKind, FrameFlag, FrameType, Hello
from starlab_spec.wire.receiving import ACK_DELAY_S, REPEATED_S, ReceiveWindow
from starlab_spec.wire.requester.events import EndReason, RequesterState, StatusCame

ACK = FrameType.ACK
ACK_BYTES = 60
FRAGMENTS = 200
Way = Callable[[bytes, bool], bool]


class Counting(World):
    """A world that counts what is sent, by type and direction."""

    def _carry(self, datagram: bytes, peer: str, *, to_board: bool) -> None:
        self.sent[FrameType(datagram[3]), to_board] += 1
        super()._carry(datagram, peer, to_board=to_board)

    def __post_init__(self) -> None:
        self.sent: Counter[tuple[FrameType, bool]] = Counter()
        super().__post_init__()

    def call(self, size: int) -> float:
        """A command and a reply of that size, and a pulse; returns how long they took."""
        began = self.now
        self.submit(tr.write_memory(0, bytes(size)), tr.start(1), tr.read_memory(0, size))
        self.run_until_answered()
        return self.now - began


def opened(
    *,
    payload_bytes: int = 1408,
    window: int = 32,
    network: Network | None = None,
    seed: int = 0,
) -> Counting:
    hello = Hello(client_name="world", payload_bytes=payload_bytes, window=window)
    world = Counting(network or Network(), seed=seed, hello=hello)
    world.open()
    return world


def of_types(*kinds: FrameType, towards: tuple[bool, ...] = (True, False)) -> Way:
    return lambda datagram, to_board: to_board in towards and datagram[3] in kinds


def of_length_to_board(datagram: bytes, to_board: bool) -> bool:
    return to_board and len(datagram) == ACK_BYTES


WITHOUT_ACKS = pytest.mark.parametrize(
    "swallows",
    [
        of_types(ACK, towards=(True,)),
        of_types(ACK, towards=(False,)),
        of_types(ACK),
        of_length_to_board,
    ],
    ids=["to board", "to host", "both", "length"],
)


@WITHOUT_ACKS
@pytest.mark.parametrize("payload_bytes", [1408, 128])
def test_long_commands_and_replies_take_little_longer_without_acks(
    swallows: Way, payload_bytes: int
) -> None:
    size = FRAGMENTS * payload_bytes
    good, world = opened(payload_bytes=payload_bytes), opened(payload_bytes=payload_bytes)
    usual_s = good.call(size)
    world.swallows = swallows
    assert world.call(size) < 0.3
    world.sent.clear()
    assert max(world.call(size) for _ in range(20)) < usual_s + 0.05
    assert world.sent[FrameType.COMMAND, True] < 20 * 1.1 * FRAGMENTS
    assert world.sent[FrameType.REPLY, False] < 20 * 1.1 * FRAGMENTS
    told = world.sent[FrameType.STATUS, False] + world.sent[FrameType.STATUS_REQUEST, True]
    assert told < 20 * 2 * 2 * FRAGMENTS / 8
    assert world.board.lifetime_pulses == 21
    assert world.ended is None


@pytest.mark.parametrize("window", [1, 2, 4, 128])
def test_windows_of_every_size_move_on_without_acks(window: int) -> None:
    world = opened(window=window)
    world.swallows = of_types(ACK)
    world.call(4 * 1408)
    assert world.call(FRAGMENTS * 1408) < 0.2


def test_a_good_way_carries_nothing_more() -> None:
    world = opened()
    for _ in range(5):
        world.call(FRAGMENTS * 1408)
    assert world.sent[FrameType.STATUS_REQUEST, True] == world.sent[FrameType.STATUS, False] == 0


@pytest.mark.parametrize("duplication", [0.3, 1.0])
def test_a_way_that_doubles_frames_is_not_taken_for_one_that_swallows_acks(
    duplication: float,
) -> None:
    world = opened(network=Network(duplication=duplication, jitter_s=0.0005))
    for _ in range(5):
        world.call(FRAGMENTS * 1408)
    assert world.sent[FrameType.STATUS_REQUEST, True] == world.sent[FrameType.STATUS, False] == 0


@WITHOUT_ACKS
@pytest.mark.parametrize("fragments", [1, 40, FRAGMENTS])
def test_a_stop_is_answered_within_its_second(swallows: Way, fragments: int) -> None:
    world = opened()
    world.swallows = swallows
    for after_s in (0.0, 0.0003, 0.003, 0.03, 0.3):
        world.submit(tr.write_memory(0, bytes(4)), tr.read_memory(0, fragments * 1408))
        world.submit(tr.write_memory(0, bytes(fragments * 1408)))
        world.run_for(after_s)
        asked_at = world.now
        stop = world.submit(tr.abort(), urgent=True)
        world.run_until(lambda number=stop: number in world.replies, limit_s=1.0)
        assert world.now - asked_at < 0.5
    world.run_until_answered()
    assert world.ended is None


@pytest.mark.parametrize(
    "kinds",
    list(itertools.combinations([ACK, FrameType.STATUS_REQUEST, FrameType.STATUS], 2)),
)
@pytest.mark.parametrize("towards", [(True,), (False,), (True, False)])
@pytest.mark.parametrize("payload_bytes", [1408, 128])
def test_every_call_ends_whichever_two_types_are_swallowed(
    kinds: tuple[FrameType, FrameType], towards: tuple[bool, ...], payload_bytes: int
) -> None:
    world = opened(payload_bytes=payload_bytes)
    world.swallows = of_types(*kinds, towards=towards)
    for _ in range(5):
        if world.ended is None:
            assert world.call(FRAGMENTS * payload_bytes) < 30.0
    assert world.board.lifetime_pulses <= len(world.replies) + len(world.requester.in_doubt())
    if world.ended is None:
        assert world.board.lifetime_pulses == 5
    else:
        assert world.ended.reason in (EndReason.SWALLOWED, EndReason.UNANSWERED)


@settings(max_examples=40, deadline=None)
@given(
    towards=st.sampled_from([(True,), (False,), (True, False)]),
    loss=st.sampled_from([0.0, 0.05, 0.2]),
    duplication=st.sampled_from([0.0, 0.2]),
    jitter_s=st.sampled_from([0.0, 0.01]),
    sizes=st.lists(st.sampled_from([4, 1400, 40 * 1408]), min_size=1, max_size=6),
    seed=st.integers(0, 999),
)
def test_each_pulse_is_given_once_without_acks(
    towards: tuple[bool, ...],
    loss: float,
    duplication: float,
    jitter_s: float,
    sizes: list[int],
    seed: int,
) -> None:
    network = Network(loss=loss, duplication=duplication, jitter_s=jitter_s)
    world = opened(network=network, seed=seed)
    world.swallows = of_types(ACK, towards=towards)
    for number, size in enumerate(sizes, 1):
        world.submit(tr.write_memory(0, bytes(size)), tr.start(number), tr.read_memory(0, size))
    world.run_until_answered()
    given_ = [operation for (operation,) in world.board.executed]
    assert given_ == list(range(1, len(given_) + 1))
    doubtful = {command.message_id for command in world.requester.in_doubt()}
    assert set(given_) <= set(world.replies) | doubtful
    assert set(world.replies) <= set(given_)


# ---- when an acknowledgement is told twice


def told(window: ReceiveWindow, now: float) -> bool:
    """Acknowledge; whether another frame is to tell it as well."""
    window.acknowledgement(now)
    return window.to_be_told_twice()


def repeated(window: ReceiveWindow) -> float:
    """Sixteen frames come, are acknowledged, and the first comes once more; returns when."""
    for sequence in range(16):
        window.accept(sequence, 0, 1.0)
    assert not told(window, 1.0)
    window.accept(0, 0, 1.0 + REPEATED_S)
    return 1.0 + REPEATED_S


def test_what_is_repeated_although_an_ack_told_of_it_is_told_twice() -> None:
    window = ReceiveWindow(32)
    now = repeated(window)
    assert told(window, now)
    assert not told(window, now)


def test_a_copy_that_comes_at_once_and_what_no_ack_told_of_are_told_once() -> None:
    window = ReceiveWindow(32)
    window.accept(0, 0, 1.0)
    window.accept(0, 0, 2.0)
    assert not told(window, 2.0)
    window.accept(0, 0, 2.0 + REPEATED_S / 2)
    assert not told(window, 2.1)
    window.accept(1, 0, 3.0)
    window.accept(1, 0, 4.0)
    assert not told(window, 4.0)


def test_then_acknowledgements_of_eight_frames_are_told_twice_until_acks_are_tried_alone() -> None:
    window = ReceiveWindow(32)
    now = repeated(window)
    assert told(window, now)
    twice = []
    for sequence in range(16, 16 + 40 * 8):
        window.accept(sequence, 0, now)
        if told(window, now):
            twice.append(sequence - 15)
    assert twice == list(range(8, 32 * 8, 8))


def test_a_frame_with_the_acknowledgement_in_its_header_is_the_second_one() -> None:
    window = ReceiveWindow(32)
    now = repeated(window)
    assert told(window, now)
    for sequence in range(16, 24):
        window.accept(sequence, 0, now)
    window.acknowledged_in_passing()
    assert not told(window, now)


def test_a_repeat_is_not_told_of_again_if_a_frame_that_arrives_for_certain_carries_it() -> None:
    window = ReceiveWindow(32)
    repeated(window)
    window.acknowledged_in_passing()
    window.accept(0, 0, 2.0)
    assert not told(window, 2.0)


def test_a_frame_sent_again_acknowledges_only_what_it_said_before(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.sent()
    due = board.requester.deadline()
    assert due is not None
    board.now = due
    board.say(FrameType.EVENT, codec.encode_event(Event(EventKind.PROGRESS)), message=1)
    board.requester.expire(board.now)
    (again,) = board.sent()
    assert (again.type, again.acknowledged) == (FrameType.COMMAND, 0)
    frames = board.wait(ACK_DELAY_S)
    assert [(frame.type, frame.acknowledged) for frame in frames] == [(ACK, 1)]


# ---- what such frames must not do


def test_a_status_that_nobody_asked_for_answers_no_question(board: BoardByHand) -> None:
    board.requester.request_status(0.0)
    assert board.kinds() == [FrameType.STATUS_REQUEST]
    board.status(1)
    again = board.wait(0.2)
    assert [frame.type for frame in again] == [FrameType.STATUS_REQUEST]
    board.status(1, message=again[0].message)
    assert board.wait(0.9) == []


def test_a_board_that_tells_twice_does_it_once_and_under_the_number_of_no_question() -> None:
    world = opened(window=4)
    world.swallows = of_types(ACK, towards=(False,))
    asked = world.sent[FrameType.STATUS_REQUEST, True]
    world.submit(tr.write_memory(0, bytes(5 * 1408)))
    world.run_until(lambda: any(isinstance(event, StatusCame) for event in world.events))
    world.run_until_answered()
    assert world.sent[FrameType.STATUS_REQUEST, True] == asked
    assert [e.request for e in world.events if isinstance(e, StatusCame)] == [0] * world.sent[
        FrameType.STATUS, False
    ]
    assert world.sent[FrameType.STATUS, False] <= 3


def test_a_reply_is_not_asked_for_while_parts_of_it_come(board: BoardByHand) -> None:
    board.requester.submit(PULSE, 0.0)
    board.acknowledged = 1
    for fragment in range(6):
        board.wait(0.02)
        board.reply(1, DONE[fragment : fragment + 1], fragment=fragment, fragments=7, flags=0)
        board.status(2)
        assert FrameType.COMMAND not in [frame.type for frame in board.wait(0.01)[1:]]
    board.wait(0.2)
    board.status(2)
    assert board.kinds() == [FrameType.COMMAND]


def test_a_host_that_tells_twice_does_not_count_it_as_a_question(board: BoardByHand) -> None:
    """The board repeats every reply, and no STATUS gets through."""
    for number in range(1, 41):
        board.requester.submit(READ, board.now, flags=FrameFlag.READ_ONLY)
        board.wait(0.001)
        board.acknowledged = number
        board.reply(number)
        board.wait(0.02)
        board.reply(number, sequence=number - 1)
        assert FrameType.STATUS_REQUEST in board.kinds()
    assert board.requester.state is RequesterState.OPEN
