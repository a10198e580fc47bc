"""An answer that is lost: where board or chip may have changed, the outcome is unknown."""

from collections.abc import Callable
from typing import Any

import httpx2
import numpy as np
import pytest
from tests.clients.conftest import FakeServer

from starlab import Client, OutcomeUnknown, ServerFailed
from starlab.board import Array, Board
from starlab.snapshots import Snapshots

BITS = np.zeros((2, 784), np.uint8)
CELLS = np.full((2, 784, 100), 11.0)
Calls = dict[str, Callable[[Board], Any]]

CHANGES: Calls = {
    "Array.form": lambda board: board.arrays[1].form(rows=[1]),
    "Array.level": lambda board: board.arrays[1].level(),
    "Array.pulse": lambda board: board.arrays[1].pulse("set", mask=CELLS > 0),
    "Array.program": lambda board: board.arrays[1].program(CELLS),
    "Board.set_supplies": lambda board: board.set_supplies(mv={"V25": 2565}),
    "Board.calibrate": lambda board: board.calibrate(),
    "Board.remove_calibration": lambda board: board.remove_calibration(),
    "Board.balance": lambda board: board.balance(),
    "Board.change_settings": lambda board: board.change_settings(th=5),
    "Board.write_register": lambda board: board.write_register(0x18, 1),
    "Board.emergency_stop": lambda board: board.emergency_stop(),
    "Board.clear_emergency_stop": lambda board: board.clear_emergency_stop(),
    "Board.emulator": lambda board: board.emulator(seed=1),
    "Board.train_step": lambda board: board.train_step(BITS, [1, 2]),
    "Board.train": lambda board: list(board.train(BITS, [1, 2], epochs=1)),
    "Snapshots.save": lambda board: board.snapshots.save("before"),
    "Snapshots.restore": lambda board: board.snapshots.restore("before"),
}
# they may change what the server keeps, but may be asked for again without harm
OTHERS: Calls = {
    "Snapshots.upload": lambda board: board.snapshots.upload(b"data"),
    "Snapshots.delete": lambda board: board.snapshots.delete("before"),
    "Board.acknowledge": lambda board: board.acknowledge(),
    "Array.conductance_uS": lambda board: board.arrays[1].conductance_uS(),
    "Array.vmm": lambda board: board.arrays[1].vmm(BITS),
    "Board.info": lambda board: board.info(),
    "Board.running": lambda board: board.running(),
    "Board.supplies": lambda board: board.supplies(),
    "Board.calibration": lambda board: board.calibration(),
    "Board.settings": lambda board: board.settings(),
    "Board.limits": lambda board: board.limits(),
    "Board.counters": lambda board: board.counters(),
    "Board.read_register": lambda board: board.read_register(0x18),
    "Board.in_doubt": lambda board: board.in_doubt(),
    "Board.journal": lambda board: board.journal(),
    "Board.infer": lambda board: board.infer(BITS),
    "Board.infer_with_hidden": lambda board: board.infer_with_hidden(BITS),
    "Board.classify": lambda board: board.classify(BITS),
    "Board.evaluate": lambda board: board.evaluate(BITS, [1, 2]),
    "Snapshots.list": lambda board: board.snapshots.list(),
    "Snapshots.get": lambda board: board.snapshots.get("before"),
    "Snapshots.download": lambda board: board.snapshots.download("before"),
}


def test_every_call_of_the_sdk_is_one_or_the_other() -> None:
    public = {
        f"{kind.__name__}.{name}"
        for kind in (Array, Board, Snapshots)
        for name, member in vars(kind).items()
        if callable(member) and not name.startswith("_")
    }
    assert public == CHANGES.keys() | OTHERS.keys()
    assert not CHANGES.keys() & OTHERS.keys()


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("error", [httpx2.ReadError, httpx2.RemoteProtocolError])
def test_a_change_is_in_doubt_and_is_not_asked_for_again(
    client: Client, server: FakeServer, name: str, error: type[httpx2.TransportError]
) -> None:
    board = client.board("emu0")
    server.will_fail(error("the server has gone"))
    with pytest.raises(OutcomeUnknown, match="may have been executed") as unknown:
        CHANGES[name](board)
    assert unknown.value.commands == [server.request.url.path]
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_what_leaves_the_board_as_it_is_has_just_failed(
    client: Client, server: FakeServer, name: str
) -> None:
    board = client.board("emu0")
    server.will_fail(httpx2.ReadError("the server has gone"))
    with pytest.raises(ServerFailed):
        OTHERS[name](board)
