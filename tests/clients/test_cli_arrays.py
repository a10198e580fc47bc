"""Arrays on the command line: forming, levelling, programming, reading, multiplying."""

from pathlib import Path

import numpy as np
import pytest
from tests.clients.command_line import Run
from tests.clients.conftest import NPY, NPZ, FakeServer, npy_bytes, npz_bytes
from tests.clients.replies import LEVELLED, PROGRAMMED

from starlab import load_published, save_published
from starlab.datasets import mnist


def test_forming_takes_both_arrays_unless_one_is_named(run: Run, server: FakeServer) -> None:
    server.will_answer_json({"formed": 10, "newly_formed": 4, "failed": 1, "pulses": 5})
    finished = run("form", "--json")
    assert [request.url.path[-8:] for request in server.requests] == ["s/1/form", "s/2/form"]
    assert finished.json["formed"] == 20
    assert finished.json["arrays"]["2"]["failed"] == 1
    run("form", "2", "--rows", "0:3", "--columns", "1,2")
    assert len(server.requests) == 3
    assert server.json == {"rows": "0:3", "columns": "1,2"}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("level", "level within the tolerance"),
        ("coarse", "the narrowest pulse goes further"),
        ("unsure", "no further than noise"),
        ("stuck", "the cells no longer follow"),
        ("capped", "the cap of rounds or pulses was reached"),
    ],
)
def test_levelling_tells_offset_pulses_and_how_it_ended(
    run: Run, server: FakeServer, outcome: str, words: str
) -> None:
    reply = {**LEVELLED, "outcome": outcome}
    server.will_answer_json(reply)
    finished = run("level")
    assert finished.code == 0
    assert server.requests[-1].url.path.endswith("/arrays/1/level")
    for part in ("+4.700", "-0.100", "470,400", words):
        assert part in finished.words
    finished = run("level", "--tolerance-codes", "0.5", "--readings", "8", "--json")
    assert server.json == {"tolerance_codes": 0.5, "readings": 8}
    assert {name: finished.json[name] for name in reply} == reply
    assert run("level", "--readings", "7").code == 2


def test_programming_takes_weights_or_conductances_from_a_file(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.will_answer_json(PROGRAMMED)
    path = tmp_path / "weights.npy"
    np.save(path, np.ones((100, 10)))
    finished = run("program", "2", "--weights", str(path), "--scale-uS", "9", "--json")
    assert finished.json["in_tolerance"] == 1990
    assert ("scale_uS", "9.0") in server.query
    assert "1,990 of 2,000" in run("program", "2", "--weights", str(path)).words
    assert run("program", "2").code == 2
    path.write_bytes(b"no array")
    finished = run("program", "2", "--weights", str(path))
    assert finished.code == 2
    assert "--weights" in finished.words


def test_programming_takes_the_published_files_of_both_arrays(
    run: Run, server: FakeServer, tmp_path: Path
) -> None:
    server.will_answer_json(PROGRAMMED)
    first, second = str(tmp_path / "w1.txt"), str(tmp_path / "w2.txt")
    target_uS = np.random.default_rng(1).uniform(2, 20, (2, 100, 10))
    save_published(first, 1, np.full((2, 784, 100), 17.5))
    save_published(second, 2, target_uS)
    finished = run("program", "--published-weights", first, second, "--json")
    assert (finished.code, finished.json["in_tolerance"], finished.json["cells"]) == (0, 3980, 4000)
    assert set(finished.json["arrays"]) == {"1", "2"}
    paths = [request.url.path for request in server.requests]
    assert [path[-9:] for path in paths] == ["1/program", "2/program"]
    np.testing.assert_allclose(server.arrays["conductance_uS"], target_uS, rtol=1e-8)
    assert run("program", "2", "--published-weights", first, second).code == 2
    swapped = run("program", "--published-weights", second, first)
    assert swapped.code == 2
    assert "w2.txt: has 100 lines, array 1 needs 784" in swapped.words
    assert len(server.requests) == 2


def test_reading_writes_a_published_file(run: Run, server: FakeServer, tmp_path: Path) -> None:
    cells_uS = np.random.default_rng(1).integers(20, 200, (2, 100, 10)) / np.float32(10)
    server.will_answer(npy_bytes(cells_uS), NPY)
    path = tmp_path / "w2.txt"
    finished = run("read", "2", "--published", str(path), "--json")
    assert (finished.code, finished.json["published"]) == (0, str(path))
    assert "conductance_uS" not in finished.json
    np.testing.assert_allclose(load_published(path, 2), cells_uS, atol=1e-6)
    assert run("read", "2", "--published", str(path), "--rows", "0:3").code == 2


def test_reading_gives_values_or_a_file(run: Run, server: FakeServer, tmp_path: Path) -> None:
    cells = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    server.will_answer(npy_bytes(cells), NPY)
    finished = run("read", "2", "--rows", "0:3", "--columns", "0:2", "--json")
    assert finished.json["conductance_uS"] == cells.tolist()
    assert (finished.json["min_uS"], finished.json["max_uS"]) == (0, 11)
    path = tmp_path / "cells.npy"
    finished = run("read", "2", "--output", str(path), "--json")
    assert finished.json["output"] == str(path)
    assert "conductance_uS" not in finished.json
    np.testing.assert_array_equal(np.load(path), cells)
    assert "8.50" in run("read", "2").words  # mean of G-


def test_multiplying_and_inferring_start_with_the_shipped_digits(
    run: Run, server: FakeServer
) -> None:
    _, test = mnist()
    server.will_answer(npy_bytes(np.full((3, 100), 5, np.uint8)), NPY)
    finished = run("vmm", "1", "--limit", "3", "--json")
    np.testing.assert_array_equal(server.arrays["npy"], test.images[:3])
    assert finished.json["codes"] == [[5] * 100] * 3
    assert run("vmm", "2").code == 2

    server.answers.clear()
    outputs = np.eye(10, dtype=np.int32)[[7, 2]]
    server.will_answer(npz_bytes(outputs=outputs), NPZ)
    finished = run("infer", "--limit", "2", "--json")
    assert finished.json == {"labels": [7, 2], "outputs": outputs.tolist()}
