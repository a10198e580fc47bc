"""`make bench-peers` names what the system lacks, before it installs anything."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "peers.sh"


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A folder with the script, beside programs that a test chooses."""
    shutil.copy(SCRIPT, tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "dirname"):
        found = shutil.which(name)
        assert found is not None
        (tmp_path / "bin" / name).symlink_to(found)
    return tmp_path


def program(bench: Path, name: str, code: int) -> None:
    path = bench / "bin" / name
    path.write_text(f"#!/bin/sh\nexit {code}\n")
    path.chmod(0o755)


def run(bench: Path, *peers: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", str(bench / "peers.sh"), *peers],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PATH": str(bench / "bin"), "PYTHON": str(bench / "bin" / "python")},
    )


@pytest.mark.parametrize(
    ("peers", "there", "missing"),
    [
        (
            (),
            {},
            "build-essential pkg-config libcairo2-dev python3-dev python3-venv libopenblas-dev",
        ),
        (("badcrossbar",), {"cc": 0, "pkg-config": 1, "python": 0}, "libcairo2-dev"),
        (("badcrossbar",), {"cc": 0, "pkg-config": 0, "python": 1}, "python3-dev python3-venv"),
        (("aihwkit",), {"c++": 1, "python": 0}, "libopenblas-dev"),
        (("aihwkit",), {"python": 0}, "build-essential libopenblas-dev"),
    ],
)
def test_what_the_system_lacks_is_named_in_a_line_and_nothing_is_installed(
    bench: Path, peers: tuple[str, ...], there: dict[str, int], missing: str
) -> None:
    for name, code in there.items():
        program(bench, name, code)
    done = run(bench, *peers)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"peers.sh: the peers need what this system lacks; on Debian: apt-get install {missing}"
    ]
    assert not (bench / ".peers").exists()


def test_with_all_of_it_the_environment_is_made(bench: Path) -> None:
    for name in ("cc", "pkg-config", "python"):
        program(bench, name, 0)
    done = run(bench, "badcrossbar")
    assert "apt-get" not in done.stderr
    assert done.returncode not in (0, 2)  # the python of this test makes no environment


def test_an_unknown_peer_is_a_usage_error(bench: Path) -> None:
    done = run(bench, "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no such peer: nonsense" in done.stderr
