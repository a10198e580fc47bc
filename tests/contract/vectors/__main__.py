"""Writes the conformance vectors: `python -m tests.contract.vectors`. Imports nothing they test."""

from tests.contract.vectors.files import FOLDER, files

for name, text in files().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
