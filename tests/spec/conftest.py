"""Opened sessions: a host before a board that is by hand, and a board before such a host."""

import pytest
from tests.spec.board_by_hand import BoardByHand
from tests.spec.wire_table import Host, Table

from starlab_spec.wire.frames import Hello


@pytest.fixture
def board() -> BoardByHand:
    """A board with an open session of window 4."""
    opened = BoardByHand()
    opened.open(window=4)
    return opened


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def hello() -> Hello:
    """What the host opens its session with; a module may have its own."""
    return Hello(client_name="bench")


@pytest.fixture
def host(table: Table, hello: Hello) -> Host:
    """A host with an open session."""
    opened = Host(table)
    opened.open(hello)
    return opened
