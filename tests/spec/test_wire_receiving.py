"""Which frames have come, when that is said, and messages out of fragments."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.frames import Frame, FrameFlag, FrameType
from starlab_spec.wire.receiving import ACK_DELAY_S, Arrival, Assembler, ReceiveWindow

WRAP = 1 << 32


def received(window: ReceiveWindow, *sequences: int, flags: int = 0) -> list[Arrival]:
    return [window.accept(sequence % WRAP, flags, 0.0) for sequence in sequences]


def says_at_once(window: ReceiveWindow) -> bool:
    """Whether an acknowledgement is due now; it is taken."""
    if not window.due(0.0):
        return False
    window.acknowledgement(0.0)
    return True


@given(
    first=st.sampled_from([0, 5, WRAP - 3]),
    offsets=st.lists(st.integers(-5, 160), max_size=120),
)
def test_the_window_agrees_with_a_set_of_all_that_came(first: int, offsets: list[int]) -> None:
    window, came, expected = ReceiveWindow(128, first), set(range(-10, 0)), 0
    for offset in offsets:
        (arrival,) = received(window, first + offset)
        if offset in came:
            assert arrival is Arrival.DUPLICATE
        elif offset > expected + 128:
            assert arrival is Arrival.BEYOND
        else:
            assert arrival is Arrival.NEW
            came.add(offset)
        while expected in came:
            expected += 1
        assert window.expected == (first + expected) % WRAP
    ack = window.acknowledgement(0.0)
    bits = f"{ack.bitmap:0128b}"
    assert [bit == "1" for bit in bits] == [expected + 1 + i in came for i in range(128)]
    assert (ack.cumulative, ack.credit) == (window.expected, 128)


def test_every_eighth_frame_is_acknowledged() -> None:
    window = ReceiveWindow(32)
    due = [received(window, n) and says_at_once(window) for n in range(24)]
    assert [n for n, said in enumerate(due) if said] == [7, 15, 23]


@pytest.mark.parametrize(("size", "every"), [(1, 1), (2, 1), (4, 2), (16, 8), (128, 8)])
def test_a_small_window_is_acknowledged_before_it_runs_dry(size: int, every: int) -> None:
    window = ReceiveWindow(size)
    due = [received(window, n) and says_at_once(window) for n in range(32)]
    said = [n for n, now in enumerate(due) if now]
    assert said[0] == every - 1
    assert {later - earlier for earlier, later in pairwise(said)} == {every}


@pytest.mark.parametrize("flag", [FrameFlag.ACK_NOW, FrameFlag.LAST])
def test_a_last_fragment_and_a_wish_are_acknowledged_at_once(flag: FrameFlag) -> None:
    window = ReceiveWindow(32)
    received(window, 0, flags=flag)
    assert says_at_once(window)


def test_a_gap_and_its_filling_are_acknowledged_at_once_but_not_what_follows_it() -> None:
    window = ReceiveWindow(32)
    received(window, 0)
    assert not says_at_once(window)
    received(window, 2)
    assert says_at_once(window)
    received(window, 3, 4)
    assert not says_at_once(window)
    received(window, 1)
    assert says_at_once(window)
    assert window.expected == 5


def test_a_gap_filled_in_part_is_acknowledged_at_once() -> None:
    window = ReceiveWindow(32)
    received(window, 5)
    assert says_at_once(window)
    received(window, 3)
    assert says_at_once(window)


def test_a_duplicate_is_acknowledged_at_once_and_counted() -> None:
    window = ReceiveWindow(32)
    received(window, 0, 2)
    assert says_at_once(window)
    for old in (0, 2):
        assert received(window, old) == [Arrival.DUPLICATE]
        assert says_at_once(window)
    assert window.duplicates == 2


def test_a_single_frame_is_acknowledged_after_a_moment() -> None:
    window = ReceiveWindow(32)
    assert window.deadline() is None
    window.accept(0, 0, 7.0)
    assert window.deadline() == 7.0 + ACK_DELAY_S
    assert not window.due(7.0)
    assert window.due(7.0 + ACK_DELAY_S)


def test_a_frame_that_goes_the_other_way_acknowledges_unless_there_is_a_gap() -> None:
    window = ReceiveWindow(32)
    received(window, 0, flags=FrameFlag.LAST)
    window.acknowledged_in_passing()
    assert not window.due(0.0)
    received(window, 2)
    window.acknowledged_in_passing()
    assert window.due(0.0)


def test_the_acknowledgement_says_how_late_it_is() -> None:
    window = ReceiveWindow(32)
    window.accept(0, 0, 1.0)
    assert window.acknowledgement(1.00025).delay_us == pytest.approx(250, abs=1)
    window.accept(1, 0, 2.0)
    assert window.acknowledgement(9.0).delay_us == 0xFFFF


def fragments(message: bytes, size: int, message_id: int = 1) -> list[Frame]:
    parts = [message[at : at + size] for at in range(0, len(message), size)]
    return [
        Frame(
            FrameType.COMMAND,
            message=message_id,
            fragment=index,
            fragments=len(parts),
            payload=part,
        )
        for index, part in enumerate(parts)
    ]


@given(st.binary(min_size=1, max_size=300), st.integers(1, 50), st.randoms())
def test_fragments_in_any_order_and_number_make_the_message_once(
    message: bytes, size: int, rng: object
) -> None:
    assert hasattr(rng, "shuffle")
    parts = fragments(message, size)
    if len(parts) > 1:
        parts = parts[:-1] * 2 + parts[-1:]
    rng.shuffle(parts)
    assembler, whole = Assembler(8), []
    for part in parts:
        made = assembler.add(part)
        if made is not None:
            whole.append(made)
            break
    assert whole == [message]


def test_messages_are_assembled_apart() -> None:
    one, two = fragments(b"onetwo", 3, 1), fragments(b"threee", 3, 2)
    assembler = Assembler(8)
    assert assembler.add(one[0]) is None
    assert assembler.add(two[1]) is None
    assert assembler.add(one[1]) == b"onetwo"
    assert assembler.add(two[0]) == b"threee"


@pytest.mark.parametrize(
    ("frames", "problem"),
    [
        ([(3, 3)], "^fragment 3 of 3$"),
        ([(0, 0)], "^fragment 0 of 0$"),
        ([(1, 1)], "^fragment 1 of 1$"),
        ([(0, 60_000)], "^60000 fragments are above the 11916 limit$"),
        ([(0, 3), (1, 4)], "^a fragment of 4 in a message of 3 fragments$"),
    ],
)
def test_fragments_that_cannot_be_are_refused(frames: list[tuple[int, int]], problem: str) -> None:
    assembler = Assembler(8)
    *good, bad = (
        Frame(FrameType.COMMAND, message=1, fragment=index, fragments=count)
        for index, count in frames
    )
    for frame in good:
        assembler.add(frame)
    with pytest.raises(PayloadError, match=problem):
        assembler.add(bad)


def test_a_message_that_grows_too_long_is_dropped() -> None:
    assembler = Assembler(8)
    part = Frame(FrameType.COMMAND, message=1, fragments=2000, payload=bytes(8896))
    for index in range(1885):
        assert assembler.add(part._replace(fragment=index)) is None
    with pytest.raises(PayloadError, match=r"^a message is above the 16777216-byte limit$"):
        assembler.add(part._replace(fragment=1885))
    assert assembler.add(fragments(b"onetwo", 3, 1)[0]) is None
    assert assembler.add(fragments(b"onetwo", 3, 1)[1]) == b"onetwo"


def test_no_more_messages_are_kept_in_part_than_there_is_room_for() -> None:
    assembler = Assembler(2)
    for message_id in (1, 2, 3):
        assert assembler.add(fragments(b"onetwo", 3, message_id)[0]) is None
    assert assembler.add(fragments(b"onetwo", 3, 1)[1]) is None
    assert assembler.add(fragments(b"onetwo", 3, 3)[1]) == b"onetwo"
