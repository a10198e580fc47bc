"""Requests that are small and wrong, or large, and what it costs a server to refuse them.

`python -m tests.api.hostile_bodies` sends each to an application of its own, in its own process,
and prints a line of JSON for it: the answer, how late a ticking task was meanwhile, how much memory
was taken.
"""

import asyncio
import io
import json
import re
import statistics
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx2
import numpy as np
from tests.api.numpy_bodies import NPY, NPZ, npy, npz

from starlab_api import ServerSettings, create_app

JSON = {"content-type": "application/json"}
BOARD = "/api/v1/boards/board0"
FORM = f"{BOARD}/arrays/1/form"
PULSE = f"{BOARD}/arrays/1/pulse"
PROGRAM = f"{BOARD}/arrays/1/program"
READ = f"{BOARD}/arrays/1/conductance"
INFER = f"{BOARD}/infer"
TRAIN = f"{BOARD}/train-step"
MIB = 1 << 20
JSON_LIMIT = 8 * MIB
AWAY = 503
"""What a right request is answered: there is no board."""


@dataclass(frozen=True)
class Hostile:
    """A request."""

    name: str
    path: str
    status: int
    """How it is to be answered."""
    make: Callable[[], bytes] | None = None
    """Makes the body; None: it is a GET."""
    headers: tuple[tuple[str, str], ...] = tuple(JSON.items())


def filled(before: bytes, item: bytes, after: bytes, size: int = JSON_LIMIT) -> Callable[[], bytes]:
    """A body of some size: an item again and again."""
    count = (size - len(before) - len(after)) // len(item)
    return lambda: (before + item * count).rstrip(b",") + after


def packed(**arrays: np.ndarray) -> bytes:
    """An `.npz` that is compressed."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def many_members() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(60_000):
            archive.writestr(str(number), b"")
    return stream.getvalue()


ROW = b"[" + b",".join([b"0"] * 784) + b"],"
ZEROS = 20_000_000
IN_NPZ = tuple(NPZ.items())
IN_NPY = tuple(NPY.items())
WITH_KEY = (*IN_NPY, ("idempotency-key", "large"))

HOSTILE = (
    Hostile("rows again and again", f"{READ}?rows={','.join(['0:784'] * 400)}", 422),
    Hostile("unknown member", INFER, 422, lambda: packed(x=np.zeros(ZEROS, np.uint8)), IN_NPZ),
    Hostile("member too large", PROGRAM, 422, lambda: packed(weights=np.zeros(10**6)), IN_NPZ),
    Hostile("parameter too large", f"{INFER}", 422, lambda: packed(hidden=np.zeros(10**6)), IN_NPZ),
    Hostile("packed too well", INFER, 413, lambda: packed(inputs=np.zeros((9**6, 98))), IN_NPZ),
    Hostile(
        "more labels than samples",
        TRAIN,
        422,
        lambda: packed(inputs=np.zeros((1, 784)), labels=np.zeros(10**6)),
        IN_NPZ,
    ),
    Hostile("many members", INFER, 422, many_members, IN_NPZ),
    Hostile("wrong rows", FORM, 413, filled(b'{"rows":[', b'"x",', b"]}", 4 * MIB)),
    Hostile("wrong rows of a pulse", PULSE, 422, filled(b'{"rows":[', b"null,", b"]}", 4 * MIB)),
    Hostile("right rows again", PULSE, 422, filled(b'{"kind":"set","rows":[', b"1,", b"]}")),
    Hostile("few wrong rows", FORM, 422, filled(b'{"rows":[', b"-1.5,", b"]}", 40_000)),
    Hostile("many wrong rows", FORM, 422, filled(b'{"rows":[', b"-1.5,", b"]}", 64_000)),
    Hostile("many names", FORM, 422, filled(b"{", b'"x":0,', b"}", 60_000)),
    Hostile("many settings", TRAIN, 422, filled(b'{"settings":{"th":[', b"0,", b"]}}")),
    Hostile("supplies", f"{BOARD}/supplies", 405, filled(b"{", b'"x":{},', b"}", 64_000)),
    Hostile("lists of nothing", INFER, 422, filled(b'{"inputs":[', b"[],", b"]}")),
    Hostile("objects of nothing", INFER, 422, filled(b'{"inputs":[', b"{},", b"]}")),
    Hostile("texts", INFER, 422, filled(b'{"inputs":[', b'"ab",', b"]}")),
    Hostile("nothing", INFER, 422, filled(b'{"inputs":[', b"null,", b"]}")),
    Hostile(
        "numbers beside a long text",
        INFER,
        422,
        filled(b'{"inputs":["' + b"x" * MIB + b'",', b"0.1,", b"]}"),
    ),
    Hostile("nested", INFER, 422, filled(b'{"inputs":', b"[", b"")),
    Hostile("nested within bounds", INFER, 422, lambda: b'{"inputs":' + b"[" * 60_000),
    Hostile("long numbers", INFER, 422, filled(b'{"inputs":[', b"9" * 4000 + b",", b"]}")),
    Hostile("a number", INFER, AWAY, filled(b'{"inputs":[0.', b"1", b"]}")),
    Hostile("ragged", INFER, 422, filled(b'{"inputs":[[0],', ROW, b"]}")),
    Hostile("right bits", INFER, AWAY, filled(b'{"inputs":[', ROW, b"]}")),
    Hostile("right numbers", PROGRAM, AWAY, filled(b'{"weights":[', b"0.12345678,", b"]}")),
    Hostile("a large array", INFER, AWAY, lambda: npy(np.ones((MIB, 98), np.uint8)), IN_NPY),
    Hostile("one with a key", INFER, AWAY, lambda: npy(np.ones((MIB, 98), np.uint8)), WITH_KEY),
    Hostile("large arrays", INFER, AWAY, lambda: npz(inputs=np.ones((MIB, 98), "u1")), IN_NPZ),
)


@dataclass(frozen=True)
class Cost:
    """What a request has cost."""

    name: str
    status: int
    sent_bytes: int
    answer_bytes: int
    late: float
    """How late a ticking task was at worst: in units of what parsing a mebibyte of JSON takes."""
    taken_bytes: int
    """Memory beyond that of the server at rest, at worst, the body itself included."""


def peak_bytes(*, anew: bool = False) -> int:
    """Greatest resident memory of this process; anew: from now on."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    assert found is not None
    return 1024 * int(found[1])


async def late_s(stop: asyncio.Event) -> float:
    """How late a task is at worst that wants to run every millisecond."""
    worst, last = 0.0, time.perf_counter()
    while not stop.is_set():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        worst, last = max(worst, now - last - 0.001), now
    return worst


def unit_s() -> float:
    """How long it takes to parse a mebibyte of JSON."""
    body = filled(b'{"inputs":[', ROW, b"]}", MIB)()
    taken = []
    for _ in range(5):
        begin = time.perf_counter()
        json.loads(body)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


async def cost(client: httpx2.AsyncClient, request: Hostile) -> Cost:
    """Send one request and see what it takes."""
    body = None if request.make is None else request.make()
    stop = asyncio.Event()
    before = peak_bytes(anew=True)
    ticking = asyncio.create_task(late_s(stop))
    await asyncio.sleep(0)
    reply = await client.request(
        "GET" if body is None else "POST",
        request.path,
        content=body,
        headers=dict(request.headers),
    )
    stop.set()
    return Cost(
        name=request.name,
        status=reply.status_code,
        sent_bytes=len(request.path if body is None else body),
        answer_bytes=len(reply.content),
        late=await ticking / unit_s(),
        taken_bytes=peak_bytes() - before,
    )


async def main() -> None:
    app = create_app(ServerSettings(boards=("udp://127.0.0.1:9",), connect_timeout_s=0.05))
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        await client.post(INFER, content=npz(inputs=np.ones((1, 98), np.uint8)), headers=NPZ)
        for request in HOSTILE:
            print(json.dumps(asdict(await cost(client, request))), flush=True)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
