"""A chip on a board that speaks only the authors' protocol."""

from collections.abc import Iterator

import pytest
from tests.authors_bench import AuthorsBench
from tests.host.authors.samples import spread

from starlab_host import Board, Chip, connect
from starlab_sim import Specimen


@pytest.fixture
def bench() -> Iterator[AuthorsBench]:
    """A formed chip whose second array is spread over the window."""
    with AuthorsBench(Specimen(seed=5)) as running:
        spread(running)
        yield running


@pytest.fixture
def board(bench: AuthorsBench) -> Iterator[Board]:
    """The board, up."""
    with connect(bench.url) as connected:
        yield connected


@pytest.fixture
def chip(board: Board) -> Chip:
    return Chip(board)
