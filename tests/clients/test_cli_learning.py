"""Learning on the command line: what is sent, what it sums up."""

from pathlib import Path

import numpy as np
import pytest
from tests.clients.command_line import Run
from tests.clients.conftest import NPY, NPZ, FakeServer, npy_bytes, npz_bytes
from tests.clients.replies import board_of, board_without_thresholds


def test_training_sends_the_settings_that_were_given_and_sums_up(
    run: Run, server: FakeServer
) -> None:
    for correct in ([True, False], [False, False], [True, True], [True, False]):
        server.will_answer(
            npz_bytes(
                outputs=np.zeros((2, 10), np.int32),
                correct=np.array(correct),
                pulses=np.full((2, 2), [100, 3], np.uint32),
            ),
            NPZ,
        )
    finished = run(
        "train", "--limit", "4", "--batch", "2", "--epochs", "2", "--th", "4", "--th1-uS", "2.5",
        "--c1-absolute", "--layers", "2", "--json",
    )  # fmt: skip
    assert dict(server.requests[0].url.params) == {
        "layers": "2",
        "th": "4",
        "th1_uS": "2.5",
        "c1_relative": "false",
    }
    result = finished.json
    assert (result["accuracy"], result["accuracy_by_epoch"]) == (0.75, [0.25, 0.75])
    assert (result["train_steps"], result["pulses"]) == (8, 824)
    assert result["pulses_by_array"] == {"array1": 800, "array2": 24}


@pytest.mark.parametrize(
    ("spread_uS", "middle_uS", "prepares"), [(0.5, 11, True), (4, 11, False), (0.03, 0.05, False)]
)
def test_training_prepares_a_chip_that_is_formed_but_has_learned_nothing(
    run: Run, server: FakeServer, spread_uS: float, middle_uS: float, prepares: bool
) -> None:
    cells = np.random.default_rng(1).normal(middle_uS, spread_uS, (2, 100, 10))
    server.will_answer(npy_bytes(cells.astype(np.float32)), NPY)
    if prepares:
        server.will_answer_json(board_of("emu0"))
    server.will_refuse(409, type="not-ready", detail="enough seen")
    assert run("train", "--limit", "4").code == 4
    seen = [request.url.path.rpartition("/")[2] for request in server.requests]
    assert seen == ["conductance", *(["emu0", "supplies"] if prepares else ["train-step"])]
    server.requests.clear()
    run("train", "--limit", "4", "--as-it-is")
    assert [request.url.path.rpartition("/")[2] for request in server.requests] == ["train-step"]


def test_learning_from_scratch_is_refused_before_anything_is_done_where_thresholds_are_fixed(
    run: Run, server: FakeServer
) -> None:
    server.will_answer_json(board_without_thresholds("emu0"))
    finished = run("train", "--limit", "4", "--from-scratch")
    assert finished.code == 4
    assert "emu0 cannot learn by a working point: its thresholds" in finished.words
    assert [request.method for request in server.requests] == ["GET"]


def test_evaluation_takes_own_images_with_labels(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.will_answer(npz_bytes(labels=np.array([1, 2])), NPZ)
    server.will_answer(npz_bytes(labels=np.array([3])), NPZ)
    images, labels = tmp_path / "images.npy", tmp_path / "labels.npy"
    np.save(images, np.zeros((3, 784)))
    np.save(labels, [1, 0, 3])
    own = ("evaluate", "--images", str(images), "--labels", str(labels), "--batch", "2")
    finished = run(*own, "--json")
    assert finished.json == {"accuracy": pytest.approx(2 / 3), "correct": 2, "samples": 3}
    assert run("evaluate", "--images", str(images)).code == 2
    np.save(labels, [1, 0])
    finished = run(*own)
    assert finished.code == 2
    assert "2 labels for 3 inputs" in finished.words
