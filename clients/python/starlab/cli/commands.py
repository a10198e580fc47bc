"""Groups and commands of typer, with the house's own help and endings. Knows no command.

Whatever goes wrong in a command ends here: see `starlab.cli.ending`.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from starlab.cli.doubts import doubts_told
from starlab.cli.ending import (
    Ending,
    ExitCode,
    Interrupted,
    OutputFailed,
    discard_output,
    ending_of,
    flush_output,
    open_streams,
    tell,
)

NARROW: Final = 60
"""Columns of a terminal below which help has no frames and tables."""


class Command(TyperCommand):
    """A command whose flags show no type, and whose help can be read on a narrow terminal."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options and arguments."""
        return _without_flag_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write its help."""
        self.rich_markup_mode = None if Console().width < NARROW else self.rich_markup_mode
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """Several commands: likewise; what goes wrong in one ends with a line and an exit code."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its options."""
        return _without_flag_types(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write its help."""
        self.rich_markup_mode = None if Console().width < NARROW else self.rich_markup_mode
        super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run a command of it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run a command, and end the process with its exit code."""
        given = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in given
        try:
            open_streams()
            with doubts_told():
                code = super().main(given, *rest, **{**extra, "standalone_mode": False})
            flush_output()
        except SystemExit:
            raise
        # the last place where anybody hears of it: a line instead of a traceback
        except BaseException as error:
            ending = _ending_of(error)
            tell(ending, as_json=as_json)
            try:
                flush_output()
            except OutputFailed:
                discard_output()
            sys.exit(ending.code)
        sys.exit(code or 0)


def _ending_of(error: BaseException) -> Ending:
    ending = ending_of(error)
    context = getattr(error, "ctx", None)
    if not isinstance(error, typer.TyperException) or context is None:
        return ending
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(ending.detail)  # the help itself, which somebody has asked for by giving nothing
        return Ending(ExitCode.USAGE, "", "")
    said = f"{ending.detail.rstrip('.')} (see {context.command_path} --help)"
    return Ending(ending.code, ending.kind, said)


def _without_flag_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters
