"""The emulated chip learns handwritten digits, both layers, from random weights."""

import numpy as np
import pytest

from starlab.datasets import mnist, unpack
from starlab_sim.chip import (
    Activation,
    Chip,
    Converters,
    Learning,
    Rails,
    Schedule,
    Tuning,
    targets_of,
)
from starlab_sim.effects import CycleNoise, Effects
from starlab_spec.samples import pack_samples
from starlab_spec.supplies import supply

DIGITS = 20_000
STAGES = 5


def rails_below(codes: int) -> Rails:
    """Published rails, but for those of SET and RESET: some codes of 19.8 mV lower."""
    set_, reset = supply("VBLset"), supply("VSLreset")
    return Rails(
        bl_set_mv=set_.value(set_.default_code - codes),
        sl_reset_mv=reset.value(reset.default_code - codes),
    )


@pytest.mark.parametrize(
    ("schedule", "cycle_noise_uS"),
    [(Schedule.cyclic(), 0.0), (Schedule.cyclic(), 0.1), (Schedule.non_cyclic(), 0.0)],
    ids=["cyclic", "cyclic, noisy pulses", "non-cyclic"],
)
def test_a_third_of_an_epoch_teaches_nine_digits_of_ten(
    schedule: Schedule, cycle_noise_uS: float
) -> None:
    training, testing = mnist()
    samples = pack_samples(unpack(training.images[:DIGITS]))
    targets = targets_of(training.labels[:DIGITS], on=400, off=-160)
    chip = Chip(seed=1, formed=True, effects=Effects(cycle_noise=CycleNoise(cycle_noise_uS)))
    chip.set_conductance_uS(2, np.random.default_rng(1).normal(11, 4, (2, 100, 10)))
    converters = Converters(bits2=7, integration1_ns=250, integration2_ns=150)
    learning = Learning(threshold=220, hidden_threshold_uS=2.5, c1=250, activation=Activation.NONE)
    phase = 0
    for number, part in enumerate(np.array_split(np.arange(DIGITS), STAGES)):
        phase = chip.train(
            samples[part],
            targets[part],
            rails=Rails(),
            converters=converters,
            learning=learning,
            tuning=Tuning.at(rails_below(4 + 2 * number), schedule),
            phase=phase,
        ).phase
    test_samples = pack_samples(unpack(testing.images))
    winners = chip.infer(test_samples, rails=Rails(), converters=converters).winners
    accuracy = (winners == testing.labels).mean()
    assert accuracy >= 0.9
