"""The vector files as text. Writes none."""

import json
from pathlib import Path

from tests.contract.vectors import exchanges, frames, messages
from tests.contract.vectors.frames import Vector

FOLDER = Path(__file__).parents[3] / "spec" / "vectors"


def files() -> dict[str, str]:
    """Text of every file, by name."""
    return {
        "frames.json": _text(frames.vectors()),
        "commands.json": _text(messages.command_vectors()),
        "replies.json": _text(messages.reply_vectors()),
        "fragments.json": _text(messages.fragment_vectors()),
        "exchanges.json": _text(exchanges.vectors()),
    }


def _text(vectors: list[Vector]) -> str:
    return json.dumps(vectors, indent=1, ensure_ascii=False) + "\n"
