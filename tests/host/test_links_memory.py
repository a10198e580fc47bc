"""The memory link: the whole host against the emulated board, in one process."""

import random

import pytest

from starlab_host import Chip, connect
from starlab_host.links import MemoryLink, open_link
from starlab_sim import Board, Specimen


@pytest.fixture
def boards() -> dict[str, Board]:
    return {"bench": Board(Specimen(seed=3), serial="bench", rng=random.Random(1))}


@pytest.mark.parametrize("network", ["", "?duplication=1&loss=0.1&reordering=0.2&seed=5"])
def test_a_board_of_this_process_is_brought_up_and_read(
    boards: dict[str, Board], network: str
) -> None:
    with connect(f"memory:bench{network}", boards=boards) as board:
        assert board.identity["serial"] == "bench"
        assert board.is_up()
        assert Chip(board).read_conductance_uS(2).shape == (2, 100, 10)
        assert bool(board.statistics.counters.duplicates) == bool(network)


def test_its_network_loses_what_is_too_long(boards: dict[str, Board]) -> None:
    link = open_link("memory:bench?longest_bytes=100", boards)
    assert isinstance(link, MemoryLink)
    link.send([bytes(100), bytes(101)])
    assert link.receive(0.0) is None
    assert link.responder.frames_dropped == 1
