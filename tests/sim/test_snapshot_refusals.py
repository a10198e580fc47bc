"""Snapshots and requests about them that are refused, with nothing changed."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.sim.conftest import Bench
from tests.sim.snapshots import AT, everything, snapshot_of

from starlab_sim import Board, Specimen
from starlab_sim.errors import Refused
from starlab_sim.firmware.snapshot import Restorable
from starlab_spec.errors import SnapshotError
from starlab_spec.safe_area import SafeArea
from starlab_spec.snapshot import pack, unpack
from starlab_spec.wire.transactions import Status, emulator, set_supply, write_memory


def edited(data: bytes, **header: Any) -> bytes:
    file = unpack(data)
    return pack({**file.header, **header}, file.arrays)


def with_arrays(data: bytes, **changes: Any) -> bytes:
    file = unpack(data)
    arrays = {**file.arrays, **{name.replace("__", "."): a for name, a in changes.items()}}
    return pack(file.header, {name: a for name, a in arrays.items() if a is not None})


def other_specimen(data: bytes, **changes: Any) -> Mapping[str, Any]:
    holding = unpack(data).header["holding"]
    return {**holding, "specimen": {**holding["specimen"], **changes}}


WRONG: dict[str, tuple[Any, str]] = {
    "no snapshot": (lambda data: b"PK\3\4" + data, r"begins with b'PK\\x03\\x04STLR'"),
    "empty": (lambda data: b"", r"begins with b''"),
    "cut off": (lambda data: data[:-40], "is cut off or damaged"),
    "a bit turned": (lambda data: data[:5000] + b"?" + data[5001:], "is cut off or damaged"),
    "another version": (
        lambda data: data[:8] + b"\2" + data[9:],
        "is of format version 2, expected 1",
    ),
    "another kind": (lambda data: edited(data, kind="read"), "is of kind 'read', expected 'exact'"),
    "another device": (
        lambda data: edited(data, holding=other_specimen(data, device="vanadium")),
        "unknown device model 'vanadium'; known: .*nonlinear-3",
    ),
    "another effect": (
        lambda data: edited(data, holding=other_specimen(data, effects={"moths": {}})),
        "unknown effect moths",
    ),
    "a field too few": (
        lambda data: with_arrays(data, array1__pulses=None),
        "lacks array1.pulses: another emulator has taken it",
    ),
    "a field too many": (
        lambda data: with_arrays(data, array1__colour=np.zeros(3)),
        "has array1.colour, which this emulator does not know",
    ),
    "another chip": (
        lambda data: with_arrays(data, array2__pulses=np.zeros((2, 50, 10), np.uint32)),
        r"has array2.pulses of type uint32 \(2, 50, 10\), expected uint32 \(2, 100, 10\)",
    ),
    "other noise": (
        lambda data: edited(data, noise={}),
        "has the sources of noise , expected array1.*array2.rng",
    ),
    "noise that is none": (
        lambda data: edited(data, noise={name: {} for name in unpack(data).header["noise"]}),
        r"has a state of noise array1\.\w+ that is none",
    ),
    "unsafe supplies": (
        lambda data: edited(data, supplies={"codes": [255] * 22, "safe_reason": None}),
        "cannot be restored here: VWLform",
    ),
    "few registers": (
        lambda data: with_arrays(data, registers=np.zeros(4, np.uint8)),
        "has 4 bytes of registers, expected 768",
    ),
    "no holding": (lambda data: edited(data, holding={}), "cannot be restored here"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_cannot_be_restored_is_refused_and_nothing_changes(
    powered: Bench, name: str, dry_run: bool
) -> None:
    spoil, message = WRONG[name]
    data = spoil(snapshot_of(powered))
    powered.write(TH=5)
    left = everything(powered)
    powered.do(write_memory(AT, data))
    request = emulator({"restore": {"address": AT, "bytes": len(data)}})
    status, found = powered.refusal(request, dry_run=dry_run)
    assert status == Status.BAD_REQUEST
    with pytest.raises(SnapshotError, match=message):
        raise SnapshotError(found.removeprefix("snapshot "))
    assert everything(powered) == left


def test_a_dry_run_checks_a_restore_and_restores_nothing(powered: Bench) -> None:
    data = snapshot_of(powered)
    powered.write(TH=5)
    request = emulator({"restore": {"address": AT, "bytes": len(data)}})
    results = powered.board.execute([write_memory(AT, data), request], dry_run=True)
    assert [result.status for result in results] == [Status.OK] * 2
    assert powered.read("TH") == 5


def test_a_supply_outside_of_the_limits_that_hold_here_is_refused_and_nothing_changes(
    powered: Bench,
) -> None:
    powered.do(set_supply(6, 99))
    data = snapshot_of(powered)
    area = SafeArea.of({"supplies": {"VBLset": {"high": 2500}}})
    other = Bench(Specimen(seed=3))
    other.board = Board(Specimen(seed=3), serial="EMU-3", rng=random.Random(3), area=area)
    other.power_up()
    before = everything(other)
    other.do(write_memory(AT, data))
    request = emulator({"restore": {"address": AT, "bytes": len(data)}})
    said = "snapshot cannot be restored here: VBLset 2585 mV is above the 2500 mV limit"
    assert other.refusal(request) == (Status.BAD_REQUEST, said)
    with pytest.raises(Refused, match="VBLset 2585 mV is above the 2500 mV limit"):
        other.board.restore(Restorable.read(data))
    assert everything(other) == before


def test_requests_about_snapshots_come_alone_and_within_the_memory(bench: Bench) -> None:
    request = emulator({"snapshot": {"address": 0}, "seed": 3})
    assert bench.refusal(request) == (
        Status.BAD_REQUEST,
        "snapshot comes alone, not with seed",
    )
    request = emulator({"snapshot": {"address": 0x7FF_FFFF}})
    assert bench.refusal(request)[0] == Status.RANGE
    request = emulator({"restore": {"address": 0x7FF_FFFF, "bytes": 100}})
    assert bench.refusal(request)[0] == Status.RANGE
    request = emulator({"restore": {"address": 0}})
    assert bench.refusal(request)[0] == Status.BAD_REQUEST
    request = emulator({"snapshot": {"address": 0, "memory": 1}})
    assert bench.refusal(request)[0] == Status.BAD_REQUEST
