"""Makes mutants and judges the tests by them; writes `docs/mutants.md`.

    python -m tests.mutation                          # goes on where it was interrupted
    python -m tests.mutation --area firmware --each 0 # all mutants of one area
    python -m tests.mutation --report                 # the page only

The page keeps what it says of areas that `--area` leaves out.

What was found is kept in `.mutants`: a mutant that was noticed is not tried again while its
function stays as it is, one that was not is tried again when a test file has changed.
"""

import argparse
import random
import sys
from collections.abc import Iterator

from tests.mutation import report
from tests.mutation.areas import AREAS, TOP, Area
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.notebook import Notebook
from tests.mutation.workshop import Workshop

EACH = 20
FIRST_TESTS = 20
"""Tests that are tried first: those that take the least time."""
BUDGET_S = 12.0
"""Tests of one mutant take no longer than this together, as measured without it."""
MOST_TESTS = 150
PATIENCE = 5
"""Times that tests may take what they take without the mutant: it may wait for ever."""
START_S = 15.0
"""What a run of tests may take beside them."""


def main() -> None:
    """Judge what the options say."""
    names = [area.name for area in AREAS]
    parser = argparse.ArgumentParser("make mutants")
    parser.add_argument("--area", action="append", choices=names, help="default: all")
    parser.add_argument("--only", default="", help="mutants whose name holds this text")
    parser.add_argument("--each", type=int, default=EACH, help="of each module; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="which of them")
    parser.add_argument("--report", action="store_true", help="write the page, try nothing")
    options = parser.parse_args()
    notebook = Notebook(TOP / ".mutants")
    if not options.report:
        for area in AREAS:
            if options.area is None or area.name in options.area:
                chosen = chosen_of(area, options.each, options.seed, notebook)
                judge(area, [one for one in chosen if options.only in one.name], notebook)
    file = TOP / "docs" / "mutants.md"
    before = file.read_text(encoding="utf-8")
    page = report.page(notebook, before, options.area or names)
    file.write_text(page, encoding="utf-8")


def chosen_of(area: Area, each: int, seed: int, notebook: Notebook) -> Iterator[Mutant]:
    """The same mutants in every run, so many of each module; and those that survived before."""
    for file in area.files():
        path = file.relative_to(TOP).as_posix()
        mutants = mutants_of(path, file.read_text(encoding="utf-8"))
        if each and len(mutants) > each:
            drawn = random.Random(f"{seed}:{path}").sample(range(len(mutants)), each)
            mutants = [
                mutant
                for index, mutant in enumerate(mutants)
                if index in drawn or notebook.has_survived(mutant)
            ]
        yield from mutants


def judge(area: Area, mutants: list[Mutant], notebook: Notebook) -> None:
    """Try those mutants of an area of which it is not known whether they are noticed."""
    open_ = [mutant for mutant in mutants if notebook.is_open(area, mutant)]
    if not open_:
        return
    with Workshop(interpreted=area.interpreted) as workshop:
        notebook.map_tests(area, workshop)
        for number, mutant in enumerate(open_, start=1):
            tests = notebook.tests_of(
                area, mutant, quick=FIRST_TESTS, budget_s=BUDGET_S, most=MOST_TESTS
            )
            noticed = False
            with workshop.changed(mutant):
                for some in (tests[:FIRST_TESTS], tests[FIRST_TESTS:]):
                    if some and not noticed:
                        limit_s = PATIENCE * sum(test.seconds for test in some) + START_S
                        noticed = workshop.is_noticed([test.name for test in some], limit_s)
            notebook.note(area, mutant, noticed, workshop.last_words() if noticed else "")
            word = "noticed" if noticed else f"SURVIVED {len(tests)} tests"
            print(f"{area.name} {number}/{len(open_)} {word}: {mutant.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
