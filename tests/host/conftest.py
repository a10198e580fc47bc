"""Benches with a fresh chip each."""

import pytest
from tests.host.bench import Bench

from starlab_sim import Specimen


@pytest.fixture
def bench() -> Bench:
    """A formed chip of nonlinear-3 cells."""
    return Bench(Specimen(seed=3))


@pytest.fixture
def virgin_bench() -> Bench:
    """A virgin chip."""
    return Bench(Specimen(seed=3, virgin=True))
