"""Clients that go away in the middle of a long call, and boards that do: what is told is true."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.system.test_embedded_emulator import PULSE, Bench, bench, until

RNG = np.random.default_rng(3)
JSON, NPZ = "application/json", "application/x-npz"


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def packed(count: int) -> Any:
    return np.packbits(RNG.random((count, 784)) < 0.15, axis=1)


TARGETS = npz(conductance_uS=RNG.uniform(3, 19, (2, 784, 100)))
EVERYWHERE = {"kind": "set", "rows": "0:784", "columns": "0:100", "polarity": "+", "count": 10_000}
LONG = {
    "program": ("/arrays/1/program", NPZ, TARGETS),
    "open-loop": ("/arrays/1/program?method=open-loop", NPZ, TARGETS),
    "cyclic": ("/arrays/1/program?method=stellar-cyclic", NPZ, TARGETS),
    "pulse": ("/arrays/1/pulse", JSON, json.dumps(EVERYWHERE).encode()),
    "train": ("/train-step", NPZ, npz(inputs=packed(150_000), labels=RNG.integers(0, 10, 150_000))),
    "infer": ("/infer", NPZ, npz(inputs=packed(500_000))),
    "calibrate": ("/calibration", JSON, b'{"readings": 1000, "points": 64}'),
}


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("data")
    with bench(folder, "--state", str(folder / "chip.state")) as made:
        yield made


def post(made: Bench, name: str, **headers: str) -> socket.socket:
    """Send a long call, and wait until it runs."""
    path, media, body = LONG[name]
    url = made.client.base_url
    connection = socket.create_connection((url.host, url.port or 80))
    lines = {
        "Host": f"{url.host}:{url.port}",
        "Content-Type": media,
        "Accept": "*/*",
        "Content-Length": str(len(body)),
        "X-Request-ID": name,
        **headers,
    }
    head = "".join(f"{field}: {value}\r\n" for field, value in lines.items())
    start = f"POST {url.path.rstrip('/')}{path} HTTP/1.1\r\n{head}\r\n"
    connection.sendall(start.encode() + body)
    asked = lines["X-Request-ID"]
    until(lambda: (made.info()["running"] or {"request_id": None})["request_id"] == asked)
    return connection


def counted(made: Bench) -> int:
    """Pulses in the board's life."""
    total: int = made.info()["lifetime_pulses"]
    return total


@pytest.mark.parametrize("name", LONG)
def test_a_call_whose_client_goes_away_stops_and_its_pulses_are_told(
    long_lived: Bench, name: str
) -> None:
    before = counted(long_lived)
    connection = post(long_lived, name)
    running = until(lambda: long_lived.info()["running"])
    assert (running["request_id"], running["stopping"]) == (name, False)
    assert running["call"] == f"POST /api/v1/boards/emu0{LONG[name][0].partition('?')[0]}"
    connection.close()
    until(lambda: not long_lived.info()["running"])
    told = long_lived.info()["last_stopped"]
    assert told["request_id"] == name
    assert told["how"].startswith("stopped: ")
    assert told["pulses"] == counted(long_lived) - before
    assert long_lived.said(f"{told['call']}: its client has gone; stopped: ")
    # nobody holds the board any more, and it is as it was
    assert long_lived.client.post("/arrays/1/pulse", json=PULSE).json() == {"pulses": 1}


def test_a_client_that_has_asked_for_more_and_goes_away_ends_its_call_too(
    long_lived: Bench,
) -> None:
    connection = post(long_lived, "program", **{"X-Request-ID": "with more"})
    host = f"{long_lived.client.base_url.host}"
    connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() * 2)
    connection.close()
    until(lambda: not long_lived.info()["running"])
    told = long_lived.info()["last_stopped"]
    assert (told["request_id"], told["how"][:9]) == ("with more", "stopped: ")


def test_a_call_with_a_key_runs_to_its_end_and_its_answer_is_kept(long_lived: Bench) -> None:
    post(long_lived, "pulse", **{"Idempotency-Key": "to the end"}).close()
    until(lambda: not long_lived.info()["running"])
    last = long_lived.info()["last_stopped"]
    assert last is None or "to the end" not in last["call"]
    path, media, body = LONG["pulse"]
    headers = {"Content-Type": media, "Idempotency-Key": "to the end"}
    before = counted(long_lived)
    answer = long_lived.client.post(path, content=body, headers=headers)
    assert answer.json() == {"pulses": 784 * 100 * 10_000}
    assert counted(long_lived) == before


def test_others_are_served_while_a_call_is_stopped(long_lived: Bench) -> None:
    connection = post(long_lived, "infer")
    replies: list[httpx2.Response] = []

    def look() -> None:
        for _ in range(20):
            replies.append(long_lived.client.get("/registers/ADC"))
            replies.append(long_lived.client.get("/supplies"))

    with_others = threading.Thread(target=look)
    with_others.start()
    connection.close()
    with_others.join()
    assert {reply.status_code for reply in replies} == {200}


@pytest.mark.parametrize("name", ["program", "train"])
def test_a_call_that_loses_its_board_in_the_middle_tells_what_was_done(
    tmp_path: Path, name: str
) -> None:
    with bench(tmp_path, "--state", str(tmp_path / "chip.state")) as made:
        before = counted(made)
        path, media, body = LONG[name]
        headers = {"Content-Type": media, "Idempotency-Key": name}
        answers: list[httpx2.Response] = []

        def call() -> None:
            answers.append(made.client.post(path, content=body, headers=headers))

        calling = threading.Thread(target=call)
        calling.start()
        # so that there is something to tell
        until(lambda: (made.info()["running"] or {"pulses": 0})["pulses"])
        made.kill_emulator()
        calling.join()
        made.back(restarts=1)
        answer = answers[0].json()
        assert answers[0].status_code in (502, 504)
        assert "nothing_done" not in answer
        told = answer["pulses"]
        if name != "train":
            assert (answer["done"], answer["done_unit"]) == (told, "pulses")
        else:
            assert answer["done_unit"] == "samples"
        # what is told was given; what was given beyond that is in doubt
        assert told <= counted(made) - before
        if answers[0].status_code == 504:
            assert told == counted(made) - before > 0
        again = made.client.post(path, content=body, headers=headers)
        assert again.content == answers[0].content
