"""What the board's side of the protocol keeps, sends and hands out has an end, met exactly."""

import random

import pytest
from tests.spec.wire_table import Host, Table, refusal

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Frame, FrameType, Hello, longest_message_bytes
from starlab_spec.wire.receiving import ACK_EVERY, Arrival, Assembler, ReceiveWindow
from starlab_spec.wire.responder.bounds import Rate, Recent
from starlab_spec.wire.responder.reply_cache import CachedReply, ReplyCache
from starlab_spec.wire.responder.responder import NAKS_PER_S, Responder
from starlab_spec.wire.transactions import Opcode, Result, Status


class FromTheStart(random.Random):
    """Draws the least number that it may, and then the next ones."""

    def __init__(self) -> None:
        super().__init__(1)
        self.drawn = 0

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        self.drawn += 1
        return start + self.drawn // 2


def test_idle_time_is_not_saved_up_for_a_burst_of_refusals(table: Table, host: Host) -> None:
    for idle_s in (0.0, 3600.0, 1e9):
        table.now += idle_s
        refused = sum(len(host.send(FrameType.ACK, session=0x1234)) for _ in range(1000))
        assert refused == NAKS_PER_S
    table.now += 0.1
    assert len(host.send(FrameType.ACK, session=0x1234)) == 1
    assert host.send(FrameType.ACK, session=0x1234) == []


def test_a_rate_lets_pass_what_it_says_and_not_one_more() -> None:
    rate = Rate(4.0)
    assert [rate.allows(100.0) for _ in range(6)] == [True] * 4 + [False] * 2
    assert [rate.allows(100.25) for _ in range(2)] == [True, False]
    assert [rate.allows(100.375) for _ in range(1)] == [False]
    assert [rate.allows(100.5) for _ in range(2)] == [True, False]
    assert sum(rate.allows(1e6) for _ in range(99)) == 4


def test_a_table_of_the_latest_forgets_the_oldest() -> None:
    recent: Recent[str, int] = Recent(3)
    for number, key in enumerate("abc"):
        recent.put(key, number)
    recent.put("a", 9)  # the latest again
    recent.put("d", 3)
    assert [recent.get(key) for key in "abcd"] == [9, None, 2, 3]


def test_of_sessions_that_ended_the_latest_sixteen_are_remembered(table: Table) -> None:
    ended = []
    for number in range(20):
        table.now += 1
        host = Host(table)
        host.open(nonce=number)
        ended.append(host.session)
        host.send(FrameType.BYE)
    told = []
    for session in ended:
        table.now += 1
        told.append(refusal(host.send(FrameType.COMMAND, session=session))[1])
    assert ["not known here" in word for word in told] == [True] * 4 + [False] * 16
    assert set(told[4:]) == {"the session was closed"}


def test_no_session_is_number_0_and_none_has_the_number_of_one_that_ended() -> None:
    table = Table()
    table.responder = Responder(table.board, rng=FromTheStart())
    numbers = []
    for nonce in range(4):
        host = Host(table)
        host.open(nonce=nonce)
        numbers.append(host.session)
        host.send(FrameType.BYE)
    assert numbers == [1, 2, 3, 4]


def test_a_frame_of_session_0_is_refused_and_belongs_to_nobody(table: Table, host: Host) -> None:
    answers = host.send(FrameType.COMMAND, tr.encode_transactions([tr.start(1)]), session=0)
    assert refusal(answers)[0] == Status.BAD_REQUEST
    assert table.board.executed == []


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_reply_may_be_as_long_as_the_longest_message_and_no_longer(beyond: int) -> None:
    table = Table()
    host = Host(table)
    granted = host.open(Hello(payload_bytes=64))
    limit = longest_message_bytes(granted.payload_bytes)
    empty = len(tr.encode_results([Result(Opcode.START, Status.OK, 0, b"")]))
    long = Result(Opcode.START, Status.OK, 0, bytes(limit - empty))
    assert len(tr.encode_results([long])) == limit
    if beyond:
        long = Result(Opcode.START, Status.OK, 0, bytes(limit - empty + 4))
    table.slow = True
    host.command(1, tr.start(1))
    work = table.running
    assert work is not None
    table.responder.complete(work, [long], table.now)
    answers = table.turn()
    if beyond:
        parts = (frame.payload for frame in answers if frame.type == FrameType.REPLY)
        (result,) = tr.decode_results(b"".join(parts))
        assert result.status == Status.RANGE
        assert f"above the {limit}-byte limit" in result.message
    else:
        first = next(frame for frame in answers if frame.type == FrameType.REPLY)
        assert (first.fragments, len(first.payload)) == (limit // 64, 64)


def test_a_session_ends_in_safe_at_the_very_end_of_its_silence(table: Table, host: Host) -> None:
    table.now = 2.999
    table.responder.expire(table.now)
    table.turn()
    assert table.board.safe_reasons == []
    table.now = 3.0
    table.responder.expire(table.now)
    table.turn()
    assert len(table.board.safe_reasons) == 1


# ---- frames and messages that come in part


def window_of(*sequences: int, window: int = 32) -> ReceiveWindow:
    receive = ReceiveWindow(window)
    for sequence in sequences:
        receive.accept(sequence, 0, 0.0)
    return receive


def test_a_frame_128_ahead_is_remembered_and_one_beyond_is_not() -> None:
    receive = window_of()
    assert receive.accept(129, 0, 0.0) is Arrival.BEYOND
    assert receive.accept(128, 0, 0.0) is Arrival.NEW
    assert receive.accept(128, 0, 0.0) is Arrival.DUPLICATE
    assert receive.acknowledgement(0.0).bitmap == 1
    for sequence in range(128):
        assert receive.accept(sequence, 0, 0.0) is Arrival.NEW
    assert receive.expected == 129


def test_numbers_that_wrap_around_go_on() -> None:
    receive = ReceiveWindow(32, 0xFFFFFFFE)
    for sequence in (0xFFFFFFFE, 0, 0xFFFFFFFF):
        assert receive.accept(sequence, 0, 0.0) is Arrival.NEW
    assert receive.expected == 1
    assert receive.accept(0xFFFFFFFF, 0, 0.0) is Arrival.DUPLICATE


@pytest.mark.parametrize(
    ("window", "every"), [(1, 1), (2, 1), (3, 1), (8, 4), (15, 7), (16, 8), (128, 8)]
)
def test_an_acknowledgement_comes_after_so_many_frames_at_latest(window: int, every: int) -> None:
    assert ACK_EVERY == 8
    receive = ReceiveWindow(window)
    for sequence in range(every):
        assert not receive.due(0.0)
        receive.accept(sequence, 0, 0.0)
    assert receive.due(0.0)


def test_an_acknowledgement_comes_after_five_milliseconds_at_latest() -> None:
    receive = window_of()
    receive.accept(0, 0, 10.0)
    receive.accept(1, 0, 10.004)
    assert receive.deadline() == 10.005
    assert not receive.due(10.0049)
    assert receive.due(10.005)
    told = receive.acknowledgement(10.006)
    assert (told.cumulative, told.delay_us) == (2, 2000)
    assert receive.deadline() is None


def fragment(number: int, of: int, message: int = 1, payload: bytes = b"x") -> Frame:
    return Frame(FrameType.COMMAND, message=message, fragment=number, fragments=of, payload=payload)


def test_messages_in_part_are_kept_up_to_a_number_and_the_oldest_goes() -> None:
    assembler = Assembler(capacity=3)
    for message in range(1, 5):
        assert assembler.add(fragment(0, 2, message)) is None
    # the first one is forgotten: its second half alone does not complete it
    assert assembler.add(fragment(1, 2, 4)) == b"xx"
    assert assembler.add(fragment(1, 2, 3)) == b"xx"
    assert assembler.add(fragment(1, 2, 2)) == b"xx"
    assert assembler.add(fragment(1, 2, 1)) is None


def test_a_fragment_that_comes_twice_counts_once() -> None:
    assembler = Assembler()
    for number in (0, 2, 0, 2):
        assert assembler.add(fragment(number, 3, payload=b"%d" % number)) is None
    assert assembler.add(fragment(1, 3, payload=b"1")) == b"012"


# ---- replies that are remembered


def cached(*, read_only: bool = False) -> CachedReply:
    return CachedReply(1, b"", read_only)


def test_a_cache_holds_four_windows_and_forgets_only_what_it_may() -> None:
    cache = ReplyCache(2)
    for message in range(1, 9):
        assert cache.make_room()
        cache.add(message, cached())
    assert not cache.make_room()  # eight replies that the host may miss
    cache.confirm(2)
    assert cache.make_room()
    assert [cache.get(message) is None for message in (1, 2, 3)] == [True, False, False]
    cache.add(9, cached())
    assert cache.make_room()
    cache.add(10, cached())
    assert not cache.make_room()
    assert all(cache.get(message) is not None for message in range(3, 11))


def test_replies_of_reads_go_first_and_at_once_when_they_have_arrived() -> None:
    cache = ReplyCache(1)
    for message in range(1, 5):
        cache.add(message, cached(read_only=message in (2, 3)))
    assert cache.make_room()
    assert [cache.get(message) is None for message in range(1, 5)] == [False, True, False, False]
    cache.confirm(3)
    assert cache.get(3) is None
    assert cache.get(1) is not None
