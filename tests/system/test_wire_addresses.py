"""What a real emulator process says to whom, spoken to by a client that shares no code with it."""

import contextlib
import json
from collections.abc import Iterator

import pytest
from tests.system import wire_client as wire
from tests.system.board_process import BoardProcess
from tests.system.wire_client import WireClient


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with BoardProcess("--seed", "5") as process:
        yield process.address


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[WireClient]:
    made = WireClient(address)
    yield made
    made.close()


def test_an_address_that_has_not_shown_that_it_hears_gets_three_times_what_came_at_most(
    address: tuple[str, int],
) -> None:
    client = WireClient(address)
    sent = wire.encode(wire.DISCOVER)
    client.send_raw(sent)
    announce = client.receive()
    assert json.loads(announce.payload).keys() >= {"serial", "in_use", "emulated"}
    assert 36 + len(announce.payload) <= 3 * len(sent)
    client.close()
    client = WireClient(address)
    sent = wire.encode(wire.HELLO, wire.hello_payload(name="", features=0))
    client.send_raw(sent)
    said = []
    with contextlib.suppress(TimeoutError):
        while True:
            said.append(client.receive(timeout_s=5.0))  # longer than three seconds of silence
    assert said[0].kind == wire.HELLO_ACK
    assert sum(36 + len(frame.payload) for frame in said) <= 3 * len(sent) == 3 * 53
    client.close()


def test_a_frame_of_the_session_from_another_address_does_nothing(
    client: WireClient, address: tuple[str, int]
) -> None:
    client.hello()
    client.ask_status()
    stranger = WireClient(address)
    stranger.session, stranger.boot = client.session, client.boot
    for frame in stranger.command_frames(1, wire.write_registers(0x2C, 1, mask=1)):
        stranger.send_raw(frame)
    question = stranger.receive()
    assert question.kind == wire.STATUS
    stranger.send_raw(stranger.frame(wire.BYE))
    assert client.ask_status().next_message == 1
    assert client.command(1, wire.read_registers(0x2C)).results[0].status == wire.OK
    stranger.close()


def test_a_host_that_answers_from_its_new_address_has_moved(
    client: WireClient, address: tuple[str, int]
) -> None:
    client.hello()
    client.ask_status()
    moved = WireClient(address)
    moved.session, moved.boot = client.session, client.boot
    moved.send_raw(moved.frame(wire.STATUS_REQUEST))
    question = moved.receive()
    moved.send_raw(moved.frame(wire.STATUS_REQUEST, message=question.message))
    assert moved.receive().kind == wire.STATUS
    assert moved.command(1, wire.read_registers(0x2C)).results[0].status == wire.OK
    moved.close()
