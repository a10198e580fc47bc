"""A real emulator process, spoken to by a client that shares no code with it."""

import json
import random
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.system import wire_client as wire
from tests.system.wire_client import Reply, WireClient

FORM, SET, RESET, BP, INFERENCE, READ = (1 << bit for bit in range(17, 23))
BATCH_TRAINING = 1 << 27
DEFAULT_CODES = (
    *(30, 60, 179, 108, 85, 222, 80, 49, 86, 0, 0, 0, 105, 229, 98),
    *(9, 9, 9, 15, 15, 168, 35),
)
"""Published supply settings: codes of 15 voltages, mV = 605 (1245 + code 10000 / 255) / 1200, and
of 7 currents, code = (66000 / uA - 50 - Rbase) 255 / Rab."""


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Address of an emulator process with a formed chip."""
    command = [sys.executable, "-m", "starlab_sim", "--port", "0", "--seed", "7"]
    with subprocess.Popen(
        [*command, "--exit-with-parent"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())["listening"]
        host, _, port = listening.removeprefix("udp://").rpartition(":")
        yield host, int(port)
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def client(address: tuple[str, int]) -> Iterator[WireClient]:
    """A client with a session of its own on a board that has just been restarted."""
    with_session = WireClient(address)
    with_session.hello()
    with_session.send_raw(with_session.command_frames(1, wire.emulator(restart=True))[0])
    with_session.receive_kind(wire.REPLY, wire.RESET, wire.NAK)
    with_session.hello()
    yield with_session
    with_session.send_raw(with_session.frame(wire.BYE))
    with_session.close()


def statuses(reply: Reply) -> list[int]:
    return [result.status for result in reply.results]


def power_up(client: WireClient, message: int) -> None:
    """All 22 supplies at the published settings, in index order, in one command."""
    settings = [wire.set_supply(index, code) for index, code in enumerate(DEFAULT_CODES)]
    assert statuses(client.command(message, *settings)) == [wire.OK] * 22


def pulse_row(row: int, columns: int, pulses: int, operation: int = SET) -> list[bytes]:
    """Transactions that pulse the upper cells of some columns of a row of array 1."""
    return [
        wire.write_registers(0x2C, 1, mask=1),
        wire.write_registers(0x14, 0x001, mask=0x101),
        wire.write_registers(0x18, (3 - row // 196) | (row % 196) << 2),
        wire.write_registers(0x1C, columns, 0, 0, 0),
        wire.write_registers(0x08, pulses - 1, mask=0xFF),
        wire.start(operation),
    ]


def test_a_board_answers_a_discover_with_who_it_is(address: tuple[str, int]) -> None:
    client = WireClient(address)
    client.send_raw(wire.encode(wire.DISCOVER, bytes(200)))
    announce = client.receive()
    identity = json.loads(announce.payload)
    assert (announce.kind, announce.session) == (wire.ANNOUNCE, 0)
    assert identity.keys() >= {"serial", "firmware", "protocol", "geometry", "emulated", "in_use"}
    assert identity["emulated"] is True
    client.close()


def test_a_hello_is_answered_with_a_fresh_session(client: WireClient) -> None:
    welcome = client.hello(window=16, payload=512)
    assert welcome.session != 0
    assert welcome.boot != 0
    assert (welcome.version, welcome.next_message) == (0x10, 1)
    assert 1 <= welcome.window <= 16
    assert 1 <= welcome.payload <= 512
    assert welcome.identity["geometry"] == {"array1": [784, 100], "array2": [100, 10]}


def test_an_unknown_version_is_refused_by_name_and_value(address: tuple[str, int]) -> None:
    client = WireClient(address)
    client.send_raw(wire.encode(wire.HELLO, wire.hello_payload(minimum=0x20, maximum=0x21)))
    refusal = client.receive()
    assert refusal.kind == wire.NAK
    assert b"version" in refusal.payload
    client.close()


def test_registers_wake_up_in_the_published_start_up_state(client: WireClient) -> None:
    reply = client.command(1, wire.read_registers(0x00, 16), wire.read_registers(0xC0, 3))
    assert reply.results[0].words == (
        *(0x03030047, 0x00FF0005, 0x00FF0000, 0x00FF0003, 0x003F0000, 0x030F0101, 0x63),
        *(0, 0, 0, 0, 0x037F0100, 0x0471011F, 0x0071011F, 0x00200000, 0),
    )
    assert reply.results[1].words == (0x120, 0x0100_0000, 98)


def test_a_write_replaces_the_bits_under_its_mask_alone(client: WireClient) -> None:
    reply = client.command(
        1,
        wire.write_registers(0x00, 0xFFFF_FFF2, mask=0x0000_0007),
        wire.read_registers(0x00, 2, fixed=True),
    )
    assert statuses(reply) == [wire.OK, wire.OK]
    assert reply.results[1].words == (0x03030042, 0x03030042)


def test_nothing_is_pulsed_before_every_supply_is_set(client: WireClient) -> None:
    before = client.ask_status().lifetime_pulses
    early = client.command(1, *pulse_row(5, 0b111, 4))
    assert early.results[-1].status == wire.NOT_READY
    assert b"VWLform" in early.results[-1].data
    power_up(client, 2)
    assert client.ask_status().lifetime_pulses == before


def test_the_lifetime_counter_counts_each_pulse_on_each_cell(client: WireClient) -> None:
    power_up(client, 1)
    before = client.ask_status().lifetime_pulses
    assert statuses(client.command(2, *pulse_row(5, 0b111, 4))) == [wire.OK] * 6
    assert client.ask_status().lifetime_pulses == before + 12


def test_set_pulses_raise_what_read_finds(client: WireClient) -> None:
    power_up(client, 1)
    read = [*pulse_row(400, 0b1, 1)[:4], wire.start(READ)]
    before = client.command(2, *read).results[-1].words
    assert statuses(client.command(3, *pulse_row(400, 0b1, 40)))[-1] == wire.OK
    after = client.command(4, *read).results[-1].words
    assert len(before) == len(after) == 1
    assert after[0] > before[0] + 10


def test_a_supply_beyond_its_limit_is_refused_with_name_value_and_limit(
    client: WireClient,
) -> None:
    result = client.command(1, wire.set_supply(6, 200)).results[0]
    assert result.status == wire.INTERLOCK
    assert b"VBLset" in result.data
    assert b"2600 mV" in result.data


def test_the_first_failure_ends_a_command(client: WireClient) -> None:
    reply = client.command(
        1,
        wire.write_registers(0x1C, 7),
        wire.read_registers(0x1000),
        wire.write_registers(0x1C, 9),
    )
    assert statuses(reply) == [wire.OK, wire.RANGE]
    assert client.command(2, wire.read_registers(0x1C)).results[0].words == (7,)


def test_an_unknown_opcode_is_unsupported(client: WireClient) -> None:
    assert statuses(client.command(1, wire.transaction(0x55))) == [wire.UNSUPPORTED]


def test_a_repeated_frame_is_answered_from_the_cache(client: WireClient) -> None:
    power_up(client, 1)
    before = client.ask_status().lifetime_pulses
    (frame,) = client.command_frames(2, *pulse_row(9, 0b11, 1))
    client.send_raw(frame)
    first = client.reply(2)
    for _ in range(3):
        client.send_raw(frame)
        again = client.reply(2)
        assert again.flags & wire.REPLAYED
        assert again.results == first.results
    assert not first.flags & wire.REPLAYED
    assert client.ask_status().lifetime_pulses == before + 2


def test_a_repeated_command_in_new_frames_is_answered_from_the_cache(client: WireClient) -> None:
    power_up(client, 1)
    before = client.ask_status().lifetime_pulses
    first = client.command(2, *pulse_row(9, 0b11, 1))
    again = client.command(2, *pulse_row(9, 0b11, 1))
    assert again.flags & wire.REPLAYED
    assert again.results == first.results
    assert client.ask_status().lifetime_pulses == before + 2


def test_a_used_message_id_with_another_request_ends_the_session(client: WireClient) -> None:
    power_up(client, 1)
    client.command(2, *pulse_row(9, 0b11, 1))
    before = client.ask_status().lifetime_pulses
    client.send_raw(client.command_frames(2, *pulse_row(9, 0b111, 1))[0])
    answer = client.receive_kind(wire.NAK, wire.RESET, wire.REPLY)
    assert answer.kind != wire.REPLY or answer.payload[1] == wire.ID_REUSED
    old = client.session
    assert client.hello().session != old
    assert client.ask_status().lifetime_pulses == before


def test_commands_out_of_order_are_held_and_executed_in_order(client: WireClient) -> None:
    frames = {
        message: client.command_frames(message, wire.write_registers(0x1C, message))[0]
        for message in (1, 2, 3)
    }
    for message in (3, 2):
        client.send_raw(frames[message])
    assert client.silence(wire.REPLY)
    client.send_raw(frames[1])
    assert [client.reply(message).message for message in (1, 2, 3)] == [1, 2, 3]
    assert client.command(4, wire.read_registers(0x1C)).results[0].words == (3,)


def test_an_id_that_fell_out_of_the_cache_is_never_executed_again(client: WireClient) -> None:
    client.hello(window=1)
    power_up(client, 1)
    client.command(2, *pulse_row(9, 0b11, 1))
    before = client.ask_status().lifetime_pulses
    for message in range(3, 600):
        client.command(message, wire.read_registers(0))
    client.send_raw(client.command_frames(2, *pulse_row(9, 0b11, 1))[0])
    answer = client.receive_kind(wire.REPLY, wire.NAK)
    assert answer.flags & wire.REPLAYED or wire.TOO_OLD in answer.payload[:2]
    assert client.ask_status().lifetime_pulses == before


def test_fragments_in_any_order_and_twice_are_assembled_once(client: WireClient) -> None:
    data = random.Random(1).randbytes(20_001)
    frames = client.command_frames(1, wire.write_memory(0x1000, data))
    shuffled = frames * 2
    random.Random(2).shuffle(shuffled)
    for frame in shuffled:
        client.send_raw(frame)
    assert statuses(client.reply(1)) == [wire.OK]
    read = client.command(2, wire.read_memory(0x1000, len(data)))
    assert read.results[0].data == data


def test_a_command_with_a_missing_fragment_does_nothing(client: WireClient) -> None:
    frames = client.command_frames(1, wire.write_memory(0, b"\xaa" * 4000))
    for frame in (frames[0], frames[2]):
        client.send_raw(frame)
    ack = client.receive_kind(wire.ACK)
    while ack.payload[:4] != b"\0\0\0\1" or not ack.payload[4] & 0x80:
        ack = client.receive_kind(wire.ACK)
    assert client.ask_status().next_message == 1
    client.send_raw(frames[1])
    assert statuses(client.reply(1)) == [wire.OK]


def test_a_dry_run_checks_and_changes_nothing(client: WireClient) -> None:
    power_up(client, 1)
    before = client.ask_status().lifetime_pulses
    dry = client.command(2, *pulse_row(9, 0b11, 3), flags=wire.DRY_RUN)
    assert statuses(dry) == [wire.OK] * 6
    refused = client.command(3, wire.set_supply(6, 200), flags=wire.DRY_RUN)
    assert statuses(refused) == [wire.INTERLOCK]
    assert client.ask_status().lifetime_pulses == before
    assert client.command(4, wire.read_registers(0x1C)).results[0].words == (0,)


def test_hostile_datagrams_change_nothing_and_stop_nothing(client: WireClient) -> None:
    power_up(client, 1)
    before = client.ask_status()
    rng = random.Random(3)
    good = client.command_frames(2, *pulse_row(9, 0b11, 3))[0]
    client.sequence -= 1
    for _ in range(500):
        broken = bytearray(good)
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        client.send_raw(bytes(broken))
        client.send_raw(good[: rng.randrange(len(good))])
        client.send_raw(rng.randbytes(rng.randrange(1472)))
    assert client.ask_status() == before
    assert statuses(client.command(2, *pulse_row(9, 0b11, 3))) == [wire.OK] * 6


@pytest.mark.parametrize(
    "body",
    [
        b"\x01",
        struct.pack(">BBHII", 0x01, 0, 0, 4, 0),
        struct.pack(">BBHII", 0x11, 0, 0, 0xFFFF_FFFF, 0),
        struct.pack(">BBHIII", 0x01, 0, 0, 4, 0, 0xFFFF_FFFF),
        struct.pack(">BBHIII", 0x10, 0, 0, 4, 0, 0xFFFF_FFFF),
        struct.pack(">BBHII", 0x02, 0, 0, 0, 0),
        struct.pack(">BBHII", 0x7F, 0, 0, 0, 0),
    ],
)
def test_a_malformed_command_is_answered_with_a_refusal(client: WireClient, body: bytes) -> None:
    results = client.command(1, body).results
    assert results[-1].status in (wire.BAD_REQUEST, wire.RANGE)
    assert statuses(client.command(2, wire.identify())) == [wire.OK]


def test_an_older_lease_is_fenced(client: WireClient, address: tuple[str, int]) -> None:
    client.hello(epoch=5)
    old = WireClient(address)
    old.send_raw(wire.encode(wire.HELLO, wire.hello_payload(epoch=4)))
    refusal = old.receive_kind(wire.NAK)
    assert refusal.payload[0] == wire.FENCED
    assert statuses(client.command(1, wire.identify())) == [wire.OK]
    old.close()


def test_a_newer_lease_closes_the_older_session(
    client: WireClient, address: tuple[str, int]
) -> None:
    client.hello(epoch=5)
    power_up(client, 1)
    newer = WireClient(address)
    newer.hello(epoch=6)
    before = newer.ask_status().lifetime_pulses
    client.send_raw(client.command_frames(2, *pulse_row(9, 0b11, 3))[0])
    assert client.receive_kind(wire.NAK, wire.RESET).kind in (wire.NAK, wire.RESET)
    assert newer.ask_status().lifetime_pulses == before
    newer.send_raw(newer.frame(wire.BYE))
    newer.close()


def test_a_restart_keeps_cells_and_lifetime_and_changes_the_boot_id(client: WireClient) -> None:
    power_up(client, 1)
    client.command(2, *pulse_row(9, 0b11, 3))
    before = client.ask_status().lifetime_pulses
    boot, session = client.boot, client.session
    client.send_raw(client.command_frames(3, wire.emulator(restart=True))[0])
    client.receive_kind(wire.REPLY, wire.RESET, wire.NAK)
    welcome = client.hello()
    assert welcome.boot != boot
    assert welcome.session != session
    assert welcome.lifetime_pulses == before
    assert client.command(1, *pulse_row(9, 1, 1)).results[-1].status == wire.NOT_READY


def test_a_real_looking_board_refuses_an_unknown_emulator_key(client: WireClient) -> None:
    result = client.command(1, wire.emulator(levitate=True)).results[0]
    assert result.status == wire.BAD_REQUEST
    assert b"levitate" in result.data


def start_long_training(client: WireClient, message: int) -> list[bytes]:
    """Frames of a command that learns the same sample so often that it cannot be over at once."""
    samples, labels, records, count = 0x0000_0000, 0x0010_0000, 0x0100_0000, 0x0010_0000
    return client.command_frames(
        message,
        wire.write_registers(0xC4, samples, 0),
        wire.write_registers(0x180, 0, count),
        wire.write_registers(0x190, labels),
        wire.write_registers(0x19C, records),
        wire.start(BATCH_TRAINING),
    )


def test_a_running_command_is_in_progress_and_can_be_aborted(client: WireClient) -> None:
    power_up(client, 1)
    (frame,) = start_long_training(client, 2)
    client.send_raw(frame)
    status = client.ask_status()
    assert (status.executing, status.state) == (2, 1)
    client.send_raw(frame)
    assert statuses(client.reply(2)) == [wire.IN_PROGRESS]
    client.send_raw(client.command_frames(3, wire.abort())[0])
    assert client.reply(2).results[-1].status == wire.ABORTED
    assert statuses(client.reply(3)) == [wire.OK]
    assert client.ask_status().state == 0


def test_a_board_that_hears_nothing_of_its_session_goes_safe(client: WireClient) -> None:
    client.hello(features=0)
    power_up(client, 1)
    assert client.receive_kind(wire.EVENT, timeout_s=10).payload[0] == 3
    assert client.ask_status().state == 2
    assert client.command(2, *pulse_row(9, 1, 1)).results[-1].status == wire.NOT_READY
    power_up(client, 3)
    assert statuses(client.command(4, *pulse_row(9, 1, 1)))[-1] == wire.OK
