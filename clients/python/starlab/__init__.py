"""Python SDK of starlab: boards, arrays and learning over REST. Contains no server, no emulator.

A first session::

    from starlab import Client

    with Client("http://localhost:8000") as bench:
        board = bench.board("emu0")
        board.arrays[1].program(weights=w1, tolerance_uS=0.5)
        outputs = board.infer(images)
        for step in board.train(images, labels, th=4):
            print(step.accuracy)

A chip that has learned nothing yet is made ready by ``prepare(board, rng=rng)`` and taught MNIST
best by ``learn(board, images, labels)``. An :class:`AsyncClient` has the same calls, awaited, for
boards; ``prepare_async`` and ``learn_async`` go with it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlab.aio import AsyncArray, AsyncBoard, AsyncClient
    from starlab.board import Array, Board
    from starlab.client import Client
    from starlab.doubts import DoubtfulInput
    from starlab.errors import (
        Aborted,
        AccessDenied,
        BoardAway,
        BoardError,
        ClientClosed,
        Conflict,
        InvalidInput,
        LimitExceeded,
        LinkLost,
        Locked,
        NotFound,
        OutcomeUnknown,
        Refused,
        ServerAway,
        ServerError,
        ServerFailed,
        StarlabError,
        StopUnconfirmed,
    )
    from starlab.learning import learn, learn_async, prepare, prepare_async
    from starlab.published import load_published, save_published
    from starlab.results import Evaluation, Training, TrainingStep
    from starlab.snapshots import AsyncSnapshots, Snapshots

__all__ = [
    "Aborted",
    "AccessDenied",
    "Array",
    "AsyncArray",
    "AsyncBoard",
    "AsyncClient",
    "AsyncSnapshots",
    "Board",
    "BoardAway",
    "BoardError",
    "Client",
    "ClientClosed",
    "Conflict",
    "DoubtfulInput",
    "Evaluation",
    "InvalidInput",
    "LimitExceeded",
    "LinkLost",
    "Locked",
    "NotFound",
    "OutcomeUnknown",
    "Refused",
    "ServerAway",
    "ServerError",
    "ServerFailed",
    "Snapshots",
    "StarlabError",
    "StopUnconfirmed",
    "Training",
    "TrainingStep",
    "learn",
    "learn_async",
    "load_published",
    "prepare",
    "prepare_async",
    "save_published",
]

_HOMES: Final = (
    "errors",
    "doubts",
    "client",
    "board",
    "aio",
    "snapshots",
    "results",
    "published",
    "learning",
)
"""Modules that the names above come from. Each is imported when a name of it is first asked for:
the command line answers sooner, and an interrupted start ends in one place."""


def __getattr__(name: str) -> Any:
    """A public name, out of the module that has it."""
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                globals()[name] = found = getattr(module, name)
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names."""
    return sorted(__all__)
