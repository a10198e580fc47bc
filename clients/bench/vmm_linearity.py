"""Measure how straight the multiplication of array 1 is, and draw it. Overwrites array 1.

Some rows get a ramp of weights over the columns; turning on more and more of them sweeps every
column through its converter's range. What the cells should give follows from reading them.
"""

import argparse

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from starlab import Array, Client

ROWS = 40
BITS = 8
LARGEST = 2**BITS - 1
INTEGRATION_NS = 100
FULL_SCALE_uS = 300.0
"""Summed conductance difference of the largest code, at this time and the published rails."""


def main() -> None:
    """Measure, print how straight it is, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--board", default="emu0")
    parser.add_argument("--output", default="vmm_linearity.png")
    options = parser.parse_args()
    with Client(options.url) as bench:
        board = bench.board(options.board)
        board.arrays[1].form()
        board.change_settings(adc_bits_1=BITS, integration_time_1_ns=INTEGRATION_NS)
        summed_uS, codes = measure(board.arrays[1])

    ideal = np.clip(summed_uS / FULL_SCALE_uS, 0, 1) * LARGEST
    error = codes - ideal
    print(f"{codes.size:,} products; rms error {np.sqrt(np.mean(error**2)):.2f} codes")
    draw(summed_uS, codes, error, options.output)
    print(f"picture in {options.output}")


def measure(array: Array) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Sums of the conductance differences of active cells, and the codes the chip makes of them.

    Returns:
        Both of shape (ROWS + 1, 100): active rows, columns.
    """
    weights = np.zeros((784, 100))
    weights[:ROWS] = np.linspace(-1, 1, 100)
    report = array.program(weights=weights, tolerance_uS=0.5)
    print(f"{report.in_tolerance:,} of {report.cells:,} cells in tolerance")

    inputs = np.zeros((ROWS + 1, 784), np.uint8)
    for active, vector in enumerate(inputs):
        vector[:active] = 1
    plus_uS, minus_uS = array.conductance_uS().astype(np.float64)
    return inputs @ (plus_uS - minus_uS), array.vmm(inputs)


def draw(
    summed_uS: NDArray[np.float64],
    codes: NDArray[np.int32],
    error: NDArray[np.float64],
    path: str,
) -> None:
    """Codes over sums, and their distance from the straight line."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    curve, rest = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    line = np.array([summed_uS.min(), 0, FULL_SCALE_uS, summed_uS.max()])
    curve.plot(line, np.clip(line / FULL_SCALE_uS, 0, 1) * LARGEST, color="0.6", label="ideal")
    curve.plot(summed_uS.ravel(), codes.ravel(), ".", markersize=2, label="chip")
    curve.set(ylabel="code", title="Array 1: converter code over summed conductance difference")
    curve.legend(frameon=False)
    rest.plot(summed_uS.ravel(), error.ravel(), ".", markersize=2)
    rest.set(xlabel="sum of $G_+ - G_-$ over active rows (µS)", ylabel="error (codes)")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
