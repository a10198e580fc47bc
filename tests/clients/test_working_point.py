"""The point at which a chip learns from scratch: what was found by search, pinned."""

import numpy as np
import pytest

from starlab.working_point import MNIST_FROM_SCRATCH, SUPPLY_STEP_MV, WorkingPoint


def test_its_settings_are_those_that_were_found() -> None:
    assert MNIST_FROM_SCRATCH.settings == {
        "adc_bits_1": 8,
        "adc_bits_2": 7,
        "integration_time_1_ns": 250,
        "integration_time_2_ns": 150,
        "output_activation": "none",
        "scheme": "cyclic",
        "th1_uS": 2.5,
        "c1": 0.25,
        "c1_relative": True,
        "target_on": 400,
        "target_off": -160,
    }
    assert MNIST_FROM_SCRATCH.writing_mv == {"VBLset": 2209.0, "VSLreset": 1600.0}
    assert MNIST_FROM_SCRATCH.tolerance_uS == 0.3


def test_array_1_begins_in_the_middle_of_the_window() -> None:
    cells = MNIST_FROM_SCRATCH.array1_conductance_uS()
    assert cells.shape == (2, 784, 100)
    assert (cells == 11.0).all()


def test_array_2_begins_with_random_cells_that_can_be_written() -> None:
    cells = MNIST_FROM_SCRATCH.array2_conductance_uS(np.random.default_rng(1))
    assert cells.shape == (2, 100, 10)
    assert cells.mean() == pytest.approx(11, abs=0.3)
    assert 3.6 < cells.std() < 4.1
    wide = WorkingPoint(array2_spread_uS=100.0)
    ends = wide.array2_conductance_uS(np.random.default_rng(1))
    assert (ends.min(), ends.max()) == (2.5, 19.5)


@pytest.mark.parametrize(
    ("done", "codes", "th"),
    [(0, 4, 180), (0.25, 6, 202), (0.5, 8, 225), (0.9, 12, 261), (1, 13, 270)],
)
def test_rails_fall_by_whole_codes_while_the_threshold_rises(
    done: float, codes: int, th: int
) -> None:
    stage = MNIST_FROM_SCRATCH.stage(done)
    assert pytest.approx(19.7712, abs=1e-4) == SUPPLY_STEP_MV
    assert stage.supplies_mv == pytest.approx(
        {"VBLset": 2209.0 - codes * SUPPLY_STEP_MV, "VSLreset": 1600.0 - codes * SUPPLY_STEP_MV}
    )
    assert stage.settings == {"th": th}
