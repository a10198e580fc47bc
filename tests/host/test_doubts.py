"""What is almost surely wrong is doubted, and what people do is not."""

from typing import Any

import numpy as np
import pytest

from starlab_host.chip.doubts import about_lesson, about_programming, about_samples, about_settings

RNG = np.random.default_rng(4)
SAMPLES = (RNG.random((200, 784)) < 0.15).astype(np.uint8)
LABELS = RNG.integers(0, 10, 200)
ONE_HOT = np.eye(10, dtype=int)[LABELS]
TARGETS = np.where(ONE_HOT, 79, 0)


@pytest.mark.parametrize(
    ("inputs", "labels", "targets"),
    [
        (SAMPLES, LABELS, None),
        (SAMPLES, None, TARGETS),
        (np.packbits(SAMPLES, axis=1), LABELS, None),
        (SAMPLES[:1], [3], None),
        (SAMPLES[:9], [3] * 9, None),
        (SAMPLES[:99], np.sort(LABELS[:99]), None),
        (SAMPLES[:1].repeat(99, axis=0), [3] * 99, None),
        (SAMPLES, None, np.zeros((200, 10))),
        (SAMPLES, None, np.where(ONE_HOT, 2, 0)),
        (np.zeros((0, 784)), [], None),
        (RNG.random((50, 784)) < 0.7, LABELS[:50], None),
    ],
)
def test_lessons_of_every_day_are_not_doubted(inputs: Any, labels: Any, targets: Any) -> None:
    assert about_lesson(inputs, labels, targets) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_targets_within_one_are_no_output_codes(sign: int) -> None:
    (doubt,) = about_lesson(SAMPLES, None, sign * ONE_HOT)
    assert doubt.startswith("targets: none is beyond 1; targets are output codes")
    assert ("one-hot labels: give the classes as labels instead" in doubt) == (sign == 1)


def test_a_single_one_hot_target_is_doubted_too() -> None:
    assert "one-hot" in about_lesson(SAMPLES[:1], None, ONE_HOT[:1])[0]
    two = ONE_HOT + np.roll(ONE_HOT, 1, axis=1)
    assert "one-hot" not in about_lesson(SAMPLES, None, two)[0]


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(
    ("inputs", "doubt"),
    [
        (np.zeros((5, 784), np.uint8), "inputs: no pixel of any sample is on"),
        (
            np.ones((5, 784), np.uint8),
            "inputs: 100% of the pixels are on; are the images inverted?",
        ),
        (1 - SAMPLES[:5], "inputs: 84% of the pixels are on; are the images inverted?"),
    ],
)
def test_blank_and_inverted_images_are_doubted(inputs: Any, doubt: str, pack: bool) -> None:
    given = np.packbits(inputs.astype(np.uint8), axis=1) if pack else inputs
    (found,) = about_lesson(given, LABELS[:5])
    assert found == doubt


def test_an_order_of_samples_that_nothing_is_learned_from_is_doubted() -> None:
    (doubt,) = about_lesson(SAMPLES, np.sort(LABELS))
    assert doubt.startswith("labels: 200 samples are sorted by class")
    (doubt,) = about_lesson(SAMPLES, [7] * 100)
    assert doubt == "labels: all 100 samples are of class 7"
    (doubt,) = about_lesson(SAMPLES[:1].repeat(10, axis=0), LABELS[:10])
    assert doubt == "inputs: all 10 samples are the same, but their classes are not"


def test_bits_of_few_pixels_are_taken_for_packed_bytes_and_doubted() -> None:
    (doubt,) = about_samples(SAMPLES[:, :98])
    assert "taken for packed bytes" in doubt
    assert about_samples(np.packbits(SAMPLES, axis=1)) == []
    assert about_samples(np.zeros((3, 98), np.uint8)) == []


WEIGHTS = RNG.normal(size=(100, 10))


@pytest.mark.parametrize(
    "asked",
    [
        {"weights": WEIGHTS, "tolerance_uS": 0.5},
        {"weights": WEIGHTS, "scale_uS": 2.0, "tolerance_uS": 0.3},
        {"weights": np.zeros((100, 10)), "tolerance_uS": 0.5},
        {"weights": np.full((100, 10), 0.5), "scale_uS": 4.0, "tolerance_uS": 0.5},
        {"weights": np.where(WEIGHTS > 2, WEIGHTS, 0), "tolerance_uS": 0.5},
        {"conductance_uS": np.full((2, 100, 10), 11.0), "tolerance_uS": 0.5},
        {"conductance_uS": RNG.uniform(2, 20, (2, 100, 10)), "tolerance_uS": 2.0},
    ],
)
def test_programs_of_every_day_are_not_doubted(asked: dict[str, Any]) -> None:
    assert about_programming(**asked) == []


@pytest.mark.parametrize(
    ("asked", "doubt"),
    [
        ({"weights": np.full((100, 10), 0.3)}, "weights: all are 0.3, and become 18 uS"),
        ({"weights": WEIGHTS, "scale_uS": 1e-6}, "weights: 100% of those that are not 0 become"),
        ({"weights": np.r_[WEIGHTS, [[1e6] * 10]]}, "weights: 99% of those that are not 0 become"),
        ({"conductance_uS": RNG.uniform(10, 11, 99)}, "tolerance_uS: 0.5 uS on either side cover"),
        ({"conductance_uS": [11.0], "tolerance_uS": 9}, "tolerance_uS: 9 uS on either side cover"),
    ],
)
def test_programs_that_write_nothing_of_what_was_given_are_doubted(
    asked: dict[str, Any], doubt: str
) -> None:
    assert about_programming(**{"tolerance_uS": 0.5, **asked})[0].startswith(doubt)


@pytest.mark.parametrize(
    ("changes", "on", "off", "doubt"),
    [
        ({"target_on": 79}, 79, 0, ""),
        ({"th": 3}, 0, 79, ""),
        ({"target_on": 1}, 1, 0, "target_on: targets are output codes"),
        ({"target_off": 79}, 79, 79, "target_on: 79 is not above target_off, 79"),
    ],
)
def test_targets_that_tell_no_class_are_doubted(
    changes: dict[str, int], on: int, off: int, doubt: str
) -> None:
    found = about_settings(changes, {"target_on": on, "target_off": off})
    assert (found[0].startswith(doubt)) if doubt else found == []
