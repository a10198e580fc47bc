"""What is known of mutants and of tests, on disk, so that work goes on where it was interrupted."""

import ast
import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.mutation.areas import AREAS, TOP, Area
from tests.mutation.mutants import Mutant, functions_of
from tests.mutation.workshop import Workshop

EQUIVALENT: Final[dict[str, str]] = tomllib.loads(
    (Path(__file__).parent / "equivalent.toml").read_text(encoding="utf-8")
)
"""Mutants that do what the original does, or what nobody can see, by name; and why."""

_NO_TESTS: Final[dict[str, Any]] = {"tests": {}}
"""Of a file that has come since the tests were mapped."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutant."""

    area: str
    name: str
    line: int
    kind: str
    noticed: bool
    reason: str
    """Why it is as good as the original, if it is."""

    @property
    def path(self) -> str:
        """Of the module."""
        return self.name.partition("::")[0]


class Test(NamedTuple):
    """A test that runs what is changed."""

    name: str
    seconds: float
    is_named: bool
    """Whether its file is named after the changed module, or names it."""
    share: float
    """Of the functions that it runs, how many are of the changed module."""


class Notebook:
    """Verdicts, and what each test runs.

    Args:
        folder: Where it is kept.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._verdicts_file = folder / "verdicts.json"
        self._tests_file = folder / "tests.json"
        self._verdicts: dict[str, dict[str, Any]] = _load(self._verdicts_file)
        self._tests: dict[str, dict[str, Any]] = _load(self._tests_file)

    def verdicts(self) -> Iterator[Verdict]:
        """Those of the mutants that can still be made."""
        areas = {
            file.relative_to(TOP).as_posix(): area.name for area in AREAS for file in area.files()
        }
        for name, known in sorted(self._verdicts.items()):
            path, _, function = name.partition(": ")[0].partition("::")
            if path in areas and _digest_of(TOP / path, function) == known["function"]:
                yield Verdict(
                    areas[path],
                    name,
                    known["line"],
                    known["kind"],
                    known["noticed"],
                    EQUIVALENT.get(name, ""),
                )

    def is_open(self, area: Area, mutant: Mutant) -> bool:
        """Whether it is worth trying: not known, or not noticed by the tests as they were."""
        known = self._verdicts.get(mutant.name)
        if mutant.name in EQUIVALENT and known is not None:
            return False
        if known is None or known["function"] != _digest_of(TOP / mutant.path, mutant.function):
            return True
        return not known["noticed"] and known["tests"] != _digest_of_tests(area)

    def has_survived(self, mutant: Mutant) -> bool:
        """Whether it was tried, and not noticed."""
        known = self._verdicts.get(mutant.name)
        return known is not None and not known["noticed"]

    def note(self, area: Area, mutant: Mutant, noticed: bool, by: str) -> None:
        """Keep what became of a mutant."""
        self._verdicts[mutant.name] = {
            "area": area.name,
            "line": mutant.line,
            "kind": mutant.kind,
            "noticed": noticed,
            "by": by,
            "function": _digest_of(TOP / mutant.path, mutant.function),
            "tests": _digest_of_tests(area),
        }
        self._verdicts_file.write_text(json.dumps(self._verdicts, indent=1), encoding="utf-8")

    def map_tests(self, area: Area, workshop: Workshop) -> None:
        """Learn what the tests of an area run, where a file of them is new or has changed."""
        for file in area.test_files():
            path, key = file.relative_to(TOP).as_posix(), _key(area, file)
            # as it stands in the copy, where it is run: somebody may be at work on it
            copy = workshop.top / path
            if not copy.exists():
                continue
            digest = _digest(copy.read_text(encoding="utf-8"))
            known = self._tests.get(key, _NO_TESTS)
            if known.get("digest") != digest or _has_moved(known):
                print(f"which functions do the tests of {path} run?", flush=True)
                self._tests[key] = {"digest": digest, "tests": workshop.map(path)}
                self._tests_file.write_text(json.dumps(self._tests), encoding="utf-8")

    def tests_of(
        self, area: Area, mutant: Mutant, *, quick: int, budget_s: float, most: int
    ) -> list[Test]:
        """Tests that run the changed function: the quickest, then those that are about it."""
        place, within = f"{mutant.path}::{mutant.function}", f"{mutant.path}::"
        running: list[Test] = []
        importing: list[Test] = []
        module = ".".join(Path(mutant.path).with_suffix("").parts[1:])
        for file in area.test_files():
            is_named = Path(mutant.path).stem in file.stem or module in file.read_text("utf-8")
            for test, (seconds, functions) in self._tests.get(_key(area, file), _NO_TESTS)[
                "tests"
            ].items():
                own = sum(function.startswith(within) for function in functions)
                if own or is_named:
                    one = Test(test, seconds, is_named, own / max(len(functions), 1))
                    (running if place in functions else importing).append(one)
        # what stands outside of functions, or is run by it, is run by whoever imports the module
        found = sorted(running or importing, key=lambda one: one.seconds)
        rest = sorted(found[quick:], key=lambda one: (not one.is_named, -one.share))
        tests: list[Test] = []
        total_s = 0.0
        for one in (found[:quick] + rest)[:most]:
            total_s += one.seconds
            if total_s > budget_s and tests:
                break
            tests.append(one)
        return tests


def _has_moved(known: dict[str, Any]) -> bool:
    """Whether a module that these tests run stands elsewhere now."""
    paths = {
        function.partition("::")[0]
        for _, functions in known["tests"].values()
        for function in functions
    }
    return not all((TOP / path).exists() for path in paths)


def _key(area: Area, file: Path) -> str:
    path = file.relative_to(TOP).as_posix()
    return f"{path} interpreted" if area.interpreted else path


def _digest_of_tests(area: Area) -> str:
    return _digest("".join(file.read_text(encoding="utf-8") for file in area.test_files()))


def _digest_of(file: Path, function: str) -> str:
    """Of a function's text, or of the whole module's."""
    if not file.exists():
        return ""
    source = file.read_text(encoding="utf-8")
    lines = source.splitlines()
    for first, last, name in functions_of(source):
        if name == function:
            return _digest("\n".join(lines[first - 1 : last]))
    return _digest(ast.dump(ast.parse(source)))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    content: dict[str, dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return content
