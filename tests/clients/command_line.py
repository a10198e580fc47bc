"""A command that has run in the process of the test, and how it ended."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from typer.testing import Result

Run = Callable[..., "Finished"]


@dataclass
class Finished:
    """A command that ended."""

    result: Result

    @property
    def code(self) -> int:
        return self.result.exit_code

    @property
    def json(self) -> Any:
        """Its last line on standard output."""
        return json.loads(self.result.stdout.splitlines()[-1])

    @property
    def words(self) -> str:
        """All that it said, as one line."""
        return " ".join(self.result.output.split())
