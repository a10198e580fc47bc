"""Device models beside the published tables: soft bounds, and the user's own."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.conftest import Bench

from starlab_sim import Board, Specimen
from starlab_sim.chip import Chip, PulseKind, Rails
from starlab_sim.devices import SoftBounds, device_model, load_device, preset
from starlab_sim.errors import Refused
from starlab_sim.keeping.state_file import StateFile
from starlab_spec.errors import LimitExceeded, UnknownName
from starlab_spec.wire import transactions as wire
from starlab_spec.wire.transactions import Status

SHAPE1 = (2, 784, 100)
RAILS = Rails()


def own(**changes: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "set": {"mean_uS": [0.3, 0.2, 0.1], "std_uS": [0.0, 0.1, 0.2]},
        "reset": {"mean_uS": [0.05, 0.15, 0.25], "std_uS": [0.0, 0.0, 0.3]},
    } | changes


# ---- soft bounds


@pytest.mark.parametrize("nonlinearity", [0.0, 1.0, 5.0])
def test_soft_bounds_fade_to_nothing_at_the_far_end(nonlinearity: float) -> None:
    model = SoftBounds(set_step_uS=0.4, reset_step_uS=0.1, nonlinearity=nonlinearity)
    assert model.step_uS(nonlinearity, 0.4, 0.0) == pytest.approx(0.4)
    assert model.step_uS(nonlinearity, 0.4, 1.0) == pytest.approx(0.0, abs=1e-12)
    table = model.model("x")
    assert np.all(np.diff(table.set_steps.mean_uS) < 0)
    assert table.reset_steps.mean_uS[0] == pytest.approx(0.1, rel=0.01)


def test_conductance_over_pulse_number_is_an_exponential() -> None:
    chip = Chip(device=SoftBounds(set_step_uS=0.2, nonlinearity=0.0).model("linear"))
    chip.set_conductance_uS(1, np.full(SHAPE1, 2.0))
    every = np.ones(SHAPE1, np.bool_)
    chip.pulse(1, PulseKind.SET, every, RAILS.pulse(PulseKind.SET, 300), count=90)
    expected = 20 - 18 * (1 - 0.2 / 18) ** 90
    assert chip.conductance_uS(1)[0, 0, 0] == pytest.approx(expected, abs=0.01)


def test_asymmetry_makes_reset_fade_faster() -> None:
    model = SoftBounds(nonlinearity=2.0, asymmetry=2.0).model("x")
    middle = len(model.set_steps.mean_uS) // 2
    assert model.set_steps.mean_uS[middle] > 1.5 * model.reset_steps.mean_uS[middle]


def test_the_preset_is_near_nonlinear_3() -> None:
    soft, table = preset("soft-bounds").set_steps.mean_uS, preset("nonlinear-3").set_steps.mean_uS
    coarse = np.reshape(soft, (10, -1)).mean(axis=1)
    assert coarse == pytest.approx(table, abs=0.05)


# ---- the user's own


def test_a_table_of_the_users_own_goes_from_low_to_high_for_both_kinds() -> None:
    model = device_model(own())
    assert model.name == "mine"
    assert model.set_steps.mean_uS == (0.3, 0.2, 0.1)
    assert model.reset_steps.mean_uS == (0.25, 0.15, 0.05)
    assert model.reset_steps.std_uS == (0.3, 0.0, 0.0)


BAD: list[tuple[Any, str]] = [
    (3, "device_model 3 is neither the name of a device model nor an object"),
    ({}, "device_model lacks name"),
    (own(nam="x"), "unknown key device_model nam; known: name, set, reset"),
    (own(name=""), "device_model name '' is not a name of plain characters"),
    (own(name="linear"), "device_model name 'linear' is that of a preset"),
    ({"name": "x", "set": {}}, "device_model lacks reset"),
    (own(set=[]), "device_model set [] is not an object"),
    (own(set={"mean_uS": [1]}), "device_model set lacks std_uS"),
    (own(set={"mean_uS": 1, "std_uS": [1]}), "device_model set.mean_uS 1 is not a list of numbers"),
    (
        own(set={"mean_uS": [0.1, "x"], "std_uS": [0, 0]}),
        "device_model set.mean_uS[1] 'x' is not a number",
    ),
    (
        own(set={"mean_uS": [0.1, 0.1], "std_uS": [0]}),
        "device_model set has lists of different lengths: 2, 1",
    ),
    (
        own(set={"mean_uS": [0.1], "std_uS": [0]}),
        "device_model has 1 bins for set and 3 for reset",
    ),
    (own(soft_bounds={}), "device_model has both a table and soft_bounds"),
    (
        {"name": "x", "soft_bounds": {"step": 1}},
        "unknown parameter device_model soft_bounds.step; known: set_step_uS",
    ),
]


@pytest.mark.parametrize(("wanted", "message"), BAD)
def test_what_is_no_device_model_is_refused_by_key(wanted: Any, message: str) -> None:
    with pytest.raises(Refused) as refused:
        device_model(wanted)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            own(set={"mean_uS": [0.1, -0.2, 0.1], "std_uS": [0, 0, 0]}),
            "device_model set.mean_uS[1] -0.2 uS is below the 0 uS limit",
        ),
        (
            own(reset={"mean_uS": [0.1, 0.2, 19], "std_uS": [0, 0, 0]}),
            "device_model reset.mean_uS[2] 19 uS is above the 18 uS limit",
        ),
        (
            own(set={"mean_uS": [0.1] * 41, "std_uS": [0] * 41}),
            "device_model set.mean_uS: number of bins 41 is above the 40 limit",
        ),
        (
            {"name": "x", "soft_bounds": {"nonlinearity": 21}},
            "device_model soft_bounds.nonlinearity 21 is above the 20 limit",
        ),
        (
            own(name="x" * 33),
            "device_model length of name 33 characters is above the 32 ",
        ),
    ],
)
def test_a_number_out_of_bounds_is_refused_with_value_and_limit(wanted: Any, message: str) -> None:
    with pytest.raises(LimitExceeded) as refused:
        device_model(wanted)
    assert message in str(refused.value)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="soft-bounds"):
        device_model("quadratic")


# ---- files


CSV_HEAD = "from_uS,to_uS,set_mean_uS,set_std_uS,reset_mean_uS,reset_std_uS\n"


def test_a_toml_and_a_csv_file_say_the_same(tmp_path: Path) -> None:
    toml, table = tmp_path / "mine.toml", tmp_path / "mine.csv"
    toml.write_text(
        'name = "mine"\n'
        "[set]\nmean_uS = [0.3, 0.2, 0.1]\nstd_uS = [0, 0.1, 0.2]\npulses = [10, 11, 12]\n"
        "[reset]\nmean_uS = [0.05, 0.15, 0.25]\nstd_uS = [0, 0, 0.3]\n"
    )
    table.write_text(
        "# measured last week\n" + CSV_HEAD + "2, 8, 0.3, 0, 0.05, 0\n"
        "8, 14, 0.2, 0.1, 0.15, 0\n\n14, 20, 0.1, 0.2, 0.25, 0.3\n"
    )
    models = [device_model(load_device(path)) for path in (toml, table)]
    assert models[0] == models[1] == device_model(own())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "", "a.json ends with neither .toml nor .csv"),
        ("a.toml", "name = ", "a.toml: Invalid value"),
        ("a.toml", 'name = "a"\n[set]\nmean_uS = [1]\nstd_uS = [0]\n', "a.toml lacks reset"),
        ("a.csv", "from,to\n", "a.csv: the first line is not from_uS,to_uS,set_mean_uS"),
        ("a.csv", CSV_HEAD + "2,20,1,0,1\n", "a.csv bin 1 has 5 columns, not 6"),
        ("a.csv", CSV_HEAD + "2,20,x,0,1,0\n", "a.csv bin 1: set_mean_uS 'x' is not a number"),
        (
            "a.csv",
            CSV_HEAD + "2,10,1,0,1,0\n10,20,1,0,1,0\n",
            "a.csv bin 1: to_uS 10 uS is not 11 uS, that of 2 equal bins of the window",
        ),
        ("a.csv", CSV_HEAD + "2,20,-1,0,1,0\n", "a.csv set.mean_uS[0] -1 uS is below the 0 uS"),
        ("a.csv", CSV_HEAD, "a.csv set.mean_uS: number of bins 0 is below the 1 limit"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_place(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises((Refused, LimitExceeded)) as refused:
        load_device(path)
    assert str(refused.value).startswith(str(tmp_path))
    assert message in str(refused.value)


def test_the_emulator_refuses_a_bad_file_as_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "cells.toml"
    path.write_text('name = "x"\n[soft_bounds]\nset_step_uS = 99\n')
    command = [sys.executable, "-m", "starlab_sim", "--port", "0", "--device", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 2
    expected = f"{path} soft_bounds.set_step_uS 99 uS is above the 18 uS limit"
    assert expected in " ".join(ended.stderr.split())


# ---- boards


def test_a_board_takes_a_whole_model_as_an_object(bench: Bench) -> None:
    bench.do(wire.emulator({"device_model": own()}))
    assert bench.board.identity()["device_model"] == "mine"
    assert bench.board.chip.device == device_model(own())


def test_a_board_refuses_a_bad_model_and_keeps_its_chip(bench: Bench) -> None:
    chip = bench.board.chip
    status, message = bench.refusal(
        wire.emulator({"device_model": own(set={"mean_uS": [-1], "std_uS": [0]}), "advance_s": 3})
    )
    assert status is Status.RANGE
    assert message == "device_model set.mean_uS[0] -1 uS is below the 0 uS limit"
    assert bench.board.chip is chip
    assert bench.board.emulated_time_s == 0


def test_a_model_of_the_users_own_is_kept_with_its_chip(tmp_path: Path) -> None:
    def board_at(state: StateFile, specimen: Specimen) -> Board:
        return Board(specimen, serial="EMU-7", rng=random.Random(1), store=state)

    table = dict.fromkeys(("mean_uS", "std_uS"), [0.123456] * 40)
    biggest = {"set": table, "reset": table}
    for device in (own(), {"name": "x" * 32, **biggest}):
        path = tmp_path / str(device["name"])
        for specimen in (Specimen(device=device), Specimen(device="linear")):
            state = StateFile(path)
            assert board_at(state, specimen).chip.device == device_model(device)
            state.close()
        assert len(json.dumps(device)) < 4000
