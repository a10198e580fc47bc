"""Writes what was measured as JSON and as a page of the documentation. Measures nothing."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from benchmarks.measure import Figure

HEAD = """\
# Benchmarks

Written by `make bench`; the same figures as JSON are in [benchmarks.json](benchmarks.json). All
sides of a line take turns in one run, and each figure is the median of {rounds} rounds: on a shared
machine the absolute times drift, the ratios hold. `make bench-peers` makes the environment of the
peers; without it their figures are quoted, not measured. A ratio above 1 means that starlab is
better.

{machine}
"""


def machine() -> dict[str, str]:
    """What it ran on, and how busy that was with other work."""
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "system": f"{platform.system()} {platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "Python": platform.python_version(),
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _peer(figure: Figure) -> str:
    if not figure.peer:
        return ""
    if figure.peer_value is not None:
        return f"{number(figure.peer_value)} {figure.unit}: {figure.peer}"
    if figure.quoted:
        return f"{figure.quoted}: {figure.peer}, quoted, not measured"
    return f"{figure.peer}: not measured"


def _target(figure: Figure) -> tuple[str, str]:
    if figure.target is None:
        return "", ""
    return figure.target.text, "met" if figure.target.met else "**missed**"


def line(figure: Figure) -> str:
    """One figure for a terminal."""
    ratio = "" if figure.ratio is None else f"ratio {number(figure.ratio)}"
    parts = (
        f"{figure.work}: {number(figure.value)} {figure.unit}",
        _peer(figure),
        ratio,
        " ".join(_target(figure)),
        figure.note,
    )
    return "; ".join(part for part in parts if part.strip())


def markdown(figures: Sequence[Figure], versions: Mapping[str, str], rounds: int) -> str:
    """The page."""
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [HEAD.format(rounds=rounds, machine=told)]
    for group, members in groupby(figures, key=lambda figure: figure.group):
        lines += [f"## {group}", "", "| work | starlab | against | ratio | must | |"]
        lines.append("|---|---|---|---|---|---|")
        for figure in members:
            work = f"{figure.work}<br>{figure.note}" if figure.note else figure.work
            ratio = "" if figure.ratio is None else number(figure.ratio)
            ours = f"{number(figure.value)} {figure.unit}"
            cells = (work, ours, _peer(figure), ratio, *_target(figure))
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def write(
    folder: Path, figures: Sequence[Figure], versions: Mapping[str, str], rounds: int
) -> None:
    """Write benchmarks.md and benchmarks.json into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    page = markdown(figures, versions, rounds)
    (folder / "benchmarks.md").write_text(page, encoding="utf-8")
    record = {"rounds": rounds, "versions": versions, "figures": [asdict(f) for f in figures]}
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (folder / "benchmarks.json").write_text(text + "\n", encoding="utf-8")
