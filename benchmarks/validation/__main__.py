"""Runs the areas of validation and writes the page. Validates nothing itself."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks import report as machine
from benchmarks.validation import (
    asymmetry,
    currents,
    devices,
    energy,
    generators,
    published,
    report,
    safety,
    wires,
)
from benchmarks.validation.report import Section

AREAS: Final[Mapping[str, Callable[[], Iterator[Section]]]] = {
    "wires": wires.sections,
    "devices": devices.sections,
    "generators": generators.sections,
    "currents": currents.sections,
    "safety": safety.sections,
    "energy": energy.sections,
    "published": published.sections,
    "asymmetry": asymmetry.sections,
}
"""What runs each area, in the order of the page."""
DOCS: Final = Path(__file__).parents[2] / "docs"


def main() -> int:
    """Validate, print and write; exit code 1 if a tolerance was exceeded."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validation", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=", ".join(AREAS))
    parser.add_argument(
        "--output", type=Path, help="folder of the page; default: docs, if all areas are run"
    )
    options = parser.parse_args()
    unknown = set(options.areas) - set(AREAS)
    if unknown:
        parser.error(f"no such area: {', '.join(sorted(unknown))}; known: {', '.join(AREAS)}")
    sections: list[Section] = []
    for area in options.areas or AREAS:
        for section in AREAS[area]():
            sections.append(section)
            print(f"{section.title}", flush=True)
            for check in section.checks:
                print(f"  {report.line(check)}", flush=True)
    folder = options.output or (None if options.areas else DOCS)
    if folder is not None:
        versions = machine.machine() | {n: version(n) for n in ("starlab", "numpy", "numba")}
        report.write(folder, sections, versions)
    missed = [check for section in sections for check in section.checks if check.met is False]
    print(f"{len(missed)} tolerances exceeded" if missed else "all tolerances met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
