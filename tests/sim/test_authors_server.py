"""The emulated board on the authors' protocol, driven by a client of another make."""

import random
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.authors_bench import AuthorsBench
from tests.system import authors_client as authors
from tests.system.authors_client import AuthorsClient
from tests.system.wire_client import BYE, HELLO, HELLO_ACK, NAK, WireClient, encode, hello_payload

from starlab_host import Chip, connect
from starlab_sim import Board, Specimen
from starlab_sim.authors import Front
from starlab_sim.authors import server as server_module
from starlab_sim.effects import Effects
from starlab_sim.requests.emulator import FaultRequest
from starlab_spec.authors import Op, OutOfStep, RequestParser

START = bytes.fromhex("403c00000008")


@pytest.fixture
def bench() -> Iterator[AuthorsBench]:
    """A formed chip; all supplies off."""
    with AuthorsBench(Specimen(seed=1)) as running:
        yield running


@pytest.fixture
def client(bench: AuthorsBench) -> Iterator[AuthorsClient]:
    """A client after the published set-up."""
    connected = AuthorsClient(bench.url)
    connected.start_up()
    yield connected
    connected.close()


def udp_client(bench: AuthorsBench) -> WireClient:
    host, _, port = bench.udp_url.removeprefix("udp://").rpartition(":")
    return WireClient((host, int(port)))


def digits(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return (np.random.default_rng(3).random((count, 784)) < 0.2).astype(np.uint8)


def codes_uS(result: bytes) -> list[float]:
    return [code / 10 for code in struct.unpack(f">{len(result) // 4}I", result)]


def test_the_published_start_up_ends_with_the_registers_that_the_specification_lists(
    bench: AuthorsBench,
) -> None:
    client = AuthorsClient(bench.url)
    for address in authors.AFTER_START_UP:
        client.set_register(address, 0)
    client.start_up()
    assert {a: client.get_register(a) for a in authors.AFTER_START_UP} == authors.AFTER_START_UP
    assert client.get_register(0xC4) == client.base() + 0x1000000
    codes = [client.ask(bytes((0x81, *channel)))[8] for channel in authors.VOLTAGES]
    assert codes == [authors.voltage_code(mv) for mv in authors.VOLTAGES.values()]
    client.close()


def test_a_request_may_come_byte_by_byte(client: AuthorsClient) -> None:
    stream = struct.pack("<BIHB", 0x60, 0x1000000, 5, 0) + b"\x41\x40\x60\x87\x00"
    for byte in stream[:-1]:
        client.send(bytes([byte]))
    assert client.ask(stream[-1:])[:1] == b"\x60"
    assert client.read(0x1000000, 6) == b"\x41\x40\x60\x87\x00\x00"


def test_requests_without_a_reply_may_share_a_segment_with_the_next(client: AuthorsClient) -> None:
    assert client.ask(bytes.fromhex("87 89000000000c 88 41c8"))[8:] == b"\x62\0\0\0"


def test_memory_goes_in_chunks_and_the_last_may_be_short(client: AuthorsClient) -> None:
    data = np.random.default_rng(1).bytes(5000)
    client.write(0x1000000, data, last_length=1016)
    assert client.read(0x1000000, 1024) + client.read(0x1000400, 1024) == data[:2048]
    assert client.read(0x1000000 + 4992, 9) == data[4992:] + b"\0"


def test_what_follows_a_short_chunk_is_a_request_again(
    client: AuthorsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "QUIET_S", 0.02)
    for value in range(20):
        client.write(0x1000000, bytes([value] * 98), last_length=1016)
        assert client.read(0x1000000, 99) == bytes([value] * 98) + b"\0"


def test_reply_and_result_never_share_a_receive_call_however_late_it_is(
    client: AuthorsClient,
) -> None:
    client.send(b"\x89\0\0\0\0\x1e")
    for _ in range(5):
        client.send(START)
        time.sleep(0.05)  # meanwhile both have surely arrived
        assert (len(client.receive()), len(client.receive())) == (8, 8 + 30)


def test_between_machines_the_same_bytes_come_after_a_pause(
    client: AuthorsClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = client.start()
    monkeypatch.setattr(server_module._Connection, "_mark", lambda self: False)
    paused: list[float] = []
    monkeypatch.setattr("starlab_sim.authors.server.time.sleep", paused.append)
    client.send(START)
    stream = b""
    while len(stream) < 2 * 8 + 22:
        stream += client.receive()
    assert stream == START + b"\0\0" + START + b"\0\0" + near
    assert len(paused) == 1
    assert 0 <= paused[0] <= server_module.PAUSE_S


def test_the_result_is_filled_up_to_the_interrupt_length_and_never_cut(
    client: AuthorsClient,
) -> None:
    whole = client.start()
    assert len(whole) == 22
    client.send(bytes.fromhex("890000000008"))
    assert client.start() == whole
    client.send(bytes.fromhex("890000000020"))
    assert client.start() == whole + bytes(10)


def test_one_hot_mode_gives_a_class_for_each_sample_of_the_range(client: AuthorsClient) -> None:
    packed = b"".join(authors.pack_sample(image.tolist()) for image in digits(30))
    client.write(0x1000000, packed)
    outputs = []
    for index in range(30):
        client.set_register(0x68, index << 16 | index)
        outputs.append(authors.unpack_y2(client.start()))
    client.change(0x2C, 8, 8, 0)
    client.set_register(0x68, 26 << 16 | 3)
    winners = authors.unpack_one_hot(client.start())
    assert winners == [int(np.argmax(output)) for output in outputs[3:27]]
    assert len(set(map(tuple, outputs))) > 20


def test_pulses_move_the_selected_cells_and_read_shows_it(
    client: AuthorsClient, bench: AuthorsBench
) -> None:
    client.select(1, 400, [3, 99])
    before = codes_uS(client.run(authors.READ))
    client.change(0x08, 7, 0, 19)
    assert client.run(authors.SET) == b""
    raised = codes_uS(client.run(authors.READ))
    client.select(1, 400, [3, 99], upper=0, lower=1)
    client.change(0x08, 15, 8, 19)
    client.run(authors.RESET)
    client.select(1, 400, [3, 99])
    lowered = codes_uS(client.run(authors.READ))
    assert len(before) == 4
    assert all(after > cell + 0.5 for after, cell in zip(raised, before, strict=True))
    assert lowered[:2] == raised[:2]
    assert all(after < cell - 0.5 for after, cell in zip(lowered[2:], raised[2:], strict=True))
    cells = bench.board.chip.conductance_uS(1)[:, 400, [3, 99]].ravel()
    assert np.abs(np.array(lowered) - cells).max() <= 0.051
    assert np.count_nonzero(bench.board.chip.pulses(1)) == 4


def test_a_virgin_row_is_formed(client: AuthorsClient) -> None:
    client.close()
    with AuthorsBench(Specimen(seed=1, virgin=True)) as bench:
        client = AuthorsClient(bench.url)
        client.start_up()
        client.select(2, 7, range(20))
        assert max(codes_uS(client.run(authors.READ))) <= 0.1
        client.run(authors.FORM)
        assert min(codes_uS(client.run(authors.READ))) >= 2
        client.close()


def test_a_refused_operation_ends_without_a_result_and_is_logged(
    bench: AuthorsBench, caplog: pytest.LogCaptureFixture
) -> None:
    client = AuthorsClient(bench.url)
    client.send(START)
    assert client.receive() == START + b"\0\0"
    assert client.receive() == START + b"\0\x0c"
    client.start_up()
    client.set_register(0x38, 3 << 17)
    assert client.start() == b""
    client.set_supply((2, 0), 200)
    assert client.ask(b"\x81\x02\x00")[8] == authors.voltage_code(2209)
    client.set_supply((7, 7), 0)
    client.set_register(0x80, 1)
    client.set_register(0x84, 1)
    client.write(0xFFFFFFF0, b"nowhere")
    assert client.read(0xFFFFFFF0, 4) == bytes(4)
    assert client.get_register(0x84) == 0
    client.close()
    said = [record.message for record in caplog.records]
    assert said[0] == "operation refused: supply VWLform is off (NOT_READY)"
    assert said[2] == "refused: VBLset 4581.9 mV is above the 2600 mV limit (INTERLOCK)"
    assert "7/7" in said[3]
    assert said[4:6] == [
        "refused: register INTERRUPT at 0x80 is read-only (RANGE)",
        "refused: there is no register at 0x84 (RANGE)",
    ]
    assert len(said) == 8


def test_a_client_that_vanishes_in_the_middle_leaves_the_board_to_the_next(
    bench: AuthorsBench,
) -> None:
    vanishing: Sequence[bytes] = (
        b"\x40\x3c\x00",
        struct.pack("<BIHB", 0x60, 0, 1016, 0) + b"half",
        START,
        b"",
    )
    first = AuthorsClient(bench.url)
    first.start_up()
    first.close()
    for request in vanishing:
        client = AuthorsClient(bench.url)
        client.send(request)
        client.close()
    last = AuthorsClient(bench.url)
    assert len(last.start()) == 22
    last.close()


def test_what_begins_no_request_ends_the_connection(
    bench: AuthorsBench, caplog: pytest.LogCaptureFixture
) -> None:
    client = AuthorsClient(bench.url)
    client.send(b"\x99\x40\x3c\0\0\0\x08")
    assert client.receive() == b""
    client.close()
    again = AuthorsClient(bench.url)
    assert again.base() == 0
    again.close()
    assert caplog.records[0].message.endswith("disconnected: 0x99 begins no request")


def test_a_second_client_waits_for_the_first_to_go(
    client: AuthorsClient, bench: AuthorsBench
) -> None:
    second = AuthorsClient(bench.url)
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(second.get_register(0xC8)))
    asking.start()
    assert client.get_register(0xC8) == 98
    assert answers == []
    client.close()
    asking.join(10)
    assert answers == [98]
    second.close()


def test_a_client_is_turned_away_while_a_session_is_open(
    bench: AuthorsBench, caplog: pytest.LogCaptureFixture
) -> None:
    session = udp_client(bench)
    session.hello(name="notebook")
    client = AuthorsClient(bench.url)
    assert client.receive() == b""
    client.close()
    assert caplog.records[0].message.endswith("the board is in use by 'notebook'")
    session.send_raw(session.frame(BYE))
    session.receive_kind(BYE)
    later = AuthorsClient(bench.url)
    assert later.base() == 0
    later.close()
    session.close()


def test_no_session_is_granted_while_a_client_is_connected(
    client: AuthorsClient, bench: AuthorsBench
) -> None:
    session = udp_client(bench)
    session.send_raw(encode(HELLO, hello_payload(epoch=9)))
    refused = session.receive_kind(NAK)
    assert b"in use by a program of the chip's authors at 127.0.0.1:" in refused.payload
    client.close()
    for _ in range(100):
        session.send_raw(encode(HELLO, hello_payload()))
        if session.receive_kind(NAK, HELLO_ACK).kind == HELLO_ACK:
            break
    else:
        pytest.fail("the board was never released")
    session.close()


def test_supplies_stay_on_when_a_client_goes(client: AuthorsClient, bench: AuthorsBench) -> None:
    client.close()
    again = AuthorsClient(bench.url)
    assert len(again.start()) == 22
    again.close()


def test_a_power_failure_ends_the_connection(
    client: AuthorsClient, bench: AuthorsBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.board.fail(FaultRequest(restart_after_pulses=1))
    client.select(1, 0, [0])
    client.set_register(0x38, authors.SET)
    client.set_register(0x3C, 8)
    assert client.receive() == b""
    assert caplog.records[-1].message.endswith("disconnected: the board's power failed")


@settings(max_examples=200, deadline=None)
@given(stream=st.binary(max_size=60), opcodes=st.lists(st.sampled_from(Op), max_size=8))
def test_whatever_comes_is_answered_or_is_no_request(stream: bytes, opcodes: list[Op]) -> None:
    board = fuzzed_board()
    front, parser = Front(board), RequestParser()
    for index, op in enumerate(opcodes):
        parser.feed(bytes([op]) + stream[7 * index : 7 * index + 7])
    parser.feed(stream)
    try:
        while (request := parser.next_request()) is not None:
            answer = front.answer(request)
            silent = request.op in (Op.TRACE_ON, Op.TRACE_OFF, Op.INTERRUPT_LENGTH)
            assert (answer.reply is None) == silent
            if answer.starts:
                assert front.run()[:6] == request.head
    except OutOfStep:
        pass


@cache
def fuzzed_board() -> Board:
    """One board for all examples: nothing that comes may make it raise, whatever came before."""
    return Board(Specimen(seed=1), serial="EMU-1", rng=random.Random(1))


def test_an_operation_waits_for_supplies_that_settle() -> None:
    effects = Effects.read({"settling": {"time_s": 0.2}})
    with AuthorsBench(Specimen(seed=1, effects=effects)) as bench:
        client = AuthorsClient(bench.url)
        client.set_supplies()
        assert len(client.start()) == 22
        client.close()


def test_learning_is_the_same_as_over_our_own_protocol() -> None:
    images, labels = digits(60), np.random.default_rng(4).integers(0, 10, 60)
    with AuthorsBench(Specimen(seed=5)) as ours, AuthorsBench(Specimen(seed=5)) as theirs:
        spread_uS = np.random.default_rng(6).uniform(2, 20, (2, 100, 10))
        for bench in (ours, theirs):
            bench.board.chip.set_conductance_uS(2, spread_uS)
        with connect(ours.udp_url) as board:
            learned = Chip(board).train_step(images, labels=labels)
        client = AuthorsClient(theirs.url)
        client.start_up()
        client.write(0x1000000, b"".join(authors.pack_sample(image.tolist()) for image in images))
        client.set_register(0x38, authors.BP)
        outputs = []
        for index, label in enumerate(labels):
            for output in range(10):
                target = 100 if output == label else -40
                client.set_register(0x40 + 4 * output, target & 0x1FFFF)
            client.set_register(0x6C, index)
            kinds = 0x01010000 if index % 2 else 0
            client.set_register(0x74, kinds | 0x0101)
            client.set_register(0x78, kinds | 0x0101)
            outputs.append(authors.unpack_y2(client.start()))
        client.close()
        assert outputs == learned.outputs.tolist()
        assert (learned.pulses.sum(axis=0) > 1000).all()
        for array in (1, 2):
            found = theirs.board.chip.conductance_uS(array)
            assert (found == ours.board.chip.conductance_uS(array)).all()
        assert theirs.board.lifetime_pulses == ours.board.lifetime_pulses
