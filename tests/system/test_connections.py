"""Clients that send half of a request, too much, too slowly, or leave: one more always gets in."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

STOP = "/api/v1/boards/board0/emergency-stop"
HALF = b"POST /api/v1/boards/board0/settings HTTP/1.1\r\nHost: localhost\r\n"
UPLOAD = b"POST /api/v1/boards/board0/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
JSON = b"application/json\r\n"
QUICK = {"head_s": 0.5, "body_s": 0.5, "answer_s": 0.5, "linger_s": 0.2, "turn_s": 0.1}


@dataclass
class Server:
    """A server process."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, 30)

    def stop(self) -> str:
        """Ask for an emergency stop; the kind of the answer. It is for a board that is away."""
        kind: str = httpx2.post(self.url + STOP, timeout=30).json()["type"]
        return kind

    def resident_kb(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def ended(self) -> list[str]:
        """End it; the lines of its log."""
        self.process.terminate()
        self.process.wait(30)
        return self.log.read_text().splitlines()


def kind(connection: socket.socket) -> str:
    """What kind of problem an answer tells, on a connection that may stay open."""
    received = b""
    while b"}" not in received:
        received += connection.recv(65536)
    found: str = json.loads(received.partition(b"\r\n\r\n")[2])["type"]
    return found


@contextmanager
def serving(folder: Path, descriptors: int | None = None, **settings: Any) -> Iterator[Server]:
    settings = {"connect_timeout_s": 0.1, **settings}
    command = [sys.executable, "-m", "tests.system.bounded_server", json.dumps(settings)]
    if descriptors is not None:
        command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            yield Server(
                process, json.loads(process.stdout.readline())["listening"], folder / "log"
            )
        finally:
            process.kill()


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and document of an answer; 0 where the connection was closed without one."""
    received = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split()[1]), json.loads(body)) if head else (0, {})


def test_half_requests_keep_nobody_out_and_end_by_themselves(tmp_path: Path) -> None:
    connections = {**QUICK, "head_s": 5.0, "calls": 20, "waiting": 10}
    with serving(tmp_path, connections=connections) as server, ExitStack() as stack:
        before = server.resident_kb()
        halves = []
        for number in range(200):
            halves.append(stack.enter_context(server.connect()))
            halves[-1].sendall(HALF + b"X-Filling: " + b"x" * 20_000)
            if number % 50 == 49:
                assert server.stop() == "stop-unconfirmed"
        assert server.resident_kb() - before < 20_000
        ends = [answer(half)[0] for half in halves]
        assert set(ends[:100]) == {0}
        assert set(ends[-20:]) == {408}
    assert server.log.read_text().count("too many connections") <= 30


def test_few_descriptors_are_enough(tmp_path: Path) -> None:
    with serving(tmp_path, descriptors=128) as server, ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(server.connect()).sendall(HALF)
        assert server.stop() == "stop-unconfirmed"
        assert "out of system resource" not in server.log.read_text()


def test_what_never_becomes_a_request_is_closed(tmp_path: Path) -> None:
    with serving(tmp_path, connections=QUICK) as server:
        with server.connect() as silent:
            assert answer(silent) == (0, {})
        with server.connect() as drip:
            began = time.monotonic()
            with suppress(ConnectionError):
                for byte in (HALF * 99)[:200]:
                    drip.sendall(bytes([byte]))
                    drip.settimeout(0.05)
                    with suppress(TimeoutError):
                        if drip.recv(100):
                            break
            assert time.monotonic() - began < 5
        assert server.stop() == "stop-unconfirmed"


@pytest.mark.parametrize(
    "endless",
    [
        HALF + b"X-Long: " + b"x" * 20_000_000,
        HALF + b"".join(b"X-%d: y\r\n" % number for number in range(99_999)),
        b"GET /" + b"x" * 20_000_000,
        UPLOAD + JSON + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: " + b"x" * 20_000_000,
        UPLOAD + JSON + b"Transfer-Encoding: chunked\r\n\r\n1;x=" + b"x" * 20_000_000,
    ],
    ids=["value", "count", "address", "trailer", "extension"],
)
def test_headers_are_bounded(tmp_path: Path, endless: bytes) -> None:
    with serving(tmp_path, connections=QUICK) as server:
        before = server.resident_kb()
        with server.connect() as connection:
            with suppress(ConnectionError):
                connection.sendall(endless)
            status, problem = answer(connection)
        # a client that does not listen while it sends may not hear why
        assert (status, problem.get("type")) in [(431, "head-too-large"), (0, None)]
        assert server.resident_kb() - before < 5_000
        assert server.stop() == "stop-unconfirmed"


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        (HALF + b"X-Long: " + b"x" * 40_000 + b"\r\n\r\n", "bytes"),
        (HALF + b"X: y\r\n" * 120 + b"\r\n", "headers"),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "bytes"),
    ],
)
def test_whoever_sends_too_large_headers_is_told(tmp_path: Path, head: bytes, unit: str) -> None:
    with serving(tmp_path, connections=QUICK) as server, server.connect() as connection:
        connection.sendall(head)
        status, problem = answer(connection)
        assert (status, problem["type"], problem["unit"]) == (431, "head-too-large", unit)


def test_a_body_that_stalls_ends_and_a_slow_one_does_not(tmp_path: Path) -> None:
    connections = {**QUICK, "body_bytes_per_s": 1000.0}
    head = UPLOAD + JSON + b"Idempotency-Key: k\r\nContent-Length: 3000\r\n"
    with serving(tmp_path, connections=connections) as server:
        with server.connect() as stalled:
            stalled.sendall(head + b"\r\n{")
            status, problem = answer(stalled)
            assert (status, problem["type"]) == (408, "too-slow")
        with server.connect() as slow:  # 2,000 bytes a second
            slow.sendall(head + b"Connection: close\r\n\r\n")
            for _ in range(15):
                slow.settimeout(0.1)
                with suppress(TimeoutError):
                    assert slow.recv(1) == b"nothing yet"
                slow.sendall(b" " * 200)
            slow.settimeout(30)
            assert answer(slow)[0] == 422


def test_a_call_too_many_is_refused_but_for_the_stop(tmp_path: Path) -> None:
    connections = {**QUICK, "calls": 3, "waiting": 3}
    call = b"GET /api/v1/boards/board0/settings HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        serving(tmp_path, connections=connections, connect_timeout_s=3.0) as server,
        ExitStack() as stack,
    ):
        calls = [stack.enter_context(server.connect()) for _ in range(3)]
        for connection in calls:
            connection.sendall(call)
        deadline = time.monotonic() + 20
        refused = httpx2.get(server.url + "/healthz")
        while refused.status_code == 200 and time.monotonic() < deadline:
            refused = httpx2.get(server.url + "/healthz")
        assert (refused.status_code, refused.json()["type"]) == (503, "server-busy")
        assert refused.headers["retry-after"] == "1"
        assert server.stop() == "stop-unconfirmed"
        assert httpx2.get(server.url + "/healthz", timeout=30).status_code in (200, 503)


def test_all_bodies_together_are_bounded(tmp_path: Path) -> None:
    upload = UPLOAD + b"application/x-npy\r\nContent-Length: 600000\r\n\r\n" + b"x" * 500_000
    with (
        serving(tmp_path, bodies_limit_bytes=900_000) as server,
        server.connect() as first,
        server.connect() as second,
    ):
        first.sendall(upload)
        second.sendall(upload)
        assert kind(second) == "server-busy"
        first.close()
        deadline = time.monotonic() + 20
        heard = "server-busy"
        while heard == "server-busy" and time.monotonic() < deadline:
            with server.connect() as third:
                third.sendall(upload + b"x" * 100_000)
                heard = kind(third)
        assert heard == "invalid-input"


def test_a_client_that_takes_nothing_of_its_answer_is_dropped(tmp_path: Path) -> None:
    page = b"GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving(tmp_path, connections=QUICK) as server, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(server.address)
        deaf.sendall(page * 20)
        deaf.settimeout(30)
        deadline = time.monotonic() + 30
        ended = False
        while not ended and time.monotonic() < deadline:
            try:
                deaf.sendall(b"\r\n" * 10_000)
            except ConnectionError:
                ended = True
        assert ended


def answers(connection: socket.socket) -> list[int]:
    """The status of each answer on a connection, until it is closed."""
    received = b""
    with suppress(ConnectionError):
        while part := connection.recv(65536):
            received += part
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+) ", received)]


ALIVE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        (b"\0 no request\r\n\r\n", 400),
        (b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (UPLOAD + JSON + b"Transfer-Encoding: chunked\r\n\r\nno number\r\n", 400),
        (HALF + b"X: y\r\n" * 120, 431),
        (UPLOAD + JSON + b"Content-Length: 9\r\n\r\n{", 408),
    ],
)
def test_calls_that_came_before_are_answered_before_one_is_refused(
    tmp_path: Path, tail: bytes, status: int
) -> None:
    # the board is away, which takes a while: a refusal that comes first would be its answer
    first = b"GET /api/v1/boards/board0/settings HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        serving(tmp_path, connections=QUICK, connect_timeout_s=1.0) as server,
        server.connect() as connection,
    ):
        connection.sendall(first + tail)
        assert answers(connection) == [503, status]
        assert "Traceback" not in server.log.read_text()


def test_an_address_that_is_none_is_told_so(calm: Server) -> None:
    with calm.connect() as connection:
        connection.sendall(b"GET http://[::1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, problem = answer(connection)
    assert (status, problem["type"]) == (400, "malformed-request")
    assert "Traceback" not in calm.log.read_text()


def test_requests_ahead_of_their_answers_are_bounded(tmp_path: Path) -> None:
    with serving(tmp_path, connections={**QUICK, "ahead": 3}) as server, ExitStack() as stack:
        eager = [stack.enter_context(server.connect()) for _ in range(10)]
        before = server.resident_kb()
        for connection in eager:
            connection.sendall(ALIVE * 5_000)
        assert server.stop() == "stop-unconfirmed"
        for connection in eager:
            assert answers(connection)[:3] == [200, 200, 200]
        assert server.resident_kb() - before < 10_000
        with server.connect() as connection:
            connection.sendall(ALIVE * 4)
            assert answers(connection) == [200, 200, 200, 503]


def leaving(server: Server, sent: bytes, *, hears: bytes = b"", reset: bool = False) -> None:
    """Begin a request, hear something of its answer, go."""
    with server.connect() as connection:
        connection.sendall(sent)
        if hears:
            assert hears in connection.recv(65536)
        if reset:
            linger = b"\x01\0\0\0\0\0\0\0"
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


WITH_KEY = UPLOAD + JSON + b"Idempotency-Key: k\r\n"
EXPECTING = b"Content-Length: 30\r\nExpect: 100-continue\r\n\r\n"


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that clients leave."""
    with serving(tmp_path_factory.mktemp("calm")) as server:
        yield server


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    ("sent", "hears"),
    [
        (b"", b""),
        (HALF, b""),
        (UPLOAD + JSON + EXPECTING, b"100 Continue"),
        (WITH_KEY + EXPECTING, b"100 Continue"),
        (UPLOAD + JSON + EXPECTING + b"{", b"100 Continue"),
        (UPLOAD + JSON + b"Content-Length: 30\r\n\r\n{", b""),
        (WITH_KEY + b"Content-Length: 30\r\n\r\n{", b""),
        (WITH_KEY + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b""),
        (UPLOAD + b"application/x-npy\r\nContent-Length: 900000\r\n\r\n" + b"x" * 500_000, b""),
        (HALF.replace(b"POST", b"PATCH") + b"Content-Type: " + JSON + EXPECTING, b"100 Continue"),
        (b"GET /api/v1/boards/board0/settings HTTP/1.1\r\nHost: localhost\r\n\r\n", b""),
        (b"GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n", b"200 OK"),
    ],
)
def test_a_client_that_leaves_is_a_line_at_most(
    calm: Server, sent: bytes, hears: bytes, reset: bool
) -> None:
    before = len(calm.log.read_text())
    leaving(calm, sent, hears=hears, reset=reset)
    assert httpx2.get(f"{calm.url}/healthz").status_code == 200
    said = calm.log.read_text()[before:]
    # "... N more" is of the lines before
    assert len([line for line in said.splitlines() if not line.startswith("... ")]) <= 1
    assert "Traceback" not in said


def test_a_call_whose_body_was_never_whole_binds_no_key(calm: Server) -> None:
    head = WITH_KEY.replace(b": k", b": another") + b"Content-Length: 30\r\n\r\n"
    leaving(calm, head + b"{")
    headers = {"Idempotency-Key": "another"}
    url = f"{calm.url}/api/v1/boards/board0/infer"
    reply = httpx2.post(url, json={"inputs": [[1]]}, headers=headers)
    assert reply.json()["type"] != "idempotency-key-reused"


def test_half_a_body_does_not_keep_a_server_from_ending(tmp_path: Path) -> None:
    with serving(tmp_path) as server, server.connect() as half:
        half.sendall(UPLOAD + JSON + EXPECTING + b"{")
        assert b"100 Continue" in half.recv(65536)
        began = time.monotonic()
        lines = server.ended()
        assert time.monotonic() - began < 7
        assert answer(half)[1]["type"] == "server-busy"
    assert not any("Traceback" in line for line in lines)


def test_a_flood_of_nonsense_is_counted_in_the_log(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        for _ in range(300):
            with server.connect() as connection:
                connection.sendall(b"\x16\x03\x01\x02\x00 this is TLS\r\n\r\n")
                assert answer(connection)[0] == 400
        lines = server.ended()
    assert len(lines) < 60
    assert any(line.startswith("... ") and " more in the last " in line for line in lines)
