"""How a terminal words what a long call has done."""

from datetime import UTC, datetime

import httpx2
import pytest
from tests.clients.command_line import Run
from tests.clients.conftest import FakeServer
from tests.clients.replies import board_of

from starlab import Client, StarlabError
from starlab.cli.ending import ExitCode, Interrupted, ending_of
from starlab.cli.following import extent, sentence
from starlab_contract import EndedCall, RunningCall

PROGRAM = {
    "call": "POST /api/v1/boards/emu0/arrays/1/program",
    "client": "127.0.0.1:4",
    "request_id": "mine",
    "done": 1200,
    "total": 156_800,
    "unit": "cells",
    "pulses": 12_345,
}
RUNNING = {**PROGRAM, "seconds": 3.5, "stopping": False}


def test_how_far_a_call_is_comes_with_its_unit_and_its_pulses() -> None:
    assert extent(RunningCall(**RUNNING)) == "1,200 of 156,800 cells, 12,345 pulses"
    untold = {"done": None, "total": None, "unit": None}
    assert extent(RunningCall(**{**RUNNING, **untold})) == "12,345 pulses"
    assert extent(RunningCall(**{**RUNNING, "total": None})) == "1,200 cells, 12,345 pulses"


def test_where_a_call_was_stopped_is_one_sentence() -> None:
    stopped = EndedCall(**PROGRAM, ended_at=datetime(2026, 1, 1, tzinfo=UTC), how="stopped: X")
    assert sentence(stopped) == (
        "program ended on the board after 1,200 of 156,800 cells, 12,345 pulses (stopped: X)"
    )


def test_an_interruption_ends_with_its_own_code_and_members() -> None:
    ending = ending_of(Interrupted("interrupted; here", ExitCode.TERMINATED, {"pulses": 3}))
    assert (ending.code, ending.detail, ending.problem) == (143, "interrupted; here", {"pulses": 3})
    assert ending_of(Interrupted()).code == 130


def test_the_sdk_tells_what_runs_and_whose_it_is(client: Client, server: FakeServer) -> None:
    server.will_answer_json({**board_of("emu0"), "running": RUNNING})
    running = client.board("emu0").running()
    assert running is not None
    assert (running.done, running.total, running.unit) == (1200, 156_800, "cells")
    assert server.request.headers["x-request-id"] == f"{client.request_ids.client}-1"


def test_nothing_runs_on_a_board_that_says_nothing_of_it(
    client: Client, server: FakeServer
) -> None:
    server.will_answer_json(board_of("emu0"))
    assert client.board("emu0").running() is None


def test_a_call_without_an_answer_is_known_by_its_name(client: Client, server: FakeServer) -> None:
    server.will_answer_json(board_of("emu0"))
    client.board("emu0").info()
    assert client.request_ids.unanswered is None
    server.answers.clear()
    server.will_fail(httpx2.ReadError("gone"))
    with pytest.raises(StarlabError):
        client.board("emu0").info()
    assert client.request_ids.unanswered == f"{client.request_ids.client}-2"


def test_no_two_clients_have_one_name() -> None:
    with Client("http://localhost") as one, Client("http://localhost") as other:
        assert one.request_ids.client != other.request_ids.client


@pytest.mark.parametrize("status", [409, 500, 502, 504])
def test_an_error_tells_what_was_done_before(
    client: Client, server: FakeServer, status: int
) -> None:
    server.will_refuse(status, type="x", detail="y", done=17, done_unit="samples", pulses=345)
    with pytest.raises(StarlabError, match="y") as caught:
        client.board("emu0").counters()
    error = caught.value
    assert (error.done, error.done_unit, error.pulses) == (17, "samples", 345)
    assert not error.nothing_done


def test_an_error_before_anything_says_so(client: Client, server: FakeServer) -> None:
    server.will_refuse(503, type="board-away", detail="y", nothing_done=True)
    with pytest.raises(StarlabError, match="y") as caught:
        client.board("emu0").counters()
    assert caught.value.nothing_done
    assert caught.value.done == 0


def test_the_list_of_boards_says_what_runs(run: Run, server: FakeServer) -> None:
    server.will_answer_json([{**board_of("emu0"), "running": RUNNING}])
    words = run("boards").words
    assert f"emu0: {PROGRAM['call']}, 4 s: 1,200 of 156,800 cells, 12,345 pulses" in words
