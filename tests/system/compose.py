"""Builds both containers and learns through them, for real: `make test-compose`. No pytest test.

With a Docker engine it runs `docker compose`. Without one it does the same with podman and runc;
all that a machine without image registry and Docker needs is in :class:`Podman`, and nothing of it
in the Dockerfiles or in docker-compose.yml. Exit code 2: something is missing that only an
administrator can install.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from starlab import Client, datasets

ROOT: Final = Path(__file__).parents[2]
WORK: Final = ROOT / "build" / "compose"
PROJECT: Final = "starlab-test"
DIGITS: Final = 1000
PATIENCE_S: Final = 90.0
COMMAND_TIMEOUT_S: Final = 1200.0
"""The longest command is building an image: it installs from the network."""
IMAGES: Final = {
    "starlab-emulator": "firmware_sim/Dockerfile",
    "starlab-api": "api/Dockerfile",
}


def run(*command: str | Path) -> str:
    """Run a command, show it and what it says; returns its standard output."""
    print("$", *command, flush=True)
    return subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        timeout=COMMAND_TIMEOUT_S,
    ).stdout


class Engine(Protocol):
    """What differs between container engines."""

    program: str
    """Its command."""

    def compose(self, *arguments: str) -> str:
        """Run a compose command on the project; returns its standard output."""

    def build(self) -> None:
        """Build both images."""

    def is_healthy(self, container: str) -> bool:
        """Run a container's health check."""


class Docker:
    """A Docker engine with its compose plugin."""

    program = "docker"

    @staticmethod
    def is_there() -> bool:
        """Whether there is an engine that answers."""
        if shutil.which("docker") is None:
            return False
        version = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        engine = subprocess.run(["docker", "info"], capture_output=True, check=False)
        return version.returncode == engine.returncode == 0

    def compose(self, *arguments: str) -> str:
        """Run a compose command on the project; returns its standard output."""
        return run("docker", "compose", "--project-name", PROJECT, *arguments)

    def build(self) -> None:
        """Build both images."""
        self.compose("build")

    def is_healthy(self, container: str) -> bool:
        """What the engine's own health check says."""
        template = "{{.State.Health.Status}}"
        return run("docker", "inspect", "--format", template, container).strip() == "healthy"


class Podman:
    """podman with runc, on a machine where no image can be pulled."""

    program = "podman"

    PACKAGES: Final = "podman buildah runc debootstrap netavark aardvark-dns iptables".split()
    BASE_IMAGE: Final = "localhost/python-base:test"
    BASE_PACKAGES: Final = "python3,python3-venv,python3-pip,make,ca-certificates"
    CONFIGURATION: Final = """\
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
[containers]
default_ulimits=["nofile=1024:1024","nproc=1024:1024"]
"""
    CERTIFICATES: Final = (
        "/etc/ssl/certs",
        "/usr/share/ca-certificates",
        "/usr/local/share/ca-certificates",
    )

    def __init__(self) -> None:
        """Install and configure what is missing."""
        WORK.mkdir(parents=True, exist_ok=True)
        self._install_packages()
        configuration = WORK / "containers.conf"
        configuration.write_text(self.CONFIGURATION, encoding="utf-8")
        os.environ["CONTAINERS_CONF"] = str(configuration)
        self._compose = WORK / "venv" / "bin" / "podman-compose"
        if not self._compose.exists():
            run(sys.executable, "-m", "venv", WORK / "venv")
            run(WORK / "venv" / "bin" / "pip", "install", "--quiet", "podman-compose")
        self._make_base_image()

    def compose(self, *arguments: str) -> str:
        """Run a compose command on the project; returns its standard output."""
        return run(self._compose, "--project-name", PROJECT, *arguments)

    def build(self) -> None:
        """Build both images, with this machine's network and certificates."""
        mounts = [f"--volume={path}:{path}:ro" for path in self.CERTIFICATES if Path(path).exists()]
        isolation = ("--isolation", "chroot", "--network", "host")
        base = f"BASE_IMAGE={self.BASE_IMAGE}"
        for image, dockerfile in IMAGES.items():
            what = ("--build-arg", base, "--file", dockerfile, "--tag", image, ".")
            run("buildah", "bud", "--layers", *isolation, *mounts, *what)

    def is_healthy(self, container: str) -> bool:
        """Run the health check once: podman's own timers need systemd."""
        check = ["podman", "healthcheck", "run", container]
        return subprocess.run(check, capture_output=True, check=False).returncode == 0

    def _install_packages(self) -> None:
        asked = "dpkg-query" if shutil.which("dpkg-query") else "true"
        installed = subprocess.run(
            [asked, "--show", "--showformat=${Package} ${db:Status-Status}\n"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.splitlines()
        missing = [name for name in self.PACKAGES if f"{name} installed" not in installed]
        if not missing:
            return
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            lacked = f"a Docker engine, or these Debian packages: {' '.join(missing)}"
            print(f"test-compose needs what this system lacks: {lacked}", file=sys.stderr)
            sys.exit(2)
        run("apt-get", "update", "--quiet")
        run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing)

    def _make_base_image(self) -> None:
        exists = ["podman", "image", "exists", self.BASE_IMAGE]
        if subprocess.run(exists, check=False).returncode == 0:
            return
        if os.geteuid() != 0:
            print(f"making the image {self.BASE_IMAGE} with debootstrap needs root")
            sys.exit(2)
        tree = WORK / "base"
        shutil.rmtree(tree, ignore_errors=True)
        include = f"--include={self.BASE_PACKAGES}"
        run("debootstrap", "--variant=minbase", include, "bookworm", tree, self._mirror())
        archive = WORK / "base.tar"
        run("tar", "--directory", tree, "--create", "--file", archive, ".")
        run("podman", "import", archive, self.BASE_IMAGE)
        archive.unlink()
        shutil.rmtree(tree)

    @staticmethod
    def _mirror() -> str:
        """The Debian mirror that apt itself is set up with."""
        folder = Path("/etc/apt")
        sources = [folder / "sources.list", *(folder / "sources.list.d").glob("*")]
        text = "\n".join(source.read_text() for source in sources if source.is_file())
        mirror = re.search(
            r"^(?:URIs:|deb )\s*(?:\[[^]]*\]\s*)?(\S+/debian/?)\s", text, re.MULTILINE
        )
        if mirror is None:
            print("apt is set up with no Debian mirror")
            sys.exit(2)
        return mirror[1]


def wait_until(what: str, ready: Callable[[], bool]) -> None:
    """Ask twice a second; give up after `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE_S:g} s for: {what}")
        time.sleep(0.5)
    print(what, flush=True)


def answers(url: str) -> bool:
    """Whether a GET succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def containers(engine: Engine) -> dict[str, str]:
    """Names of the project's containers by service."""
    names = {}
    for service in ("emulator", "api"):
        label = f"label=com.docker.compose.service={service}"
        project = f"label=com.docker.compose.project={PROJECT}"
        listing = ("ps", "--filter", label, "--filter", project, "--format", "{{.Names}}")
        names[service] = run(engine.program, *listing).strip()
    return names


def check(engine: Engine, url: str) -> None:
    """Learn through the published port; restart the board and see the server notice."""
    wait_until("the server is ready", lambda: answers(f"{url}/readyz"))
    for service, container in containers(engine).items():
        wait_until(f"{service} is healthy", partial(engine.is_healthy, container))
    digits = datasets.mnist()[0].head(DIGITS)
    with Client(url) as bench:
        board = bench.board("emu0")
        learned = [
            len(step.correct) for step in board.train(digits.images, digits.labels, batch=250)
        ]
        print(f"learned {sum(learned)} digits", board.counters().pulses, flush=True)
        before = board.info()
        engine.compose("restart", "emulator")
        known = (None, before.boot_id)
        wait_until("the server knows a new boot id", lambda: board.info().boot_id not in known)
        after = board.info()
    print(f"boot id {before.boot_id} -> {after.boot_id}, restarts {after.restarts}", flush=True)
    print(f"lifetime pulses {before.lifetime_pulses} -> {after.lifetime_pulses}", flush=True)
    kept = after.lifetime_pulses == before.lifetime_pulses
    if sum(learned) != DIGITS or after.restarts < 1 or not kept:
        raise AssertionError("the composition did not do what was asked of it")


def main() -> None:
    """Build, start, check, and take down whatever happens."""
    engine: Engine = Docker() if Docker.is_there() else Podman()
    port = free_port()
    os.environ["STARLAB_PORT"] = str(port)
    engine.build()
    try:
        engine.compose("up", "--detach", "--no-build")
        check(engine, f"http://127.0.0.1:{port}")
    except BaseException:
        print(engine.compose("logs"), flush=True)
        raise
    finally:
        engine.compose("down", "--volumes")
    print("the composition works")


if __name__ == "__main__":
    main()
