"""Measures AIHWKit in its own environment, on request. Imports nothing of the product.

Reads an .npz file that the command line names (``inputs`` (n, 784), ``labels`` (n,)), prints a line
of JSON with its versions, then answers each line on standard input, the name of a piece of work,
with a line on standard output: microseconds a sample.

Settings: one thread, its fastest here; tiles of 784 x 100 and 100 x 10; `ConstantStepDevice`, its
fastest device with cycle-to-cycle noise (30 %); everything else as it comes.
"""

import json
import sys
from collections.abc import Callable
from time import perf_counter

import aihwkit
import numpy as np
import torch
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import ConstantStepDevice, SingleRPUConfig
from aihwkit.simulator.parameters import IOParameters
from aihwkit.simulator.tiles import AnalogTile

LEARNING_RATE = 0.05
"""As in AIHWKit's own MNIST example."""
STEP = 0.001
"""Least weight step of `ConstantStepDevice`."""
COLUMNS = 23
"""Columns with an error where the same cells are pulsed as on the chip: 23 of 100."""
STEPS = 200
"""Learning steps in one go."""


def tile_of(inputs: int, outputs: int, learning_rate: float, *, ideal: bool = False) -> AnalogTile:
    """A tile with random weights."""
    perfect = {"forward": IOParameters(is_perfect=True)} if ideal else {}
    tile = AnalogTile(outputs, inputs, SingleRPUConfig(device=ConstantStepDevice(), **perfect))
    tile.set_weights(torch.randn(outputs, inputs) * (0.5 / inputs**0.5))
    tile.set_learning_rate(learning_rate)
    return tile


class Worker:
    """The pieces of work, each returning the samples it did."""

    def __init__(self, inputs: torch.Tensor, labels: torch.Tensor) -> None:
        self.inputs = inputs
        self.targets = torch.eye(10)[labels]
        self.ideal = tile_of(784, 100, STEP, ideal=True)
        self.single = tile_of(784, 100, STEP)
        self.tenfold = tile_of(784, 100, 10 * STEP)
        self.errors = torch.randn(len(inputs), 100)
        self.signs = torch.sign(self.errors)
        self.signs[:, COLUMNS:] = 0
        self.hidden = tile_of(784, 100, LEARNING_RATE)
        self.output = tile_of(100, 10, LEARNING_RATE)
        config = SingleRPUConfig(device=ConstantStepDevice())
        self.network = AnalogSequential(
            AnalogLinear(784, 100, bias=False, rpu_config=config),
            torch.nn.ReLU(),
            AnalogLinear(100, 10, bias=False, rpu_config=config),
        )
        self.optimiser = AnalogSGD(self.network.parameters(), lr=LEARNING_RATE)
        self.optimiser.regroup_param_groups(self.network)

    def vmm_ideal(self) -> int:
        """Forward, a batch in one call, ideal converters."""
        self.ideal.forward(self.inputs)
        return len(self.inputs)

    def vmm_analog(self) -> int:
        """Forward, a batch in one call, with its default converters and noise."""
        self.single.forward(self.inputs)
        return len(self.inputs)

    def update_dense(self) -> int:
        """Updates by a normally distributed error in all columns, up to ten pulses a cell."""
        self.tenfold.update(self.inputs, self.errors)
        return len(self.inputs)

    def update_same_cells(self) -> int:
        """Updates by a ternary error in some columns, about one pulse a cell."""
        self.single.update(self.inputs, self.signs)
        return len(self.inputs)

    def step_layers(self) -> int:
        """Learning steps with its layers and optimiser, one sample after the other."""
        for index in range(STEPS):
            self.optimiser.zero_grad()
            outputs = self.network(self.inputs[index : index + 1])
            error = outputs - self.targets[index : index + 1]
            (error**2).sum().backward()
            self.optimiser.step()
        return STEPS

    def step_tiles(self) -> int:
        """The same with its bare tiles, below the automatic differentiation."""
        for index in range(STEPS):
            x = self.inputs[index : index + 1]
            y1 = torch.relu(self.hidden.forward(x))
            error = 2 * (self.output.forward(y1) - self.targets[index : index + 1])
            gradient = self.output.backward(error) * (y1 > 0)
            self.output.update(y1, error)
            self.hidden.update(x, gradient)
        return STEPS


def main() -> None:
    """Serve until standard input ends."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    data = np.load(sys.argv[1])
    inputs = torch.from_numpy(data["inputs"].astype(np.float32))
    worker = Worker(inputs, torch.from_numpy(data["labels"].astype(np.int64)))
    print(json.dumps({"AIHWKit": aihwkit.__version__, "PyTorch": torch.__version__}), flush=True)
    for line in sys.stdin:
        work: Callable[[], int] = getattr(worker, line.strip())
        start = perf_counter()
        count = work()
        print(json.dumps((perf_counter() - start) / count * 1e6), flush=True)


if __name__ == "__main__":
    main()
