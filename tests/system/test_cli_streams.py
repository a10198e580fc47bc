"""The command line as a process: its streams, its environment, and Ctrl-C while it starts."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.clients.replies import board_of

STARLAB = f"{sys.executable} -m starlab"
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


class Lab(BaseHTTPRequestHandler):
    """Knows one board, and hangs up on whoever asks for anything else."""

    def do_GET(self) -> None:
        if self.path != "/api/v1/boards":
            self.close_connection = True
            return
        body = json.dumps([board_of("emu0")]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Lab) as lab:
        thread = threading.Thread(target=lab.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{lab.server_port}"
        lab.shutdown()
        thread.join()


@pytest.fixture
def shell(url: str, tmp_path: Path) -> Shell:
    """Run a line of shell in which $STARLAB is the command line."""

    def run(line: str, **environment: str | None) -> "subprocess.CompletedProcess[str]":
        wanted = {**os.environ, "STARLAB": STARLAB, "STARLAB_URL": url, **environment}
        return subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            cwd=tmp_path,
            env={name: value for name, value in wanted.items() if value is not None},
            timeout=60,
        )

    return run


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("$STARLAB boards >/dev/full", 1, "standard output: No space left on device"),
        ("$STARLAB boards --json >/dev/full", 1, "standard output: No space left on device"),
        ("$STARLAB --help >/dev/full", 1, "No space left on device"),
        ("$STARLAB boards >&-", 1, "standard output is closed; nothing was done"),
        ("$STARLAB boards --json >&-", 1, "standard output is closed; nothing was done"),
        ("$STARLAB boards 2>&-", 0, ""),
        ("$STARLAB boards 2>/dev/full", 0, ""),
        ("$STARLAB form 1 2>/dev/full", 3, ""),
        ("$STARLAB form 1 >&- 2>&-", 1, ""),
        ("$STARLAB boards <&-", 0, ""),
        ("$STARLAB boards | head -c 1", 0, ""),
        ("$STARLAB --help | head -c 1", 0, ""),
        ("$STARLAB form 1", 3, "it may have been executed"),
        ("$STARLAB read 1", 1, "the server did not answer"),
        ("$STARLAB boards $'\\xff'", 2, "is not valid UTF-8"),
        ("$STARLAB infer --images $'\\xff'", 2, "does not exist"),
        ("$STARLAB supplies --board $'\\xff'", 2, "is not valid UTF-8"),
        ("$STARLAB serve --port 0 --data /dev/null/x", 2, "cannot use --data"),
        ("$STARLAB serve --port 0 --limits /no/such", 2, "cannot use --limits"),
    ],
)
def test_each_stream_may_fail(shell: Shell, line: str, code: int, said: str) -> None:
    done = shell(line)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert "Exception ignored" not in done.stderr
    last = done.stderr.splitlines()[-1] if said else "starlab: "
    assert last.startswith(("starlab: ", "starlab-api: "))
    assert said in last if said else True


@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": None},
        {"HOME": "/no/such/folder"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        {"COLUMNS": "0"},
        {"COLUMNS": "nonsense", "TERM": "nonsense"},
        {"TMPDIR": "/no/such/folder"},
        {"STARLAB_X": "\udcff"},
    ],
)
def test_a_strange_environment_changes_nothing(
    shell: Shell, environment: dict[str, str | None]
) -> None:
    done = shell("$STARLAB boards && $STARLAB boards --json", **environment)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["boards"][0]["id"] == "emu0"


@pytest.mark.parametrize("missing", ["rich", "typer", "pydantic"])
def test_a_missing_library_is_told_in_a_line(shell: Shell, tmp_path: Path, missing: str) -> None:
    (tmp_path / f"{missing}.py").write_text("raise ModuleNotFoundError('No module named x')\n")
    done = shell("$STARLAB boards", PYTHONPATH=str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert done.stderr.startswith("starlab: cannot start: ")


@pytest.mark.parametrize(
    ("program", "library", "code"),
    [
        ("starlab", "rich", 130),
        ("starlab_api", "fastapi", -signal.SIGINT),
        ("starlab_sim", "numpy", -signal.SIGINT),
    ],
)
def test_ctrl_c_while_it_starts_ends_it_without_a_word(
    tmp_path: Path, program: str, library: str, code: int
) -> None:
    slow = "import sys, threading\nprint('importing', flush=True)\nthreading.Event().wait()\n"
    (tmp_path / library).mkdir()
    (tmp_path / library / "__init__.py").write_text(slow)
    with subprocess.Popen(
        [sys.executable, "-m", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline() == "importing\n"
        command.send_signal(signal.SIGINT)
        with contextlib.closing(command.stderr) as stderr:
            assert (command.wait(20), stderr.read()) == (code, "")


X = "\udcff"


@pytest.mark.parametrize(
    ("program", "options", "code"),
    [
        ("starlab_sim", ("--nonsense",), 2),
        ("starlab_sim", ("--seed", "-1"), 2),
        ("starlab_sim", ("--port", "70000"), 2),
        ("starlab_sim", ("--host", X), 3),
        ("starlab_sim", ("--authors-tcp", f"{X}:7"), 3),
        ("starlab_sim", ("--effects", X), 2),
        ("starlab_sim", ("--effects", "LATIN"), 2),
        ("starlab_sim", ("--faults", X), 2),
        ("starlab_sim", ("--limits", "/dev/zero"), 2),
        ("starlab_sim", ("--restore", "/dev/zero"), 2),
        ("starlab_sim", ("--state", "/no/such/chip"), 4),
        ("starlab_api", ("--port", "-1"), 2),
        ("starlab_api", ("--seed", "-1"), 2),
        ("starlab_api", ("--host", X), 2),
        ("starlab_api", ("--limits", "/dev/zero"), 2),
        ("starlab_api", ("--board", X), 2),
        ("starlab_api", ("--data", "/dev/null/x"), 2),
        ("starlab_host.capture", ("record", "udp://127.0.0.1:9"), 2),
        ("starlab_host.capture", ("record", f"udp://{X}", "--output", "x"), 2),
        ("starlab_host.capture", ("record", "udp://[::1", "--output", "x"), 2),
        ("starlab_host.capture", ("record", "udp://a", "--output", "x", "--duration", "nan"), 2),
        ("starlab_host.capture", ("replay", "/dev/zero"), 1),
    ],
)
def test_what_a_program_cannot_start_with_is_told_in_a_line(
    tmp_path: Path, program: str, options: tuple[str, ...], code: int
) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'name = "\xe9"\n')
    given = [str(latin) if option == "LATIN" else option for option in options]
    done = subprocess.run(
        [sys.executable, "-m", program, *given],
        capture_output=True,
        check=False,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("starlab")


@pytest.mark.parametrize("program", ["starlab_sim", "starlab_api --seed 1"])
def test_a_program_that_cannot_say_where_it_listens_ends(shell: Shell, program: str) -> None:
    done = shell(f"{sys.executable} -m {program} --port 0 >/dev/full")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.endswith("cannot say where it listens: No space left on device")
    assert "Traceback" not in done.stderr
