"""The process that lets a board hear of a host that is held up."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from tests.host.link_bench import Clock, NotingBoard

from starlab_host.links import MemoryLink
from starlab_host.links.base import Outlet
from starlab_host.session.heart import Heart
from starlab_host.session.heart_process import main
from starlab_host.session.session import Session
from starlab_spec.wire.requester.requester import Requester

FOR_EVER_S = 250.0


class Host:
    """A host that speaks while it may, on a link whose other end is the board's."""

    def __init__(self) -> None:
        self.link, self.board = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.board.settimeout(FOR_EVER_S)
        self.is_over = False
        self.beats = 0
        self.is_free = threading.Event()
        self.is_free.set()

    def frame(self) -> bytes | None:
        self.is_free.wait(FOR_EVER_S)
        self.beats += 1
        return None if self.is_over else b"beat %d" % self.beats

    def heart(self, *, every_s: float, at_most_s: float) -> Heart:
        outlet = Outlet(self.link.fileno())
        return Heart(outlet, self.frame, every_s=every_s, at_most_s=at_most_s)

    def end(self) -> None:
        self.is_over = True
        self.is_free.set()
        self.link.close()
        self.board.close()


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.end()


def test_a_host_that_is_held_up_is_heard_of_with_its_last_word(host: Host) -> None:
    host.heart(every_s=0.05, at_most_s=FOR_EVER_S)
    while host.beats < 2:
        pass
    host.is_free.clear()
    words = [host.board.recv(100) for _ in range(20)]
    assert len(set(words[-10:])) == 1
    assert words[-1] == b"beat %d" % host.beats


def test_a_host_that_hangs_is_missed_in_the_end(host: Host) -> None:
    host.heart(every_s=0.02, at_most_s=0.5)
    while host.beats < 1:
        pass
    host.is_free.clear()
    heard = host.board.recv(100)
    host.board.settimeout(2.0)
    while heard:
        try:
            heard = host.board.recv(100)
        except TimeoutError:
            heard = b""
    host.is_free.set()
    host.board.settimeout(FOR_EVER_S)
    while host.beats < 3:
        pass
    host.is_free.clear()
    assert host.board.recv(100).startswith(b"beat ")


def test_a_host_that_speaks_for_itself_needs_nobody(host: Host) -> None:
    host.heart(every_s=FOR_EVER_S, at_most_s=FOR_EVER_S)
    while host.beats < 3:
        pass
    host.board.setblocking(False)
    with pytest.raises(BlockingIOError):
        host.board.recv(100)


def test_the_process_ends_with_the_session(host: Host) -> None:
    heart = host.heart(every_s=0.05, at_most_s=FOR_EVER_S)
    while host.beats < 1:
        pass
    host.is_over = True
    while is_alive(heart.process_id):
        pass


def test_the_process_ends_with_a_host_that_is_killed() -> None:
    program = (
        "import socket, time\n"
        "from starlab_host.links.base import Outlet\n"
        "from starlab_host.session.heart import Heart\n"
        "link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "heart = Heart(Outlet(link.fileno()), lambda: b'beat')\n"
        "while not heart.process_id: pass\n"
        "print(heart.process_id, flush=True)\n"
        "time.sleep(250)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        pid = int(killed.stdout.readline())
        killed.kill()
    while is_alive(pid):
        pass


def test_a_process_that_is_killed_is_replaced(host: Host) -> None:
    heart = host.heart(every_s=0.05, at_most_s=FOR_EVER_S)
    while host.beats < 1:
        pass
    first = heart.process_id
    os.kill(first, signal.SIGKILL)
    while heart.process_id == first:
        pass
    host.is_free.clear()
    assert host.board.recv(100).startswith(b"beat ")


def test_a_host_that_somebody_has_stopped_is_not_heard_of(host: Host) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        parent.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, parent.pid, os.WSTOPPED | os.WNOWAIT)
        beats, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = [host.link.fileno(), 0.02, FOR_EVER_S, parent.pid]
        with subprocess.Popen(
            [sys.executable, main.__globals__["__file__"], *map(str, arguments)],
            stdin=theirs.fileno(),
            pass_fds=[host.link.fileno()],
        ) as starting:
            assert starting.wait(FOR_EVER_S) == 0
            beats.send(b"beat")
            host.board.settimeout(1.0)
            with pytest.raises(TimeoutError):
                host.board.recv(100)
            parent.send_signal(signal.SIGCONT)
            host.board.settimeout(FOR_EVER_S)
            assert host.board.recv(100) == b"beat"
            theirs.close()
            beats.close()
        parent.kill()


def test_what_is_sent_in_a_hosts_stead_is_no_request_of_its_own() -> None:
    clock = Clock()
    link = MemoryLink(NotingBoard(), clock=clock)
    session = Session.open(link, client_name="test", clock=clock)
    requester: Requester = session._requester
    before = requester.counters()
    frame = session.heartbeat()
    assert frame is not None
    assert requester.counters() == before
    link.send([frame])
    assert session.status().next_message_id == 1
    session.close()
    assert session.heartbeat() is None


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
