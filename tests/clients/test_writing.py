"""Files that the SDK and the command line write: whole, or what they were before."""

from pathlib import Path

import numpy as np
import pytest
from tests.full_disk import files_of_at_most

from starlab.errors import InvalidInput
from starlab.published import save_published
from starlab.writing import write


def test_a_file_that_does_not_fit_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    with files_of_at_most(100), pytest.raises(OSError, match=r"too large.*file"):
        write(path, bytes(101))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"before"}


def test_published_conductances_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "array2.csv"
    cells = np.full((2, 100, 10), 11.0)
    save_published(path, 2, cells)
    before = path.read_bytes()
    with files_of_at_most(1000), pytest.raises(InvalidInput, match="File too large"):
        save_published(path, 2, 2 * cells)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"array2.csv": before}
