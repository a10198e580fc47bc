"""The file `limits.toml` as it stands, read once. Judges nothing: `safe_area` does."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

Table = Mapping[str, Any]
"""A TOML table."""


def _read() -> Table:
    text = files("starlab_spec").joinpath("limits.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


SHIPPED: Final[Table] = _read()
"""The limits that come with this package."""
