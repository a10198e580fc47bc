"""Exactly once, whatever the network does: both machines on a simulated clock."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.wire_world import Network, World

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import FrameFlag, Hello
from starlab_spec.wire.requester.events import EndReason
from starlab_spec.wire.transactions import Status

# at a loss of a third and more each way a session may rightly end: no STATUS comes through
bad_networks = st.builds(
    Network,
    loss=st.floats(0, 0.25),
    duplication=st.floats(0, 0.4),
    jitter_s=st.sampled_from([0.0, 0.0003, 0.01, 0.2]),
)


@settings(max_examples=150, deadline=None)
@given(
    network=bad_networks,
    seed=st.integers(0, 2**32),
    window=st.sampled_from([1, 2, 8, 32, 128]),
    execution_s=st.sampled_from([0.0, 0.0, 0.05]),
    kinds=st.lists(st.sampled_from("swr"), min_size=1, max_size=40),
)
def test_every_command_is_executed_once_and_in_order(
    network: Network, seed: int, window: int, execution_s: float, kinds: list[str]
) -> None:
    world = World(network, seed, Hello(window=window), execution_s)
    world.open()
    starts, writes = [], []
    for number, kind in enumerate(kinds):
        if kind == "s":
            world.submit(tr.start(number))
            starts.append((number,))
        elif kind == "w":
            content = bytes([number]) * (number * 700 + 1)
            world.submit(tr.write_memory(0, content))
            writes.append(content)
        else:
            world.submit(tr.read_memory(number, number * 700), flags=FrameFlag.READ_ONLY)
    world.run_until_answered()
    assert world.ended is None
    assert world.board.executed == starts
    assert world.board.written == writes
    assert sorted(world.replies) == list(range(1, len(kinds) + 1))
    for payload in world.replies.values():
        (result,) = tr.decode_results(payload)
        assert result.status == Status.OK
    world.run_for(5.0)
    assert world.board.executed == starts


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.3),
    cut_after_s=st.floats(0.0, 0.02),
    cut_s=st.floats(0.05, 3.0),
)
def test_a_cut_that_heals_costs_time_and_nothing_else(
    seed: int, loss: float, cut_after_s: float, cut_s: float
) -> None:
    world = World(Network(loss=loss), seed)
    world.open()
    for number in range(20):
        world.submit(tr.start(number))
        world.submit(tr.write_memory(0, bytes(5000)))
    world.run_for(cut_after_s)
    world.cut = True
    world.run_for(cut_s)
    world.cut = False
    world.run_until_answered()
    assert world.ended is None
    assert world.board.executed == [(number,) for number in range(20)]
    assert len(world.board.written) == 20


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), network=bad_networks, cut_after_s=st.floats(0.0, 0.05))
def test_after_a_cut_for_good_every_command_was_executed_or_is_in_doubt_or_never_left(
    seed: int, network: Network, cut_after_s: float
) -> None:
    world = World(network, seed, Hello(window=8))
    world.open()
    for number in range(1, 31):
        assert world.submit(tr.start(number)) == number
    world.run_for(cut_after_s)
    world.cut = True
    world.run_until(lambda: world.ended)
    executed = {number for (number,) in world.board.executed}
    assert len(executed) == len(world.board.executed)
    answered = set(world.replies)
    doubtful = {command.message_id for command in world.requester.in_doubt()}
    assert answered <= executed <= answered | doubtful
    assert not doubtful & set(range(min(world.requester.outstanding, default=31) + 8, 31))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), network=bad_networks, restart_after_s=st.floats(0.0, 0.05))
def test_after_a_restart_of_the_board_nothing_is_sent_again(
    seed: int, network: Network, restart_after_s: float
) -> None:
    world = World(network, seed)
    world.open()
    for number in range(1, 31):
        world.submit(tr.start(number))
    world.run_for(restart_after_s)
    world.restart_board()
    executed_before = list(world.board.executed)
    world.run_until(lambda: world.ended or not world.requester.outstanding)
    world.run_for(5.0)
    assert world.board.executed == executed_before
    if world.ended is not None:
        assert world.ended.reason is EndReason.BOARD_RESTARTED
        doubtful = {command.message_id for command in world.requester.in_doubt()}
        assert {n for (n,) in executed_before} <= set(world.replies) | doubtful


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    network=bad_networks,
    execution_s=st.sampled_from([0.0, 0.0, 0.05]),
    crash_after_s=st.floats(0.0, 0.5),
)
def test_a_host_that_has_crashed_learns_what_was_executed_and_sends_the_rest(
    seed: int, network: Network, execution_s: float, crash_after_s: float
) -> None:
    world = World(network, seed, Hello(window=8), execution_s)
    world.open()
    for number in range(1, 31):
        world.submit(tr.start(number))
    world.run_for(crash_after_s)
    known = set(world.replies)
    world.crash_host()
    upcoming = world.requester.next_message_id
    assert known <= set(range(1, upcoming))
    for number in range(max(1, upcoming - 8), upcoming):
        world.submit(tr.start(number), again=number)
    for number in range(upcoming, 31):
        assert world.submit(tr.start(number)) == number
    world.run_until_answered()
    world.run_for(5.0)
    assert world.ended is None
    assert world.board.executed == [(number,) for number in range(1, 31)]
    assert set(world.replies) == set(range(max(1, upcoming - 8), 31))
    for payload in world.replies.values():
        (result,) = tr.decode_results(payload)
        assert result.status == Status.OK


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), network=bad_networks, abort_after_s=st.floats(0.0, 0.3))
def test_an_abort_is_answered_and_what_it_stopped_was_not_executed(
    seed: int, network: Network, abort_after_s: float
) -> None:
    world = World(network, seed, execution_s=0.05)
    world.open()
    for number in range(1, 11):
        world.submit(tr.start(number))
    world.run_for(abort_after_s)
    abort = world.submit(tr.abort(), urgent=True)
    later = world.submit(tr.start(99))
    world.run_until_answered()
    assert world.ended is None
    statuses = {
        message: tr.decode_results(payload)[0].status for message, payload in world.replies.items()
    }
    done = [n for n in range(1, 11) if statuses[n] == Status.OK]
    assert done == list(range(1, len(done) + 1))
    assert {statuses[n] for n in range(1, 11)} <= {Status.OK, Status.ABORTED}
    assert statuses[abort] == statuses[later] == Status.OK
    assert world.board.executed == [*((n,) for n in done), (99,)]


def test_a_window_of_frames_at_one_percent_loss_needs_few_repetitions() -> None:
    world = World(Network(loss=0.01), 7, Hello(window=128))
    world.open()
    began = world.now
    world.submit(tr.write_memory(0, bytes(627_200)))
    world.run_until_answered()
    counters = world.requester.counters()
    assert counters.frames_sent == 446
    assert counters.frames_resent < 20
    # 446 frames are four windows: some round trips of 0.2 ms each, and no timeout
    assert world.now - began < 0.02
