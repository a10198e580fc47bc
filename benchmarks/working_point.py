"""How well a whole chip learns MNIST from scratch, at settings that a lab can set. Tunes none.

    python -m benchmarks.working_point --seeds 1 2 3 --epochs 3

Each seed is a virgin chip: it is formed, array 2 is programmed to random weights by write-verify,
and both layers learn on the chip, cyclic, without output ReLU. Ten times an epoch the bench lowers
rails and raises the error threshold: over the whole run VBLset and VSLreset fall by nine codes of
19.8 mV, which makes the steps a third as large, and Th rises by half.
"""

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from starlab.datasets import Digits, mnist, unpack
from starlab_sim.chip import (
    Activation,
    Chip,
    Converters,
    Learning,
    PulseKind,
    Rails,
    Schedule,
    Tuning,
    targets_of,
)
from starlab_sim.effects import CycleNoise, Effects
from starlab_spec.geometry import ARRAY1, ARRAY2
from starlab_spec.samples import pack_samples
from starlab_spec.supplies import supply

READING = Rails()
CONVERTERS = Converters(bits1=8, bits2=7, integration1_ns=250, integration2_ns=150)
TARGET_ON, TARGET_OFF = 400, -160
SPREAD2_uS, TOLERANCE_uS, ROUNDS_MAX = 4.0, 0.3, 400
STAGES_PER_EPOCH = 10
FIRST_CODES, LAST_CODES = 4, 13
"""How far VBLset and VSLreset are below their published codes at first and at last."""
FIRST_TH, LAST_TH = 180, 270


def stage(done: float) -> tuple[Learning, Tuning]:
    """Settings when this share of the run is done."""
    lower = round(FIRST_CODES + done * (LAST_CODES - FIRST_CODES))
    set_, reset = supply("VBLset"), supply("VSLreset")
    rails = Rails(
        bl_set_mv=set_.value(set_.default_code - lower),
        sl_reset_mv=reset.value(reset.default_code - lower),
    )
    learning = Learning(
        threshold=round(FIRST_TH + done * (LAST_TH - FIRST_TH)),
        hidden_threshold_uS=2.5,
        c1=250,
        activation=Activation.NONE,
    )
    return learning, Tuning.at(rails, Schedule.cyclic())


def program_array2(chip: Chip, rng: np.random.Generator) -> None:
    """Write-verify random conductances into array 2, at the published rails."""
    target_uS = rng.normal(11.0, SPREAD2_uS, ARRAY2.shape).clip(2.5, 19.5)
    for _ in range(ROUNDS_MAX):
        read_uS = chip.read(2, rails=READING, converters=CONVERTERS) * 0.1
        error_uS = target_uS - read_uS
        if np.abs(error_uS).max() <= TOLERANCE_uS:
            return
        for kind, mask, width_ns in (
            (PulseKind.SET, error_uS > TOLERANCE_uS, 200),
            (PulseKind.RESET, error_uS < -TOLERANCE_uS, 50),
        ):
            chip.pulse(2, kind, mask, READING.pulse(kind, width_ns))


def virgin_to_ready(seed: int, device: str, cycle_noise_uS: float) -> Chip:
    """A chip, formed, with random weights in array 2."""
    chip = Chip(seed=seed, device=device, effects=Effects(cycle_noise=CycleNoise(cycle_noise_uS)))
    for geometry in (ARRAY1, ARRAY2):
        everything = np.ones(geometry.shape, np.bool_)
        forming = READING.pulse(PulseKind.FORM, 12_800)
        chip.pulse(geometry.number, PulseKind.FORM, everything, forming)
    program_array2(chip, np.random.default_rng(seed))
    return chip


def board_samples(digits: Digits) -> NDArray[np.uint8]:
    """Digits as the board's memory holds them."""
    return pack_samples(unpack(digits.images))


def teach(
    chip: Chip,
    samples: NDArray[np.uint8],
    targets: NDArray[np.int32],
    *,
    done: float,
    phase: int,
    converters: Converters = CONVERTERS,
) -> int:
    """Teach a part of a run at the settings for it; gives the phase of the next part.

    Args:
        chip: Is ready to learn.
        samples: As :func:`board_samples` gives them.
        targets: Shape (samples, 10), output codes.
        done: Share of the run before it.
        phase: That the part before it gave; 0 for the first one.
        converters: Their settings.
    """
    learning, tuning = stage(done)
    learned = chip.train(
        samples,
        targets,
        rails=READING,
        converters=converters,
        learning=learning,
        tuning=tuning,
        phase=phase,
    )
    return learned.phase


def run(seed: int, epochs: int, device: str, cycle_noise_uS: float) -> None:
    """Learn, and print a line per epoch."""
    training, testing = mnist()
    samples, test_samples = board_samples(training), board_samples(testing)
    targets = targets_of(training.labels, on=TARGET_ON, off=TARGET_OFF)
    chip = virgin_to_ready(seed, device, cycle_noise_uS)
    stages = np.array_split(np.arange(len(samples)), STAGES_PER_EPOCH)
    phase = 0
    for epoch in range(epochs):
        before, start_s = chip.counters, time.perf_counter()
        for index, part in enumerate(stages):
            done = (epoch * len(stages) + index) / (epochs * len(stages) - 1)
            phase = teach(chip, samples[part], targets[part], done=done, phase=phase)
        step_us = (time.perf_counter() - start_s) / len(samples) * 1e6
        after = chip.counters
        inference = chip.infer(test_samples, rails=READING, converters=CONVERTERS)
        pulses = [
            sum(totals[array] for totals in (after.set_pulses, after.reset_pulses))
            - sum(totals[array] for totals in (before.set_pulses, before.reset_pulses))
            for array in (0, 1)
        ]
        print(
            f"seed {seed}  epoch {epoch + 1}"
            f"  accuracy {(inference.winners == testing.labels).mean():.4f}"
            f"  pulses {pulses[0] / 1e6:.2f} M + {pulses[1] / 1e6:.2f} M"
            f"  energy {(after.energy_j - before.energy_j) * 1e3:.2f} mJ"
            f"  chip time {after.time_s - before.time_s:.0f} s"
            f"  {step_us:.1f} us a step",
            flush=True,
        )


def main() -> None:
    """Run every seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--device", default="nonlinear-3")
    parser.add_argument("--cycle-noise-us", type=float, default=0.0, metavar="MICROSIEMENS")
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        run(seed, arguments.epochs, arguments.device, arguments.cycle_noise_us)


if __name__ == "__main__":
    main()
