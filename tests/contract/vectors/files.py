"""The vector files as text. Writes none."""

import json
from pathlib import Path

from tests.contract.vectors.exchanges import exchange_vectors
from tests.contract.vectors.frames import Vector, frame_vectors
from tests.contract.vectors.messages import command_vectors, fragment_vectors, reply_vectors

FOLDER = Path(__file__).parents[3] / "spec" / "vectors"


def files() -> dict[str, str]:
    """Text of every file, by name."""
    return {
        "frames.json": _text(frame_vectors()),
        "commands.json": _text(command_vectors()),
        "replies.json": _text(reply_vectors()),
        "fragments.json": _text(fragment_vectors()),
        "exchanges.json": _text(exchange_vectors()),
    }


def _text(vectors: list[Vector]) -> str:
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"
