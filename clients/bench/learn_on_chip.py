"""Teach the chip some thousand digits and watch it get better. Overwrites both arrays."""

import argparse

import numpy as np

from starlab import Client, learn, prepare
from starlab.datasets import mnist

BATCH = 1000


def main() -> None:
    """Prepare the chip, teach it, test it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--board", default="emu0")
    parser.add_argument("--digits", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    training, test = mnist()
    training = training.head(options.digits)
    rng = np.random.default_rng(options.seed)

    with Client(options.url) as bench:
        board = bench.board(options.board)
        prepare(board, rng=rng, on_stage=print)
        for step in learn(board, training.images, training.labels, batch=BATCH, rng=rng):
            on_1, on_2 = step.pulses.sum(axis=0)
            print(
                f"{step.seen:6,} digits: {step.accuracy:.1%} right before being learned; "
                f"{on_1:,} + {on_2:,} pulses"
            )
        evaluation = board.evaluate(test.images, test.labels)
        print(f"test: {evaluation.accuracy:.2%} of {len(test):,} digits")


if __name__ == "__main__":
    main()
