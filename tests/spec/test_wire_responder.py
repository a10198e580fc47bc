"""The board's side, frame by frame: refusals, the ends of a session, and nonsense."""

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.wire_table import LAST, Host, Table, refusal, replies

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import (
    FIRST_CHALLENGE,
    BoardState,
    BoardStatus,
    EventKind,
    Feature,
    Frame,
    FrameType,
    Hello,
    Nak,
)
from starlab_spec.wire.transactions import Status

# ---- frames of no session


def test_a_frame_of_an_unknown_session_is_refused(table: Table, host: Host) -> None:
    answers = host.send(FrameType.COMMAND, b"", session=0x1234, message=7)
    (nak,) = answers
    assert (nak.session, nak.boot, nak.message) == (0x1234, 0xB007, 7)
    assert refusal(answers) == (Status.BAD_REQUEST, "session 0x00001234 is not known here")


def test_a_frame_of_another_boot_of_the_board_is_refused(table: Table, host: Host) -> None:
    host.boot = 0xDEAD
    assert refusal(host.command(1, tr.start(1)))[0] == Status.BAD_REQUEST
    assert table.board.executed == []


def test_a_frame_of_another_version_is_refused(table: Table) -> None:
    frame = Frame(FrameType.DISCOVER, session=0xABCD, message=3)
    body = bytearray(codec.encode_frame(frame)[:-4])
    body[2] = 0x20
    answers = table.deliver(bytes(body) + zlib.crc32(body).to_bytes(4, "big"))
    assert refusal(answers) == (
        Status.UNSUPPORTED,
        "frame of version 2.0; 1.0 is spoken here",
    )
    assert [(frame.session, frame.message) for frame in answers] == [(0, 3)]


def test_refusals_are_rate_limited(table: Table, host: Host) -> None:
    sent = sum(len(host.send(FrameType.ACK, session=0x1234)) for _ in range(1000))
    assert sent == 10
    table.now += 0.5
    sent = sum(len(host.send(FrameType.ACK, session=0x1234)) for _ in range(1000))
    assert sent == 5


def test_a_refusal_is_never_answered_with_a_refusal(table: Table) -> None:
    nak = Frame(FrameType.NAK, session=0x1234, payload=codec.encode_nak(Nak(1, "no")))
    assert table.deliver(codec.encode_frame(nak)) == []


# ---- somebody beside the protocol


def test_a_board_that_somebody_else_has_grants_no_session(table: Table) -> None:
    assert table.responder.hold("a visitor", table.now) is None
    host = Host(table)
    (announce,) = host.send(FrameType.DISCOVER)
    assert codec.decode_json(announce.payload)["in_use"] is True
    for wish in (Hello(), Hello(lease_epoch=9)):
        assert refusal([host.hello(wish)]) == (Status.BUSY, "in use by a visitor")
    table.responder.held_by = ""
    host.open()


def test_nobody_else_gets_the_board_while_a_session_is_open(table: Table, host: Host) -> None:
    assert table.responder.hold("a visitor", table.now) == "'bench'"
    assert list(replies(host.command(1, tr.start(1)))) == [(1, Status.OK, LAST)]


def test_somebody_else_gets_the_board_from_a_silent_session_once_nothing_runs(
    table: Table, host: Host
) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    table.wait(3.1)
    assert table.responder.hold("a visitor", table.now) == "a command that still runs"
    table.finish()
    assert table.responder.hold("a visitor", table.now) is None
    assert refusal(host.command(2, tr.start(2))) == (
        Status.BUSY,
        "the session was closed for a visitor",
    )
    assert table.board.is_safe


# ---- the end of a session, and silence


def test_a_bye_ends_the_session_and_drives_nothing_any_more(table: Table, host: Host) -> None:
    assert [frame.type for frame in host.send(FrameType.BYE)] == [FrameType.BYE]
    assert table.board.safe_reasons == ["the session was closed"]
    assert refusal(host.command(1, tr.start(1))) == (
        Status.BAD_REQUEST,
        "the session was closed",
    )


def test_a_person_at_a_bare_console_may_be_silent_but_leaves_nothing_on(table: Table) -> None:
    host = Host(table)
    host.open(Hello(features=int(Feature.NEVER_SAFE)))
    table.wait(10.0)
    assert table.board.safe_reasons == []
    host.send(FrameType.BYE)
    assert table.board.safe_reasons == ["the session was closed"]


def test_a_reset_stops_what_runs(table: Table, host: Host) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    host.send(FrameType.RESET)
    assert table.running is not None
    assert table.running.aborted
    assert table.board.is_safe
    assert not table.responder.in_use


def test_three_seconds_of_silence_lead_to_safe_and_the_host_is_told(
    table: Table, host: Host
) -> None:
    table.wait(2.9)
    host.status()
    table.wait(2.9)
    assert table.board.safe_reasons == []
    answers = table.wait(0.2)
    assert table.board.safe_reasons == ["nothing heard of the host for 3 s"]
    assert codec.decode_event(answers[0].payload).kind == EventKind.ENTERED_SAFE
    assert host.status().state == BoardState.SAFE
    assert list(replies(host.command(1, tr.start(1)))) == [(1, Status.OK, LAST)]


def test_silence_stops_what_runs(table: Table, host: Host) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    table.wait(3.1)
    assert table.running is not None
    assert table.running.aborted
    assert table.board.is_safe


def test_a_board_that_restarts_ends_the_session_after_the_reply(table: Table, host: Host) -> None:
    answers = host.command(1, tr.emulator({"restart": True}))
    reply, reset = (f for f in answers if f.type in (FrameType.REPLY, FrameType.RESET))
    assert (reply.boot, reset.boot) == (0xB007, 0xB008)
    nak_boot = host.command(2, tr.start(2))[0].boot
    assert nak_boot == 0xB008
    assert table.board.executed == []


def test_a_command_in_which_the_power_failed_is_never_answered(table: Table, host: Host) -> None:
    table.slow = True
    host.command(1, tr.start(1))
    assert table.running is not None
    table.board.boot_id += 1
    table.responder.complete(table.running, [], table.now)
    (reset,) = table.turn()
    assert (reset.type, reset.boot) == (FrameType.RESET, 0xB008)
    assert codec.decode_nak(reset.payload).status == Status.OUTCOME_UNKNOWN


def test_the_status_tells_what_the_board_is_doing(table: Table, host: Host) -> None:
    assert host.status() == BoardStatus(1, 0, 0, 0, BoardState.IDLE)
    table.slow = True
    host.command(1, tr.start(1))
    assert host.status() == BoardStatus(1, 1, 0, 0, BoardState.EXECUTING)
    table.finish()
    table.board.faults = 4
    assert host.status() == BoardStatus(2, 0, 1, 4, BoardState.FAULT)


def test_a_status_repeats_the_number_of_its_request(table: Table, host: Host) -> None:
    assert [f.message for f in host.send(FrameType.STATUS_REQUEST, message=42)] == [42]


def test_a_host_that_moved_is_asked_and_then_answered_at_its_new_address(
    table: Table, host: Host
) -> None:
    host.name = "elsewhere"
    (question,) = host.command(1, tr.start(1))
    assert (question.type, table.board.executed) == (FrameType.STATUS, [])
    assert question.message >= FIRST_CHALLENGE
    (answer,) = host.send(FrameType.STATUS_REQUEST, message=question.message)
    assert (answer.type, answer.message) == (FrameType.STATUS, 0)
    host.sequence = 0
    assert list(replies(host.command(1, tr.start(1)))) == [(1, Status.OK, LAST)]


@pytest.mark.parametrize("kind", [FrameType.COMMAND, FrameType.BYE, FrameType.RESET, FrameType.ACK])
def test_what_comes_from_another_address_does_nothing(
    table: Table, host: Host, kind: FrameType
) -> None:
    """Not with the right session id, nor with a number that was given to somebody else."""
    stranger = Host(table, "stranger")
    stranger.session, stranger.boot = host.session, host.boot
    payload = tr.encode_transactions([tr.start(1)]) if kind is FrameType.COMMAND else b""
    (question,) = stranger.send(kind, payload, message=1, flags=LAST)
    third = Host(table, "third")
    third.session, third.boot = host.session, host.boot
    third.send(FrameType.STATUS_REQUEST, message=question.message)
    stranger.send(FrameType.STATUS_REQUEST, message=question.message ^ 1)
    assert table.board.executed == []
    assert list(replies(host.command(1, tr.start(2)))) == [(1, Status.OK, LAST)]
    assert table.board.executed == [(2,)]


def test_who_speaks_from_another_address_does_not_keep_the_session_alive(
    table: Table, host: Host
) -> None:
    host.status()
    stranger = Host(table, "stranger")
    stranger.session, stranger.boot = host.session, host.boot
    for _ in range(4):
        table.wait(1.0)
        stranger.send(FrameType.STATUS_REQUEST)
    assert table.board.is_safe


# ---- hostile input


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_nothing_that_arrives_makes_the_board_raise_or_execute(data: st.DataObject) -> None:
    table = Table()
    host = Host(table)
    host.open()
    good = codec.encode_frame(
        Frame(
            FrameType.COMMAND,
            LAST,
            host.session,
            host.boot,
            message=1,
            payload=tr.encode_transactions([tr.start(1)]),
        )
    )
    for _ in range(10):
        damaged = bytearray(good)
        for position in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=3)):
            damaged[position] ^= data.draw(st.integers(1, 255))
        table.deliver(bytes(damaged[: data.draw(st.integers(0, len(good)))]))
    assert table.board.executed == []


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            Frame,
            type=st.sampled_from([*FrameType, 0, 7, 99]),
            flags=st.integers(0, 0xFFFF),
            session=st.sampled_from([0, 1, 2]),
            boot=st.sampled_from([0, 0xB007, 5]),
            sequence=st.integers(0, 0xFFFFFFFF) | st.integers(0, 9),
            acknowledged=st.integers(0, 0xFFFFFFFF) | st.integers(0, 9),
            message=st.integers(0, 0xFFFFFFFF) | st.integers(0, 9),
            fragment=st.integers(0, 0xFFFF) | st.integers(0, 3),
            fragments=st.integers(0, 0xFFFF) | st.integers(1, 4),
            payload=st.binary(max_size=80)
            | st.sampled_from(
                [tr.encode_transactions([tr.start(1)]), codec.encode_hello(Hello()), b""]
            ),
        ),
        max_size=30,
    )
)
def test_well_formed_nonsense_never_makes_the_board_raise(frames: list[Frame]) -> None:
    table = Table()
    host = Host(table)
    host.open()
    for frame in frames:
        session = host.session if frame.session == 1 else frame.session
        table.deliver(codec.encode_frame(frame._replace(session=session)))
        table.wait(0.05)
