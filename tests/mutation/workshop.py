"""A copy of the checkout in which a module is changed and tests are run. Touches no original."""

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.mutation.areas import TOP
from tests.mutation.mutants import Mutant

SOURCES: Final = ("spec", "host", "firmware_sim", "api", "clients/python")
_LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv", ".mutants", ".*_cache", ".hypothesis", ".peers", "demo-output", "starlab-data"
)
# plain assertions: there is nobody to read, and the plugins that would be rewritten are imported
_PYTEST: Final = (
    "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "--no-header", "--tb=line",
    "--assert=plain",
)  # fmt: skip


class Workshop:
    """The copy, and a process that runs tests in it.

    Args:
        interpreted: Kernels are not compiled.

    Attributes:
        top: Where the copy stands.
    """

    def __init__(self, *, interpreted: bool) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="starlab-mutants-")
        self.top = Path(self._folder.name) / "checkout"
        # with the compiled kernels, whose cache goes by the time of the files
        shutil.copytree(TOP, self.top, ignore=_LEFT_OUT, symlinks=True)
        for folder in (*SOURCES, "tests"):
            compileall.compile_dir(self.top / folder, quiet=1)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(str(self.top / folder) for folder in SOURCES),
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        if interpreted:
            environment["NUMBA_DISABLE_JIT"] = "1"
        self._runner = subprocess.Popen(
            [sys.executable, "-m", "tests.mutation.runner"],
            cwd=self.top,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def __enter__(self) -> Self:
        """The workshop itself; leaving the block removes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process, and remove the copy."""
        with self._runner:
            self._runner.kill()
        self._folder.cleanup()

    @contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """A module is the mutant within the block."""
        file = self.top / mutant.path
        original, times = file.read_bytes(), file.stat()
        for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
            compiled.unlink()
        file.write_text(mutant.source)
        try:
            yield
        finally:
            file.write_bytes(original)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def is_noticed(self, tests: Sequence[str], limit_s: float) -> bool:
        """Whether one of some tests fails, or has not ended in time."""
        code: int | None = self._run(arguments=[*_PYTEST, *tests], limit_s=limit_s)["code"]
        return code != 0

    def last_words(self) -> str:
        """What failed in the last run."""
        lines = self._log.read_text(errors="replace").splitlines()
        told = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        return told[0] if told else (lines[-1] if lines else "")

    def map(self, tests: str) -> dict[str, Any]:
        """What each test of a file or folder runs; see :class:`tests.mutation.mapping.Mapping`."""
        file = Path(self._folder.name) / "map.json"
        arguments = [option for option in _PYTEST if option != "-x"]
        sources = [str(self.top / folder) for folder in SOURCES]
        file.unlink(missing_ok=True)
        self._run(arguments=[*arguments, tests], limit_s=1800, map=str(file), sources=sources)
        if not file.exists():
            raise RuntimeError(self._log.read_text(errors="replace"))
        told: dict[str, Any] = json.loads(file.read_text())
        return told

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "log"

    def _run(self, **task: Any) -> dict[str, Any]:
        assert self._runner.stdin is not None
        print(json.dumps(task | {"log": str(self._log)}), file=self._runner.stdin, flush=True)
        answer: dict[str, Any] = self._answer()
        return answer

    def _answer(self) -> Any:
        assert self._runner.stdout is not None
        line = self._runner.stdout.readline()
        if not line:
            raise RuntimeError("the process that runs the tests has ended")
        return json.loads(line)
