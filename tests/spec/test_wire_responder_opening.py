"""The board's side, frame by frame: discovery, handshake, leases, resumption."""

import pytest
from tests.spec.wire_table import LAST, Host, Table, refusal, replies

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Feature, Frame, FrameFlag, FrameType, Hello, HelloAck
from starlab_spec.wire.transactions import Status


def test_a_discover_is_answered_with_the_identity_and_whether_the_board_is_in_use(
    table: Table,
) -> None:
    host = Host(table)
    (announce,) = host.send(FrameType.DISCOVER)
    assert (announce.type, announce.session, announce.boot) == (FrameType.ANNOUNCE, 0, 0xB007)
    assert codec.decode_json(announce.payload) == {"serial": "TEST-1", "in_use": False}
    host.open()
    (announce,) = host.send(FrameType.DISCOVER)
    assert codec.decode_json(announce.payload)["in_use"] is True


def test_a_hello_is_granted_what_the_board_can_do(table: Table) -> None:
    table.board.lifetime_pulses = 77
    granted = Host(table).open(Hello(window=500, payload_bytes=8896, features=0xFF))
    assert granted.session_id != 0
    assert granted == HelloAck(
        granted.session_id,
        0xB007,
        0x10,
        window=128,
        payload_bytes=1408,
        features=Feature.NEVER_SAFE,
        next_message_id=1,
        lifetime_pulses=77,
        identity={"serial": "TEST-1"},
    )


@pytest.mark.parametrize(
    ("wish", "status", "detail"),
    [
        (
            Hello(minimum_version=0x20, maximum_version=0x21),
            Status.UNSUPPORTED,
            "version 2.0 to 2.1: this board speaks 1.0",
        ),
        (Hello(window=0), Status.RANGE, "window 0 is below 1 frame"),
        (Hello(payload_bytes=31), Status.RANGE, "payload 31 bytes is below the 32-byte limit"),
        (
            Hello(resume_session=0xAB),
            Status.OUTCOME_UNKNOWN,
            "session 0x000000AB to resume is not known: it ended, or the board restarted",
        ),
    ],
)
def test_what_cannot_be_met_is_refused_by_name_and_value(
    table: Table, wish: Hello, status: Status, detail: str
) -> None:
    answer = Host(table).hello(wish, nonce=9)
    assert (answer.session, answer.boot, answer.message) == (0, 0xB007, 9)
    assert refusal([answer]) == (status, detail)
    assert not table.responder.in_use


def test_a_repeated_hello_gets_the_same_session_even_after_commands(table: Table) -> None:
    host = Host(table)
    first = host.open(nonce=5)
    host.command(1, tr.start(1))
    again = codec.decode_hello_ack(host.hello(nonce=5).payload)
    assert (again.session_id, again.next_message_id) == (first.session_id, 2)


def test_a_hello_without_a_nonce_is_a_repetition_only_before_the_first_command(
    table: Table,
) -> None:
    host = Host(table)
    first = host.open()
    assert codec.decode_hello_ack(host.hello().payload).session_id == first.session_id
    host.command(1, tr.start(1))
    second = codec.decode_hello_ack(host.hello().payload)
    assert second.session_id != first.session_id
    assert second.next_message_id == 1


def test_a_second_host_with_the_same_lease_has_to_wait_until_the_first_is_silent(
    table: Table, host: Host
) -> None:
    other = Host(table, "other")
    answer = other.hello()
    assert refusal([answer]) == (Status.BUSY, "in use by 'bench' with the same lease epoch, 0")
    host.command(1, tr.start(1))
    table.wait(3.1)
    other.open()
    assert refusal(host.command(2, tr.start(2)))[0] == Status.FENCED
    assert table.board.executed == [(1,)]


def test_where_hosts_share_an_address_it_does_not_let_one_replace_the_other() -> None:
    table = Table("line")
    first, second = Host(table, "line"), Host(table, "line")
    wish = Hello(client_name="bench")
    granted = first.open(wish, nonce=5)
    assert refusal([second.hello(nonce=6)]) == (
        Status.BUSY,
        "in use by 'bench' with the same lease epoch, 0",
    )
    assert codec.decode_hello_ack(first.hello(wish, nonce=5).payload) == granted
    first.command(1, tr.start(1))
    second.open(Hello(resume_session=granted.session_id), nonce=7)
    assert second.session == granted.session_id
    table.wait(3.1)
    third = Host(table, "line")
    assert third.open(nonce=8).session_id != granted.session_id
    assert table.board.executed == [(1,)]


def test_a_newer_lease_takes_the_board_also_from_a_shared_address() -> None:
    table = Table("line")
    Host(table, "line").open(Hello(lease_epoch=3), nonce=1)
    Host(table, "line").open(Hello(lease_epoch=4), nonce=2)


def test_where_each_host_has_an_address_of_its_own_it_replaces_its_own_session(
    table: Table,
) -> None:
    first = Host(table)
    granted = first.open(nonce=5)
    assert first.open(nonce=6).session_id != granted.session_id


def test_an_older_lease_is_fenced_by_name_and_value(table: Table) -> None:
    Host(table).open(Hello(lease_epoch=7))
    answer = Host(table, "old").hello(Hello(lease_epoch=6))
    assert refusal([answer]) == (
        Status.FENCED,
        "lease epoch 6 is older than the newest seen, 7",
    )


def test_a_newer_lease_closes_the_session_of_the_older_one(table: Table) -> None:
    old = Host(table, "old")
    old.open(Hello(lease_epoch=7))
    table.slow = True
    old.command(1, tr.start(1))
    new = Host(table, "new")
    new.open(Hello(lease_epoch=8, client_name="next"))
    assert table.running is not None
    assert table.running.aborted
    (reset,) = (frame for to, frame in table.out if frame.type == FrameType.RESET)
    assert codec.decode_nak(reset.payload).status == Status.FENCED
    assert table.board.safe_reasons == ["the session was closed for 'next' with lease epoch 8"]
    assert refusal(old.command(2, tr.start(2)))[0] == Status.FENCED
    assert list(replies(table.finish())) == []
    assert refusal([Host(table, "older").hello(Hello(lease_epoch=7))])[0] == Status.FENCED


def test_a_host_without_a_lease_is_fenced_only_while_a_lease_is_in_use(table: Table) -> None:
    leased = Host(table, "leased")
    leased.open(Hello(lease_epoch=7))
    person = Host(table, "person")
    assert refusal([person.hello()])[0] == Status.FENCED
    leased.send(FrameType.BYE)
    person.open()


def test_a_resumed_session_knows_what_was_executed(table: Table, host: Host) -> None:
    host.command(1, tr.start(1))
    host.command(2, tr.start(2))
    session = host.session
    risen = Host(table, "risen")
    granted = risen.open(Hello(resume_session=session))
    assert (granted.session_id, granted.next_message_id) == (session, 3)
    ((message, status, flags),) = replies(risen.command(2, tr.start(2)))
    assert (message, status) == (2, Status.OK)
    assert flags & FrameFlag.REPLAYED
    assert list(replies(risen.command(3, tr.start(3)))) == [(3, Status.OK, LAST)]
    assert table.board.executed == [(1,), (2,), (3,)]


def test_a_frame_sent_before_a_resumption_begins_nothing(table: Table, host: Host) -> None:
    """The host of today may know nothing of it, and use its message id for another command."""
    late = codec.encode_frame(
        Frame(
            FrameType.COMMAND,
            LAST,
            host.session,
            host.boot,
            sequence=0,
            message=1,
            payload=tr.encode_transactions([tr.start(1)]),
        )
    )
    risen = Host(table, "risen")
    hello = codec.encode_hello(Hello(resume_session=host.session))
    risen.send(FrameType.HELLO, hello, session=0, sequence=1 << 30, message=8)
    risen.session, risen.boot, risen.sequence = host.session, host.boot, 1 << 30
    assert list(replies(table.deliver(late))) == []
    assert list(replies(risen.command(1, tr.start(3)))) == [(1, Status.OK, LAST)]
    assert list(replies(table.deliver(late))) == []
    assert list(replies(risen.command(2, tr.start(2)))) == [(2, Status.OK, LAST)]
    assert table.board.executed == [(3,), (2,)]
