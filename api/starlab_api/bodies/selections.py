"""Rows and columns as requests name them, to indices. Addresses no cell."""

import re
from collections.abc import Sequence
from typing import Final

from starlab_api.problems import InvalidInput, shown
from starlab_contract import Selection
from starlab_host import check_indices
from starlab_spec import LimitExceeded

_NUMBER: Final = "-?(?:0|[1-9][0-9]{0,8})"
_PART: Final = re.compile(
    rf"\s*(?:(?P<one>{_NUMBER})|(?P<first>{_NUMBER})?:(?P<end>{_NUMBER})?)\s*"
)


def indices(name: str, selection: Selection | None, length: int) -> Sequence[int] | None:
    """The indices that a selection names; None, for all, where there is none.

    Args:
        name: What messages call it: "rows" or "columns".
        selection: Indices, or text such as ``0:10,12``: ranges are half-open, and an end that
            is left out is the array's.
        length: How many rows or columns there are.

    Raises:
        InvalidInput: The text is no selection.
        LimitExceeded: A range ends beyond the array.
        BadArgument: Nothing is selected, or an index twice.
    """
    if selection is None:
        return None
    if isinstance(selection, str):
        selection = _expanded(name, selection, length)
    check_indices(name, selection, length)
    return selection


def _expanded(name: str, text: str, length: int) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise InvalidInput(name, f"{shown(text)!r} is no selection such as 0:10,12")
        start = int(match["one"] or match["first"] or 0)
        stop = start + 1 if match["one"] else int(match["end"] or length)
        for index in (start, max(start, stop - 1)):
            if not 0 <= index < length:
                raise LimitExceeded(name, index, 0 if index < 0 else length - 1)
        found.extend(range(start, stop))
        if len(found) > length:  # so that one of them comes twice
            break
    return found
