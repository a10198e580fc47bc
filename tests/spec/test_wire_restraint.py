"""A board says at most three times what came from an address that has not shown that it hears."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.spec.wire_table import Host, Table

from starlab_spec.wire import codec
from starlab_spec.wire.frames import Frame, FrameType, Hello
from starlab_spec.wire.responder.restraint import cut_to, fitting

WHOLE: dict[str, Any] = {
    "serial": "EMU-0001",
    "firmware": "0.1.0",
    "protocol": "1.0",
    "boot_id": 0xB007,
    "boots": 3,
    "geometry": {"array1": [784, 100], "array2": [100, 10]},
    "device_model": "tantalum oxide",
    "effects": ["noise", "drift"],
    "emulated": True,
    "memory_bytes": 1 << 27,
}


class Talkative(Table):
    """A board with much to tell of itself, and a count of bytes by address."""

    def __init__(self) -> None:
        super().__init__()
        self.board.identity = lambda: WHOLE  # type: ignore[method-assign]
        self.came: dict[str, int] = {}
        self.said: dict[str, int] = {}

    def deliver(self, datagram: bytes, name: str = "host") -> list[Frame]:
        self.came[name] = self.came.get(name, 0) + len(datagram)
        return super().deliver(datagram, name)

    def turn(self, name: str = "host") -> list[Frame]:
        before = len(self.out)
        answers = super().turn(name)
        for to, frame in self.out[before:]:
            self.said[to] = self.said.get(to, 0) + len(codec.encode_frame(frame))
        return answers


@pytest.fixture
def table() -> Talkative:
    return Talkative()


def hello(name: str = "", **wish: Any) -> bytes:
    payload = codec.encode_hello(Hello(client_name=name, **wish))
    return codec.encode_frame(Frame(FrameType.HELLO, message=7, payload=payload))


def test_a_short_hello_is_granted_a_session_in_three_times_its_bytes(table: Talkative) -> None:
    (answer,) = table.deliver(hello())
    assert table.came["host"] == 53
    granted = codec.decode_hello_ack(answer.payload)
    assert granted.identity == {name: WHOLE[name] for name in ("serial", "emulated", "geometry")}
    table.wait(60.0)
    assert table.said["host"] <= 3 * 53


def test_a_host_that_hears_is_told_all(table: Talkative) -> None:
    host = Host(table)
    (answer,) = table.deliver(hello())
    granted = codec.decode_hello_ack(answer.payload)
    host.session, host.boot = granted.session_id, granted.boot_id
    host.status()
    (answer,) = table.deliver(hello())
    assert codec.decode_hello_ack(answer.payload).identity == WHOLE


def test_a_hello_that_is_repeated_is_answered_at_greater_length(table: Talkative) -> None:
    table.deliver(hello())
    for _ in range(4):
        table.deliver(hello())
    assert table.said["host"] <= table.came["host"] * 3


def test_an_identity_that_never_fits_waits_until_enough_has_come(table: Talkative) -> None:
    table.board.identity = lambda: WHOLE | {"serial": "x" * 200}  # type: ignore[method-assign]
    answers = [table.deliver(hello()) for _ in range(2)]
    assert [len(frames) for frames in answers] == [0, 1]


def test_a_short_question_gets_a_short_answer_and_a_long_one_all(table: Talkative) -> None:
    (short,) = table.deliver(codec.encode_frame(Frame(FrameType.DISCOVER)))
    assert table.said["host"] <= 3 * 36
    assert codec.decode_json(short.payload) == {
        "serial": "EMU-0001",
        "in_use": False,
        "emulated": True,
        "firmware": "0.1.0",
    }
    question = codec.encode_frame(Frame(FrameType.DISCOVER, payload=bytes(480)))
    (long,) = table.deliver(question, "other")
    assert codec.decode_json(long.payload) == WHOLE | {"in_use": False}


def test_a_refusal_is_cut_to_what_may_be_said(table: Talkative) -> None:
    first = Host(table, "first")
    first.open(Hello(client_name="n" * 200))
    (nak,) = table.deliver(hello())
    assert nak.type == FrameType.NAK
    assert table.said["host"] <= 3 * 53
    assert codec.decode_nak(nak.payload).detail.startswith("in use by 'nnnn")


def test_nothing_more_is_said_when_a_session_falls_silent_that_nobody_ever_used(
    table: Talkative,
) -> None:
    table.deliver(hello())
    said = table.said["host"]
    table.wait(30.0)
    assert table.board.is_safe
    assert table.said["host"] - said <= 3 * 53 - said


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 1 << 32),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["hello", "discover", "long", "unknown", "version", "guess", "wait"]),
            st.sampled_from(["a", "b"]),
        ),
        max_size=30,
    ),
)
def test_whatever_is_sent_no_more_than_three_times_comes_back(
    seed: int, steps: list[tuple[str, str]]
) -> None:
    table, rng = Talkative(), random.Random(seed)
    for what, name in steps:
        if what == "wait":
            table.wait(rng.random() * 4)
            continue
        frame = Frame(
            FrameType.STATUS_REQUEST, session=rng.getrandbits(32), boot=rng.getrandbits(32)
        )
        datagram = codec.encode_frame(frame)
        if what == "hello":
            datagram = hello("x" * rng.randrange(20), lease_epoch=rng.randrange(3))
        elif what == "discover":
            datagram = codec.encode_frame(Frame(FrameType.DISCOVER))
        elif what == "long":
            datagram = codec.encode_frame(
                Frame(FrameType.DISCOVER, payload=bytes(rng.randrange(600)))
            )
        elif what == "version":
            datagram = b"ST\x20" + datagram[3:]
        elif what == "guess":
            datagram = datagram[:-1]
        table.deliver(datagram, name)
    for name, said in table.said.items():
        assert said <= 3 * table.came[name]


# ---- short identities


@pytest.mark.parametrize("room", range(0, 400, 7))
def test_a_short_identity_fits_and_is_known_as_short(room: int) -> None:
    found = fitting(WHOLE, room)
    assert found == WHOLE or "boot_id" not in found
    assert found["serial"] == "EMU-0001"
    assert len(codec.encode_json(found)) <= max(room, len('{"serial":"EMU-0001"}'))


def test_a_text_is_cut_at_whole_characters() -> None:
    assert cut_to("häh", 2) == "h"
    assert cut_to("häh", -5) == ""
