"""A server whose board is behind a way that swallows some frames; real processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient
from tests.lossy_proxy import LossyProxy
from tests.system.board_process import BoardProcess

from starlab_api import ServerSettings, create_app

ACK_TYPE = 8


@pytest.fixture
def proxy() -> Iterator[LossyProxy]:
    with BoardProcess("--seed", "3") as process, LossyProxy(process.address) as running:
        yield running


@pytest.mark.parametrize(
    "lost", [lambda datagram: len(datagram) == 1444, lambda datagram: len(datagram) > 1200]
)
def test_a_call_whose_reply_is_swallowed_ends_and_the_next_one_succeeds(
    proxy: LossyProxy, lost: Callable[[bytes], bool]
) -> None:
    settings = ServerSettings(boards=("udp://{}:{}".format(*proxy.address),))
    base = "http://testserver/api/v1/boards/emu0"
    proxy.to_host.swallows = lambda datagram: len(datagram) > 1500
    with TestClient(create_app(settings), base_url=base) as board:
        link = board.get("").json()["link"]
        assert (link["payload_bytes"], link["payload_reduced_from"]) == (1408, None)
        proxy.to_host.swallows = lambda datagram: len(datagram) > 1500 or lost(datagram)
        first = board.get("/arrays/1/conductance")
        assert first.json()["type"] == "outcome-unknown"
        assert "the request arrived, the reply is missing" in first.json()["detail"]
        assert board.get("/arrays/1/conductance").status_code == 200
        after = board.get("").json()["link"]
        assert (after["payload_bytes"], after["payload_reduced_from"]) == (1024, 8896)


@pytest.mark.parametrize("ways", [("to_board",), ("to_host",), ("to_board", "to_host")])
def test_without_acks_long_replies_come_and_a_stop_meanwhile_is_answered_within_its_second(
    proxy: LossyProxy, ways: tuple[str, ...]
) -> None:
    settings = ServerSettings(boards=("udp://{}:{}".format(*proxy.address),))
    base = "http://testserver/api/v1/boards/emu0"
    with TestClient(create_app(settings), base_url=base) as board:
        board.get("")
        for way in ways:
            getattr(proxy, way).swallows = lambda datagram: datagram[3] == ACK_TYPE
        for _ in range(3):
            assert board.get("/arrays/1/conductance").status_code == 200
        with ThreadPoolExecutor() as pool:
            replies = [pool.submit(board.get, "/arrays/1/conductance") for _ in range(3)]
            assert board.post("/emergency-stop").status_code == 200
        assert {reply.result().status_code for reply in replies} <= {200, 409}
        link = board.get("").json()["link"]
        assert link["payload_reduced_from"] is None
