"""The command line ``starlab``: one module per group of commands. Knows nothing of the server."""

import os
import signal
import sys
from types import FrameType
from typing import Final, NoReturn

__all__ = ["main"]

INTERRUPTED: Final = 130
"""Exit code of Ctrl-C, as a shell has it."""


def main() -> None:
    """Entry point of the console script."""
    # an import that is interrupted ends in nonsense; nothing has been done yet
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    try:
        from starlab.cli.app import app
    # whatever is wrong with what is installed, a line tells it, as of any command
    except Exception as error:
        sys.exit(f"starlab: cannot start: {error}")
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    app()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os._exit(INTERRUPTED)
