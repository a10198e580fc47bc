"""A client that is closed, before a call or under it: documented errors, and nothing hangs."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from starlab import AsyncClient, Client, ClientClosed, StarlabError


@pytest.fixture
def server() -> Iterator[tuple[str, threading.Barrier]]:
    """A server that lets calls wait until eight are there and somebody has closed their client."""
    arrived = threading.Barrier(9)
    over = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            arrived.wait(10)
            over.wait(0.5)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", arrived
        over.set()
        running.shutdown()
        thread.join()


def test_a_call_of_a_closed_client_says_so() -> None:
    client = Client("http://127.0.0.1:9")
    client.close()
    client.close()
    with pytest.raises(ClientClosed, match="the client is closed; nothing was sent"):
        client.boards()


def test_a_call_of_a_closed_async_client_says_so() -> None:
    async def closed() -> None:
        client = AsyncClient("http://127.0.0.1:9")
        await client.close()
        with pytest.raises(ClientClosed):
            await client.boards()

    asyncio.run(closed())


def test_calls_under_way_when_a_client_is_closed_end_with_documented_errors(
    server: tuple[str, threading.Barrier],
) -> None:
    url, arrived = server
    client = Client(url, timeout_s=20.0)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.boards) for _ in range(8)]
        arrived.wait(10)
        client.close()
        errors = [call.exception(20) for call in calls]
    assert all(isinstance(error, StarlabError) for error in errors), errors
