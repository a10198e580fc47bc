"""Compiles the kernels before the tests run: test processes would do it one beside another.

What was compiled before is removed first: a cached kernel would not notice that another one, which
it calls, has changed. Two processes share the work.

    python -m tests.warm
"""

import concurrent.futures
import multiprocessing
from pathlib import Path

import numpy as np
from tests.sim.lessons import CONVERTERS, RAILS, digits, train

import starlab_sim
from starlab_sim.chip import Chip, PulseKind
from starlab_sim.effects import ALL, NONE, Effects, Spread, Wires
from starlab_spec.samples import pack_samples

EVERY_WAY = (
    (Effects(wires=Wires(mode="exact")),),
    (ALL, Effects(spread=Spread()), NONE),
)
"""Effects by the kernels that they need, in shares that take equally long."""


def use(share: int) -> None:
    """Do once what tests do with such chips."""
    pixels, targets = digits(2)
    for effects in EVERY_WAY[share]:
        for formed in (False, True):
            chip = Chip(effects=effects, formed=formed)
            for array, shape in ((1, (2, 784, 100)), (2, (2, 100, 10))):
                mask = np.zeros(shape, np.bool_)
                mask[:, :2] = True
                for kind in PulseKind:
                    chip.pulse(array, kind, mask, RAILS.pulse(kind, 100))
                chip.read(array, rows=range(2), rails=RAILS, converters=CONVERTERS)
        chip.let_pass(1 << 40)
        chip.infer(pack_samples(pixels), rails=RAILS, converters=CONVERTERS)
        hidden = chip.vmm(pack_samples(pixels), rails=RAILS, converters=CONVERTERS)
        chip.vmm2(hidden, rails=RAILS, converters=CONVERTERS)
        train(chip, pixels, targets)


def main() -> None:
    """Compile everything anew."""
    for compiled in Path(starlab_sim.__file__).parent.rglob("__pycache__/*.nb?"):
        compiled.unlink()
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(len(EVERY_WAY), spawn) as pool:
        list(pool.map(use, range(len(EVERY_WAY))))


if __name__ == "__main__":
    main()
