"""A pytest plugin that notes which functions of the product each test runs, and for how long."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest
from tests.mutation.mutants import functions_of


class Mapping:
    """Writes ``{test: [seconds, [path::function, ...]]}`` of the tests that pass.

    Args:
        file: Where to.
        sources: Folders of the product.
    """

    def __init__(self, file: str, sources: list[str]) -> None:
        self._file = Path(file)
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        self._coverage = coverage.Coverage(data_file=None, source=sources, config_file=False)
        # a file of tests that runs nothing of the product is in order
        self._coverage.set_option("run:disable_warnings", ["no-data-collected"])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            self._seconds[item.nodeid] = round(time.perf_counter() - began, 3)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        run: dict[str, set[str]] = {test: set() for test in self._seconds}
        for name in data.measured_files():
            path = Path(name)
            functions = functions_of(path.read_text())
            shown = path.relative_to(Path.cwd()).as_posix()
            for line, contexts in data.contexts_by_lineno(name).items():
                # the innermost one, which comes last; its head runs when the module is imported
                of_line = [f for first, last, f in functions if first < line <= last]
                if of_line:
                    for test in run.keys() & contexts:
                        run[test].add(f"{shown}::{of_line[-1]}")
        told: dict[str, Any] = {
            test: [self._seconds[test], sorted(run[test])] for test in run.keys() - self._failed
        }
        self._file.write_text(json.dumps(told))
