"""Rows and columns as the SDK takes them are those that the server is asked for."""

from typing import Any

import numpy as np
import pytest

from starlab import InvalidInput
from starlab.inputs import Indices, as_text


def meant(text: str) -> list[int]:
    """Indices of a text of the API: half-open ranges and single ones."""
    found: list[int] = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        found += range(int(first), int(last)) if colon else [int(first)]
    return found


@pytest.mark.parametrize(
    ("asked", "indices"),
    [
        ([3, 1, 2], [3, 1, 2]),
        (range(5), [0, 1, 2, 3, 4]),
        (range(2, 5), [2, 3, 4]),
        (range(0, 10, 3), [0, 3, 6, 9]),
        (range(1, 10, 2), [1, 3, 5, 7, 9]),
        (range(5, 2, -1), [5, 4, 3]),
        (slice(4), [0, 1, 2, 3]),
        (slice(2, 5), [2, 3, 4]),
        (slice(2, 9, 3), [2, 5, 8]),
        (slice(None, 6, 2), [0, 2, 4]),
        (np.array([4, 0]), [4, 0]),
        ("0:3,7", [0, 1, 2, 7]),
    ],
)
def test_each_form_of_a_selection_means_its_own_indices(asked: Indices, indices: list[int]) -> None:
    assert meant(as_text(asked)) == indices


def test_a_slice_needs_an_end() -> None:
    with pytest.raises(InvalidInput, match="needs an end"):
        as_text(slice(3, None))


@pytest.mark.parametrize(
    "nonsense",
    [
        *([0.5], [1.0], [True], [False, True], np.array([True, False]), ["0"], [None], [[0]]),
        *(np.array([[0]]), np.array([0.0]), 5, 0.5, [], range(0), range(5, 2), slice(0)),
    ],
    ids=repr,
)
def test_what_names_no_rows_is_refused_and_never_rounded(nonsense: Any) -> None:
    with pytest.raises(InvalidInput, match="no list of whole numbers from 0"):
        as_text(nonsense)
