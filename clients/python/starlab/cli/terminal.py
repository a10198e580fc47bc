"""What every command shares: options, way to the server, output, exit codes. Asks no board."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from starlab.board import Board
from starlab.client import Client
from starlab.errors import (
    BoardError,
    InvalidInput,
    LimitExceeded,
    NotFound,
    Refused,
    ServerAway,
    StarlabError,
)

Url = Annotated[
    str, typer.Option(envvar="STARLAB_URL", help="Root of the server.", show_default=True)
]
BoardId = Annotated[
    str | None,
    typer.Option(
        "--board", envvar="STARLAB_BOARD_ID", help="Which board; not needed for an only one."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, as the last line on standard output.")
]
ArrayNumber = Annotated[int, typer.Argument(min=1, max=2, help="Which array: 1 or 2.")]
Rows = Annotated[str | None, typer.Option(help="Inputs, such as 0:10,12 (ranges half-open).")]
Columns = Annotated[str | None, typer.Option(help="Outputs, such as 0:10,12 (ranges half-open).")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", dir_okay=False, help="Write the array to this .npy."),
]


class ExitCode(IntEnum):
    """How a command ended; 0 is success."""

    FAILED = 1
    USAGE = 2
    BOARD = 3
    """Board, link, or no server."""
    REFUSED = 4
    """Lease, interlock, authorisation, board not in a state for it."""


_KINDS: Final[tuple[tuple[type[StarlabError], ExitCode], ...]] = (
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
    return next((code for kind, code in _KINDS if isinstance(error, kind)), ExitCode.FAILED)


class Terminal:
    """Standard output for results, standard error for progress and problems.

    Args:
        as_json: Whether results are one JSON object instead of tables and sentences.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._out = Console()
        self._err = Console(stderr=True)

    @property
    def is_watched(self) -> bool:
        """Whether a person sees the results come."""
        return self._out.is_terminal and not self._as_json

    def say(self, text: str | Table) -> None:
        """A sentence or a table for a human reader."""
        if not self._as_json:
            self._out.print(text, highlight=False)

    def finish(self, result: Mapping[str, Any]) -> None:
        """The result for a program."""
        if self._as_json:
            self.print_json(result)

    def print_json(self, result: Mapping[str, Any]) -> None:
        """One JSON object on a line of its own, whether asked for or not."""
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Something by the way, on standard error."""
        self._err.print(text, highlight=False)

    def fail(self, error: StarlabError) -> typer.Exit:
        """Tell what went wrong; gives what is to be raised."""
        self._err.print(f"[bold red]{type(error).__name__}:[/] ", end="")
        self._err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        code = exit_code(error)
        self.finish(
            {"error": {"kind": type(error).__name__, "detail": str(error), **error.problem}}
        )
        return typer.Exit(code)

    @contextmanager
    def stages(self, description: str) -> Iterator[Callable[[str], None]]:
        """A spinner on standard error, with a function that says what is being done."""
        with self.progress() as progress:
            task = progress.add_task(description, total=1, note="")
            yield lambda stage: progress.update(task, note=stage)
            progress.update(task, completed=1, note="")

    @contextmanager
    def live(self) -> Iterator[Callable[[Table], None]]:
        """A place on standard output whose table is replaced by the next one, until Ctrl-C."""
        with suppress(KeyboardInterrupt), Live(console=self._out, auto_refresh=False) as place:
            yield lambda shown: place.update(shown, refresh=True)

    def progress(self) -> Progress:
        """Progress bars on standard error; a task has the field ``note``."""
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._err,
        )


@contextmanager
def reporting(as_json: bool) -> Iterator[Terminal]:
    """A terminal that turns the SDK's errors into messages and exit codes."""
    terminal = Terminal(as_json=as_json)
    try:
        yield terminal
    except StarlabError as error:
        raise terminal.fail(error) from None


@contextmanager
def connected(url: str, board_id: str | None, as_json: bool) -> Iterator[tuple[Board, Terminal]]:
    """A board on a server, and a terminal that reports what goes wrong with it.

    Raises:
        typer.BadParameter: No board was named and there is not just one.
    """
    with reporting(as_json) as terminal, Client(url) as client:
        yield client.board(board_id or only_board(client)), terminal


def only_board(client: Client) -> str:
    """The id of the server's only board.

    Raises:
        typer.BadParameter: It has none, or several.
    """
    ids = [board.id for board in client.boards()]
    if len(ids) != 1:
        found = ", ".join(ids) or "none"
        raise typer.BadParameter(f"name one with --board; the server has {found}")
    return ids[0]


def load_array(path: Path, option: str) -> NDArray[Any]:
    """An array from a `.npy` file.

    Raises:
        typer.BadParameter: It is none, naming the option.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise typer.BadParameter(f"{path} is no .npy of numbers", param_hint=option) from error
    if not isinstance(array, np.ndarray):
        raise typer.BadParameter(f"{path} holds several arrays; give one .npy", param_hint=option)
    return array


def values_or_file(name: str, array: NDArray[Any], output: Path | None) -> dict[str, Any]:
    """An array for a JSON result: its values, or where they have been written to."""
    if output is None:
        return {name: array.tolist()}
    np.save(output, array, allow_pickle=False)
    return {"output": str(output)}


def table(title: str, *columns: str, right: bool = True) -> Table:
    """An empty table; all columns but the first are aligned to the right."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        made.add_column(column, justify="right" if right and index else "left")
    return made
