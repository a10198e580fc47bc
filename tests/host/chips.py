"""Cells, samples and the data sheet's formulas, for tests of the chip. Runs no test itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.host.bench import Bench

from starlab_spec import ARRAY1, ARRAY2, MINUS, PLUS
from starlab_spec.supplies import NOMINAL_READ_MV

Floats = NDArray[np.float64]


def images(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return (np.random.default_rng(seed).random((count, 784)) < 0.13).astype(np.uint8)


def scatter(bench: Bench, seed: int = 5) -> None:
    """Cells at random places of the window, behind the board's back, on whole codes of READ."""
    rng = np.random.default_rng(seed)
    for array in (ARRAY1, ARRAY2):
        values = rng.integers(20, 201, array.shape) / 10
        bench.emulated.chip.set_conductance_uS(array.number, values)


def adc(current_ua: Floats, full_scale_ua: float, bits: int) -> NDArray[np.int64]:
    """``clip(floor(x * (2^N - 1) / full scale + 1/2), 0, 2^N - 1)``."""
    top = 2**bits - 1
    codes = np.floor(current_ua * top / full_scale_ua + 0.5)
    return np.asarray(np.clip(codes, 0, top), np.int64)


def hidden_codes(g1: Floats, pixels: NDArray[np.uint8], bits: int = 8) -> NDArray[np.int64]:
    volt = NOMINAL_READ_MV / 1000
    current_ua = pixels.astype(float) @ ((g1[PLUS] - g1[MINUS]) * volt)
    return adc(current_ua, 300 * volt, bits)


def output_codes(g2: Floats, counts: NDArray[Any], bits: int = 5) -> NDArray[np.int64]:
    volt = NOMINAL_READ_MV / 1000
    total = np.zeros((len(counts), 10), np.int64)
    for slot in range(1, int(counts.max(initial=0)) + 1):
        on = (counts >= slot).astype(float)
        total += adc(on @ g2[PLUS] * volt, 800 * volt, bits)
        total -= adc(on @ g2[MINUS] * volt, 800 * volt, bits)
    return total


def assert_no_pulse(bench: Bench, call: Callable[[], object], error: type[Exception]) -> None:
    """A call must be refused before anything is sent."""
    pulses, sent = bench.pulses, len(bench.session.commands)
    with pytest.raises(error):
        call()
    assert bench.pulses == pulses
    assert len(bench.session.commands) == sent
