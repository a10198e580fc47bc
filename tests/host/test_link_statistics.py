"""The figures of a link, the line that the log gets, and what a lost link is said to have lost."""

import logging
import random
import time

import pytest
from tests.host.link_bench import Clock, NotingBoard, PatientLink

from starlab_host.errors import OutcomeUnknown, SessionEnded
from starlab_host.links import MemoryLink, MemoryNetwork
from starlab_host.session.failures import failure_of
from starlab_host.session.session import Session
from starlab_host.session.statistics import (
    RECENT,
    LinkStatistics,
    RoundTripBin,
    RoundTripFigures,
    RoundTrips,
)
from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import (
    Acknowledgement,
    BoardState,
    BoardStatus,
    Frame,
    FrameType,
    Hello,
    HelloAck,
)
from starlab_spec.wire.requester.events import Ended, LinkCounters
from starlab_spec.wire.requester.requester import Requester


def test_percentiles_are_measured_values_by_rank() -> None:
    trips = RoundTrips()
    assert trips.figures() is None
    for length in range(100, 0, -1):
        trips.add(length / 1024)  # exact in binary, so that the mean is too
    assert trips.figures() == RoundTripFigures(
        commands=100,
        minimum_s=1 / 1024,
        mean_s=50.5 / 1024,
        p50_s=50 / 1024,
        p90_s=90 / 1024,
        p99_s=99 / 1024,
    )


def test_of_one_command_all_figures_are_its_own() -> None:
    trips = RoundTrips()
    trips.add(0.25)
    assert trips.figures() == RoundTripFigures(1, 0.25, 0.25, 0.25, 0.25, 0.25)


def test_figures_are_of_the_last_commands_and_the_histogram_of_all() -> None:
    trips = RoundTrips()
    for _ in range(7):
        trips.add(1.0)
    for _ in range(RECENT):
        trips.add(0.001)
    figures = trips.figures()
    assert figures is not None
    assert (figures.commands, figures.p99_s) == (RECENT, 0.001)
    assert sum(found.count for found in trips.bins()) == RECENT + 7


def test_statistics_are_one_line_for_the_log() -> None:
    statistics = LinkStatistics(
        (RoundTripBin(None, 9),),
        RoundTripFigures(9, 0.0001, 0.0002, 0.00012, 0.0003, 0.0045),
        LinkCounters(None, 12, 1, 2, 3, 4, 5, 20, 7, 6, 8, 10),
    )
    assert str(statistics) == (
        "9 replies, 12 frames sent, 20 received; sent again: 2 lost, 3 probes, 4 timeouts; "
        "10 replayed, 8 duplicates, 6 CRC errors, 7 dropped, 5 credit stalls; "
        "round trip 0.120 ms (median), 4.500 ms (99 %)"
    )
    assert str(LinkStatistics()).endswith("0 credit stalls")


def test_a_session_that_is_opened_and_closed_leaves_two_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "starlab_host")
    with Session.open(
        MemoryLink(NotingBoard(), clock=time.monotonic), client_name="test", rng=random.Random(1)
    ) as session:
        session.execute([tr.start(1)])
        name = f"session 0x{session.granted.session_id:08X}"
    opened, over = caplog.messages
    assert opened == (
        f"{name} open: board NOTE-1, boot id 0x0000B007, window 32 frames, payload 1408 bytes, "
        "next message 1"
    )
    assert over.startswith(f"{name} over: closed by this host; 1 replies, 1 frames sent, ")
    assert {record.levelname for record in caplog.records} == {"INFO"}


def test_a_restart_of_the_board_is_a_warning_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    board, clock = NotingBoard(), Clock()
    memory = MemoryLink(board, clock=clock)
    link = PatientLink(memory, clock)
    session = Session.open(link, client_name="test", clock=clock, rng=random.Random(1))
    assert session.statistics.board_restarts == 0

    def restart() -> None:
        board.boot_id = 0xB008
        memory.responder.shut_down(clock())

    link.before_receive = restart
    with pytest.raises(OutcomeUnknown):
        session.execute([tr.start(1)])
    assert session.statistics.board_restarts == 1
    session.close()
    (warning,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert (
        "over: the board restarted (boot id 0x0000B007 is now 0x0000B008); 0 replies, 1 frames sent"
    ) in warning.getMessage()
    with pytest.raises(SessionEnded):
        session.execute([tr.start(1)])


def test_what_is_sent_again_on_a_bad_link_is_counted_by_its_cause() -> None:
    clock = Clock()
    memory = MemoryLink(NotingBoard(), clock=clock, network=MemoryNetwork(loss=0.2, seed=5))
    link = PatientLink(memory, clock)
    session = Session.open(link, client_name="test", clock=clock, rng=random.Random(1))
    for _ in range(50):
        session.execute([tr.start(1)])
    session.execute([tr.write_memory(0, bytes(100_000))])
    counters = session.statistics.counters
    assert counters.resent_lost > 0
    assert counters.resent_probes > 0
    assert counters.resent_timeouts > 0
    assert counters.credit_stalls > 0
    assert counters.in_flight <= counters.frames_sent
    session.close()


def test_a_lost_reply_is_told_from_a_lost_request() -> None:
    """With the board's last word: the command, how long, how often tried, its last status."""
    session_id, boot_id = 0x5E55, 0xB007
    requester = Requester(Hello(), rng=random.Random(1))

    def say(kind: FrameType, payload: bytes, message: int = 0) -> None:
        frame = Frame(kind, session=session_id, boot=boot_id, message=message, payload=payload)
        requester.receive(codec.encode_frame(frame), 0.0)

    requester.open(0.0)
    (hello,) = requester.datagrams(0.0)
    answer = codec.encode_hello_ack(HelloAck(session_id, boot_id))
    say(FrameType.HELLO_ACK, answer, codec.decode_frame(hello).message)
    asked = [tr.write_registers(0x2C, [1]), tr.start(1 << 18)]
    requester.submit(tr.encode_transactions(asked), 0.0)
    requester.datagrams(0.0)
    (sent,) = requester.outstanding.values()
    first = codec.decode_frame(hello).sequence
    say(FrameType.ACK, codec.encode_ack(Acknowledgement((first + 1) & 0xFFFFFFFF)))
    assert sent.delivered
    say(FrameType.STATUS, codec.encode_status(BoardStatus(1, 1, state=BoardState.EXECUTING)))
    now = 0.0
    while (due := requester.deadline()) is not None:
        now = max(now, due)
        requester.expire(now)
        requester.datagrams(now)
    (ended,) = (event for event in requester.events() if isinstance(event, Ended))
    error = failure_of(ended, requester, 1, {1: asked}, 7.25)
    assert isinstance(error, OutcomeUnknown)
    assert str(error).startswith(
        "message 1 (WRITE_REG 0x2C, START 0x40000) has no reply after 7.2 s, "
        "the request arrived, the reply is missing: "
        "the board does not answer (5 STATUS_REQUEST unanswered); "
        "last status: EXECUTING, next message 1, executing 1. "
        "It may have been executed: read back"
    )
