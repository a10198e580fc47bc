"""Warnings of a server: Python warnings of the SDK, lines on standard error of the command line."""

import json
import warnings
from pathlib import Path

import httpx2
import numpy as np
import pytest
from tests.clients.command_line import Run
from tests.clients.conftest import NPY, FakeServer, npy_bytes

from starlab import AsyncClient, Client, DoubtfulInput


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def answer(header: str) -> httpx2.Response:
    headers = {"content-type": NPY, "x-starlab-warnings": header}
    return httpx2.Response(200, content=npy_bytes(np.zeros((1, 100), np.uint8)), headers=headers)


def test_the_sdk_warns_where_it_was_called(client: Client, server: FakeServer) -> None:
    server.answers.append(answer(json.dumps(["inputs: odd", "more \u00b5S"])))
    with pytest.warns(DoubtfulInput) as told:
        client.board("emu0").arrays[1].vmm(np.zeros((1, 784)))
    assert [str(one.message) for one in told] == ["inputs: odd", "more \u00b5S"]
    assert {one.filename for one in told} == {__file__}


@pytest.mark.anyio
async def test_an_awaited_board_warns_too(server: FakeServer) -> None:
    server.answers.append(answer(json.dumps(["inputs: odd"])))
    async with AsyncClient("http://bench", transport=httpx2.MockTransport(server)) as client:
        with pytest.warns(DoubtfulInput, match="inputs: odd") as told:
            await client.board("emu0").arrays[1].vmm(np.zeros((1, 784)))
    assert told[0].filename == __file__


@pytest.mark.parametrize("header", ["[]", "", "no JSON", "{}", "3"])
def test_a_header_that_says_nothing_is_no_warning(
    client: Client, server: FakeServer, header: str
) -> None:
    server.answers.append(answer(header))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.board("emu0").arrays[1].vmm(np.zeros((1, 784)))


def test_the_command_line_tells_each_warning_once(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    images = tmp_path / "images.npy"
    np.save(images, np.zeros((1, 784)))
    server.answers.append(answer(json.dumps(["inputs: odd", "inputs: odd"])))
    finished = run("vmm", "--inputs", str(images), "--json")
    assert finished.code == 0
    assert finished.result.stderr.splitlines() == ["starlab: warning: inputs: odd"]
    assert finished.json
