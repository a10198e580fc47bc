"""How a command ends that did not go well: one line, an exit code, no traceback. Runs nothing.

The line goes to standard error and begins with ``starlab:``. A program that asked for ``--json``
gets it as an object on standard output as well.
"""

import errno
import json
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

import typer

from starlab.errors import (
    BoardError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Refused,
    ServerAway,
    StarlabError,
)

SHOW_TRACEBACK: Final = "STARLAB_TRACEBACK"
"""Environment variable that makes a fault of the program itself show where it arose."""
_LONGEST: Final = 2000
"""Characters of the line."""


class ExitCode(IntEnum):
    """How a command ended; 0 is success."""

    FAILED = 1
    USAGE = 2
    BOARD = 3
    """Board, link, or no server."""
    REFUSED = 4
    """Lease, interlock, authorisation, board not in a state for it."""
    INTERRUPTED = 130
    """Ctrl-C, as a shell has it."""
    TERMINATED = 143
    """SIGTERM, likewise."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a command did not go well."""

    code: int
    """Exit code."""
    kind: str
    """Class of the error."""
    detail: str
    """What to tell; empty: nothing."""
    problem: Mapping[str, Any] = field(default_factory=dict)
    """Further fields for a program."""


class OutputFailed(Exception):
    """Standard output takes no more."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.is_gone = error.errno == errno.EPIPE
        """Whether who read it has gone, as `head` does: nobody is left to be told."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM: as typer would hide it.

    Attributes:
        code: Exit code.
        members: What a program is told of the call that was stopped.
    """

    def __init__(
        self,
        detail: str = "interrupted",
        code: ExitCode = ExitCode.INTERRUPTED,
        members: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.members = members


_CODES: Final[tuple[tuple[type[StarlabError], ExitCode], ...]] = (
    (Refused, ExitCode.REFUSED),
    (InvalidInput, ExitCode.USAGE),
    (NotFound, ExitCode.USAGE),
    (BoardError, ExitCode.BOARD),
    (ServerAway, ExitCode.BOARD),
)


def exit_code(error: StarlabError) -> ExitCode:
    """The exit code that an error means. A supply beyond its limit is an interlock's refusal."""
    if isinstance(error, LimitExceeded) and error.channel is not None:
        return ExitCode.REFUSED
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAILED)


def ending_of(error: BaseException) -> Ending:
    """What to tell of an error, and the exit code that it means."""
    kind = type(error).__name__
    match error:
        case StarlabError():
            return Ending(exit_code(error), kind, str(error), error.problem)
        case typer.TyperException():
            return Ending(ExitCode.USAGE, InvalidInput.__name__, error.format_message())
        case Interrupted():
            return Ending(error.code, kind, str(error), error.members)
        case KeyboardInterrupt() | typer.Abort():
            return Ending(ExitCode.INTERRUPTED, Interrupted.__name__, "interrupted")
        case OutputFailed():
            said = f"cannot write to standard output: {error}; the command itself was carried out"
            return Ending(ExitCode.FAILED, kind, "" if error.is_gone else said)
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return Ending(ExitCode.FAILED, kind, f"{where}{error.strerror or error}")
        case MemoryError():
            return Ending(ExitCode.FAILED, kind, "this machine has not enough memory for that")
    if os.environ.get(SHOW_TRACEBACK):
        traceback.print_exception(error, file=sys.stderr)
    said = f"a fault of starlab itself: {kind}: {error} ({SHOW_TRACEBACK}=1 shows where)"
    return Ending(ExitCode.FAILED, kind, said)


def tell(ending: Ending, *, as_json: bool, of: str | None = None) -> None:
    """Tell why a command did not go well. Never fails: who cannot be told is not told.

    Args:
        ending: Why.
        as_json: Whether to a program too.
        of: The board that it is about, if the command is about several.
    """
    if not ending.detail:
        return
    with suppress(OSError):
        about = "" if of is None else f"{of}: "
        sys.stderr.write(f"starlab: {about}{one_line(ending.detail)}\n")
        sys.stderr.flush()
    if as_json and sys.stdout is not None:
        told = {"kind": ending.kind, "detail": ending.detail, **ending.problem}
        with suppress(OSError):
            sys.stdout.write(json.dumps({"error": told}) + "\n")
            sys.stdout.flush()


def one_line(text: str) -> str:
    """A text without line breaks and control characters, and not endless."""
    joined = " ".join(text.split())
    shown = printable(joined)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]} ..."


def printable(text: str) -> str:
    """A text with all that would do something to a terminal written as an escape."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def open_streams() -> None:
    """Make standard output and standard error take what a command writes.

    What the terminal's encoding lacks is written as an escape.

    Raises:
        OSError: Standard output is closed.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed; nothing was done")
    if (choose := getattr(sys.stdout, "reconfigure", None)) is not None:
        choose(errors="backslashreplace")


def flush_output() -> None:
    """Write what is left for standard output.

    Raises:
        OutputFailed: It takes no more.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError as error:
        raise OutputFailed(error) from None


def discard_output() -> None:
    """Let what is left for standard output go nowhere: the interpreter would try it once more."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
