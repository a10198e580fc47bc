"""The authors' text files of conductances: read, written, and refused with the place."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from starlab import InvalidInput, load_published, save_published

SHAPES = {1: (784, 100), 2: (100, 10)}


def table(array: int) -> NDArray[np.int64]:
    """Whole nA, no two alike in a row of array 2."""
    rows, outputs = SHAPES[array]
    return 400 + np.arange(rows * 2 * outputs).reshape(rows, -1) % 3600


def written(path: Path, values: NDArray[np.int64], end: str = "\n") -> Path:
    path.write_text("".join(",".join(map(str, row)) + end for row in values.tolist()))
    return path


@pytest.mark.parametrize("end", ["\n", ",\n", ", \r\n"])
@pytest.mark.parametrize("array", [1, 2])
def test_columns_are_pairs_and_array_2_has_minus_first(
    tmp_path: Path, array: int, end: str
) -> None:
    values = table(array)
    pair_uS = load_published(written(tmp_path / "w.txt", values, end), array)
    plus, minus = (0, 1) if array == 1 else (1, 0)
    for row, column in ((0, 0), (3, 7), (99, 9)):
        for plane, offset in ((0, plus), (1, minus)):
            value_uS = values[row, 2 * column + offset] * 1e-9 / 0.2 * 1e6
            assert pair_uS[plane, row, column] == pytest.approx(value_uS, rel=1e-12)


def test_the_published_levels_are_2_and_17_5_microsiemens(tmp_path: Path) -> None:
    values = np.where(table(2) % 2, 400, 3500)
    pair_uS = load_published(written(tmp_path / "w2.txt", values), 2)
    assert set(pair_uS.ravel().tolist()) == {2.0, 17.5}


@settings(max_examples=10)
@given(seed=st.integers(0, 1 << 32), array=st.sampled_from([1, 2]))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, seed: int, array: int
) -> None:
    rows, outputs = SHAPES[array]
    pair_uS = np.random.default_rng(seed).uniform(2, 20, (2, rows, outputs))
    path = tmp_path_factory.mktemp("published") / "w.txt"
    save_published(path, array, pair_uS)
    np.testing.assert_allclose(load_published(path, array), pair_uS, rtol=1e-8)
    assert np.loadtxt(path, delimiter=",").shape == (rows, 2 * outputs)


@pytest.mark.parametrize(
    ("line", "column", "value", "said"),
    [
        (3, 17, "4001", "line 3, column 17: 4001 nA is above the 4000 nA limit (20 uS)"),
        (100, 20, "399.5", "line 100, column 20: 399.5 nA is below the 400 nA limit (2 uS)"),
        (1, 1, "low", "line 1, column 1: 'low' is not a number"),
        (1, 2, "", "line 1, column 2: '' is not a number"),
        (5, 4, "nan", "line 5, column 4: nan nA is above the 4000 nA limit (20 uS)"),
        (7, 3, "500,600", "line 7: has 21 values, 20 are needed"),
        (8, 20, "500\n500", "has 101 lines, array 2 needs 100"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, line: int, column: int, value: str, said: str
) -> None:
    rows = [[str(cell) for cell in row] for row in table(2).tolist()]
    rows[line - 1][column - 1] = value
    path = tmp_path / "w2.txt"
    path.write_text("\n".join(map(",".join, rows)))
    with pytest.raises(InvalidInput) as refused:
        load_published(path, 2)
    assert str(refused.value) in (f"{path}, {said}", f"{path}: {said}")


def test_what_is_no_file_or_no_text_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="w: No such file or directory"):
        load_published(tmp_path / "w", 1)
    (tmp_path / "w").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="w: is not text"):
        load_published(tmp_path / "w", 1)
    with pytest.raises(InvalidInput, match="Is a directory"):
        save_published(tmp_path, 2, np.full((2, 100, 10), 3))


def test_only_whole_arrays_of_numbers_are_written(tmp_path: Path) -> None:
    path = tmp_path / "w.txt"
    with pytest.raises(InvalidInput, match=r"has shape \(2, 3, 10\), array 2 needs \(2, 100, 10\)"):
        save_published(path, 2, np.zeros((2, 3, 10)))
    with pytest.raises(InvalidInput, match="must hold only finite numbers"):
        save_published(path, 2, np.full((2, 100, 10), np.nan))
    assert not path.exists()
