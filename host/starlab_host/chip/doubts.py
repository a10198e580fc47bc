"""What is allowed and almost surely wrong: a sentence for each doubt. Refuses nothing.

Asked about what was already checked, and only about what hardly anybody can mean: a warning that is
often wrong is not read.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from starlab_spec.geometry import CONDUCTANCE_MAX_uS, CONDUCTANCE_MIN_uS, WINDOW_uS
from starlab_spec.samples import SAMPLE_BYTES

RESOLUTION_uS: Final = 0.1
"""One code of READ."""
_LOOKED_AT: Final = 4096
"""Samples that are looked at: the first ones, of however large a batch."""
_MANY: Final = 100
"""Samples from which on an order or a single class is no accident [O]."""
_SEVERAL: Final = 10
"""Samples from which on it is none that all are the same [O]."""
_MOSTLY_ON: Final = 0.75
"""Share of pixels that are on: ink on paper has a tenth to a fifth [O]."""
_NEARLY_ALL: Final = 0.9


def about_lesson(
    inputs: ArrayLike, labels: ArrayLike | None = None, targets: ArrayLike | None = None
) -> list[str]:
    """Doubts about samples to learn.

    Args:
        inputs: As :meth:`starlab_host.Chip.train_step` has taken them.
        labels: Likewise.
        targets: Likewise.
    """
    samples = np.asarray(inputs)[:_LOOKED_AT]
    if not len(samples):
        return []
    found = about_samples(samples)
    on = _bits(samples).mean()
    if on == 0:
        found.append("inputs: no pixel of any sample is on")
    elif on > _MOSTLY_ON:
        found.append(f"inputs: {on:.0%} of the pixels are on; are the images inverted?")
    classes = None if labels is None else np.asarray(labels)
    if targets is not None:
        goals = np.asarray(targets)
        found += _about_targets(goals)
        if (np.ptp(goals, axis=1) > 0).all():
            classes = goals.argmax(axis=1)
    if classes is not None:
        found += _about_classes(classes, samples)
    return found


def about_samples(inputs: ArrayLike) -> list[str]:
    """Doubts about input vectors of array 1."""
    samples = np.asarray(inputs)[:_LOOKED_AT]
    is_packed = samples.ndim == 2 and samples.shape[1] == SAMPLE_BYTES
    if is_packed and len(samples) and samples.max() == 1:
        return [
            f"inputs: {SAMPLE_BYTES} columns of only 0 and 1 were taken for packed bytes of eight "
            "pixels each, seven of them off"
        ]
    return []


def about_programming(
    *,
    conductance_uS: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    scale_uS: float | None = None,
    tolerance_uS: float,
) -> list[str]:
    """Doubts about conductances to write, as :meth:`starlab_host.Chip.program` takes them."""
    found = []
    if weights is not None:
        given = np.asarray(weights, np.float64)
        sizes = np.abs(given[given != 0])
        if not sizes.size:
            return []
        if scale_uS is None and (given == given.flat[0]).all():
            found.append(
                f"weights: all are {given.flat[0]:g}, and become {WINDOW_uS:g} uS, the whole window"
            )
        scale = WINDOW_uS / sizes.max() if scale_uS is None else scale_uS
        lost = float((sizes * scale < RESOLUTION_uS).mean())
        if lost > _NEARLY_ALL:
            why = f"the greatest is {sizes.max():g}" if scale_uS is None else "is scale_uS right?"
            found.append(
                f"weights: {lost:.0%} of those that are not 0 become less than {RESOLUTION_uS:g} uS"
                f", which the chip cannot read; {why}"
            )
        span_uS = min(float(np.ptp(given)) * scale / 2, WINDOW_uS)
    else:
        target = np.asarray(conductance_uS, np.float64)
        span_uS = float(np.ptp(target))
    if 0 < span_uS <= 2 * tolerance_uS and tolerance_uS > RESOLUTION_uS:
        found.append(
            f"tolerance_uS: {tolerance_uS:g} uS on either side cover all targets, which span "
            f"{span_uS:.3g} uS: cells may be left where they are"
        )
    middle = (CONDUCTANCE_MAX_uS - CONDUCTANCE_MIN_uS) / 2
    if not span_uS and tolerance_uS >= middle:
        found.append(f"tolerance_uS: {tolerance_uS:g} uS on either side cover the whole window")
    return found


def about_settings(changes: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Doubts about settings.

    Args:
        changes: Those that were changed.
        now: All of them afterwards.
    """
    if not changes.keys() & {"target_on", "target_off"}:
        return []
    on, off = now["target_on"], now["target_off"]
    if on <= off:
        return [f"target_on: {on} is not above target_off, {off}: no class is told from the others"]
    if on == 1:
        return ["target_on: targets are output codes; 1 is the smallest there is"]
    return []


def _about_targets(goals: NDArray[Any]) -> list[str]:
    if not goals.any() or np.abs(goals).max() > 1:
        return []
    hint = ""
    if goals.min() >= 0 and (goals.sum(axis=1) == 1).all():
        hint = "; they look like one-hot labels: give the classes as labels instead"
    return [
        "targets: none is beyond 1; targets are output codes, as the settings target_on and "
        f"target_off are{hint}"
    ]


def _about_classes(classes: NDArray[Any], samples: NDArray[Any]) -> list[str]:
    if len(classes) >= _SEVERAL and (classes != classes[0]).any():
        if len(classes) == len(samples) and (samples == samples[0]).all():
            return [f"inputs: all {len(classes)} samples are the same, but their classes are not"]
        if len(classes) >= _MANY and (np.diff(classes.astype(np.int64)) >= 0).all():
            return [
                f"labels: {len(classes)} samples are sorted by class; the chip learns them one "
                "after the other, and forgets: shuffle them"
            ]
    if len(classes) >= _MANY and (classes == classes[0]).all():
        return [f"labels: all {len(classes)} samples are of class {classes[0]}"]
    return []


def _bits(samples: NDArray[Any]) -> NDArray[Any]:
    """Pixels of samples, packed or not."""
    if samples.shape[1] == SAMPLE_BYTES:
        return np.unpackbits(samples, axis=1)
    return samples
