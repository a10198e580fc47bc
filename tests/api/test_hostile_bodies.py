"""What a body costs is bounded by what it may be: others are served meanwhile, memory is kept."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.api.hostile_bodies import HOSTILE, Cost, Hostile

LATE_MAX = 30
"""In units of what parsing a mebibyte of JSON takes: the largest body takes eight."""
MEMORY_PER_BYTE_MAX = 8
MEMORY_FREE_BYTES = 16 << 20

each_body = pytest.mark.parametrize("request_", HOSTILE, ids=lambda request: request.name)


@pytest.fixture(scope="module")
def costs() -> dict[str, Cost]:
    child = subprocess.run(
        [sys.executable, "-m", "tests.api.hostile_bodies"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = [Cost(**json.loads(line)) for line in child.stdout.splitlines()]
    return {cost.name: cost for cost in found}


@each_body
def test_it_is_answered_in_a_few_words(costs: dict[str, Cost], request_: Hostile) -> None:
    cost = costs[request_.name]
    assert cost.status == request_.status
    assert cost.answer_bytes < 5_000


@each_body
def test_others_are_served_meanwhile(costs: dict[str, Cost], request_: Hostile) -> None:
    assert costs[request_.name].late < LATE_MAX


@each_body
def test_it_takes_a_few_times_its_size_of_memory(costs: dict[str, Cost], request_: Hostile) -> None:
    cost = costs[request_.name]
    assert cost.taken_bytes < MEMORY_FREE_BYTES + MEMORY_PER_BYTE_MAX * cost.sent_bytes
