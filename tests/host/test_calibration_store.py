"""Calibrations in files: kept, read again, and refused where they make no sense."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.host.generators import NOW, REAL, bench_of, off, perfect

from starlab_host import Calibration, CalibrationError, CalibrationStore, calibrate


def test_a_calibration_is_kept_by_serial_number_and_can_be_read_by_people(tmp_path: Path) -> None:
    bench = bench_of(REAL)
    found = calibrate(bench.board, now=NOW)
    store = CalibrationStore(tmp_path / "calibrations")
    assert store.load("bench") is None
    store.save(found)
    assert store.load("bench") == found
    (path,) = (tmp_path / "calibrations").iterdir()
    assert path.name == "bench.json"
    text = json.loads(path.read_text())
    assert (text["version"], text["serial"]) == (1, "bench")
    assert text["channels"]["VBLset"]["unit"] == "mV"
    store.remove("bench")
    store.remove("bench")
    assert store.load("bench") is None


def test_without_a_folder_calibrations_are_kept_in_memory() -> None:
    store = CalibrationStore()
    store.save(perfect())
    assert store.load("bench") == perfect()
    store.remove("bench")
    assert store.load("bench") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2 is not 1"),
        ({"serial": "other"}, "is of board other, not of bench"),
        ({"channels": {}}, "0 channels are not the 22 supplies"),
        ({"channels": None}, "malformed"),
    ],
)
def test_a_file_that_is_no_calibration_of_this_board_is_refused_by_name(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(perfect().json() | change))
    with pytest.raises(CalibrationError) as refused:
        CalibrationStore(tmp_path).load("bench")
    assert str(path) in str(refused.value)
    assert message in str(refused.value)


def test_a_file_that_is_no_json_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text("{")
    with pytest.raises(CalibrationError, match=r"bench\.json"):
        CalibrationStore(tmp_path).load("bench")


def test_a_fit_that_no_generator_has_is_refused() -> None:
    text = perfect(VBLset=off(0.0)).json()
    with pytest.raises(CalibrationError, match="VBLset"):
        Calibration.of(text)
