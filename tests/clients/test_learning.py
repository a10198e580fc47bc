"""Making a chip ready and teaching it by the working point, by either client."""

import asyncio
import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.clients.conftest import NPY, NPZ, FakeServer, npy_bytes, npz_bytes
from tests.clients.replies import (
    FORMED,
    LEVELLED,
    PROGRAMMED,
    board_of,
    board_without_thresholds,
    settings,
)

from starlab import (
    AsyncClient,
    BoardAway,
    Client,
    Conflict,
    InvalidInput,
    TrainingStep,
    learn,
    learn_async,
    prepare,
    prepare_async,
)
from starlab.learning import is_untaught
from starlab.working_point import MNIST_FROM_SCRATCH


class Plain:
    """The synchronous calls."""

    def __init__(self, server: FakeServer) -> None:
        self._transport = httpx2.MockTransport(server)

    def prepare(self, **options: Any) -> None:
        with Client("http://bench", transport=self._transport) as client:
            prepare(client.board("emu0"), rng=np.random.default_rng(1), **options)

    def learn(self, images: Any, labels: Any, **options: Any) -> list[TrainingStep]:
        with Client("http://bench", transport=self._transport) as client:
            return list(learn(client.board("emu0"), images, labels, **options))


class Awaited:
    """The asynchronous calls."""

    def __init__(self, server: FakeServer) -> None:
        self._transport = httpx2.MockTransport(server)

    def prepare(self, **options: Any) -> None:
        async def go() -> None:
            async with AsyncClient("http://bench", transport=self._transport) as client:
                await prepare_async(client.board("emu0"), rng=np.random.default_rng(1), **options)

        asyncio.run(go())

    def learn(self, images: Any, labels: Any, **options: Any) -> list[TrainingStep]:
        async def go() -> list[TrainingStep]:
            async with AsyncClient("http://bench", transport=self._transport) as client:
                steps = learn_async(client.board("emu0"), images, labels, **options)
                return [step async for step in steps]

        return asyncio.run(go())


@pytest.fixture(params=[Plain, Awaited])
def teacher(server: FakeServer, request: pytest.FixtureRequest) -> Plain | Awaited:
    made: Plain | Awaited = request.param(server)
    return made


def paths(server: FakeServer) -> list[str]:
    return [
        request.url.path.removeprefix("/api/v1/boards/emu0").removeprefix("/")
        for request in server.requests
    ]


def test_both_clients_take_the_same_arguments() -> None:
    for plain, awaited in ((prepare, prepare_async), (learn, learn_async)):
        taken = [
            [(p.name, p.default) for p in inspect.signature(each).parameters.values()]
            for each in (plain, awaited)
        ]
        assert taken[0] == taken[1]


def test_the_working_point_lowers_the_rails_and_raises_the_threshold() -> None:
    first, last = MNIST_FROM_SCRATCH.stage(0), MNIST_FROM_SCRATCH.stage(1)
    # 4 and 13 codes of 605 mV * 10,000 / (255 * 1200) each
    assert first.supplies_mv == pytest.approx({"VBLset": 2129.92, "VSLreset": 1520.92}, abs=0.01)
    assert last.supplies_mv == pytest.approx({"VBLset": 1951.98, "VSLreset": 1342.98}, abs=0.01)
    assert (first.settings["th"], last.settings["th"]) == (180, 270)


def test_learning_follows_the_working_point_between_batches(
    teacher: Plain | Awaited, server: FakeServer, make_bits: Callable[[int], Any]
) -> None:
    server.will_answer_json(board_of("emu0"))
    server.will_answer_json(settings())
    for _ in range(4):
        server.will_answer_json({})
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((2, 10), np.int32),
                correct=np.array([True, False]),
                pulses=np.zeros((2, 2), np.uint32),
            ),
            NPZ,
        )
    steps = teacher.learn(make_bits(8), np.zeros(8), batch=2, c1=0.5)
    assert [(step.seen, step.accuracy) for step in steps] == [
        (2, 0.5),
        (4, 0.5),
        (6, 0.5),
        (8, 0.5),
    ]
    assert paths(server) == ["", "settings", *["supplies", "train-step"] * 4]
    assert json.loads(server.requests[1].content) == {"c1": 0.5}
    rails = [json.loads(request.content)["VBLset"]["mv"] for request in server.requests[2::2]]
    assert rails == sorted(rails, reverse=True)
    lessons = [request.url.params for request in server.requests[3::2]]
    assert [lesson["th"] for lesson in lessons] == ["180", "202", "225", "248"]
    assert {lesson["c1"] for lesson in lessons} == {"0.5"}


def test_samples_that_do_not_fit_are_refused_before_anything_is_asked(
    teacher: Plain | Awaited, server: FakeServer, make_bits: Callable[[int], Any]
) -> None:
    with pytest.raises(InvalidInput, match="labels"):
        teacher.learn(make_bits(8), np.zeros(7))
    assert server.requests == []


@pytest.mark.parametrize("wrong", [{"layers": (3,)}, {"layers": ()}, {"th": "x"}, {"thh": 3}])
def test_lessons_that_make_no_sense_are_refused_before_anything_is_asked(
    teacher: Plain | Awaited,
    server: FakeServer,
    make_bits: Callable[[int], Any],
    wrong: dict[str, Any],
) -> None:
    with pytest.raises(InvalidInput):
        teacher.learn(make_bits(8), np.zeros(8), **wrong)
    assert server.requests == []


def test_settings_that_are_refused_leave_the_rails(
    teacher: Plain | Awaited, server: FakeServer, make_bits: Callable[[int], Any]
) -> None:
    server.will_answer_json(board_of("emu0"))
    server.will_refuse(422, type="limit-exceeded", detail="th -1 is below the 0 limit")
    with pytest.raises(InvalidInput, match="below the 0 limit"):
        teacher.learn(make_bits(8), np.zeros(8), th=-1)
    assert paths(server) == ["", "settings"]


def test_a_board_with_fixed_thresholds_is_left_as_it_is(
    teacher: Plain | Awaited, server: FakeServer, make_bits: Callable[[int], Any]
) -> None:
    server.will_answer_json(board_without_thresholds("emu0"))
    for refused in (teacher.prepare, lambda: teacher.learn(make_bits(2), [0, 1])):
        with pytest.raises(Conflict, match="fixed in hardware; nothing was done"):
            refused()
    assert [
        (request.method, path) for request, path in zip(server.requests, paths(server), strict=True)
    ] == [("GET", "")] * 2


@pytest.mark.parametrize("newly_formed", [10, 3])
def test_preparing_wipes_array_1_unless_it_is_fresh_from_forming(
    teacher: Plain | Awaited, server: FakeServer, newly_formed: int
) -> None:
    is_fresh = newly_formed == 10
    server.will_answer_json(board_of("emu0"))
    server.will_answer_json({})
    server.will_answer_json({**FORMED, "newly_formed": newly_formed})
    server.will_answer_json(FORMED)
    for _ in range(1 if is_fresh else 2):
        server.will_answer_json(PROGRAMMED)
    server.will_refuse(409, type="not-ready", detail="enough seen")
    stages: list[str] = []
    with pytest.raises(Conflict, match="enough seen"):
        teacher.prepare(on_stage=stages.append)
    wiping = [] if is_fresh else ["arrays/1/program"]
    expected = ["", "supplies", "arrays/1/form", "arrays/2/form", *wiping, "arrays/2/program"]
    assert paths(server) == [*expected, "settings"]
    assert ("wiping array 1" in stages) is not is_fresh


def test_trimming_sets_calibrated_supplies_anew_and_balances_and_levels_formed_cells(
    teacher: Plain | Awaited, server: FakeServer
) -> None:
    supply = {"index": 0, "code": 80, "settled": True, "fault": False}
    volts = {"unit": "mV", "measured_mv": 2200, "low_mv": 627, "high_mv": 2600}
    amperes = {"unit": "uA", "measured_ua": 10, "low_ua": 1, "high_ua": 62}
    supplies = {
        "VBLset": {**supply, **volts, "requested_mv": 2209},
        "VWLset": {**supply, **volts, "requested_mv": None},
        "EXT_DL": {**supply, **volts, "requested_mv": 627},
        "Iref_integ": {**supply, **amperes, "requested_ua": 10},
        "Iref_integ2": {**supply, **amperes, "requested_ua": None},
    }
    calibration = {"serial": "EMU-1", "made_at": "2026-01-01T00:00:00Z", "in_use": True}
    voltages = {"plus_mv": 227, "minus_mv": 227, "mismatch_mv": 0}
    server.will_answer_json(board_of("emu0"))
    server.will_answer_json({**calibration, "readings": 32, "channels": {}})
    server.will_answer_json(supplies)
    server.will_answer_json(supplies)
    server.will_answer_json({})
    server.will_answer_json(FORMED)
    server.will_answer_json(FORMED)
    server.will_answer_json({"before": voltages, "after": voltages, "codes": {"VBL27": 108}})
    server.will_answer_json(LEVELLED)
    server.will_refuse(409, type="not-ready", detail="enough seen")
    stages: list[str] = []
    with pytest.raises(Conflict, match="enough seen"):
        teacher.prepare(trim=True, on_stage=stages.append)
    start = ["", "calibration", "supplies", "supplies", "supplies"]
    forming = ["arrays/1/form", "arrays/2/form", "supplies/balance", "arrays/1/level"]
    assert paths(server) == [*start, *forming, "arrays/2/program"]
    assert json.loads(server.requests[3].content) == {
        "VBLset": {"mv": 2209},
        "Iref_integ": {"ua": 10},
    }
    asked = [json.loads(server.requests[number].content) for number in (1, 7, 8)]
    assert asked == [
        {"points": 5, "readings": 32},
        {"readings": 4},
        {"tolerance_codes": 0.12, "readings": 256},
    ]
    assert stages == [
        "calibrating the supplies",
        "forming",
        "balancing the read rails",
        "levelling array 1",
        "writing random weights into array 2",
    ]


def test_a_formed_chip_with_like_cells_is_untaught(client: Client, server: FakeServer) -> None:
    rng = np.random.default_rng(1)
    for middle_uS, spread_uS in ((11, 0.5), (11, 4), (0.05, 0.02)):
        cells = rng.normal(middle_uS, spread_uS, (2, 100, 10))
        server.will_answer(npy_bytes(cells.astype(np.float32)), NPY)
    board = client.board("emu0")
    assert [is_untaught(board) for _ in range(3)] == [True, False, False]


def test_a_preparation_that_fails_in_the_middle_tells_what_it_has_done(
    teacher: Plain | Awaited, server: FakeServer
) -> None:
    server.will_answer_json(board_of("emu0"))
    server.will_answer_json({})
    server.will_answer_json(FORMED)
    server.will_refuse(503, type="board-away", detail="nobody answers", nothing_done=True)
    with pytest.raises(BoardAway) as caught:
        teacher.prepare()
    assert caught.value.calls_before == ("PATCH supplies", "POST arrays/1/form")
    assert not caught.value.nothing_done
    assert str(caught.value) == (
        "nobody answers; done before that: PATCH supplies, POST arrays/1/form"
    )


def test_rails_that_stay_are_not_sent_again(
    teacher: Plain | Awaited, server: FakeServer, make_bits: Callable[[int], Any]
) -> None:
    """From 4 codes lower to 5: of four batches the first three have the one, the last the other."""
    point = replace(MNIST_FROM_SCRATCH, lowered_codes=(4.0, 5.0))
    lesson = npz_bytes(
        outputs=np.zeros((2, 10), np.int32),
        correct=np.array([True, False]),
        pulses=np.zeros((2, 2), np.uint32),
    )
    server.will_answer_json(board_of("emu0"))
    for changes_rails in (True, False, False, True):
        if changes_rails:
            server.will_answer_json({})
        server.will_answer(lesson, NPZ)
    steps = teacher.learn(make_bits(8), np.zeros(8), batch=2, point=point)
    assert [step.seen for step in steps] == [2, 4, 6, 8]
    assert paths(server) == [
        *("", "supplies", "train-step", "train-step", "train-step"),
        *("supplies", "train-step"),
    ]
    lessons = [one for one in server.requests if one.url.path.endswith("train-step")]
    assert [one.url.params["th"] for one in lessons] == ["180", "202", "225", "248"]


def test_a_second_epoch_goes_on_where_the_first_one_ended(
    teacher: Plain | Awaited, server: FakeServer, make_bits: Callable[[int], Any]
) -> None:
    server.will_answer_json(board_of("emu0"))
    for _ in range(2):
        server.will_answer_json({})
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((3, 10), np.int32),
                correct=np.ones(3, np.bool_),
                pulses=np.zeros((3, 2), np.uint32),
            ),
            NPZ,
        )
    steps = teacher.learn(make_bits(3), [0, 1, 2], epochs=2, layers=(2,))
    assert [(step.epoch, step.seen) for step in steps] == [(0, 3), (1, 6)]
    lessons = [one for one in server.requests if one.url.path.endswith("train-step")]
    assert [one.url.params["th"] for one in lessons] == ["180", "225"]
    assert {one.url.params["layers"] for one in lessons} == {"2"}


def test_learning_sends_a_thousand_samples_at_a_time_once(
    teacher: Plain | Awaited, server: FakeServer, make_bits: Callable[[int], Any]
) -> None:
    server.will_answer_json(board_of("emu0"))
    for size in (1000, 1):
        server.will_answer_json({})
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((size, 10), np.int32),
                correct=np.ones(size, np.bool_),
                pulses=np.zeros((size, 2), np.uint32),
            ),
            NPZ,
        )
    steps = teacher.learn(make_bits(1001), np.arange(1001) % 10)
    assert [(step.epoch, step.seen) for step in steps] == [(0, 1000), (0, 1001)]
