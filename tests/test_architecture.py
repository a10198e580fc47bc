"""The house's own rules, checked on the source. Imports nothing of the product."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = [
    ROOT / path for path in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
]
SPEC = next(path for path in PACKAGES if path.name == "starlab_spec")

MODULES = sorted(module for package in PACKAGES for module in package.rglob("*.py"))
NAMES = [str(module.relative_to(ROOT)) for module in MODULES]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
each_module = pytest.mark.parametrize("module", MODULES, ids=NAMES)

WORLD = set("asyncio io os pathlib random select socket subprocess threading time".split())
"""Modules by which code reaches beyond its arguments."""


def tree_of(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


def imported_names(tree: ast.AST) -> Iterator[str]:
    """Dotted names of all that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@each_module
def test_a_module_opens_with_what_it_is_for(module: Path) -> None:
    docstring = ast.get_docstring(tree_of(module)) or ""
    assert docstring.partition("\n\n")[0].endswith((".", ":", "?"))


@pytest.mark.parametrize(
    "module", MODULES + TESTS, ids=lambda module: str(module.relative_to(ROOT))
)
def test_a_module_is_not_over_400_lines(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 400


@each_module
def test_nobody_imports_private_names_of_another_package(module: Path) -> None:
    package = next(path.name for path in PACKAGES if path in module.parents)
    others = {path.name for path in PACKAGES} - {package}
    private = [
        name
        for name in imported_names(tree_of(module))
        if name.split(".")[0] in others and any(part.startswith("_") for part in name.split("."))
    ]
    assert private == []


@each_module
def test_nothing_draws_from_a_generator_of_the_whole_process(module: Path) -> None:
    """`numpy.random.rand`, `random.random` and the like are hidden state."""
    calls = [
        ast.unparse(node)
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if ast.unparse(node.func.value) in {"random", "np.random", "numpy.random"}
        if not node.func.attr[0].isupper() and node.func.attr != "default_rng"
    ]
    assert calls == []


@pytest.mark.parametrize("module", sorted(SPEC.rglob("*.py")), ids=lambda path: path.name)
def test_the_data_sheet_reaches_for_no_clock_socket_or_file(module: Path) -> None:
    reached = {name.split(".")[0] for name in imported_names(tree_of(module))} & WORLD
    # a generator is handed in, so its type may be named
    assert reached <= {"random"}


def test_every_dependency_has_its_reason_above_it() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    for requirement in PROJECT["project"]["dependencies"]:
        at = next(i for i, line in enumerate(lines) if line.strip() == f'"{requirement}",')
        above = next(line for line in reversed(lines[:at]) if not line.strip().startswith('"'))
        assert above.strip().startswith("#"), requirement


def test_every_dependency_has_a_tested_version() -> None:
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    wanted = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    names = {requirement.partition(">=")[0].lower() for requirement in wanted}
    assert names <= pinned
