"""How validation reports what it found."""

import math
from pathlib import Path

from benchmarks.validation.report import Check, Plot, Section, line, markdown, write
from matplotlib.figure import Figure


def test_a_value_within_its_tolerance_is_met_and_any_other_is_missed() -> None:
    assert Check("error", "theory", 0.5, high=1).met is True
    assert Check("error", "theory", 2, high=1).met is False
    assert Check("ratio", "paper", 1.0, low=1.6, high=2.1).met is False
    assert Check("error", "theory", math.nan, high=1).met is False
    assert Check("error", "theory", 2).met is None


def test_the_page_tells_values_tolerances_and_misses() -> None:
    checks = (
        Check("current", "a direct solution", 2e-7, high=1e-6),
        Check("accuracy", "the paper", 0.9, low=0.93, note="three seeds"),
    )
    page = markdown([Section("Wires", "Why.", checks)], {"numpy": "2"})
    assert "| current | a direct solution | 2.00e-07 | <= 1e-06 | met |" in page
    assert "| accuracy<br>three seeds | the paper | 0.9 | >= 0.93 | **missed** |" in page
    assert line(checks[1]) == "accuracy against the paper: 0.9; >= 0.93 MISSED"


def test_pictures_are_written_beside_the_page(tmp_path: Path) -> None:
    write(tmp_path, [Section("One", "Text.", plots=[Plot("one", "A plot", Figure())])], {})
    assert (tmp_path / "images" / "one.png").stat().st_size > 0
    assert "![A plot](images/one.png)" in (tmp_path / "validation.md").read_text()
