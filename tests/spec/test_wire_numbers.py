"""Numbers of the protocol that host and board must have alike, and counts that begin at nothing."""

from dataclasses import fields

import pytest
from tests.spec.board_by_hand import BoardByHand

from starlab_spec.wire import transactions as tr
from starlab_spec.wire.congestion import (
    GRANULARITY_S,
    MAX_TRIES,
    RTO_CAP_S,
    RTO_FLOOR_S,
    RTO_INITIAL_S,
)
from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.frames import ETHERTYPE, KEEPALIVE_S, MAX_MESSAGE_BYTES, SILENCE_S
from starlab_spec.wire.requester.events import Command, LinkCounters
from starlab_spec.wire.responder.execution import Request
from starlab_spec.wire.transactions import Status


def test_the_numbers_of_the_protocol_are_these() -> None:
    assert ETHERTYPE == 0x88B5  # for experiments, IEEE 802
    assert (SILENCE_S, KEEPALIVE_S) == (3.0, 1.0)
    assert MAX_MESSAGE_BYTES == 16 << 20
    assert (RTO_INITIAL_S, RTO_FLOOR_S, RTO_CAP_S) == (0.1, 0.025, 1.0)
    assert (GRANULARITY_S, MAX_TRIES) == (0.001, 8)


def test_a_link_has_counted_nothing_at_first() -> None:
    counters = LinkCounters()
    assert counters.round_trip_s is None
    assert all(getattr(counters, f.name) == 0 for f in fields(counters)[1:])
    assert LinkCounters(resent_lost=1, resent_probes=10, resent_timeouts=100).frames_resent == 111


def test_a_command_has_not_been_asked_for_at_first() -> None:
    command = Command(1, b"", 0, 5.0)
    assert (command.delivered, command.askings, command.asked_at) == (False, 0, 0.0)


def test_a_refusal_names_opcode_and_address_of_the_first_transaction() -> None:
    payload = tr.encode_transactions([tr.read_memory(0x01020304, 4), tr.start(1)])
    refused = Request(7, payload, 0).refusal(Status.BUSY, "later")
    assert (refused.opcode, refused.address) == (tr.Opcode.READ_MEM, 0x01020304)
    assert (refused.status, refused.message) == (Status.BUSY, "later")
    assert Request(7, b"", 0).refusal(Status.BUSY, "").opcode == 0


def test_a_command_may_be_as_long_as_the_longest_message() -> None:
    board = BoardByHand()
    board.open()
    longest = tr.encode_transactions([tr.write_memory(0, b"")])
    room = MAX_MESSAGE_BYTES - len(longest)
    board.requester.submit(longest + bytes(room), 0.0)
    with pytest.raises(PayloadError, match="is above the 16777216-byte limit"):
        board.requester.submit(longest + bytes(room + 1), 0.0)
