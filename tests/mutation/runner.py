"""Runs tests again and again, each time in a fresh child that knows the libraries already.

A program of its own that stands in the copy of the checkout: a line of JSON in, a line out. What
the product imports from elsewhere is imported once; each run is a fork of this process, has a
session of its own, and leaves no process behind.
"""

import importlib
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Any

_LIBRARIES = (
    "numpy", "numba", "hypothesis", "pytest", "scipy.sparse.linalg", "pydantic", "fastapi",
    "starlette.testclient", "uvicorn", "httpx2", "typer", "rich.progress", "serial", "sqlite3",
)  # fmt: skip


def main() -> None:
    """Answer until the input ends."""
    for name in _LIBRARIES:
        importlib.import_module(name)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)


def _run(task: dict[str, Any]) -> dict[str, Any]:
    """Run tests: ``arguments`` of pytest, ``log``, ``limit_s``, and ``map`` for what they run."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_child(task)
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        late = time.monotonic() - began > task["limit_s"]
        if pid or late:
            break
        time.sleep(0.005)
    # whatever it has started goes too
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if not pid:
        os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status) if pid else None
    return {"code": code, "seconds": time.monotonic() - began}


def _be_child(task: dict[str, Any]) -> None:
    os.setsid()
    log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    code = 3
    try:
        import pytest

        plugins = []
        if "map" in task:
            from tests.mutation.mapping import Mapping

            plugins.append(Mapping(task["map"], task["sources"]))
        code = int(pytest.main(task["arguments"], plugins))
    except BaseException:  # the process ends here, whatever happens
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
