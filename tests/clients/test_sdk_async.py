"""The asynchronous client is the synchronous one, awaited."""

import inspect

import httpx2
import numpy as np
import pytest
from tests.clients.conftest import NPY, NPZ, FakeServer, npy_bytes, npz_bytes
from tests.clients.replies import LEVELLED

from starlab import Array, AsyncArray, AsyncBoard, AsyncClient, Board, Client, ServerAway


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _connect(server: FakeServer) -> AsyncClient:
    return AsyncClient("http://bench", transport=httpx2.MockTransport(server))


@pytest.mark.parametrize(
    ("plain", "awaited"), [(Client, AsyncClient), (Board, AsyncBoard), (Array, AsyncArray)]
)
def test_both_have_the_same_methods_with_the_same_parameters(plain: type, awaited: type) -> None:
    def methods(kind: type) -> dict[str, list[tuple[str, object]]]:
        return {
            name: [(p.name, p.default) for p in inspect.signature(member).parameters.values()]
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert methods(plain) == methods(awaited)


@pytest.mark.anyio
async def test_an_awaited_board_reads_programs_and_learns(server: FakeServer) -> None:
    async with _connect(server) as client:
        board = client.board("emu0")
        server.answers = []
        server.will_answer(npy_bytes(np.ones((2, 784, 100), np.float32)), NPY)
        assert (await board.arrays[1].conductance_uS()).shape == (2, 784, 100)

        server.answers = []
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((2, 10), np.int32),
                correct=np.array([True, False]),
                pulses=np.ones((2, 2), np.uint32),
            ),
            NPZ,
        )
        steps = [step async for step in board.train(np.zeros((4, 784)), [0] * 4, batch=2, th=4)]
        assert [step.accuracy for step in steps] == [0.5, 0.5]

        server.answers = []
        server.will_answer_json({"pulses": 3})
        assert await board.arrays[2].pulse("set", rows=[0], columns=[1], polarity="+") == 3

        server.answers = []
        server.will_answer_json(LEVELLED)
        assert (await board.arrays[1].level()).outcome == "level"
        assert server.json == {"tolerance_codes": 0.12, "readings": 256}


@pytest.mark.anyio
async def test_awaited_errors_are_the_same(server: FakeServer) -> None:
    server.will_fail(httpx2.ConnectError("refused"))
    async with _connect(server) as client:
        with pytest.raises(ServerAway):
            await client.boards()
