"""The picture of a learning run."""

from pathlib import Path

import numpy as np

from starlab.cli.picture import LearningRecord, draw, error_examples, receptive_fields


def test_each_hidden_unit_has_its_field_in_the_picture() -> None:
    cells_uS = np.full((2, 784, 100), 11, np.float32)
    cells_uS[0, 28 * 5 + 7, 42] = 14  # input in row 5, column 7 of hidden unit 42
    cells_uS[1, 0, 99] = 13
    picture = receptive_fields(cells_uS)
    assert picture.shape == (289, 289)
    assert picture[4 * 29 + 5, 2 * 29 + 7] == 3
    assert picture[9 * 29, 9 * 29] == -2
    assert np.count_nonzero(np.nan_to_num(picture)) == 2
    assert np.isnan(picture[28]).all()


def test_error_examples_are_the_first_of_each_class() -> None:
    labels = np.array([3, 3, 3, 5, 3, 5], np.uint8)
    predicted = np.array([3, 1, 2, 5, 4, 0], np.uint8)
    assert error_examples(labels, predicted, 2) == {(0, 3): 1, (1, 3): 2, (0, 5): 5}


def test_a_perfect_run_can_be_drawn_too(tmp_path: Path) -> None:
    state = {1: np.full((2, 784, 100), 11, np.float32), 2: np.full((2, 100, 10), 11, np.float32)}
    labels = np.arange(10, dtype=np.uint8)
    record = LearningRecord(
        title="perfect",
        seen=np.array([5, 10]),
        running=np.array([1.0, 1.0]),
        pulses=np.zeros((2, 2), np.int64),
        checkpoints=[(10, 1.0)],
        before_uS=state,
        after_uS=state,
        images=np.zeros((10, 98), np.uint8),
        labels=labels,
        predicted=labels,
    )
    path = tmp_path / "perfect.png"
    draw(record, path)
    assert path.read_bytes().startswith(b"\x89PNG")
