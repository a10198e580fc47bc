"""What an area of validation has found, and the page that tells it. Validates nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.report import number
from matplotlib.figure import Figure

HEAD: Final = """\
# Validation of the emulated chip

Written by `make validate`: what is compared with what, the error, and the tolerance. The marks are
those of [the chip](chip.md): P published, C read from the authors' code or data, R reconstruction,
O our own choice. A figure without tolerance is told for orientation.

{machine}
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison."""

    what: str
    """What was compared."""
    against: str
    """With what: a reference solution, a formula, a published figure."""
    value: float
    """The error, or the figure itself, in ``unit``."""
    unit: str = ""
    """Its unit."""
    low: float | None = None
    """Least value that is accepted; None: any."""
    high: float | None = None
    """Greatest value that is accepted; None: any."""
    note: str = ""
    """What a reader must know to judge it."""

    @property
    def met(self) -> bool | None:
        """Whether the value is accepted; None if any is. Not-a-number never is."""
        if self.low is None and self.high is None:
            return None
        above = self.low is None or self.value >= self.low
        return bool(above and (self.high is None or self.value <= self.high))

    @property
    def tolerance(self) -> str:
        """The accepted values, in words."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} .. {self.high:g} {self.unit}".strip()
        if self.high is not None:
            return f"<= {self.high:g} {self.unit}".strip()
        return "" if self.low is None else f">= {self.low:g} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of the page."""

    name: str
    """Name of its file, without folder and ending."""
    caption: str
    """What is to be seen on it."""
    figure: Figure
    """The picture itself."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page."""

    title: str
    """Its heading."""
    text: str
    """What was done and why, and what is to be learned from it: Markdown."""
    checks: Sequence[Check] = ()
    """Comparisons."""
    plots: Sequence[Plot] = ()
    """Pictures."""


def _row(check: Check) -> str:
    met = {None: "", True: "met", False: "**missed**"}[check.met]
    what = f"{check.what}<br>{check.note}" if check.note else check.what
    value = f"{_number(check.value)} {check.unit}".strip()
    return f"| {what} | {check.against} | {value} | {check.tolerance} | {met} |"


def _number(value: float) -> str:
    """Three digits, with an exponent where a number is small."""
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else number(value)


def line(check: Check) -> str:
    """A comparison for a terminal."""
    met = {None: "", True: "met", False: "MISSED"}[check.met]
    words = f"{check.what} against {check.against}: {_number(check.value)} {check.unit}".strip()
    return "; ".join(part for part in (words, f"{check.tolerance} {met}".strip()) if part)


def markdown(sections: Sequence[Section], versions: Mapping[str, str]) -> str:
    """The page; pictures are in the folder ``images`` beside it."""
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [HEAD.format(machine=told)]
    for section in sections:
        lines += [f"## {section.title}", "", section.text.strip(), ""]
        if section.checks:
            lines += ["| what | against | figure | tolerance | |", "|---|---|---|---|---|"]
            lines += [*map(_row, section.checks), ""]
        for plot in section.plots:
            lines += [f"![{plot.caption}](images/{plot.name}.png)", "", f"*{plot.caption}*", ""]
    return "\n".join(lines)


def write(folder: Path, sections: Sequence[Section], versions: Mapping[str, str]) -> None:
    """Write validation.md and its pictures into a folder."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    for section in sections:
        for plot in section.plots:
            plot.figure.savefig(images / f"{plot.name}.png", dpi=110, metadata={"Software": None})
    (folder / "validation.md").write_text(markdown(sections, versions), encoding="utf-8")
