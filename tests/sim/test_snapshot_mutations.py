"""Snapshots with a right checksum and one wrong value: refused by name, or harmless."""

import copy
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.sim.conftest import Bench
from tests.sim.snapshots import AT, everything, learner, snapshot_of, train

from starlab_sim import Specimen
from starlab_sim.effects import Effects
from starlab_spec.operations import Operation
from starlab_spec.snapshot import pack, unpack
from starlab_spec.wire.transactions import (
    Status,
    emulator,
    get_supply,
    read_registers,
    set_supply,
    start,
    write_memory,
)

Path = tuple[str | int, ...]
Header = dict[str, Any]
Arrays = dict[str, NDArray[Any]]

WRONG: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 255, 256, 1 << 31, (1 << 63) - 1, 1 << 63, 1 << 64, 1 << 128,
    0.5, -1e-300, 1e308, "", "x", "\ud800", "0" * 5000, [], [0], {}, {"a": 1},
)  # fmt: skip
NUMBERS = (math.nan, math.inf, -math.inf, -1.0, 0.15, 61.0, 1e30)
WHOLE = (-1, -(1 << 63), (1 << 63) - 1, (1 << 62) + 1, (1 << 32) - 1)

EFFECTS: dict[str, Any] = {
    "spread": True,
    "read_noise": True,
    "retention": True,
    "channel_noise": True,
}


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where the header holds a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in inner:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from leaves(part, (*path, key))


def with_leaf(header: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(header)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def without(header: dict[str, Any], path: Path) -> dict[str, Any]:
    changed = copy.deepcopy(header)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return changed


def header_mutants(header: dict[str, Any]) -> Iterator[tuple[str, Callable[[], Header]]]:
    for path in leaves(header):
        yield f"without {path}", partial(without, header, path)
        for value in WRONG:
            yield f"{path} = {value!r:.30}", partial(with_leaf, header, path, value)


def array_mutants(arrays: Arrays) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    def put(name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Arrays:
        return {**arrays, name: change(arrays[name])}

    def with_value(value: Any, array: NDArray[Any]) -> NDArray[Any]:
        spoiled = array.copy()
        spoiled.reshape(-1)[spoiled.size // 2] = value
        return spoiled

    for name, array in arrays.items():
        whole = array.dtype.kind != "f"
        for value in WHOLE if whole else NUMBERS:
            fits = not whole or np.iinfo(array.dtype).min <= value <= np.iinfo(array.dtype).max
            if array.size and fits:
                yield f"{name} with {value}", partial(put, name, partial(with_value, value))
        yield f"{name} as f8", partial(put, name, lambda one: one.astype(np.float64))
        yield f"{name} as i1", partial(put, name, lambda one: one.astype(np.int8))
        yield f"{name} short", partial(put, name, lambda one: one.reshape(-1)[:-1])
        yield f"{name} deep", partial(put, name, lambda one: one[np.newaxis])


def mutants(data: bytes) -> list[tuple[str, Callable[[], bytes]]]:
    """Every one that there is, by what is wrong with it; made when it is wanted."""
    file = unpack(data)
    header, arrays = dict(file.header), dict(file.arrays)

    def of_header(made: Callable[[], Header]) -> bytes:
        return pack(made(), arrays)

    def of_arrays(made: Callable[[], Arrays]) -> bytes:
        return pack(header, made())

    return [
        *((name, partial(of_header, made)) for name, made in header_mutants(header)),
        *((name, partial(of_arrays, made)) for name, made in array_mutants(arrays)),
    ]


def works(bench: Bench) -> None:
    """Whatever it has become, it answers and does its work, or says in so many words why not."""
    board = bench.board
    asked = [
        *(set_supply(index, 100 + index) for index in range(22)),
        get_supply(3),
        read_registers(0x200, 60),
    ]
    for transaction in asked:
        board.execute([transaction])
    operations = (Operation.READ_ARRAY, Operation.SET, Operation.FORM, Operation.BATCH_TRAINING)
    for operation in operations:
        board.execute([start(operation)])
    results = board.execute([emulator({"advance_s": 1})])
    assert "the board itself failed" not in results[0].message
    assert "illegal_operation" not in results[0].message
    json.dumps(board.identity())
    assert 0 <= board.lifetime_pulses < 1 << 63
    unpack(snapshot_of(bench))


def try_all(bench: Bench, chosen: Sequence[tuple[str, Callable[[], bytes]]]) -> int:
    """Restore each of some snapshots on a board that is well; returns how many were refused."""
    good = snapshot_of(bench)
    before = everything(bench)
    refused = 0
    for name, made in chosen:
        data = made()
        request = emulator({"restore": {"address": AT, "bytes": len(data)}})
        (result,) = bench.board.execute([write_memory(AT, data), request])[1:]
        assert result.status in (Status.OK, Status.BAD_REQUEST, Status.RANGE), name
        if result.status == Status.OK:
            works(bench)
            bench.board.execute([emulator({"restart": True})])
            again = emulator({"restore": {"address": AT, "bytes": len(good)}})
            assert not bench.do(write_memory(AT, good), again)[1].message, name
        else:
            refused += 1
            assert result.message.startswith("snapshot "), name
            assert len(result.message) < 2000, name
            assert "the board itself failed" not in result.message, name
        assert everything(bench) == before, name
    return refused


def test_one_wrong_value_is_refused_or_harmless() -> None:
    bench = learner(Specimen(seed=3, effects=Effects.read(EFFECTS)))
    train(bench, 0, 5)
    chosen = random.Random(5).sample(mutants(snapshot_of(bench)), 200)
    assert try_all(bench, chosen) > 100


@pytest.mark.slow
@pytest.mark.parametrize("effects", [{}, EFFECTS, "all"])
def test_every_wrong_value_is_refused_or_harmless(effects: Any) -> None:
    bench = learner(Specimen(seed=3, effects=Effects.read(effects)))
    train(bench, 0, 5)
    assert try_all(bench, mutants(snapshot_of(bench))) > 500
