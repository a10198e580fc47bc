"""What the SDK sends where little is said, and what it refuses before anything is sent."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.clients.conftest import NPZ, FakeServer, npz_bytes

from starlab import AsyncClient, Client, InvalidInput, StarlabError
from starlab.aio import AsyncArray, AsyncBoard
from starlab.board import Array, Board
from starlab.http import CONNECT_TIMEOUT_S, client_options
from starlab.snapshots import AsyncSnapshots, Snapshots

Bits = Callable[[int], Any]
CELLS = np.full((2, 100, 10), 11.0)


@pytest.mark.parametrize(
    ("call", "sent"),
    [
        (lambda board: board.calibrate(), {"points": 5, "readings": 32}),
        (lambda board: board.balance(), {"readings": 4}),
        (lambda board: board.arrays[1].level(), {"tolerance_codes": 0.12, "readings": 256}),
        (
            lambda board: board.arrays[2].pulse("set", rows=[0], columns=[1], polarity="+"),
            {"kind": "set", "count": 1, "rows": "0", "columns": "1", "polarity": "+"},
        ),
        (lambda board: board.arrays[2].form(), {}),
        (lambda board: board.write_register(0x18, 5), {"value": 5, "mask": 0xFFFF_FFFF}),
        (
            lambda board: board.snapshots.restore("a"),
            {"tolerance_uS": 0.3, "max_pulses": 2000},
        ),
        (lambda board: board.snapshots.save(), {"name": "", "memory": False}),
    ],
)
def test_what_is_not_said_goes_by_the_documented_value(
    client: Client, server: FakeServer, call: Callable[[Board], Any], sent: dict[str, Any]
) -> None:
    server.will_refuse(409, type="not-ready", detail="enough seen")
    with pytest.raises(StarlabError, match="enough seen"):
        call(client.board("emu0"))
    assert json.loads(server.request.content) == sent


def test_programming_and_reading_have_documented_values_too(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    board = client.board("emu0")

    def query(call: Callable[[], Any]) -> list[tuple[str, str]]:
        server.will_refuse(409, type="not-ready", detail="enough seen")
        with pytest.raises(StarlabError, match="enough seen"):
            call()
        return server.query

    programmed = query(lambda: board.arrays[2].program(CELLS))
    assert programmed == [("tolerance_uS", "0.5"), ("method", "write-verify")]
    assert query(lambda: board.arrays[2].conductance_uS()) == []
    assert query(lambda: board.journal()) == [("newest", "100")]
    assert query(lambda: board.acknowledge()) == []
    assert query(lambda: board.train_step(make_bits(1), [1])) == [("layers", "1"), ("layers", "2")]
    mask = np.ones((2, 100, 10))
    assert query(lambda: board.arrays[2].pulse("reset", mask=mask)) == [
        ("kind", "reset"),
        ("count", "1"),
    ]


def test_a_training_goes_once_through_all_samples_a_thousand_at_a_time(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    for size in (1000, 1):
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((size, 10), np.int32),
                correct=np.ones(size, np.bool_),
                pulses=np.zeros((size, 2), np.uint32),
            ),
            NPZ,
        )
    steps = list(client.board("emu0").train(make_bits(1001), np.arange(1001) % 10))
    assert [(step.epoch, step.seen) for step in steps] == [(0, 1000), (0, 1001)]
    layers = [one.url.params.get_list("layers") for one in server.requests]
    assert layers == [["1", "2"]] * 2


@pytest.mark.parametrize(
    ("plain", "awaited"),
    [(Board, AsyncBoard), (Array, AsyncArray), (Snapshots, AsyncSnapshots), (Client, AsyncClient)],
)
def test_both_clients_take_the_same_arguments_with_the_same_values(
    plain: type, awaited: type
) -> None:
    def taken(kind: type) -> dict[str, list[tuple[str, Any]]]:
        return {
            name: [(p.name, p.default) for p in inspect.signature(member).parameters.values()]
            for name, member in vars(kind).items()
            if inspect.isfunction(member) and not name.startswith("_")
        }

    ours, theirs = taken(plain), taken(awaited)
    shared = ours.keys() & theirs.keys()
    assert len(shared) >= min(len(ours), 4)
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((100, 10)),
        np.zeros((1, 2, 100, 10)),
        np.full((2, 100, 10), 2),
        np.full((2, 100, 10), -1),
        np.full((2, 100, 10), 0.5),
        np.full((2, 100, 10), np.nan),
    ],
)
def test_a_mask_that_is_none_is_refused_before_anything_is_sent(
    client: Client, server: FakeServer, mask: Any
) -> None:
    with pytest.raises(InvalidInput, match=r"expected \(2, inputs, outputs\) bits"):
        client.board("emu0").arrays[2].pulse("set", mask=mask)
    assert not server.requests


@pytest.mark.parametrize("more", [{"rows": [0]}, {"columns": "0"}, {"polarity": "+"}])
def test_a_mask_goes_with_no_other_choice_of_cells(
    client: Client, server: FakeServer, more: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput, match="either a mask or rows"):
        client.board("emu0").arrays[2].pulse("set", mask=np.ones((2, 100, 10)), **more)
    assert not server.requests


@pytest.mark.parametrize("status", [200, 503])
def test_a_server_that_is_not_ready_says_so_in_its_answer(
    client: Client, server: FakeServer, status: int
) -> None:
    boards = {"emu0": "idle" if status == 200 else "away"}
    server.will_answer_json({"ready": status == 200, "boards": boards}, status)
    told = client.readiness()
    assert (told.ready, told.boards) == (status == 200, boards)


def test_one_layer_or_both_learn_and_no_other(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    board, bits = client.board("emu0"), make_bits(1)
    layer: Any
    for layer in ((), (0,), (3,), (1, 3)):
        with pytest.raises(InvalidInput, match="the chip has arrays 1 and 2"):
            board.train_step(bits, [1], layers=layer)
    assert not server.requests


def test_a_body_has_its_media_type_and_what_has_no_body_has_none(
    client: Client, server: FakeServer
) -> None:
    board = client.board("emu0")
    for call, media in (
        (lambda: board.change_settings(th=3), "application/json"),
        (lambda: board.set_supplies(mv={"V25": 2565}), "application/json"),
        (lambda: board.emergency_stop(), None),
        (lambda: board.remove_calibration(), None),
    ):
        server.will_refuse(409, type="not-ready", detail="enough seen")
        with pytest.raises(StarlabError, match="enough seen"):
            call()
        assert server.request.headers.get("content-type") == media
        assert bool(server.request.content) is (media is not None)


@pytest.mark.parametrize(
    "call",
    [
        lambda board: board.snapshots.save("\ud800"),
        lambda board: board.arrays[1].form(rows="\ud800"),
        lambda board: board.arrays[1].conductance_uS(rows="\ud800"),
        lambda board: board.snapshots.upload(b"data", "\ud800"),
        lambda board: board.snapshots.get("\ud800"),
    ],
)
def test_what_is_no_text_is_refused_before_anything_is_sent(
    client: Client, server: FakeServer, call: Callable[[Board], Any]
) -> None:
    with pytest.raises(InvalidInput):
        call(client.board("emu0"))
    assert not server.requests


def test_a_connection_may_take_five_seconds_and_an_answer_as_long_as_it_takes() -> None:
    options = client_options("http://bench:8000", None, CONNECT_TIMEOUT_S)
    assert options["timeout"] == httpx2.Timeout(None, connect=5.0)
    assert CONNECT_TIMEOUT_S == 5.0
    for kind in (Client, AsyncClient):
        values = inspect.signature(kind).parameters
        assert values["timeout_s"].default is None
        assert values["connect_timeout_s"].default == 5.0


@pytest.mark.parametrize(
    ("url", "asks_environment"),
    [
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("http://localhost", False),
        ("http://bench:8000", True),
        ("https://127.0.0.2", True),
    ],
)
def test_no_proxy_leads_to_this_machine(url: str, asks_environment: bool) -> None:
    options = client_options(url, None, CONNECT_TIMEOUT_S)
    assert options["trust_env"] is asks_environment
    # before a server drops it, which is after 5 s at the usual ones
    assert options["limits"].keepalive_expiry == 2.0


def test_a_batch_may_be_a_single_sample(
    client: Client, server: FakeServer, make_bits: Bits
) -> None:
    one = npz_bytes(
        outputs=np.zeros((1, 10), np.int32),
        correct=np.ones(1, np.bool_),
        pulses=np.zeros((1, 2), np.uint32),
    )
    for _ in range(2):
        server.will_answer(one, NPZ)
    steps = client.board("emu0").train(make_bits(2), [1, 2], batch=1, epochs=1)
    assert [step.seen for step in steps] == [1, 2]
    for batch, epochs in ((0, 1), (1, 0), (-1, 1)):
        with pytest.raises(InvalidInput, match="must be at least 1"):
            client.board("emu0").train(make_bits(2), [1, 2], batch=batch, epochs=epochs)


@pytest.mark.anyio
async def test_awaited_snapshots_go_by_the_same_values(server: FakeServer) -> None:
    transport = httpx2.MockTransport(server)
    async with AsyncClient("http://bench", transport=transport) as client:
        snapshots = client.board("emu0").snapshots
        for call, sent in (
            (snapshots.save(), {"name": "", "memory": False}),
            (snapshots.restore("a"), {"tolerance_uS": 0.3, "max_pulses": 2000}),
        ):
            server.will_refuse(409, type="not-ready", detail="enough seen")
            with pytest.raises(StarlabError, match="enough seen"):
                await call
            assert json.loads(server.request.content) == sent


@pytest.mark.parametrize("label", [np.nan, np.inf, 1e300])
def test_what_is_no_whole_number_is_refused_without_a_warning(
    client: Client, server: FakeServer, make_bits: Bits, label: float
) -> None:
    with pytest.raises(InvalidInput, match="labels hold numbers that are not whole"):
        client.board("emu0").train_step(make_bits(1), [label])
    assert not server.requests
