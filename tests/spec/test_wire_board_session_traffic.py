"""One session on the board: long commands and replies, progress, and what is not piled up."""

import pytest
from tests.spec.wire_table import LAST, Host, Table, replies, say

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import (
    Acknowledgement,
    Event,
    EventKind,
    Frame,
    FrameFlag,
    FrameType,
    Hello,
)
from starlab_spec.wire.transactions import Status


@pytest.fixture
def hello() -> Hello:
    """A window of 4."""
    return Hello(window=4)


def split(host: Host, message: int, content: bytes, size: int) -> list[bytes]:
    """The frames of a command in several fragments."""
    payload = tr.encode_transactions([tr.write_memory(0, content)])
    count = -(-len(payload) // size)
    head = Frame(FrameType.COMMAND, 0, host.session, host.boot, message=message, fragments=count)
    frames = codec.encode_fragments(
        memoryview(payload),
        head,
        sequence=host.sequence,
        acknowledged=0,
        first=0,
        count=count,
        payload_bytes=size,
    )
    host.sequence += count
    return frames


def test_a_command_in_fragments_is_executed_only_when_all_are_here(
    table: Table, host: Host
) -> None:
    frames = split(host, 1, bytes(range(200)), 50)
    for frame in (*frames[1:], *frames[1:]):
        table.deliver(frame)
    assert table.board.written == []
    assert say(table.deliver(frames[0])) == [(1, "OK")]
    assert table.board.written == [bytes(range(200))]


def test_the_last_fragment_again_brings_the_reply_again(table: Table, host: Host) -> None:
    frames = split(host, 1, bytes(200), 50)
    for frame in frames:
        answers = table.deliver(frame)
    assert say(answers) == [(1, "OK")]
    assert say(table.deliver(frames[0])) == []
    assert [flags for _, _, flags in replies(table.deliver(frames[-1]))] == [
        LAST | FrameFlag.REPLAYED
    ]
    assert len(table.board.written) == 1


def test_a_reply_that_is_sent_again_does_not_acknowledge_what_came_since(
    table: Table, host: Host
) -> None:
    host.command(1, tr.start(1))
    due = table.responder.deadline()
    assert due is not None
    table.now = due
    table.responder.expire(due)
    first, _ = split(host, 2, bytes(50), 50)
    again, ack = table.deliver(codec.with_flags(first, LAST))
    assert (again.type, again.acknowledged) == (FrameType.REPLY, 1)
    assert ack.type == FrameType.ACK


def test_fragments_that_contradict_each_other_are_dropped_and_counted(
    table: Table, host: Host
) -> None:
    host.send(FrameType.COMMAND, b"x", message=1, fragment=7, fragments=3)
    assert table.responder.frames_dropped == 1


def test_a_long_reply_is_paced_by_the_window(table: Table, host: Host) -> None:
    answers = host.command(1, tr.read_memory(0, 20_000), flags=FrameFlag.READ_ONLY)
    assert [f.sequence for f in answers if f.type == FrameType.REPLY] == [0, 1, 2, 3]
    host.acknowledge(answers)
    answers = host.send(FrameType.STATUS_REQUEST)
    assert [f.sequence for f in answers if f.type == FrameType.REPLY] == [4, 5, 6, 7]


def test_what_an_ack_says_has_come_beyond_a_gap_is_not_sent_again(table: Table, host: Host) -> None:
    def acknowledge(cumulative: int, *beyond: int) -> list[int]:
        bitmap = sum(1 << 128 - sequence + cumulative for sequence in beyond)
        ack = codec.encode_ack(Acknowledgement(cumulative, bitmap, credit=4))
        answers = host.send(FrameType.ACK, ack, acknowledged=cumulative)
        return [f.sequence for f in answers if f.type == FrameType.REPLY]

    host.command(1, tr.read_memory(0, 20_000), flags=FrameFlag.READ_ONLY)
    assert acknowledge(0, 1) == [0]
    assert acknowledge(2, 3) == [2, 4, 5]


def test_a_reply_too_long_for_one_message_is_refused(table: Table) -> None:
    host = Host(table)
    host.open(Hello(payload_bytes=32))
    answers = host.command(1, tr.read_memory(0, 400_000), flags=FrameFlag.READ_ONLY)
    (result,) = tr.decode_results(b"".join(frame.payload for frame in answers))
    assert (result.status, result.message) == (
        Status.RANGE,
        "executed, but the reply of 400012 bytes is above the 381312-byte limit",
    )


def test_progress_is_told_while_the_command_runs(table: Table, host: Host) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    assert table.running is not None
    table.responder.report_progress(table.running, 10, 784, "row")
    (event,) = table.turn()
    assert (event.type, event.message) == (FrameType.EVENT, 1)
    assert codec.decode_event(event.payload) == Event(EventKind.PROGRESS, 10, 784, "row")


def test_progress_is_not_piled_up_for_a_host_that_does_not_acknowledge(
    table: Table, host: Host
) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    assert table.running is not None
    for done in range(100):
        table.responder.report_progress(table.running, done, 100, "")
        table.turn()
    assert len([f for _, f in table.out if f.type == FrameType.EVENT]) == 2
    assert say(table.finish()) == [(1, "OK")]


def test_progress_of_an_ended_session_is_told_to_nobody(table: Table, host: Host) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    running = table.running
    assert running is not None
    host.send(FrameType.BYE)
    table.responder.report_progress(running, 1, 2, "")
    assert table.turn() == []


def test_an_inline_reply_carries_the_acknowledgement_and_a_late_one_does_not(
    table: Table, host: Host
) -> None:
    (reply,) = host.command(1, tr.start(1))
    assert (reply.type, reply.acknowledged) == (FrameType.REPLY, 1)
    table.slow = True
    (ack,) = host.command(2, tr.start(2))
    assert codec.decode_ack(ack.payload).cumulative == 2


def test_an_unacknowledged_reply_is_sent_again_but_not_for_ever(table: Table, host: Host) -> None:
    host.command(1, tr.start(1))
    for _ in range(20):
        host.table.wait(2.9)
        host.status()
    sent = [frame for _, frame in table.out if frame.type == FrameType.REPLY]
    assert 9 <= len(sent) <= 50
    assert {frame.sequence for frame in sent} == {0}
    table.out.clear()
    table.wait(100.0)
    assert len([f for _, f in table.out if f.type == FrameType.REPLY]) <= 2


def test_a_flood_that_nobody_acknowledges_is_not_piled_up(table: Table, host: Host) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    for message in range(3000):
        host.command(5_000 + message, tr.abort())
        host.command(9_000 + message, tr.start(2))
        host.command(1, tr.start(1))
    in_flight = {frame.sequence for _, frame in table.out if frame.type == FrameType.REPLY}
    assert len(in_flight) <= 1024
    assert host.status().executing_message_id == 1


def test_reads_long_forgotten_are_not_piled_up_behind_a_long_command(
    table: Table, host: Host
) -> None:
    read = tr.read_memory(0, 4)
    for message in range(1, 20):
        host.acknowledge(host.command(message, read, flags=FrameFlag.READ_ONLY))
    table.slow = True
    host.command(20, tr.start(1))
    for _ in range(100):
        host.command(1, read, flags=FrameFlag.READ_ONLY)
    table.slow = False
    assert len(say(table.finish())) == 1 + 16
