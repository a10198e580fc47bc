"""The memory link: the whole host against the emulated board, in one process."""

import random
import time

import pytest

from starlab_host import Chip, InUse, connect
from starlab_host.links import MemoryLink, MemoryNetwork, open_link
from starlab_host.session.session import Session
from starlab_sim import Board, Specimen
from starlab_spec.wire.transactions import read_memory


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


@pytest.mark.parametrize(("longest_bytes", "payload_bytes"), [(8932, 8896), (8931, 1408)])
def test_a_way_that_loses_jumbo_frames_is_used_without_them(
    boards: dict[str, Board], longest_bytes: int, payload_bytes: int
) -> None:
    network = MemoryNetwork(longest_bytes=longest_bytes)
    link = MemoryLink(boards["bench"], clock=time.monotonic, network=network, payload_bytes=8896)
    with Session.open(link, client_name="bench") as session:
        assert session.granted.payload_bytes == payload_bytes
        (result,) = session.execute([read_memory(0, 50_000)])
        assert result.data == bytes(50_000)


def test_a_board_of_this_process_has_one_link_at_a_time(boards: dict[str, Board]) -> None:
    with connect("memory:bench", boards=boards) as board:
        with pytest.raises(InUse, match="memory:bench is in use by another link of this process"):
            connect("memory:bench", boards=boards)
        assert board.is_up()
    with connect("memory:bench", boards=boards) as board:
        assert board.is_up()
