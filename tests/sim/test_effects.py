"""Which effects are on: what can be said, and what is refused."""

import math
import random
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sim.conftest import Bench

from starlab_sim import Board, Specimen
from starlab_sim.effects import (
    ALL,
    EFFECTS,
    NONE,
    Array2Wires,
    Effects,
    Spread,
    TelegraphNoise,
    Wires,
    parameters,
)
from starlab_sim.errors import Refused
from starlab_spec.errors import LimitExceeded
from starlab_spec.wire import transactions as wire
from starlab_spec.wire.transactions import Status


def test_an_effect_that_is_named_is_on_and_all_others_are_off() -> None:
    effects = Effects.read({"spread": {"step": 0.3}, "wires": True, "wear": False})
    assert effects == Effects(spread=Spread(step=0.3), wires=Wires())
    assert effects.on == ("wires", "spread")


def test_all_and_none_are_words() -> None:
    assert Effects.read("none") == NONE == Effects.read({})
    assert Effects.read("all") == ALL
    assert ALL.on == tuple(EFFECTS)


@given(st.sets(st.sampled_from(sorted(EFFECTS))))
def test_effects_come_back_from_their_json(names: set[str]) -> None:
    effects = Effects(**{name: EFFECTS[name]() for name in names})
    assert Effects.read(effects.json()) == effects


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("some", 'effects \'some\' are neither "none" nor "all" nor an object'),
        ({"spred": True}, "unknown effect spred; known: wires, spread"),
        ({"spread": {"stepp": 1}}, "unknown parameter spread.stepp; known: step, window"),
        ({"spread": {"step": "big"}}, "spread.step 'big' is not a number"),
        ({"spread": {"step": True}}, "spread.step True is not a number"),
        ({"spread": 3}, "spread 3 is not an object with its parameters, nor true or false"),
        ({"wires": {"mode": "slow"}}, "wires.mode 'slow' is not one of fast, exact"),
        ({"wires": {"array1": 3}}, "wires.array1 3 is not an object"),
    ],
)
def test_what_is_no_effect_is_refused_by_name(wanted: object, message: str) -> None:
    with pytest.raises(Refused) as refused:
        Effects.read(wanted)
    assert message in str(refused.value)
    assert refused.value.status is Status.BAD_REQUEST


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_a_parameter_out_of_bounds_is_refused_with_value_limit_and_unit(name: str) -> None:
    for path, known in parameters(EFFECTS[name]).items():
        if known.choices:
            continue
        for value, limit in ((known.high * 2 + 1, known.high), (known.low - 1, known.low)):
            wanted: object = value
            for part in reversed(path.split(".")):
                wanted = {part: wanted}
            with pytest.raises(LimitExceeded) as refused:
                Effects.read({name: wanted})
            expected = LimitExceeded(f"{name}.{path}", value, limit, known.unit)
            assert str(refused.value) == str(expected)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(LimitExceeded, match=r"spread\.step nan"):
        Effects(spread=Spread(step=math.nan))


def test_a_part_of_an_effect_is_checked_too() -> None:
    with pytest.raises(LimitExceeded, match=r"wires\.array2\.bl_driver_ohm -1 Ohm"):
        Effects(wires=Wires(array2=Array2Wires(bl_driver_ohm=-1)))


def test_every_parameter_says_what_it_means_and_where_it_comes_from() -> None:
    for settings in EFFECTS.values():
        for known in parameters(settings).values():
            assert known.doc
            assert known.source
            assert known.choices or known.low < known.high


def test_effects_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text('[wires]\nmode = "exact"\narray1.bl_driver_ohm = 5\n[spread]\n')
    effects = Effects.load(path)
    assert effects.on == ("wires", "spread")
    assert effects.wires is not None
    assert (effects.wires.mode, effects.wires.array1.bl_driver_ohm) == ("exact", 5)


def test_the_effects_of_a_board_change_while_its_cells_stay(bench: Bench) -> None:
    before = bench.board.chip.conductance_uS(1)
    bench.do(wire.emulator({"effects": {"cycle_noise": {"step_uS": 0.2}}}))
    assert bench.board.identity()["effects"] == ["cycle_noise"]
    assert (bench.board.chip.conductance_uS(1) == before).all()
    status, message = bench.refusal(
        wire.emulator({"effects": {"cycle_noise": {"step_uS": -1}}, "advance_s": 1})
    )
    assert status is Status.RANGE
    assert message == "cycle_noise.step_uS -1 uS is below the 0 uS limit"
    assert bench.board.emulated_time_s == 0


def test_a_fresh_chip_has_the_effects_of_the_one_before() -> None:
    specimen = Specimen(seed=1, effects=ALL)
    assert replace(specimen, seed=2).make().effects == ALL


def test_the_names_of_effects_are_those_of_the_fields() -> None:
    assert tuple(one.name for one in fields(Effects)) == tuple(EFFECTS)


def test_a_board_is_made_with_effects() -> None:
    board = Board(Specimen(effects=ALL), serial="EMU-1", rng=random.Random(1))
    assert board.identity()["effects"] == list(ALL.on)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"wires": {"refresh_steps": 1.5}}, "wires.refresh_steps 1.5 is not a whole number"),
        (
            {"telegraph": {"fastest_s": 2.0, "slowest_s": 1.0}},
            "telegraph.fastest_s 2 s (at most slowest_s) is above the 1 s limit",
        ),
        (
            {"telegraph": {"fastest_s": 2.0}},
            "telegraph.fastest_s 2 s (at most slowest_s) is above the 1 s limit",
        ),
        (
            {"telegraph": {"slowest_s": 1e-8}},
            "telegraph.fastest_s 1e-06 s (at most slowest_s) is above the 1e-08 s limit",
        ),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(
    wanted: dict[str, object], message: str
) -> None:
    with pytest.raises((Refused, LimitExceeded)) as refusal:
        Effects.read(wanted)
    assert str(refusal.value) == message


def test_values_at_their_bounds_are_taken() -> None:
    Effects.read({"wires": {"refresh_steps": 2.0}, "telegraph": {"fastest_s": 1, "slowest_s": 1}})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Effects(telegraph=TelegraphNoise(fraction="much")),  # type: ignore[arg-type]
        lambda: Effects(wires=Wires(mode="no")),
        lambda: Effects(wires=Wires(refresh_steps=True)),
    ],
)
def test_values_of_another_type_are_refused_however_they_come(
    make: Callable[[], Effects],
) -> None:
    with pytest.raises(Refused):
        make()
