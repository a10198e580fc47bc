"""Look at a board before work: who it is, what feeds it, whether its cells answer. Teaches nothing.

Forms the arrays if they are virgin. Exit code 1 if something is out of order.
"""

import argparse
import sys

import numpy as np

from starlab import Board, Client
from starlab_contract import VoltageSupply

SUPPLY_TOLERANCE = 0.02
"""Measured against requested."""
WINDOW_uS = (2.0, 20.0)


def main() -> int:
    """Check the board and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--board", default="emu0")
    options = parser.parse_args()
    with Client(options.url) as bench:
        checks = check(bench.board(options.board))
    for name, (good, value) in checks.items():
        print(f"{'ok ' if good else 'BAD'}  {name:<24} {value}")
    return 0 if all(good for good, _ in checks.values()) else 1


def check(board: Board) -> dict[str, tuple[bool, str]]:
    """Name of each check -> whether it is good, and what was seen."""
    info = board.info()
    checks = {
        "identity": (info.serial is not None, f"{info.serial}, firmware {info.firmware}"),
        "state": (not info.faults, f"{info.state.value}, faults: {info.faults or 'none'}"),
    }

    worst, channel = 0.0, "none"
    for name, supply in board.supplies().root.items():
        if isinstance(supply, VoltageSupply) and supply.requested_mv:
            error = abs(supply.measured_mv / supply.requested_mv - 1)
            worst, channel = max((worst, channel), (error, name))
    checks["voltages"] = (worst < SUPPLY_TOLERANCE, f"worst {channel}: off by {worst:.1%}")

    for number, array in board.arrays.items():
        formed = array.form()
        checks[f"array {number} formed"] = (formed.failed == 0, f"{formed.failed} cells failed")
        cells = array.conductance_uS()
        inside = np.mean((cells >= WINDOW_uS[0]) & (cells <= WINDOW_uS[1]))
        checks[f"array {number} window"] = (
            bool(inside > 0.99),
            f"{cells.mean():.2f} +- {cells.std():.2f} uS, {inside:.1%} within the window",
        )

    nothing = board.arrays[1].vmm(np.zeros((1, 784)))
    checks["product with nothing"] = (not nothing.any(), f"largest code {nothing.max()}")
    return checks


if __name__ == "__main__":
    sys.exit(main())
