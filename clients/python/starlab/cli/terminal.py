"""What every command shares: options, way to the server, output, exit codes. Asks no board."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Annotated, Any, Final, TextIO, cast

import typer
from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.segment import Segment
from rich.table import Table

from starlab.board import Board
from starlab.cli.ending import Interrupted, OutputFailed, ending_of, printable, tell
from starlab.cli.following import Attended, FollowingProgress
from starlab.client import Client
from starlab.errors import StarlabError

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


NARROW: Final = 60
"""Columns of a terminal below which sentences are left to it to be cut, and tables that do not fit
become lists."""


class Terminal:
    """Standard output for results, standard error for progress and problems.

    Args:
        as_json: Whether results are one JSON object instead of tables and sentences.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._out = _console(sys.stdout)
        self._err = _console(cast(TextIO, Unfailing(sys.stderr)))
        self._attended: Attended | None = None
        self._done_before = ""

    @property
    def is_watched(self) -> bool:
        """Whether a person sees the results come."""
        return self._out.is_terminal and not self._as_json

    def say(self, text: str | Table) -> None:
        """A sentence or a table for a human reader."""
        if self._as_json:
            return
        try:
            is_narrow = self._out.width < NARROW
            if is_narrow and isinstance(text, Table) and self._width_of(text) > self._out.width:
                self._out.print(as_list(text), markup=False, highlight=False, soft_wrap=True)
            else:
                self._out.print(text, highlight=False, soft_wrap=is_narrow)
        except OSError as error:
            raise OutputFailed(error) from None

    def finish(self, result: Mapping[str, Any]) -> None:
        """The result for a program."""
        if self._as_json:
            self.print_json(result)

    def print_json(self, result: Mapping[str, Any]) -> None:
        """One JSON object on a line of its own, whether asked for or not."""
        try:
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
        except OSError as error:
            raise OutputFailed(error) from None

    def note(self, text: str) -> None:
        """Something by the way, on standard error."""
        self._err.print(text, highlight=False)

    def fail(self, error: StarlabError) -> typer.Exit:
        """Tell what went wrong; gives what is to be raised."""
        ending = ending_of(error)
        if self._done_before:
            detail = f"{ending.detail}; before that: {self._done_before}"
            ending = replace(ending, detail=detail)
        tell(ending, as_json=self._as_json)
        return typer.Exit(ending.code)

    def _width_of(self, shown: Table) -> int:
        """Columns that a table needs to show each word whole."""
        wide = self._out.options.update(width=1_000_000)
        return Measurement.get(self._out, wide, shown).minimum

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

    @contextmanager
    def attending(self, client: Client, board_id: str) -> Iterator[None]:
        """A block that works with a board: its long calls are shown, and stopped by Ctrl-C.

        Raises:
            Interrupted: By Ctrl-C or SIGTERM; what ran on the board has stopped.
        """
        self._attended = Attended(client.url, board_id, client.request_ids)
        try:
            with self._attended.interruptible(client):
                yield
        except Interrupted as error:
            if self._done_before:
                said = f"{error}; before that: {self._done_before}"
                raise Interrupted(said, error.code, error.members) from None
            raise

    def has_done(self, text: str) -> None:
        """Note what calls before have done: told if a later one fails or is interrupted."""
        self._done_before = text

    def progress(self) -> Progress:
        """Progress bars on standard error; a task has the field ``note``."""
        return FollowingProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._err,
            attended=lambda: self._attended,
        )


class SafeConsole(Console):
    """A console on which no text of a server's moves the cursor or passes for markup."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """The segments of something, those with text fit to be shown."""
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or text.isprintable() or text == "\n":
                yield segment
            else:
                yield Segment("\n".join(map(printable, text.split("\n"))), segment.style)


def _console(stream: TextIO) -> Console:
    console = SafeConsole(file=stream, markup=False)
    return console if console.width > 0 else SafeConsole(file=stream, width=80, markup=False)


class Unfailing:
    """Standard error that takes everything: nothing ends because its progress cannot be shown."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is left, if possible."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's own."""
        return getattr(self._stream, name)


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
        chosen = board_id or only_board(client)
        with terminal.attending(client, chosen):
            yield client.board(chosen), terminal


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


def as_list(shown: Table) -> str:
    """A table for a narrow terminal: a line for each cell, with the title of its column."""
    columns = [(str(column.header), list(column.cells)) for column in shown.columns]
    lines = [str(shown.title)] if shown.title else []
    for row in range(shown.row_count):
        lines += [""] if len(columns) > 1 else []
        for title, cells in columns:
            said = str(cells[row])
            lines += [f"{title}: {said}" if title else said] if said else []
    return "\n".join(lines)


def table(title: str, *columns: str, right: bool = True) -> Table:
    """An empty table; all columns but the first are aligned to the right."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        side: JustifyMethod = "right" if right and index else "left"
        made.add_column(column, justify=side, overflow="fold")
    return made
