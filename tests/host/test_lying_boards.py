"""Boards that lie are refused by name: nothing hangs, nothing fails otherwise or runs twice."""

import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.host.link_bench import Clock, NotingBoard
from tests.host.lying import Lie, LyingLink, lies, with_payload

from starlab_host import BoardMisbehaves, LinkError, OutcomeUnknown, StarlabHostError
from starlab_host.chip.settings import SETTING_ADDRESSES, settings_of
from starlab_host.errors import Interlock, refusal_of
from starlab_host.links import MemoryLink
from starlab_host.session.identity import check_identity
from starlab_host.session.session import Session
from starlab_spec.wire import codec
from starlab_spec.wire import transactions as tr
from starlab_spec.wire.errors import PayloadError
from starlab_spec.wire.frames import FrameType
from starlab_spec.wire.transactions import Opcode, Result, Status, Transaction

BOUND_S = 400.0
"""Of a clock that passes only while somebody waits."""
IDENTITY: dict[str, Any] = {
    "serial": "EMU-1",
    "firmware": "0.1.0",
    "protocol": "1.0",
    "boot_id": 0xB007,
    "geometry": {"array1": [784, 100], "array2": [100, 10]},
    "emulated": True,
    "effects": ["noise"],
    "device_model": "ideal",
}

WIRES: dict[str, Any] = {"solutions": 3, "most_steps": 40, "greatest_residual": 1e-9}
"""What a board tells of its nodal solutions."""


class Bench:
    """A board, a link that lies, and a session that is opened through it."""

    def __init__(self, change: Callable[[bytes], bytes] = lambda datagram: datagram) -> None:
        self.board = NotingBoard()
        self.board.release.set()
        self.clock = Clock()
        memory = MemoryLink(self.board, clock=self.clock)
        self.link = LyingLink(memory, self.clock, change)

    def open(self) -> Session:
        return Session.open(
            self.link, client_name="test", clock=self.clock, rng=random.Random(1), resumable=False
        )


@pytest.mark.parametrize("from_the_start", [True, False])
@pytest.mark.parametrize("kind", list(FrameType), ids=lambda kind: kind.name)
def test_no_field_of_any_frame_makes_a_host_hang_or_fail_otherwise(
    kind: FrameType, from_the_start: bool
) -> None:
    for lie in lies(kind):
        live_with(lie, from_the_start=from_the_start)


def live_with(lie: Lie, *, from_the_start: bool) -> None:
    """Open a session, work, and close it."""
    bench = Bench(lie if from_the_start else lambda datagram: datagram)
    try:
        session = bench.open()
    except LinkError:
        assert from_the_start
        assert bench.clock.now_s < BOUND_S
        return
    bench.link.change = lie
    pulses = 0
    try:
        session.status()
        session.execute([tr.read_memory(0, 4000), tr.read_registers(0, 2)], read_only=True)
        for pulses in range(1, 4):
            session.execute([tr.start(pulses), tr.write_registers(0, [1])])
        session.execute([tr.emulator({})], read_only=False)
    except StarlabHostError:
        pass
    session.close()
    assert bench.board.executed in ([*range(1, pulses + 1)], [*range(1, pulses)])
    assert bench.clock.now_s < BOUND_S


# ---- replies


def replying(*results: Result) -> Callable[[bytes], bytes]:
    payload = tr.encode_results(results)

    def change(datagram: bytes) -> bytes:
        return with_payload(datagram, payload) if datagram[3] == FrameType.REPLY else datagram

    return change


@pytest.mark.parametrize(
    ("asked", "results", "problem"),
    [
        (tr.read_memory(0, 8), [], "a message without any result"),
        (
            tr.read_memory(0, 8),
            [Result(Opcode.READ_MEM, Status.OK)],
            "result 0 (READ_MEM 0x0) has 0 bytes, asked were 8",
        ),
        (
            tr.read_registers(4, 2),
            [Result(Opcode.READ_REG, Status.OK, 4, bytes(4))],
            "result 0 (READ_REG 0x4) has 4 bytes, asked were 8",
        ),
        (
            tr.read_registers(4),
            [Result(Opcode.READ_MEM, Status.OK, 4, bytes(4))],
            "result 0 has opcode 0x10, asked was 0x01",
        ),
        (
            tr.read_registers(4),
            [Result(Opcode.READ_REG, Status.OK, 4, bytes(4))] * 2,
            "2 results to 1 transactions",
        ),
        (
            tr.get_supply(3),
            [Result(Opcode.GET_SUPPLY, Status.OK, 3, (256).to_bytes(4, "big") + bytes(8))],
            "supply 3 has code 256, above the 255 limit",
        ),
        (
            tr.get_supply(3),
            [Result(Opcode.GET_SUPPLY, Status.OK, 3, bytes(8))],
            "result 0 (GET_SUPPLY 0x3) has 8 bytes, asked were 12",
        ),
        (tr.identify(), [Result(Opcode.IDENTIFY, Status.OK, 0, b"{")], "not JSON in UTF-8: "),
        (
            tr.identify(),
            [Result(Opcode.IDENTIFY, Status.OK, 0, b"[]")],
            "a JSON object was expected",
        ),
    ],
)
def test_a_reply_that_is_none_to_a_read_is_refused_by_name(
    asked: Transaction, results: list[Result], problem: str
) -> None:
    bench = Bench()
    with bench.open() as session:
        bench.link.change = replying(*results)
        with pytest.raises(BoardMisbehaves) as caught:
            session.execute([asked], read_only=True)
    assert str(caught.value).startswith(
        f"the board breaks the protocol: reply to message 1: {problem}"
    )


@pytest.mark.parametrize(
    "results",
    [
        [Result(Opcode.START, Status.OK)],
        [Result(Opcode.START, Status.ABORTED), Result(Opcode.WRITE_REG, Status.OK)],
        [Result(Opcode.START, Status.OK), Result(Opcode.WRITE_REG, Status.OK, 0, bytes(4))],
        [Result(Opcode.START, Status.OK, 0, bytes(3)), Result(Opcode.WRITE_REG, Status.OK)],
    ],
)
def test_a_reply_that_is_none_to_a_pulse_leaves_it_in_doubt(results: list[Result]) -> None:
    bench = Bench()
    with bench.open() as session:
        bench.link.change = replying(*results)
        with pytest.raises(OutcomeUnknown) as caught:
            session.execute([tr.start(1 << 17), tr.write_registers(0, [1])])
    assert caught.value.commands == ((1, "START 0x20000, WRITE_REG 0x0"),)
    assert bench.board.executed == [1 << 17]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({}, "emulated_time_s None is no time"),
        ({"emulated_time_s": "1"}, "emulated_time_s '1' is no time"),
        ({"emulated_time_s": True}, "emulated_time_s True is no time"),
        ({"emulated_time_s": -0.5}, "emulated_time_s -0.5 is no time"),
        ({"emulated_time_s": 1 << 64}, "emulated_time_s 18446744073709551616 is no time"),
        ({"emulated_time_s": 0.0, "wires": None}, "wires None is no account of nodal solutions"),
        ({"emulated_time_s": 0.0, "wires": {"array1": 3}}, "wires {'array1': 3} is no account"),
        *(
            ({"emulated_time_s": 0, "wires": {"array2": WIRES | {name: value}}}, "wires {'array2'")
            for name, value in (
                ("solutions", 1.5),
                ("most_steps", -1),
                ("most_steps", None),
                ("greatest_residual", "small"),
            )
        ),
    ],
)
def test_what_an_emulated_board_answers_is_checked(answer: dict[str, Any], problem: str) -> None:
    bench = Bench()
    with bench.open() as session:
        bench.link.change = replying(
            Result(Opcode.EMULATOR, Status.OK, 0, json.dumps(answer).encode())
        )
        with pytest.raises(OutcomeUnknown, match=re.escape(problem)):
            session.execute([tr.emulator({"advance_s": 1})])


def test_an_emulated_board_may_tell_what_its_wires_took() -> None:
    bench = Bench()
    answer = {"emulated_time_s": 0, "wires": {"array1": WIRES}, "more": []}
    with bench.open() as session:
        data = json.dumps(answer).encode()
        bench.link.change = replying(Result(Opcode.EMULATOR, Status.OK, 0, data))
        assert tr.json_object(session.execute([tr.emulator({})])[0]) == answer


@pytest.mark.parametrize(
    ("operation", "good", "bad"),
    [
        (1 << 17, 0, 4),
        (1 << 18, 0, 4),
        (1 << 19, 0, 4),
        (1 << 20, 22, 0),
        (1 << 21, 22, 21),
        (1 << 21, 16, 12),
        (1 << 22, 8, 6),
        (1 << 24, 8, 4),
        (1 << 25, 8, 12),
        (1 << 26, 8, 0),
        (1 << 27, 8, 0),
        (1 << 28, 8, 16),
    ],
)
def test_an_operation_returns_what_it_can(operation: int, good: int, bad: int) -> None:
    bench = Bench()
    with bench.open() as session:
        bench.link.change = replying(Result(Opcode.START, Status.OK, 0, bytes(good)))
        assert len(session.execute([tr.start(operation)])[0].data) == good
        bench.link.change = replying(Result(Opcode.START, Status.OK, 0, bytes(bad)))
        with pytest.raises(OutcomeUnknown):
            session.execute([tr.start(operation)])


def test_a_rehearsal_need_not_return_data() -> None:
    bench = Bench()
    with bench.open() as session:
        bench.link.change = replying(Result(Opcode.START, Status.OK))
        session.execute([tr.start(1 << 27)], dry_run=True)


def test_a_refusal_with_a_number_that_is_none_is_a_refusal() -> None:
    result = Result(Opcode.SET_SUPPLY, Status.INTERLOCK, 0, b"VX 3.3.3 mV is above the 1e mV limit")
    error = refusal_of(result)
    assert isinstance(error, Interlock)
    assert error.value != error.value


# ---- identities


def test_the_identity_of_a_board_of_this_chip_is_taken() -> None:
    check_identity(IDENTITY, whole=True, boot_id=0xB007)
    check_identity({"serial": "x"}, whole=False)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"serial": None}, "serial None of its identity is not text"),
        ({"serial": ""}, "serial '' of its identity is empty or not printable"),
        ({"serial": "a\nb"}, "serial 'a\\nb' of its identity is empty or not printable"),
        ({"serial": "x" * 256}, "has 256 characters, above the 255 limit"),
        ({"boot_id": 7}, "boot_id 7 of its identity is not 45063, that of the session"),
        ({"boot_id": True}, "boot_id True of its identity is not a whole number"),
        ({"boots": -1}, "boots -1 of its identity is not within 0 .. 4294967295"),
        ({"emulated": "yes"}, "emulated 'yes' of its identity is not true or false"),
        ({"geometry": {}}, "geometry {} of its identity is not {'array1': [784, 100]"),
        ({"geometry": {"array1": [784, 100]}}, "that of the chip"),
        ({"effects": [1]}, "effects [1] of its identity is not a list of texts"),
        ({"device_model": ["x"]}, "device_model ['x'] of its identity is not text"),
        ({"memory_bytes": 1.5}, "memory_bytes 1.5 of its identity is not a whole number"),
    ],
)
def test_what_a_board_cannot_say_of_itself_is_refused_by_name(
    change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(BoardMisbehaves) as caught:
        check_identity(IDENTITY | change, whole=True, boot_id=0xB007)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    "name", ["serial", "firmware", "protocol", "boot_id", "geometry", "emulated"]
)
def test_what_a_board_must_say_of_itself_is_missed_by_name(name: str) -> None:
    less = {key: value for key, value in IDENTITY.items() if key != name}
    with pytest.raises(BoardMisbehaves, match=f"its identity has no {name}$"):
        check_identity(less, whole=True)


def test_a_session_is_not_opened_with_a_board_that_says_nothing_of_itself() -> None:
    def change(datagram: bytes) -> bytes:
        if datagram[3] != FrameType.HELLO_ACK:
            return datagram
        payload = datagram[32:-4]
        return with_payload(datagram, payload[:28] + b"\0\2{}")

    bench = Bench(change)
    with pytest.raises(BoardMisbehaves, match="its identity has no serial"):
        bench.open()
    assert bench.link.closed


# ---- JSON and settings


@pytest.mark.parametrize(
    "text",
    [b'{"a":NaN}', b'{"a":1e999}', b'{"a":-Infinity}', b'{"a":"\\ud800"}', b'{"\\udfff":1}', b"[]"]
    + [b'{"a":' + b"[" * depth + b"]" * depth + b"}" for depth in (32, 3000, 100_000)],
)
def test_json_that_nobody_can_pass_on_is_none(text: bytes) -> None:
    with pytest.raises(PayloadError):
        codec.decode_json(text)


def test_json_as_deep_as_allowed_is_taken() -> None:
    assert codec.decode_json(b'{"a":' + b"[" * 31 + b"]" * 31 + b"}")


def test_every_register_word_stands_for_settings() -> None:
    settings_of(dict.fromkeys(SETTING_ADDRESSES, 0xFFFFFFFF))
