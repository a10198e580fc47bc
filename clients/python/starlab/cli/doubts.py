"""Warnings of the server on the terminal: a line on standard error for each. Judges nothing."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from starlab.cli.ending import one_line
from starlab.doubts import DoubtfulInput


@contextmanager
def doubts_told() -> Iterator[None]:
    """A block within which a warning of the server is a line, once however often it comes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("default", category=DoubtfulInput)
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not issubclass(category, DoubtfulInput):
                others(message, category, filename, lineno, file, line)
                return
            with suppress(OSError):
                sys.stderr.write(f"starlab: warning: {one_line(str(message))}\n")

        warnings.showwarning = show
        yield
