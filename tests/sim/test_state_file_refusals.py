"""Files that are to keep a chip and cannot: refused in one line, and left as they are."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sim.test_state_file import bench_at, everything, kept

from starlab_sim import Specimen
from starlab_sim.chip import Chip
from starlab_sim.chip.counters import Meter
from starlab_sim.errors import StateUnusable
from starlab_sim.keeping.state_file import StateFile
from starlab_sim.program import EXIT_CANNOT_KEEP, main
from starlab_spec.operations import Operation


def chip_file(path: Path) -> bytes:
    """A file with a chip that has lived."""
    with kept(path) as state:
        bench = bench_at(state, Specimen(seed=7))
        bench.power_up()
        bench.select(1, 3, 0b111)
        bench.start(Operation.SET)
    return path.read_bytes()


def refusal(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a program says that cannot have this file; the file stays as it is."""
    before = path.read_bytes() if path.is_file() else None
    assert main(["--port", "0", "--state", str(path)]) == EXIT_CANNOT_KEEP
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert (path.read_bytes() if path.is_file() else None) == before
    return said.err.removeprefix("starlab-chip: cannot keep the chip: ").strip()


def test_a_file_is_at_its_place_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chip"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StateUnusable, match="chip: No space left on device"):
            StateFile(path)
    assert list(tmp_path.iterdir()) == []
    with kept(path) as state:
        assert state.label == b""
        assert everything(Chip(seed=3, store=state)) == everything(Chip(seed=3))
        state.commit(Meter())
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_is_no_new_chip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "chip"
    path.write_bytes(b"")
    said = f"{path} is empty: if it is to be a new chip, remove it first"
    assert refusal(path, capsys) == said


@pytest.mark.parametrize("size", [1, 8, 16, 17, 4096, 100_000, -1])
def test_a_file_that_was_cut_off_is_no_new_chip(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    path = tmp_path / "chip"
    path.write_bytes(chip_file(path)[:size])
    assert refusal(path, capsys).startswith(f"{path} is no state of an emulated board")


def test_what_is_no_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(tmp_path, capsys) == f"{tmp_path}: Is a directory"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    assert refusal(link, capsys) == f"{link} leads to {tmp_path / 'gone'}, which is not there"
    assert link.is_symlink()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refusal(pipe, capsys) == f"{pipe} is no file"
    nowhere = tmp_path / "no" / "chip"
    assert refusal(nowhere, capsys) == f"{nowhere}: No such file or directory"
    assert refusal(Path("/dev/null"), capsys) == "/dev/null is no file"


def test_a_link_to_a_chip_is_that_chip(tmp_path: Path) -> None:
    chip_file(tmp_path / "chip")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "chip")
    with kept(link) as state:
        assert state.label


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (("array1", "conductance_uS"), np.nan, "array1.conductance_uS[0, 0, 0] is not a number"),
        (("array2", "conductance_uS"), np.inf, "array2.conductance_uS[0, 0, 0] inf uS is above"),
        (("array2", "conductance_uS"), -1.0, "array2.conductance_uS[0, 0, 0] -1 uS is below the 0"),
        (("array2", "conductance_uS"), 0.15, "array2.conductance_uS[0, 0, 0] 0.15 uS is neither "),
        (("array1", "pulsed_ticks"), 1 << 62, "array1.pulsed_ticks[0, 0, 0] 4611686018427387904 "),
        (("array1", "pulses"), (1 << 32) - 1, "array1.pulses[0, 0, 0] 4294967295 pulses is above"),
        (("meter", "pulses"), (1 << 63) - 1, "lifetime_pulses "),
        (("meter", "pulses"), -500, "lifetime_pulses "),
        (("meter", "reading_ticks"), (1 << 63) - 1, "emulated_ticks "),
        (("meter", "inferences"), -1, "meter.inferences -1 is below the 0 limit"),
        (("meter", "reading_j"), np.nan, "meter.reading_j[0] is not a number"),
    ],
)
def test_a_chip_that_cannot_be_is_refused_by_name_and_value(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    field: tuple[str, str],
    value: float,
    said: str,
) -> None:
    path = tmp_path / "chip"
    chip_file(path)
    with kept(path) as state:
        state.content[field[0]][field[1]].reshape(-1)[0] = value
    assert refusal(path, capsys).startswith(f"{path} keeps no chip that can be: {said}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"boots": -1}, "holding.boots -1 is below the 0 limit"),
        ({"boots": 1e400}, "holding.boots inf is no whole number"),
        ({"pulses_before": 1 << 64}, "holding.pulses_before 18446744073709551616 is above the "),
        ({"ticks_before": None}, "holding.ticks_before None is no whole number"),
        ({"serial": ""}, "holding.serial is empty"),
        ({"specimen": {}}, "it lacks 'effects'"),
        ({"colour": 1}, ""),
    ],
)
def test_a_label_that_no_board_wrote_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "chip"
    chip_file(path)
    with kept(path) as state:
        state.label = json.dumps({**json.loads(state.label), **change}).encode()
        meter = Meter()
        meter.load(state.content["meter"])
        state.begin({})
        state.commit(meter)
    assert refusal(path, capsys).startswith(f"{path} keeps no chip that can be: {said}")
