"""An emulated board goes on in another process, from the file of its snapshot."""

from pathlib import Path

import numpy as np
import pytest
from tests.system.board_process import BoardProcess

from starlab_host import Chip, connect
from starlab_host.chip.snapshots import take_snapshot
from starlab_sim.__main__ import main

OPTIONS = ("--device", "measured", "--effects", '{"cycle_noise": {"step_uS": 0.1}}')


def learn(chip: Chip, first: int) -> np.ndarray:
    rng = np.random.default_rng(first)
    inputs = rng.integers(0, 2, (500, 784), np.uint8)
    return chip.train_step(inputs, labels=rng.integers(0, 10, 500)).outputs


def test_a_board_goes_on_in_another_process_as_if_nothing_had_been(tmp_path: Path) -> None:
    file = tmp_path / "board.snapshot"
    with BoardProcess("--seed", "5", *OPTIONS) as process, connect(process.url) as board:
        chip = Chip(board)
        chip.change_settings(th=30)
        learn(chip, 0)
        file.write_bytes(take_snapshot(board, chip, memory=True))
        outputs, conductance_uS = learn(chip, 1), chip.read_conductance_uS(1)
        serial, pulses = board.identity["serial"], board.status().lifetime_pulses
    with BoardProcess("--restore", str(file)) as process, connect(process.url) as board:
        chip = Chip(board)
        assert board.identity["serial"] == serial == "EMU-00000005"
        assert board.identity["effects"] == ["cycle_noise"]
        assert chip.settings().th == 30
        assert np.array_equal(learn(chip, 1), outputs)
        assert np.array_equal(chip.read_conductance_uS(1), conductance_uS)
        assert board.status().lifetime_pulses == pulses


def test_a_snapshot_beyond_the_limits_of_the_firmware_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, limits = tmp_path / "board.snapshot", tmp_path / "limits.toml"
    with BoardProcess("--seed", "5") as process, connect(process.url) as board:
        board.set_supplies({"VBLset": 2585})
        file.write_bytes(take_snapshot(board, Chip(board)))
    limits.write_text("supplies.VBLset.high = 2500\n")
    with pytest.raises(SystemExit) as ended:
        main(["--restore", str(file), "--limits", str(limits)])
    assert ended.value.code == 2
    said = f"argument --restore: {file}: snapshot cannot be restored here: VBLset 2585 mV is above"
    assert said in capsys.readouterr().err


def test_a_snapshot_that_cannot_be_restored_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    for content, said in ((None, "No such file"), (b"STLRSNAP", "begins with")):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(SystemExit) as ended:
            main(["--restore", str(file)])
        assert ended.value.code == 2
        assert f"argument --restore: {file}: " in (said_all := capsys.readouterr().err)
        assert said in said_all
