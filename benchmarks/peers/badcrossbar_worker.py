"""Measures badcrossbar in its own environment, on request. Imports nothing of the product.

Reads an .npz file that the command line names (``ohm`` (rows, columns), ``volts`` (rows,),
``segment_ohm`` ()), prints a line of JSON with its versions, then answers each line on standard
input with a line on standard output: ``solve`` with the seconds that a solution of the whole
crossbar took, ``currents`` with the currents of its columns in uA.
"""

import json
import logging
import sys
from importlib.metadata import version
from time import perf_counter

import badcrossbar
import numpy as np
from numpy.typing import NDArray


class Worker:
    """One crossbar."""

    def __init__(self, ohm: NDArray[np.float64], volts: NDArray[np.float64], segment: float):
        self.ohm = ohm
        self.volts = volts.reshape(-1, 1)
        self.segment = segment

    def currents(self) -> list[float]:
        """Solve; it needs neither voltages nor currents of each device."""
        solution = badcrossbar.compute(
            self.volts,
            self.ohm,
            r_i_word_line=self.segment,
            r_i_bit_line=self.segment,
            node_voltages=False,
            all_currents=False,
        )
        return [float(current) * 1e6 for current in solution.currents.output[0]]

    def solve(self) -> float:
        """Time of it."""
        start = perf_counter()
        self.currents()
        return perf_counter() - start


def main() -> None:
    """Answer until standard input ends."""
    logging.disable(logging.INFO)  # it tells its progress on standard output
    data = np.load(sys.argv[1])
    worker = Worker(data["ohm"], data["volts"], float(data["segment_ohm"]))
    versions = {"badcrossbar": version("badcrossbar"), "scipy": version("scipy")}
    print(json.dumps(versions), flush=True)
    for line in sys.stdin:
        work = line.strip()
        answer = worker.solve() if work == "solve" else worker.currents()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
