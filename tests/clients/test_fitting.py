"""Device models from measured pulse trains: what goes into an emulated chip comes out again."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from starlab.cli.app import app
from starlab.errors import InvalidInput
from starlab.fitting import FittedDevice, fit_device
from starlab.pulse_trains import read_trains
from starlab_sim.chip import Chip, PulseKind, Rails
from starlab_sim.devices import DeviceModel, device_model, load_device, preset

RAILS = Rails()
SHAPE2 = (2, 100, 10)


def measured_trains(
    device: str, read_noise_uS: float = 0.0, cells: int = 1500
) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Trains of 60 SET, then 60 RESET pulses, from all over the window."""
    chip = Chip(seed=1, device=device, formed=True)
    rng = np.random.default_rng(2)
    chip.set_conductance_uS(2, rng.uniform(2, 20, SHAPE2))
    every = np.ones(SHAPE2, np.bool_)
    seen = [chip.conductance_uS(2)]
    names = ["set"] * 60 + ["reset"] * 60
    for name in names:
        kind = PulseKind[name.upper()]
        chip.pulse(2, kind, every, RAILS.pulse(kind, 200 if name == "set" else 50))
        seen.append(chip.conductance_uS(2))
    trains = np.stack(seen, axis=-1).reshape(-1, len(seen))[:cells].astype(np.float64)
    return trains + rng.normal(0, read_noise_uS, trains.shape), [names] * cells


def errors(fitted: FittedDevice, model: DeviceModel) -> dict[str, NDArray[np.float64]]:
    """Means and deviations less those of the model, from low to high conductance, in units of
    their standard errors."""
    found = {}
    for kind, table, order in (("set", model.set_steps, 1), ("reset", model.reset_steps, -1)):
        one = getattr(fitted, kind)
        mean, std = np.array(table.mean_uS)[::order], np.array(table.std_uS)[::order]
        count = np.array(one.pulses)
        found[f"{kind} mean"] = (np.array(one.mean_uS) - mean) / (std / np.sqrt(count))
        found[f"{kind} std"] = (np.array(one.std_uS) - std) / (std / np.sqrt(2 * count))
    return found


def test_the_measured_table_comes_back_within_its_statistics() -> None:
    fitted = fit_device(*measured_trains("measured"))
    for what, deviations in errors(fitted, preset("measured")).items():
        # a step is that of the bin that it starts in; the censored ends know a little less
        assert np.abs(deviations).max() < 6, what
        assert math.sqrt((deviations**2).mean()) < 2.5, what


def test_a_table_without_noise_comes_back_exactly() -> None:
    trains, kinds = measured_trains("linear")
    fitted = fit_device(trains, kinds)
    assert fitted.set.mean_uS == pytest.approx([0.0496] * 10, abs=2e-4)
    assert fitted.reset.mean_uS == pytest.approx([0.0496] * 10, abs=2e-4)
    assert max(fitted.set.std_uS) < 0.003


def test_the_noise_of_readings_is_taken_off_again() -> None:
    trains, kinds = measured_trains("measured", read_noise_uS=0.2)
    table = preset("measured").set_steps
    blind, knowing = (fit_device(trains, kinds, read_noise_uS=noise) for noise in (0.0, 0.2))
    middle = slice(2, 8)
    std = np.array(table.std_uS[middle])
    assert np.array(knowing.set.std_uS[middle]) == pytest.approx(std, abs=0.02)
    assert np.array(blind.set.std_uS[middle]) == pytest.approx(np.hypot(std, 0.283), abs=0.02)


def test_outliers_are_left_out_and_counted() -> None:
    trains, kinds = measured_trains("measured")
    clean = fit_device(trains, kinds)
    rng = np.random.default_rng(3)
    trains[:, 1:-1][rng.random((len(trains), 119)) < 0.002] = 19.9
    dirty = fit_device(trains, kinds)
    assert dirty.set.outliers > clean.set.outliers + 40
    assert np.array(dirty.set.mean_uS) == pytest.approx(clean.set.mean_uS, abs=0.04)


def test_cells_that_stand_still_are_left_out() -> None:
    trains, kinds = measured_trains("measured")
    stuck = np.full((50, trains.shape[1]), 20.0)
    fitted = fit_device([*trains, *stuck], [*kinds, *kinds[:50]])
    assert fitted.still == 50
    assert fitted.set == fit_device(trains, kinds).set


def train_between(low_uS: float, high_uS: float) -> tuple[list[list[float]], list[list[str]]]:
    rng = np.random.default_rng(1)
    train = rng.uniform(low_uS, high_uS, 801).tolist()
    return [train], [["set", "reset"] * 400]


def test_bins_without_data_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput) as refused:
        fit_device(*train_between(2.0, 16.3))
    expected = "bins with fewer than 20 set pulses: 16.4..18.2 uS (0), 18.2..20 uS (0)"
    assert str(refused.value) == expected


def test_bins_without_data_are_interpolated_if_that_is_wanted() -> None:
    fitted = fit_device(*train_between(2.0, 16.3), interpolate=True)
    assert fitted.set.pulses[8:] == (0, 0)
    assert fitted.set.mean_uS[8:] == (fitted.set.mean_uS[7],) * 2
    with pytest.raises(InvalidInput, match="fewer than 20 reset pulses: 2"):
        fit_device([[5.0, 6.0] * 50], [["set"] * 99], interpolate=True)


@pytest.mark.parametrize(
    ("trains", "kinds", "options", "message"),
    [
        ([[1.0, 2.0]], [], {}, "1 trains have kinds for 0"),
        ([[1.0]], [["set"]], {}, "train 0 has 1 conductances for 1 pulses, expected one more"),
        ([[1.0, math.nan]], [["set"]], {}, "train 0: conductance 1 is nan uS"),
        ([[1.0, -2.0]], [["set"]], {}, "train 0: conductance 1 is -2 uS"),
        ([[1.0, 2.0]], [["up"]], {}, "train 0: kind 0 'up' is not set or reset"),
        ([[3.0, 3.0]], [["set"]], {}, "no train has a cell that moved"),
        ([[1.0, 2.0]], [["set"]], {"bins": 0}, "bins 0 is below the 1 limit"),
        ([[1.0, 2.0]], [["set"]], {"bins": 41}, "bins 41 is above the 40 limit"),
        ([], [], {"read_noise_uS": -1.0}, "read noise -1 uS is below the 0 uS limit"),
        ([], [], {"name": ""}, "name '' is not one of 1 to 32 plain characters"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    trains: Any, kinds: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        fit_device(trains, kinds, **options)
    assert str(refused.value).startswith(message)


# ---- files


def csv_of(trains: NDArray[np.float64], kinds: list[list[str]]) -> str:
    lines = ["cell,kind,conductance_uS"]
    for cell, (train, names) in enumerate(zip(trains, kinds, strict=True)):
        lines += [
            f"{cell},{kind},{value:.4f}"
            for kind, value in zip(["start", *names], train, strict=True)
        ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 is '', expected cell,kind,conductance_uS"),
        ("cell,kind\n", "line 1 is 'cell,kind', expected cell,kind,conductance_uS"),
        ("cell,kind,conductance_uS\n1,start\n", "line 2 has 2 columns, expected 3"),
        ("cell,kind,conductance_uS\n1,start,x\n", "line 2: conductance 'x' is not a number"),
        ("cell,kind,conductance_uS\n1,set,3\n", "line 2: cell 1 has no start before it"),
        (
            "cell,kind,conductance_uS\n1,start,3\n1,up,3\n",
            "line 3: kind 'up' is not start, set or reset",
        ),
    ],
)
def test_a_file_of_another_form_is_refused_by_line(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_trains(text)
    assert str(refused.value) == message


def test_the_command_makes_a_file_that_the_emulator_takes(tmp_path: Path) -> None:
    pulses, model = tmp_path / "pulses.csv", tmp_path / "device.toml"
    trains, kinds = measured_trains("measured", cells=200)
    pulses.write_text(csv_of(trains, kinds))
    command = ["fit-device", str(pulses), "-o", str(model), "--name", "lab 7", "--json"]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 0, ended.output
    answer = json.loads(ended.stdout.splitlines()[-1])
    assert answer["still"] == 0
    device = device_model(load_device(model))
    assert device.name == "lab 7"
    assert list(device.set_steps.mean_uS) == answer["set"]["mean_uS"]
    assert device == device_model(fit_device(trains.round(4), kinds, name="lab 7").json())


def test_the_command_refuses_bins_without_data(tmp_path: Path) -> None:
    pulses = tmp_path / "pulses.csv"
    trains, kinds = train_between(2.0, 16.3)
    pulses.write_text(csv_of(np.array(trains), kinds))
    output = tmp_path / "device.toml"
    command = ["fit-device", str(pulses), "-o", str(output)]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 2
    assert "bins with fewer than 20 set pulses" in ended.stderr
    assert not output.exists()
    ended = CliRunner().invoke(app, [*command, "--interpolate"])
    assert ended.exit_code == 0
    assert "0*" in ended.stdout
    assert "interpolated" in ended.stdout
