"""`python -m benchmarks` measures against peers and targets. Holds no figure of its own."""

import argparse
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks import authors, emulation, link, report, rest, startup
from benchmarks.measure import Figure

GROUPS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "emulation": emulation.figures,
    "startup": startup.figures,
    "link": link.figures,
    "authors": authors.figures,
    "rest": rest.figures,
}
DOCS = Path(__file__).parents[1] / "docs"


def main() -> int:
    """Measure, print and write; exit code 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=7, help="at least five for the record")
    parser.add_argument("--output", type=Path, default=DOCS, help="folder of the report")
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}; known: {', '.join(GROUPS)}")
    versions = report.machine() | {name: version(name) for name in ("starlab", "numpy", "numba")}
    print(", ".join(f"{name} {value}" for name, value in versions.items()), flush=True)
    figures: list[Figure] = []
    for group in options.groups or GROUPS:
        for figure in GROUPS[group](options.rounds):
            figures.append(figure)
            print(report.line(figure), flush=True)
    if not options.groups:
        report.write(options.output, figures, versions, options.rounds)
    missed = [figure for figure in figures if figure.target is not None and not figure.target.met]
    print(f"{len(missed)} targets missed" if missed else "all targets met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
