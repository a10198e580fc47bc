"""A second array spread over the window, and digits to show it."""

import numpy as np
from tests.authors_bench import AuthorsBench


def spread(bench: AuthorsBench) -> None:
    spread_uS = np.random.default_rng(6).uniform(2, 20, (2, 100, 10))
    bench.board.chip.set_conductance_uS(2, spread_uS)


def digits(count: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return (np.random.default_rng(3).random((count, 784)) < 0.2).astype(np.uint8)
