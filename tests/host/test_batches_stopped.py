"""A batch that was stopped is told in one way, whatever ran beside it."""

import re

import numpy as np
import pytest
from tests.host.bench import Bench

from starlab_host.chip import batches
from starlab_host.errors import Aborted
from starlab_sim import Specimen

SAMPLES = np.zeros((40, 784), np.uint8)


@pytest.fixture
def bench() -> Bench:
    return Bench(Specimen(seed=1))


def stopped(bench: Bench) -> Aborted:
    bench.session.aborted = lambda: True
    with pytest.raises(Aborted) as told:
        bench.chip.infer(SAMPLES)
    return told.value


def test_what_the_board_says_of_it_is_not_said_once_more(bench: Bench) -> None:
    error = stopped(bench)
    assert error.done == 0
    assert error.message == "BATCH_INFERENCE stopped after 0 of 40 samples"


def test_samples_that_a_call_beside_it_has_done_are_not_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.board, "read_register", lambda which: 40)
    assert stopped(bench).done == 0


def test_of_several_commands_all_samples_are_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "samples_per_command", lambda record: 16)
    told: list[int] = []

    def tell(done: int, _: int) -> None:
        told.append(done)
        if done == 16:
            bench.session.aborted = lambda: True

    with pytest.raises(Aborted) as refused:
        bench.chip.infer(SAMPLES, on_progress=tell)
    error = refused.value
    assert error.done == 16
    assert re.search(r"after 0 of 16 samples; 16 of 40 samples are done$", error.message)
