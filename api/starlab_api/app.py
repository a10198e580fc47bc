"""The application: routes, errors, limits and boards put together. Listens on no socket."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse

from starlab_api import docs, problems
from starlab_api.access.gate import Allowed, Gate
from starlab_api.access.limits import BodyLimit
from starlab_api.access.parameters import ROOT, check_parameters
from starlab_api.boards.all_boards import Boards
from starlab_api.boards.embedded_emulator import EmbeddedEmulator
from starlab_api.boards.snapshots import SnapshotStore, now
from starlab_api.boards.views import state_of
from starlab_api.data_folder import held
from starlab_api.idempotency import AnswerStore, Idempotency
from starlab_api.openapi import describe
from starlab_api.routes import (
    arrays,
    boards,
    calibration,
    counters,
    emergency_stop,
    emulator,
    health,
    in_doubt,
    journal,
    limits,
    network,
    registers,
    snapshots,
    supplies,
)
from starlab_api.routes import (
    settings as board_settings,
)
from starlab_api.settings import ServerSettings
from starlab_contract import WARNINGS_HEADER

_DESCRIPTION = """
Boards with STELLAR memristor chips, real or emulated.

Arrays travel as JSON, as `application/x-npy` (one array, NumPy's own format) or as
`application/x-npz` (several, by the names of the fields): by `Content-Type` for requests, where
parameters then go into the query string, and by `Accept` for replies. Planes of cells: 0 = "+",
1 = "-". Units are in the names: `_uS` microsiemens, `_mv`, `_ua`, `_ns`, `_s`, `_us` microseconds.

Errors are `application/problem+json`. Unsafe calls take an `Idempotency-Key` header: the same call
with the same key is answered as the first one was, and executed once.
"""

_LARGE_BODIES: Final = 2
"""How many large bodies are decoded at a time; more queue up."""


class _Application(FastAPI):
    """FastAPI with a description of its own making."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def create_app(settings: ServerSettings) -> FastAPI:
    """The REST API for the boards of some settings.

    Boards are connected, and the embedded emulator runs, while the application's lifespan lasts.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with (
            nullcontext() if settings.data is None else held(settings.data),
            ThreadPoolExecutor(_LARGE_BODIES, "large-body") as app.state.large_bodies,
            _snapshots(settings) as app.state.snapshots,
        ):
            app.openapi()  # takes a while, and every call asks it: the first may be a stop
            async with _boards(settings) as app.state.boards:
                yield

    app = _Application(
        docs_url=None,
        redoc_url=None,
        title="starlab",
        version=version("starlab"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        dependencies=[Depends(check_parameters)],
    )
    app.state.settings = settings
    problems.install(app)
    docs.install(app)
    app.add_middleware(
        Idempotency,
        store=AnswerStore(count=settings.stored_answers, size=settings.stored_answer_bytes),
    )
    app.add_middleware(
        BodyLimit,
        bulk_bytes=settings.body_limit_bytes,
        other_bytes=settings.json_limit_bytes,
        all_bytes=settings.bodies_limit_bytes,
    )
    _let_in(app, settings)
    app.include_router(health.router)
    for noun in (
        registers,
        boards,
        supplies,
        calibration,
        board_settings,
        limits,
        counters,
        emergency_stop,
        emulator,
        arrays,
        network,
        snapshots,
        in_doubt,
        journal,
    ):
        app.include_router(noun.router, prefix=ROOT)

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/docs")

    return app


def _let_in(app: FastAPI, settings: ServerSettings) -> None:
    """Put the gate before everything else, and answer what browsers ask for allowed pages."""
    allowed = Allowed.of(settings.allowed_hosts, settings.allowed_origins)
    if allowed.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(allowed.origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Content-Disposition", "Location", "Retry-After", WARNINGS_HEADER],
            allow_private_network=True,
        )
    app.add_middleware(Gate, allowed=allowed)


@contextmanager
def _snapshots(settings: ServerSettings) -> Iterator[SnapshotStore]:
    """In the server's folder; without one, in a temporary folder that goes with the server."""
    if settings.data is not None:
        yield SnapshotStore(settings.data / "snapshots", now)
        return
    with TemporaryDirectory(prefix="starlab-snapshots-") as folder:
        yield SnapshotStore(Path(folder), now)


@asynccontextmanager
async def _boards(settings: ServerSettings) -> AsyncIterator[Boards]:
    embedded = None
    urls = settings.boards
    if not urls:
        log = None if settings.data is None else settings.data / "emulator.log"
        embedded = await asyncio.to_thread(EmbeddedEmulator, settings.emulator, log=log)
        urls = (embedded.url,)
    boards = None
    try:
        boards = Boards(urls, settings)
        # met now, so that their ids are known; one that is away is looked for at the next call
        await asyncio.gather(*(state_of(slot) for slot in boards))
        yield boards
    finally:
        if boards is not None:
            await asyncio.to_thread(boards.close)
        if embedded is not None:
            await asyncio.to_thread(embedded.stop)
