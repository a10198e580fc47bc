"""Rows and columns as requests name them, to indices. Addresses no cell."""

from collections.abc import Sequence

from starlab_api.problems import InvalidInput
from starlab_contract import Selection
from starlab_spec import LimitExceeded


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
    """
    if selection is None or isinstance(selection, list):
        return selection
    found: list[int] = []
    for part in selection.split(","):
        first, colon, end = part.partition(":")
        try:
            start = int(first or 0) if colon else int(first)
            stop = int(end or length) if colon else start + 1
        except ValueError:
            raise InvalidInput(name, f"{selection!r} is no selection such as 0:10,12") from None
        for index in (start, stop - 1):
            if not 0 <= index < length:
                raise LimitExceeded(name, index, 0 if index < 0 else length - 1)
        found.extend(range(start, stop))
    return found
