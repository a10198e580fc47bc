"""What a board does with a command, by its message id: the rules of "Exactly once"."""

import pytest
from tests.spec.wire_table import LAST, Host, Table, refusal, replies, say

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import FrameFlag, FrameType, Hello
from starlab_spec.wire.responder.standing import MEANINGS, Standing
from starlab_spec.wire.transactions import Status, Transaction

READ_ONLY, DRY_RUN = FrameFlag.READ_ONLY, FrameFlag.DRY_RUN
REPLAYED, BUSY = FrameFlag.REPLAYED, FrameFlag.BUSY


@pytest.fixture
def hello() -> Hello:
    """A window of 4."""
    return Hello(window=4)


def test_every_standing_has_an_action() -> None:
    from starlab_spec.wire.responder.board_session import BoardSession

    assert set(BoardSession.ACTIONS) == set(MEANINGS) == set(Standing)


def test_the_next_command_is_executed_and_answered(table: Table, host: Host) -> None:
    assert say(host.command(1, tr.start(1))) == [(1, "OK")]
    assert table.board.executed == [(1,)]


def test_a_reply_that_was_not_acknowledged_comes_again_under_its_old_number(
    table: Table, host: Host
) -> None:
    (first,) = (f for f in host.command(1, tr.start(1)) if f.type == FrameType.REPLY)
    (again,) = (f for f in host.command(1, tr.start(1)) if f.type == FrameType.REPLY)
    assert again.sequence == first.sequence
    assert again.flags == LAST | REPLAYED
    assert again.payload == first.payload
    assert table.board.executed == [(1,)]


def test_a_reply_that_was_acknowledged_comes_again_under_a_new_number(
    table: Table, host: Host
) -> None:
    first = host.command(1, tr.start(1))
    host.acknowledge(first)
    (again,) = (f for f in host.command(1, tr.start(1)) if f.type == FrameType.REPLY)
    assert again.sequence == 1
    assert again.flags == LAST | REPLAYED
    assert table.board.executed == [(1,)]


@pytest.mark.parametrize("confirmed", [False, True])
def test_the_same_datagram_twice_brings_the_reply_twice(
    table: Table, host: Host, confirmed: bool
) -> None:
    answers = host.command(1, tr.start(1))
    if confirmed:
        host.acknowledge(answers)
    host.sequence -= 1
    assert [flags for _, _, flags in replies(host.command(1, tr.start(1)))] == [LAST | REPLAYED]
    assert table.board.executed == [(1,)]


@pytest.mark.parametrize("same_frame", [False, True])
def test_a_reused_message_id_ends_the_session(table: Table, host: Host, same_frame: bool) -> None:
    host.command(1, tr.start(1))
    host.sequence -= same_frame
    answers = host.command(1, tr.start(2))
    assert say(answers) == [(1, "ID_REUSED")]
    assert FrameType.RESET in [frame.type for frame in answers]
    assert refusal(host.command(2, tr.start(2)))[0] == Status.ID_REUSED
    assert table.board.executed == [(1,)]
    assert table.board.is_safe


def test_a_rehearsal_and_the_real_thing_are_two_commands(table: Table, host: Host) -> None:
    assert say(host.command(1, tr.start(1), flags=DRY_RUN)) == [(1, "OK")]
    assert table.board.executed == []
    assert say(host.command(1, tr.start(1))) == [(1, "ID_REUSED")]
    assert table.board.executed == []


def test_commands_ahead_are_held_and_executed_in_order(table: Table, host: Host) -> None:
    assert say(host.command(3, tr.start(3))) == []
    assert say(host.command(2, tr.start(2))) == []
    assert say(host.command(3, tr.start(3))) == []
    assert say(host.command(1, tr.start(1))) == [(1, "OK"), (2, "OK"), (3, "OK")]
    assert table.board.executed == [(1,), (2,), (3,)]


def test_a_held_message_id_with_another_request_ends_the_session(table: Table, host: Host) -> None:
    host.command(2, tr.start(2))
    assert say(host.command(2, tr.start(9))) == [(2, "ID_REUSED")]


def test_commands_too_far_ahead_are_refused_and_may_come_again(table: Table, host: Host) -> None:
    assert say(host.command(5, tr.start(5))) == []
    answers = host.command(6, tr.start(6))
    assert say(answers) == [(6, "RANGE")]
    (result,) = tr.decode_results(answers[-1].payload)
    assert result.message == "message 6 is above the limit of 4 messages ahead of 1"
    for message in (1, 2, 3, 4):
        host.acknowledge(host.command(message, tr.start(message)))
    assert say(host.command(6, tr.start(6))) == [(6, "OK")]
    assert table.board.executed == [(n,) for n in range(1, 7)]


def test_a_command_in_execution_is_in_progress(table: Table, host: Host) -> None:
    table.slow = True
    first = host.command(1, tr.start(1))
    assert [frame.type for frame in first] == [FrameType.ACK]
    assert say(host.command(1, tr.start(1))) == [(1, "IN_PROGRESS")]
    assert say(host.command(1, tr.start(2)))[-1] == (1, "ID_REUSED")


def test_a_forgotten_command_is_too_old_and_never_executed_again(table: Table, host: Host) -> None:
    for message in range(1, 20):
        host.acknowledge(host.command(message, tr.start(message)))
    assert say(host.command(3, tr.start(3))) == [(3, "TOO_OLD")]
    assert say(host.command(0, tr.start(3))) == [(0, "TOO_OLD")]
    assert [flags for _, _, flags in replies(host.command(4, tr.start(4)))] == [LAST | REPLAYED]
    assert table.board.executed == [(n,) for n in range(1, 20)]


def test_a_full_cache_answers_busy_until_the_host_confirms(table: Table, host: Host) -> None:
    for message in range(1, 17):
        assert say(host.command(message, tr.start(message))) == [(message, "OK")]
    ((message, status, flags),) = replies(host.command(17, tr.start(17)))
    assert (message, status) == (17, Status.BUSY)
    assert flags & BUSY
    host.sequence -= 1
    assert say(host.command(17, tr.start(17))) == [(17, "BUSY")]
    host.acknowledged = 1
    assert say(host.command(17, tr.start(17))) == [(17, "OK")]
    assert table.board.executed == [(n,) for n in range(1, 18)]


def test_a_held_command_waits_for_room_in_the_cache(table: Table, host: Host) -> None:
    for message in range(1, 16):
        host.command(message, tr.start(message))
    host.command(17, tr.start(17))
    assert say(host.command(16, tr.start(16))) == [(16, "OK")]
    host.acknowledged = 5
    assert say(host.send(FrameType.STATUS_REQUEST)) == [(17, "OK")]


def test_reads_need_no_room_in_the_cache(table: Table, host: Host) -> None:
    for message in range(1, 40):
        answers = host.command(message, tr.read_memory(0, 4), flags=READ_ONLY)
        assert say(answers)[-1:] == [(message, "OK")]


def test_a_read_may_be_repeated_long_after_it_was_forgotten(table: Table, host: Host) -> None:
    for message in range(1, 20):
        host.acknowledge(host.command(message, tr.read_memory(0, 4), flags=READ_ONLY))
    assert say(host.command(1, tr.read_memory(0, 4), flags=READ_ONLY)) == [(1, "OK")]


@pytest.mark.parametrize("message", [1, 20])
def test_a_write_flagged_as_a_read_is_refused(table: Table, host: Host, message: int) -> None:
    for earlier in range(1, message):
        host.acknowledge(host.command(earlier, tr.read_memory(0, 4), flags=READ_ONLY))
    (reply,) = (
        f for f in host.command(1, tr.start(1), flags=READ_ONLY) if f.type == FrameType.REPLY
    )
    (result,) = tr.decode_results(reply.payload)
    assert (result.status, result.message) == (
        Status.BAD_REQUEST,
        "READ_ONLY with START 0x1, which is no read",
    )
    assert table.board.executed == []


def test_a_command_that_cannot_be_read_is_answered_and_uses_up_its_id(
    table: Table, host: Host
) -> None:
    assert say(host.command(1, raw=b"\x30\x00\x00")) == [(1, "BAD_REQUEST")]
    assert say(host.command(2, raw=b"")) == [(2, "BAD_REQUEST")]
    assert say(host.command(3, tr.start(3))) == [(3, "OK")]
    assert table.board.executed == [(3,)]


def test_a_client_that_never_counts_its_frames_is_served(table: Table, host: Host) -> None:
    for message in range(1, 6):
        host.sequence = 0
        assert say(host.command(message, tr.start(message))) == [(message, "OK")]
    assert table.board.executed == [(n,) for n in range(1, 6)]


def test_a_client_with_a_window_of_one_that_never_acknowledges_is_served(table: Table) -> None:
    host = Host(table)
    host.open(Hello(window=1))
    for message in range(1, 5):
        assert say(host.command(message, tr.start(message)))[-1:] == [(message, "OK")]


# ---- abort


def test_an_abort_stops_what_runs_and_what_waits_before_it(table: Table, host: Host) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    host.command(2, tr.start(2))
    host.command(4, tr.abort())
    assert table.running is not None
    assert table.running.aborted
    assert say(table.finish()) == [(1, "ABORTED"), (2, "ABORTED")]
    answers = host.command(3, tr.start(3))
    assert say(answers) == [(3, "ABORTED")]
    assert say(table.finish()) == [(4, "OK")]
    table.slow = False
    assert say(host.command(5, tr.start(5))) == [(5, "OK")]


def test_an_abort_may_be_as_far_ahead_as_it_likes(table: Table, host: Host) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    assert say(host.command(40, tr.abort())) == []
    assert table.running is not None
    assert table.running.aborted


def test_an_abort_with_nothing_to_stop_is_ok(table: Table, host: Host) -> None:
    assert say(host.command(1, tr.abort())) == [(1, "OK")]
    assert say(host.command(2, tr.start(2))) == [(2, "OK")]


def test_a_repeated_abort_does_not_stop_what_came_after_it(table: Table, host: Host) -> None:
    host.command(1, tr.abort())
    table.slow = True
    host.command(2, tr.start(2))
    assert say(host.command(1, tr.abort())) == [(1, "OK")]
    assert table.running is not None
    assert not table.running.aborted


def test_an_unknown_transaction_reaches_the_board(table: Table, host: Host) -> None:
    assert say(host.command(1, Transaction(0x99))) == [(1, "OK")]
