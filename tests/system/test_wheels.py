"""Both distributions as a stranger gets them: wheels, built and installed alone."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SERVER_PACKAGES = {"starlab_spec", "starlab_host", "starlab_sim", "starlab_api"}
CLIENT_PACKAGES = {"starlab", "starlab_contract"}


def run(*command: str | Path, cwd: Path) -> str:
    # neither the checkout nor its environment is to be found by what is tested
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def wheel_of(project: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", folder, project, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def installed(wheel: Path, folder: Path) -> Path:
    """The programs of a fresh environment that has a wheel, and what that needs."""
    venv.create(folder, with_pip=True)
    constraints = ROOT / "constraints.txt"
    install = ("-m", "pip", "install", "--quiet", "--constraint", constraints)
    run(folder / "bin" / "python", *install, wheel, cwd=folder)
    return folder / "bin"


def packages_of(wheel: Path) -> set[str]:
    """The packages of a wheel, which has the licence beside them."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    folders = {name.partition("/")[0] for name in names}
    return {folder for folder in folders if not folder.endswith(".dist-info")}


def test_the_wheel_installs_alone_and_its_demo_learns(tmp_path: Path) -> None:
    (tmp_path / "wheel").mkdir()
    wheel = wheel_of(ROOT, tmp_path / "wheel")
    assert packages_of(wheel) == SERVER_PACKAGES | CLIENT_PACKAGES
    programs = installed(wheel, tmp_path / "environment")
    shown = run(programs / "starlab", "demo", "--limit", "3000", "--json", cwd=tmp_path)
    assert json.loads(shown.splitlines()[-1])["test_accuracy"] > 0.7


def test_the_light_wheel_installs_alone_and_works_with_a_remote_server(tmp_path: Path) -> None:
    (tmp_path / "wheel").mkdir()
    wheel = wheel_of(ROOT / "clients" / "python", tmp_path / "wheel")
    assert packages_of(wheel) == CLIENT_PACKAGES
    programs = installed(wheel, tmp_path / "environment")
    serve = [sys.executable, "-m", "starlab_api", "--port", "0"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["listening"]
            learned = run(
                programs / "python",
                "-c",
                "import sys, numpy, starlab, starlab.datasets as data\n"
                "with starlab.Client(sys.argv[1]) as bench:\n"
                "    board, digits = bench.board('emu0'), data.mnist()\n"
                "    starlab.prepare(board, rng=numpy.random.default_rng(1))\n"
                "    few = [part[:500] for part in (digits.train.images, digits.train.labels)]\n"
                "    print(sum(1 for _ in starlab.learn(board, *few)))\n",
                url,
                cwd=tmp_path,
            )
            assert int(learned) > 0
            read = ("read", "2", "--rows", "0:2", "--url", url, "--json")
            shown = run(programs / "starlab", *read, cwd=tmp_path)
            assert "conductance_uS" in json.loads(shown.splitlines()[-1])
            asked = "import importlib.util as u; print([u.find_spec(n) is None for n in %r])"
            absent = run(programs / "python", "-c", asked % sorted(SERVER_PACKAGES), cwd=tmp_path)
            assert "False" not in absent
        finally:
            server.terminate()
