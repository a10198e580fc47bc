"""The SDK makes numbers of nothing that is none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.clients.conftest import FakeServer

from starlab import Client, InvalidInput


@pytest.mark.parametrize(
    "nonsense",
    [
        np.zeros((784, 100), complex),
        np.full((784, 100), "1"),
        np.full((784, 100), None),
        np.zeros((784, 100), "M8[s]"),
        [[1.0], [1.0, 2.0]],
    ],
    ids=["complex", "text", "objects", "dates", "ragged"],
)
def test_what_is_no_array_of_numbers_is_never_made_one(
    client: Client, server: FakeServer, nonsense: Any
) -> None:
    board = client.board("emu0")
    calls: list[Callable[[], Any]] = [
        lambda: board.arrays[1].program(weights=nonsense),
        lambda: board.arrays[1].program(conductance_uS=nonsense),
        lambda: board.arrays[1].pulse("set", mask=nonsense),
        lambda: board.arrays[2].vmm(nonsense),
        lambda: board.infer(nonsense),
        lambda: board.train_step(nonsense, labels=[1]),
        lambda: board.train_step(np.zeros((1, 784)), labels=nonsense),
        lambda: board.train_step(np.zeros((1, 784)), targets=nonsense),
    ]
    for call in calls:
        with pytest.raises(InvalidInput, match="are no"):
            call()
    assert server.requests == []
