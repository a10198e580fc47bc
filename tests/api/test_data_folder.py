"""A folder for data belongs to one server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from starlab_api.data_folder import DataInUse, held

_HOLD = "import sys; from pathlib import Path; from starlab_api.data_folder import held\n"
_HOLD += "with held(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


def test_a_second_server_is_told_who_has_the_folder(tmp_path: Path) -> None:
    with held(tmp_path):
        with pytest.raises(DataInUse) as refused, held(tmp_path):
            pass
    assert str(refused.value) == f"--data {tmp_path} is in use by process {os.getpid()}"
    with held(tmp_path):
        pass


def test_a_server_that_is_killed_leaves_the_folder_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DataInUse, match=f"in use by process {other.pid}$"), held(tmp_path):
            pass
        other.kill()
        other.wait()
    with held(tmp_path):
        pass


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(DataInUse, match=r"cannot use --data .*: No such file or directory"),
        held(tmp_path / "missing"),
    ):
        pass
