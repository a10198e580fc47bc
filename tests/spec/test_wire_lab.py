"""What real laboratories do to a protocol: guests, ghosts, mix-ups, wrong clocks, sleep."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.wire_lab import HostMachine, Lab
from tests.spec.wire_world import Network

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.receiving import ReceiveWindow
from starlab_spec.wire.requester.events import EndReason
from starlab_spec.wire.transactions import Status

HOUR_S = 3600.0
seeds = st.integers(0, 2**32)
networks = st.builds(
    Network,
    loss=st.floats(0, 0.2),
    duplication=st.floats(0, 0.3),
    jitter_s=st.sampled_from([0.0, 0.001, 0.05]),
)


def is_explained(executed: list[int], host: HostMachine, submitted: range) -> None:
    """Commands were executed once and in order: those with a reply, and some of those in doubt."""
    mine = [operation for operation in executed if operation in submitted]
    assert mine == sorted(set(mine))
    assert host.replied <= set(mine) <= host.replied | host.in_doubt


# ---- two clients at once


@settings(max_examples=60, deadline=None)
@given(network=networks, seed=seeds, later_s=st.floats(0, 0.2))
def test_a_second_client_is_told_who_has_the_board_and_disturbs_nothing(
    network: Network, seed: int, later_s: float
) -> None:
    lab = Lab(network, seed)
    board = lab.add_board("A")
    first = lab.open_host("first", "A")
    lab.start(first, *range(30))
    lab.run_for(later_s)
    second = lab.add_host("second", "A")
    lab.run_until(lambda: second.ended is not None)
    lab.run_until_settled(first)
    assert second.ended is not None
    assert (second.ended.reason, second.ended.status) == (EndReason.REFUSED, Status.BUSY)
    assert second.ended.detail == "in use by 'first' with the same lease epoch, 0"
    assert first.ended is None
    assert board.executed == list(range(30))


@settings(max_examples=100, deadline=None)
@given(network=networks, seed=seeds, later_s=st.floats(0, 0.5))
def test_after_a_newer_lease_nothing_of_the_older_client_is_executed(
    network: Network, seed: int, later_s: float
) -> None:
    lab = Lab(network, seed)
    board = lab.add_board("A")
    older = lab.open_host("older", "A", lease_epoch=1)
    lab.start(older, *range(100))
    lab.run_for(later_s)
    newer = lab.open_host("newer", "A", lease_epoch=2)
    lab.start(newer, *range(1000, 1030))
    lab.run_until_settled(newer)
    lab.run_until(lambda: older.ended is not None or not older.requester.outstanding)
    lab.run_for(5.0)
    is_explained(board.executed, older, range(100))
    assert newer.replied == set(range(1000, 1030))
    assert board.executed == sorted(board.executed)


# ---- a stale session


@settings(max_examples=60, deadline=None)
@given(network=networks, seed=seeds, order=st.randoms(use_true_random=False))
def test_all_frames_of_an_ended_session_again_execute_nothing(
    network: Network, seed: int, order: random.Random
) -> None:
    lab = Lab(network, seed)
    board = lab.add_board("A")
    ghost = lab.open_host("ghost", "A")
    lab.start(ghost, *range(20))
    lab.run_until_settled(ghost)
    ghost.requester.close(lab.now)
    lab.run_until(lambda: ghost.ended is not None)
    living = lab.open_host("living", "A")
    lab.start(living, *range(100, 120))
    sent = [datagram for datagram in ghost.sent if datagram[3] != 3]  # a HELLO is a new wish
    order.shuffle(sent)
    for datagram in sent:
        lab.say(ghost, datagram)
    lab.run_until_settled(living)
    lab.run_for(5.0)
    assert living.ended is None
    assert board.executed == [*range(20), *range(100, 120)]


@pytest.mark.parametrize("was_told", [True, False])
def test_a_client_that_was_away_too_long_learns_that_its_session_is_gone(was_told: bool) -> None:
    lab = Lab()
    board = lab.add_board("A")
    stale = lab.open_host("stale", "A")
    lab.run_for(1.5)  # the board learns that it is heard there
    stale.asleep = True
    lab.run_for(5.0)
    other = lab.open_host("other", "A")
    lab.start(other, 100)
    lab.run_until_settled(other)
    if not was_told:
        stale.inbox.clear()
    stale.asleep = False
    lab.start(stale, 1, 2)
    lab.run_until_settled(stale)
    assert stale.ended is not None
    assert (stale.ended.reason, stale.ended.status) == (EndReason.ENDED_BY_BOARD, Status.FENCED)
    assert stale.ended.detail == "the session was closed for 'other' with lease epoch 0"
    assert stale.in_doubt == (set() if was_told else {1, 2})
    assert board.executed == [100]


# ---- a board that answers another board's replies


@settings(max_examples=60, deadline=None)
@given(network=networks, seed=seeds)
def test_a_host_that_hears_the_replies_of_another_board_takes_none_of_them(
    network: Network, seed: int
) -> None:
    lab = Lab(network, seed)
    boards = [lab.add_board(address) for address in "AB"]
    hosts = [lab.open_host(f"host {address}", address) for address in "AB"]
    lab.echoes = {host.name for host in hosts}
    for host, first in zip(hosts, (0, 100), strict=True):
        lab.start(host, *range(first, first + 30))
    lab.run_until_settled(*hosts)
    lab.run_for(5.0)
    for host, board, first in zip(hosts, boards, (0, 100), strict=True):
        assert host.ended is None
        assert board.executed == list(range(first, first + 30))
        assert host.replied == set(board.executed)


@settings(max_examples=60, deadline=None)
@given(network=networks, seed=seeds, later_s=st.floats(0, 0.1), in_use=st.booleans())
def test_an_address_that_moves_to_another_board_executes_nothing_there(
    network: Network, seed: int, later_s: float, in_use: bool
) -> None:
    lab = Lab(network, seed)
    here, there = (lab.add_board(address) for address in "AB")
    host = lab.open_host("host", "A")
    if in_use:
        lab.open_host("neighbour", "B")
    lab.start(host, *range(200))
    lab.run_for(later_s)
    lab.boards["A"], lab.boards["B"] = there, here
    lab.run_until_settled(host)
    assert there.executed == []
    is_explained(here.executed, host, range(200))
    assert host.ended is None or host.ended.reason is EndReason.BOARD_RESTARTED


# ---- sequence wrap


@settings(max_examples=60, deadline=None)
@given(
    network=networks,
    seed=seeds,
    host_first=st.integers(2**32 - 60, 2**32 - 1),
    board_first=st.integers(2**32 - 60, 2**32 - 1),
)
def test_sequence_numbers_may_wrap_in_both_directions(
    network: Network, seed: int, host_first: int, board_first: int
) -> None:
    lab = Lab(network, seed)
    board = lab.add_board("A")
    host = lab.add_host("host", "A")
    host.requester._greeting.first_sequence = host_first
    host.requester.datagrams(0.0)
    host.requester.open(0.0)
    lab.run_until(lambda: host.is_open)
    holder = board.responder._holder
    assert holder is not None
    holder.session._start_frames(host_first, board_first)
    host.requester._receive = ReceiveWindow(host.requester._terms.window, board_first)
    for number in range(40):
        data = bytes([number]) * (number * 150 + 1)
        lab.submit(host, number, tr.write_memory(0, data), tr.read_memory(number, number * 150))
    lab.run_until_settled(host)
    assert host.ended is None
    assert [data[0] for data in board.board.written] == list(range(40))
    assert host.replied == set(range(40))
    assert host.requester._send.next_sequence < 2**31


# ---- clock steps


clock_steps = st.lists(
    st.tuples(st.sampled_from(["host", "board"]), st.floats(0, 0.3), st.floats(0.001, 2 * HOUR_S)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(network=networks, seed=seeds, steps=clock_steps)
def test_clocks_that_jump_ahead_repeat_and_lose_nothing(
    network: Network, seed: int, steps: list[tuple[str, float, float]]
) -> None:
    lab = Lab(network, seed)
    board = lab.add_board("A")
    host = lab.open_host("host", "A")
    lab.start(host, *range(60))
    for whose, after_s, ahead_s in steps:
        lab.run_for(after_s)
        (host if whose == "host" else board).clock.ahead_s += ahead_s
    lab.run_until_settled(host)
    assert host.ended is None
    assert host.replied == set(range(60))
    lab.run_for(5.0)
    assert board.executed == list(range(60))


@settings(max_examples=60, deadline=None)
@given(
    network=networks,
    seed=seeds,
    host_rate=st.sampled_from([0.5, 0.999, 1.001, 2.0]),
    board_rate=st.sampled_from([0.5, 0.999, 1.001, 2.0]),
)
def test_clocks_that_run_differently_repeat_and_lose_nothing(
    network: Network, seed: int, host_rate: float, board_rate: float
) -> None:
    lab = Lab(network, seed)
    board = lab.add_board("A")
    host = lab.open_host("host", "A")
    host.clock.rate, board.clock.rate = host_rate, board_rate
    lab.start(host, *range(60))
    lab.run_until_settled(host)
    assert host.ended is None
    assert board.executed == list(range(60))


# ---- a host asleep


@settings(max_examples=60, deadline=None)
@given(network=networks, seed=seeds, later_s=st.floats(0, 0.2), clock_sleeps=st.booleans())
def test_a_host_that_slept_for_an_hour_goes_on_with_its_session(
    network: Network, seed: int, later_s: float, clock_sleeps: bool
) -> None:
    lab = Lab(network, seed)
    board = lab.add_board("A")
    host = lab.open_host("host", "A")
    lab.start(host, *range(60))
    lab.run_for(later_s)
    host.asleep = True
    lab.run_for(HOUR_S)
    assert board.board.safe_reasons[:1] == ["nothing heard of the host for 3 s"]
    host.asleep = False
    if clock_sleeps:
        host.clock.ahead_s -= HOUR_S
    lab.run_until_settled(host)
    assert host.ended is None
    assert board.executed == list(range(60))


@settings(max_examples=60, deadline=None)
@given(network=networks, seed=seeds, later_s=st.floats(0, 0.2))
def test_a_host_that_slept_while_another_had_the_board_knows_what_is_in_doubt(
    network: Network, seed: int, later_s: float
) -> None:
    lab = Lab(network, seed)
    board = lab.add_board("A")
    sleeper = lab.open_host("sleeper", "A")
    lab.start(sleeper, *range(60))
    lab.run_for(later_s)
    sleeper.asleep = True
    lab.run_for(10.0)
    other = lab.open_host("other", "A")
    lab.start(other, *range(100, 130))
    lab.run_until_settled(other)
    sleeper.asleep = False
    lab.run_until(lambda: bool(sleeper.ended or not sleeper.requester.outstanding))
    lab.run_for(5.0)
    is_explained(board.executed, sleeper, range(60))
    assert other.replied == set(range(100, 130))
    assert board.executed == sorted(board.executed)
