"""Jumbo frames: probed for by the host, echoed by the board, and never relied on without proof."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.wire_table import Host, Table
from tests.spec.wire_world import Network, World

from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.frames import Feature, Frame, FrameType, Hello, HelloAck, Nak
from starlab_spec.wire.requester.events import RequesterState
from starlab_spec.wire.requester.greeting import PROBE_TRIES
from starlab_spec.wire.requester.requester import Requester
from starlab_spec.wire.transactions import Status

WISH = Hello(payload_bytes=8896, features=Feature.NEVER_SAFE)
GRANT = HelloAck(0x5E55, 0xB007, payload_bytes=8896, features=Feature.JUMBO)


class Asking:
    """A host that has begun its handshake."""

    def __init__(self, hello: Hello = WISH) -> None:
        self.requester = Requester(hello, rng=random.Random(1))
        self.now = 0.0
        self.requester.open(self.now)

    def says(self) -> Frame:
        """The one frame that it sends now."""
        (datagram,) = self.requester.datagrams(self.now)
        return codec.decode_frame(datagram)

    def hears(self, kind: FrameType, payload: bytes = b"", **fields: int) -> None:
        datagram = codec.encode_frame(Frame(kind, payload=payload, **fields))
        self.requester.receive(datagram, self.now)

    def says_later(self) -> Frame:
        """What it sends when it has waited long enough."""
        due = self.requester.deadline()
        assert due is not None
        self.now = due
        self.requester.expire(self.now)
        return self.says()

    def wish(self, frame: Frame) -> tuple[int, int]:
        """Payload and features that a HELLO asks for."""
        assert frame.type == FrameType.HELLO
        hello = codec.decode_hello(frame.payload)
        return hello.payload_bytes, hello.features


# ---- the host


def test_a_host_that_wants_jumbo_frames_sends_one_first_and_asks_for_them_when_it_came_back() -> (
    None
):
    host = Asking()
    probe = host.says()
    assert (probe.type, probe.session, probe.payload) == (FrameType.DISCOVER, 0, bytes(8896))
    host.hears(FrameType.ANNOUNCE, b"{}".ljust(8896), message=probe.message)
    assert host.wish(host.says()) == (8896, Feature.JUMBO | Feature.NEVER_SAFE)


def test_a_host_that_does_not_want_them_says_hello_at_once() -> None:
    assert Asking(Hello(payload_bytes=1408)).says().type == FrameType.HELLO


def test_without_an_answer_the_host_makes_do_within_half_a_second() -> None:
    host = Asking()
    said = [host.says(), *(host.says_later() for _ in range(PROBE_TRIES))]
    assert [frame.type for frame in said[:-1]] == [FrameType.DISCOVER] * PROBE_TRIES
    assert host.wish(said[-1]) == (1408, Feature.NEVER_SAFE)
    assert host.now < 0.5


@pytest.mark.parametrize(
    ("length", "nonce_off"), [(8895, 0), (300, 0), (8896, 1)], ids=["cut", "short", "another's"]
)
def test_an_answer_that_proves_nothing_is_passed_over(length: int, nonce_off: int) -> None:
    host = Asking()
    nonce = host.says().message ^ nonce_off
    host.hears(FrameType.ANNOUNCE, b"{}".ljust(length), message=nonce)
    assert host.requester.datagrams(host.now) == []
    assert host.says_later().type == FrameType.DISCOVER


def test_a_board_that_refuses_the_probe_refuses_no_session() -> None:
    host = Asking()
    nonce = host.says().message
    refusal = codec.encode_nak(Nak(Status.BAD_REQUEST, "session 0x00000000 is not known here"))
    host.hears(FrameType.NAK, refusal, message=nonce)
    host.hears(FrameType.HELLO_ACK, codec.encode_hello_ack(GRANT), message=nonce)
    assert host.requester.state is RequesterState.OPENING


def test_an_answer_that_comes_too_late_changes_nothing() -> None:
    host = Asking()
    nonce = host.says().message
    for _ in range(PROBE_TRIES):
        host.says_later()
    host.hears(FrameType.ANNOUNCE, b"{}".ljust(8896), message=nonce)
    assert host.requester.datagrams(host.now) == []
    assert host.wish(host.says_later()) == (1408, Feature.NEVER_SAFE)


def test_no_more_is_asked_for_than_there_is() -> None:
    host = Asking(Hello(payload_bytes=65535))
    assert len(host.says().payload) == 8896


# ---- the board


def probe(host: Host, length: int = 8896) -> Frame:
    (announce,) = host.send(FrameType.DISCOVER, bytes(length), message=7)
    return announce


def test_a_long_question_is_answered_at_the_same_length() -> None:
    host = Host(Table())
    for length in (8896, 2000):
        announce = probe(host, length)
        assert (announce.type, announce.message) == (FrameType.ANNOUNCE, 7)
        assert len(announce.payload) == length
        assert codec.decode_json(announce.payload) == {"serial": "TEST-1", "in_use": False}


def test_a_question_longer_than_any_frame_is_answered_with_the_longest() -> None:
    body = bytearray(codec.encode_frame(Frame(FrameType.DISCOVER))[:-4]) + bytes(60_000)
    body[6:8] = (60_000).to_bytes(2, "big")
    (announce,) = Table().deliver(bytes(body) + zlib.crc32(body).to_bytes(4, "big"))
    assert len(announce.payload) == 8896


def test_jumbo_frames_are_granted_to_who_has_probed_up_to_that_size() -> None:
    table = Table()
    wish = Hello(payload_bytes=8896, features=Feature.JUMBO)
    granted = {}
    for name, length in (("whole", 8896), ("half", 4000), ("short", 1408), ("none", 0)):
        host = Host(table, name)
        probe(host, length)
        answer = host.open(wish)
        granted[name] = answer.payload_bytes, answer.features
        host.send(FrameType.BYE)
    assert granted == {
        "whole": (8896, Feature.JUMBO),
        "half": (4000, Feature.JUMBO),
        "short": (1408, 0),
        "none": (1408, 0),
    }


def test_a_host_that_has_probed_need_not_use_them() -> None:
    host = Host(Table())
    probe(host)
    assert host.open(Hello(payload_bytes=8896)).payload_bytes == 1408


def test_only_the_latest_probes_are_remembered() -> None:
    table = Table()
    first = Host(table, "first")
    probe(first)
    for number in range(15):
        probe(Host(table, f"other {number}"))
    probe(first)
    for number in range(15, 30):
        probe(Host(table, f"other {number}"))
    wish = Hello(payload_bytes=8896, features=Feature.JUMBO)
    assert first.open(wish, nonce=1).payload_bytes == 8896
    probe(Host(table, "one more"))
    assert first.open(wish, nonce=2).payload_bytes == 1408


# ---- both


@settings(max_examples=40)
@given(
    network=st.builds(
        Network,
        loss=st.floats(0, 0.4),
        duplication=st.floats(0, 0.4),
        jitter_s=st.sampled_from([0.0, 0.01, 0.2]),
    ),
    seed=st.integers(0, 2**32),
    sizes=st.lists(st.integers(0, 60_000), min_size=1, max_size=8),
)
def test_every_command_is_executed_once_whatever_payload_was_agreed(
    network: Network, seed: int, sizes: list[int]
) -> None:
    world = World(network, seed, Hello(payload_bytes=8896))
    world.open()
    assert world.requester.answer is not None
    assert world.requester.answer.payload_bytes in (1408, 8896)
    contents = [random.Random(size).randbytes(size) for size in sizes]
    for content in contents:
        world.submit(tr.write_memory(0, content))
        world.submit(tr.read_memory(len(content), len(content)))
    world.run_until_answered()
    assert world.ended is None
    assert world.board.written == contents
    assert len(world.replies) == 2 * len(sizes)


def test_on_a_good_network_jumbo_frames_are_agreed_and_used() -> None:
    world = World(hello=Hello(payload_bytes=8896))
    world.open()
    before = world.sent_to_board
    world.submit(tr.write_memory(0, bytes(8896 * 10 - 12)))
    world.run_until_answered()
    assert world.requester.answer is not None
    assert world.requester.answer.features == Feature.JUMBO
    assert world.requester.counters().frames_sent == 10
    assert world.sent_to_board - before < 20
