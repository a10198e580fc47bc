"""How benchmarks take turns and report, and that a peer does its work. Measures nothing."""

import random

import pytest
from benchmarks.bulk import Client
from benchmarks.link import link_to
from benchmarks.measure import Figure, at_least, at_most, interleaved
from benchmarks.processes import process
from benchmarks.report import markdown


def test_sides_take_turns_and_every_other_round_goes_backwards() -> None:
    turns: list[str] = []

    def side(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    median = interleaved({"ours": lambda: side("ours"), "theirs": lambda: side("theirs")}, 3)
    assert turns[2:] == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert median == {"ours": 6.0, "theirs": 5.0}


def test_the_report_says_what_was_met_missed_measured_and_quoted() -> None:
    figures = [
        Figure("Link", "write", 30.0, "MB/s", target=at_least(30.0, 40, "MB/s")),
        Figure("Link", "command", 60.0, "us", "echo", 20.0, 1 / 3, target=at_most(60, 150, "us")),
        Figure("Chip", "step", 10.0, "us", peer="AIHWKit", quoted="1000 us"),
    ]
    page = markdown(figures, {"numpy": "2.0"}, rounds=5)
    assert "| write | 30 MB/s |  |  | >= 40 MB/s | **missed** |" in page
    assert "| command | 60 us | 20 us: echo | 0.333 | <= 150 us | met |" in page
    assert "| step | 10 us | 1000 us: AIHWKit, quoted, not measured |  |  |  |" in page
    assert "## Chip" in page
    assert "the median of 5 rounds" in page


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_the_bare_transfer_loses_nothing(loss: float) -> None:
    content = random.Random(1).randbytes(100_001)
    with process("benchmarks.bulk") as port:
        link = link_to(f"udp://127.0.0.1:{int(port)}", loss)
        client = Client(link, 1444)
        for size in (100_001, 1, 1400 * 32):
            client.write(content[:size])
            assert client.read(size) == content[:size]
        link.close()
