"""Cables on which all processes of a machine have one address: who has the board keeps it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.system.test_cables import COMMAND, emulator
from tests.veth import mac_of, veth_pair

from starlab_host import Board, HandshakeRefused, InUse, connect
from starlab_host.capture.proxy import CaptureProxy
from starlab_host.links import open_link
from starlab_host.session.session import Session
from starlab_spec.wire.frames import SILENCE_S
from starlab_spec.wire.transactions import Status, read_memory

HOLD = """
import sys
from starlab_host import connect
board = connect(sys.argv[1], client_name="other")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def ethernet() -> Iterator[str]:
    """A board on one end of a cable, by its address at the other."""
    with veth_pair() as (here, there), emulator("--eth", there) as board:
        yield board["listening"].replace(there, here)


@pytest.fixture
def serial_line() -> Iterator[str]:
    with emulator("--pty") as board:
        yield board["listening"]


def holding(url: str) -> subprocess.Popen[str]:
    """A process that has the board."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def killed(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    with process:
        pass


def once_silent(url: str) -> Board:
    """The board, as soon as it lets go of a host that is gone."""
    end = time.monotonic() + 3 * SILENCE_S
    while time.monotonic() < end:
        with contextlib.suppress(HandshakeRefused):
            return connect(url)
    raise TimeoutError(f"{url} is in use for ever")


def test_a_second_host_on_an_ethernet_is_refused_and_the_first_goes_on(ethernet: str) -> None:
    with connect(ethernet, client_name="first") as first:
        for _ in range(3):
            with pytest.raises(HandshakeRefused, match="in use by 'first'") as refused:
                connect(ethernet, client_name="first")
            assert refused.value.status == Status.BUSY
            assert first.is_up()
        assert first.read_memory(0, 10_000) == bytes(10_000)
        assert first.statistics.counters.resent_lost == 0
    with connect(ethernet) as next_one:
        assert next_one.is_up()


def test_two_hosts_that_greet_at_once_get_one_session(ethernet: str) -> None:
    found: list[str] = []
    opened = threading.Barrier(4)

    def greet() -> None:
        opened.wait()
        try:
            board = connect(ethernet, bring_up=False)
        except HandshakeRefused as refused:
            found.append(refused.detail)
            opened.wait()
        else:
            found.append("open")
            opened.wait()
            board.close()

    threads = [threading.Thread(target=greet) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["in use by 'starlab' with the same lease epoch, 0"] * 3 + ["open"]


def test_a_host_that_was_killed_on_an_ethernet_is_followed_once_it_has_been_silent(
    ethernet: str,
) -> None:
    killed(holding(ethernet))
    with pytest.raises(HandshakeRefused, match="in use by 'other'"):
        connect(ethernet)
    with once_silent(ethernet) as board:
        assert board.is_up()


def test_a_session_on_an_ethernet_is_resumed_from_the_same_address(ethernet: str) -> None:
    first = Session.open(open_link(ethernet), client_name="first")
    session = first.granted.session_id
    with Session.open(open_link(ethernet), client_name="again", resume_session=session) as again:
        assert again.granted.session_id == session
        assert again.execute([read_memory(0, 4)])[0].data == bytes(4)
    first.close()


def test_a_second_host_on_a_serial_line_is_told_by_whom_it_is_in_use(serial_line: str) -> None:
    with connect(serial_line) as board:
        with pytest.raises(InUse, match=rf"in use by process {os.getpid()} \(.+\)") as refused:
            connect(serial_line)
        assert refused.value.status == Status.BUSY
        assert board.is_up()
        assert board.read_memory(0, 10_000) == bytes(10_000)
    other = holding(f"{serial_line}?baud=115200")
    with pytest.raises(InUse, match=f"in use by process {other.pid} "):
        connect(serial_line)
    killed(other)
    with pytest.raises(HandshakeRefused, match="in use by 'other' with the same lease epoch"):
        connect(serial_line)
    with once_silent(serial_line) as board:
        assert board.is_up()


def test_programs_that_take_a_serial_line_say_by_whom_it_is_in_use(serial_line: str) -> None:
    with connect(serial_line):
        command = [sys.executable, "-m", "starlab_host.capture", "record", serial_line]
        ended = subprocess.run(
            [*command, "--output", os.devnull], capture_output=True, text=True, check=False
        )
    assert ended.returncode != 0
    assert f"in use by process {os.getpid()} " in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_hosts_behind_one_capture_are_refused_as_by_the_board() -> None:
    with emulator("--port", "0") as board:
        proxy = CaptureProxy(open_link(board["listening"]), "127.0.0.1", 0, clock=time.monotonic)
        serving = threading.Thread(target=proxy.serve)
        serving.start()
        try:
            with connect(proxy.url, client_name="first") as first:
                with pytest.raises(HandshakeRefused, match="in use by 'first', through the same"):
                    connect(proxy.url)
                assert first.is_up()
            with connect(proxy.url) as next_one:
                assert next_one.is_up()
        finally:
            proxy.stop()
            serving.join()


def test_two_emulated_boards_do_not_share_an_interface() -> None:
    with veth_pair() as (here, there), emulator("--eth", there) as board:
        ended = subprocess.run(
            [*COMMAND, "--eth", there], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 3
        assert ended.stderr.startswith(
            f"starlab-chip: cannot listen on interface {there}: in use by process {board['pid']} ("
        )
        with emulator("--eth", here) as facing:
            assert facing["listening"] == f"eth://{here}/{mac_of(here).hex(':')}"


def test_a_board_s_answers_to_one_host_are_nothing_to_another(ethernet: str) -> None:
    """All processes on an interface hear all that the board says to it."""
    with (
        connect(ethernet, client_name="first") as first,
        closing(socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)) as eavesdropper,
    ):
        eavesdropper.bind((ethernet.split("/")[2], 0x88B5))
        with pytest.raises(HandshakeRefused):
            connect(ethernet, client_name="second")
        assert first.read_memory(0, 5000) == bytes(5000)
        assert not first.is_closed
