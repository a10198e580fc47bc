"""The mistakes that are made: each kind once, and what stays as it is."""

from pathlib import Path

import pytest
from tests.mutation.areas import AREAS, TOP, Area
from tests.mutation.mutants import functions_of, mutants_of
from tests.mutation.notebook import Notebook
from tests.mutation.report import page


def changed(source: str) -> set[str]:
    """The modules that mutants of a module are."""
    return {mutant.source for mutant in mutants_of("module.py", source)}


@pytest.mark.parametrize(
    ("source", "mutant"),
    [
        ("a = b <= c", "a = b < c"),
        ("a = (b + 1) < c", "a = (b + 1) <= c"),
        ("a = b not in c", "a = b in c"),
        ("a = (b or c) and d", "a = (b or c) or d"),
        ("a = not b", "a = b"),
        ("if a < b:\n    c()", "if not (a < b):\n    c()"),
        ("a = [b for b in c if b]", "a = [b for b in c if True]"),
        ("a = b - c", "a = b + c"),
        ("a = 256", "a = 255"),
        ("a = 256", "a = 512"),
        ("a = 0.5", "a = 1.0"),
        ("a = True", "a = False"),
        ("def f(a=1): ...", "def f(a=2): ..."),
        ("a = max(b)", "a = min(b)"),
        ("a(b, c=d, e=f)", "a(b, c=d)"),
        ("a(c=d, e=f)", "a( e=f)"),
        ("with a:\n    b()", "if True:\n    b()"),
        ("with a, b():\n    c()", "if True:\n    c()"),
        ("try:\n    a()\nfinally:\n    b()\n    c()", "try:\n    a()\nfinally:\n    pass"),
        ("try:\n    a()\nexcept E:\n    raise", "try:\n    a()\nexcept E:\n    pass"),
        ("a.b = c", "pass"),
        ("a(b)", "pass"),
        ("raise a", "pass"),
    ],
)
def test_each_kind_of_mistake_is_made(source: str, mutant: str) -> None:
    assert mutant in changed(source)


@pytest.mark.parametrize(
    "source",
    [
        "'''What 1 + 1 is.'''",
        "a: Final[int | None] = b",
        "def f(a: int | str) -> list[int]: ...",
        "@cache(1)\ndef f(): ...",
        "A = int | str",
        "a = f'{b + 1} is {c - 1}'",
        "a = b + ' mV'",
        "class A:\n    def __init__(self, b):\n        self.b = b",
    ],
)
def test_types_words_and_decorators_stay(source: str) -> None:
    assert changed(source) == set()


def test_a_mutant_has_the_same_name_wherever_its_function_stands() -> None:
    source = "class A:\n    def f(self, b):\n        return b + 1 < 1\n"
    names = [mutant.name for mutant in mutants_of("m.py", source)]
    assert names == [mutant.name for mutant in mutants_of("m.py", f"x = y\n\n{source}")]
    assert "m.py::A.f: < -> <= in b + 1 < 1" in names
    assert len(set(names)) == len(names)
    assert functions_of(source) == [(2, 3, "A.f")]


@pytest.mark.parametrize("area", AREAS, ids=lambda area: area.name)
def test_every_pattern_of_an_area_names_modules(area: Area) -> None:
    assert list(area.files())


def test_a_pattern_that_names_no_module_is_refused() -> None:
    area = Area("moved", ("host/starlab_host/no_such_module.py",))
    with pytest.raises(FileNotFoundError, match="moved: host/starlab_host/no_such_module"):
        list(area.files())


def test_every_area_has_tests_and_no_module_is_in_two() -> None:
    assert all(list(area.test_files()) for area in AREAS)
    files = [file for area in AREAS for file in area.files()]
    assert len(files) == len(set(files))


def test_the_page_keeps_what_it_says_of_areas_that_are_not_measured_now(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path)
    area, other = AREAS[0], AREAS[1]
    module = next(area.files())
    mutants = mutants_of(module.relative_to(TOP).as_posix(), module.read_text())
    notebook.note(area, mutants[0], noticed=False, by="")
    before = page(notebook)
    assert f"\n| {area.name} | 1 | 0 | 0 | 1 | 0% |\n" in before
    nothing = Notebook(tmp_path / "another")
    assert page(nothing, before, {other.name}) == before
    assert f"\n| {area.name} | 0 | 0 | 0 | 0 |  |\n" in page(nothing, before, {area.name})
