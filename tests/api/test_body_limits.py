"""Bodies that are too large, announced or not, packed or not."""

import io
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.api.numpy_bodies import NPY, NPZ, npy

from starlab_api import ServerSettings, create_app

INFER = "/api/v1/boards/board0/infer"


@pytest.fixture
def narrow() -> Iterator[TestClient]:
    """A server without a board that takes little."""
    settings = ServerSettings(
        boards=("udp://127.0.0.1:9",),
        connect_timeout_s=0.1,
        body_limit_bytes=50_000,
        json_limit_bytes=1_000,
    )
    with TestClient(create_app(settings)) as client:
        yield client


def test_an_announced_body_is_refused_unread(narrow: TestClient) -> None:
    reply = narrow.post(INFER, content=npy(np.zeros((99, 784), np.uint8)), headers=NPY)
    assert (reply.status_code, reply.json()["type"]) == (413, "body-too-large")
    assert reply.json()["limit"] == 50_000


def test_a_body_of_unannounced_length_is_refused_where_it_passes_the_limit(
    narrow: TestClient,
) -> None:
    chunks = (b"x" * 10_000 for _ in range(6))
    reply = narrow.post(INFER, content=chunks, headers=NPY)
    assert (reply.status_code, reply.json()["value"]) == (413, 60_000)


def test_json_has_a_limit_of_its_own(narrow: TestClient) -> None:
    assert narrow.post(INFER, json={"inputs": [[0] * 784]}).status_code == 413


def test_a_setting_has_the_limit_of_json(narrow: TestClient) -> None:
    chunks = (b" " * 300 for _ in range(5))
    headers = {"content-type": "application/json"}
    reply = narrow.patch("/api/v1/boards/board0/settings", content=chunks, headers=headers)
    assert (reply.status_code, reply.json()["limit"]) == (413, 1_000)


def test_an_npz_is_measured_unpacked(narrow: TestClient) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inputs.npy", npy(np.zeros((99, 784), np.uint8)))
    assert len(stream.getvalue()) < 1_000
    reply = narrow.post(INFER, content=stream.getvalue(), headers=NPZ)
    assert (reply.status_code, reply.json()["type"]) == (413, "body-too-large")
