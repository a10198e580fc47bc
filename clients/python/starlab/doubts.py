"""Warnings of a server: what was done, though it was almost surely not meant. Judges nothing."""

import inspect
import json
import warnings
from collections.abc import Mapping
from contextlib import suppress

from starlab_contract import WARNINGS_HEADER


class DoubtfulInput(UserWarning):
    """What was asked is allowed, was done, and is almost surely not what was meant."""


def warn(headers: Mapping[str, str]) -> None:
    """Warn of what the headers of an answer tell, where the SDK was called."""
    told: object = []
    with suppress(ValueError):
        told = json.loads(headers.get(WARNINGS_HEADER, "[]"))
    for message in told if isinstance(told, list) else ():
        warnings.warn(str(message), DoubtfulInput, stacklevel=_caller())


def _caller() -> int:
    """Level of the first frame that is not of this package, seen from who called this."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "starlab":
        frame, level = frame.f_back, level + 1
    return max(level, 1)
