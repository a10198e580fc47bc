"""The emulated board on a real loopback socket, and as a program."""

import json
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from tests.host.link_bench import LONG, NotingBoard
from tests.system import wire_client as wire
from tests.system.wire_client import WireClient

from starlab_sim.ports import UdpPort
from starlab_sim.serving import server as server_module
from starlab_sim.serving.server import BoardServer
from starlab_spec.wire.responder.responder import Responder


@pytest.fixture
def board() -> NotingBoard:
    return NotingBoard()


@pytest.fixture
def url(board: NotingBoard) -> Iterator[str]:
    """Address of a server that runs on a thread."""
    port = UdpPort("127.0.0.1", 0)
    running = BoardServer(board, [port], rng=random.Random(1))
    thread = threading.Thread(target=running.serve)
    thread.start()
    yield port.url
    board.release.set()
    running.stop()
    thread.join(10)
    assert not thread.is_alive()


def connected(url: str) -> WireClient:
    host, _, port = url.removeprefix("udp://").rpartition(":")
    client = WireClient((host, int(port)))
    client.hello()
    return client


@pytest.fixture
def client(url: str) -> Iterator[WireClient]:
    """A client with a session."""
    opened = connected(url)
    yield opened
    opened.close()


def test_a_command_is_executed_and_answered(client: WireClient, board: NotingBoard) -> None:
    reply = client.command(1, wire.start(7))
    assert [result.status for result in reply.results] == [wire.OK]
    assert board.executed == [7]


def test_status_and_abort_are_served_while_a_long_command_runs(
    client: WireClient, board: NotingBoard
) -> None:
    (long,) = client.command_frames(1, wire.start(LONG))
    client.send_raw(long)
    assert board.running.wait(10)
    status = client.ask_status()
    assert (status.executing, status.state) == (1, 1)
    (abort,) = client.command_frames(2, wire.abort())
    client.send_raw(abort)
    assert client.reply(1).results[0].status == wire.ABORTED
    assert client.reply(2).results[0].status == wire.OK


def test_a_short_command_waits_for_the_long_one_before_it(
    client: WireClient, board: NotingBoard
) -> None:
    for message, operation in ((1, LONG), (2, 5)):
        client.send_raw(client.command_frames(message, wire.start(operation))[0])
    assert board.running.wait(10)
    assert client.ask_status().next_message == 1
    assert board.executed == []
    board.release.set()
    assert client.reply(2).results[0].status == wire.OK
    assert board.executed == [5]


def test_progress_of_a_long_command_is_reported(
    client: WireClient, board: NotingBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "PROGRESS_INTERVAL_S", 0.0)
    board.news = [(3, 784, "rows")]
    client.send_raw(client.command_frames(1, wire.start(LONG))[0])
    event = client.receive_kind(wire.EVENT)
    assert (
        event.payload == b"\1\0\0\0" + (3).to_bytes(4, "big") + (784).to_bytes(4, "big") + b"rows"
    )
    board.release.set()
    client.reply(1)


def test_progress_comes_ten_times_a_second_at_most(
    client: WireClient, board: NotingBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "PROGRESS_INTERVAL_S", 1e9)
    board.news = [(done, 1000, "") for done in range(1000)]
    board.release.set()
    client.command(1, wire.start(LONG))
    assert client.events == []


@pytest.mark.parametrize("operation", [LONG, 7])
def test_a_board_that_fails_answers_with_a_fault_and_goes_on(
    client: WireClient, board: NotingBoard, monkeypatch: pytest.MonkeyPatch, operation: int
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(board, "execute", lambda *_, **__: 1 / 0)
        (result,) = client.command(1, wire.start(operation)).results
    assert (result.status, board.is_safe) == (wire.HARDWARE_FAULT, True)
    assert b"broke down: division by zero" in result.data
    assert client.command(2, wire.start(5)).results[0].status == wire.OK
    assert board.executed == [5]
    assert client.ask_status().faults == 4


def test_a_protocol_that_fails_ends_the_session_and_serves_the_next(
    url: str, client: WireClient, board: NotingBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Responder, "receive", lambda *_: 1 / 0)
        client.send_raw(client.command_frames(1, wire.start(7))[0])
        assert client.receive_kind(wire.RESET).kind == wire.RESET
    assert (board.executed, board.is_safe) == ([], True)
    after = connected(url)
    after.command(1, wire.start(7))
    assert board.executed == [7]
    after.close()


def test_a_board_that_cannot_tell_how_long_a_command_takes_executes_it_all_the_same(
    client: WireClient, board: NotingBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "takes_long", lambda _: 1 / 0)
    assert client.command(1, wire.start(7)).results[0].status == wire.OK
    assert (board.executed, board.is_safe) == ([7], True)


def test_hostile_datagrams_are_survived(client: WireClient, board: NotingBoard) -> None:
    rng = random.Random(1)
    for _ in range(300):
        client.send_raw(rng.randbytes(rng.randrange(200)))
    client.command(1, wire.start(7))
    assert board.executed == [7]


def test_a_server_that_stops_tells_its_host_and_stops_the_board(board: NotingBoard) -> None:
    port = UdpPort("127.0.0.1", 0)
    stopping = BoardServer(board, [port], rng=random.Random(1))
    thread = threading.Thread(target=stopping.serve)
    thread.start()
    client = connected(port.url)
    client.send_raw(client.command_frames(1, wire.start(LONG))[0])
    assert board.running.wait(10)
    stopping.stop()
    assert client.receive_kind(wire.RESET).kind == wire.RESET
    thread.join(10)
    assert not thread.is_alive()
    assert board.is_safe
    client.close()


def test_a_server_wakes_up_to_stop(board: NotingBoard) -> None:
    idle = BoardServer(board, [UdpPort("127.0.0.1", 0)], rng=random.Random(1))
    thread = threading.Thread(target=idle.serve)
    thread.start()
    idle.stop()
    thread.join(10)
    assert not thread.is_alive()


# ---- the program


class Program:
    """`python -m starlab_sim`, started with some options."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "starlab_sim", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def announcement(self) -> dict[str, object]:
        assert self.process.stdout is not None
        announced = json.loads(self.process.stdout.readline())
        assert isinstance(announced, dict)
        return announced

    def outcome(self) -> tuple[int, str]:
        """Exit code and standard error."""
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    """Starts programs, and ends them with the test."""
    started: list[Program] = []

    def start(*options: str) -> Program:
        started.append(Program(*options))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def test_the_program_says_in_one_line_where_it_listens(program: Callable[..., Program]) -> None:
    running = program("--port", "0", "--seed", "26", "--virgin")
    announced = running.announcement()
    assert announced["serial"] == "EMU-0000001A"
    assert announced["pid"] == running.process.pid
    client = connected(str(announced["listening"]))
    assert client.command(1, wire.identify()).results[0].status == wire.OK
    client.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_ends_well_when_told(
    program: Callable[..., Program], number: signal.Signals
) -> None:
    running = program("--port", "0")
    running.announcement()
    running.process.send_signal(number)
    assert running.outcome() == (0, "")


def test_the_program_ends_with_its_parent_if_asked_to(program: Callable[..., Program]) -> None:
    running = program("--port", "0", "--exit-with-parent")
    running.announcement()
    assert running.outcome() == (0, "")


def test_a_port_in_use_ends_the_program_with_a_clear_line(program: Callable[..., Program]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        code, errors = program("--port", port).outcome()
    assert code == 3
    assert errors.splitlines() == [
        f"starlab-chip: cannot listen on 127.0.0.1 port {port}: Address already in use"
    ]
