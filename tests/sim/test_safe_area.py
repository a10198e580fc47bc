"""No sequence of commands brings a cell outside of the safe operating area: a witness looks on."""

import random
from typing import Any, ClassVar
from unittest.mock import patch

import hypothesis.strategies as st
import numpy as np
import pytest
from benchmarks.validation.witness import Witness, limits
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from starlab_sim import Board, Specimen
from starlab_sim.supplies import SupplyRack
from starlab_spec.operations import Operation
from starlab_spec.registers import REGISTERS, register
from starlab_spec.safe_area import SafeArea
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire.transactions import (
    Result,
    Status,
    Transaction,
    emulator,
    get_supply,
    set_supply,
    start,
    supply_reading,
    write_memory,
    write_registers,
)

WORD = 0xFFFF_FFFF
PULSING = [
    *(Operation.SET, Operation.RESET, Operation.FORM),
    *(Operation.PULSE_MASK, Operation.BATCH_TRAINING, Operation.BP),
]
DECIDING = [
    register(name).address
    for name in ("PERIOD1", "NUMBER1", "PERIOD2", "NUMBER2", "BP_ARRAY1", "BP_ARRAY2")
]
MASK, SAMPLES, LABELS, RECORDS = 0x10_0000, 0x20_0000, 0x30_0000, 0x40_0000
TIGHT: dict[str, Any] = {
    "supplies": {"VBLset": {"high": 2300}, "VBLform": {"high": 5100}},
    "rails": {"trip_margin": 0.02},
    "pulses": {
        "array1": {
            "set": {"pulses": 9, "energy_pj": 40, "cell_ua": 60, "row_ma": 3},
            "reset": {"width_ns": 100, "pulses": 5, "energy_pj": 50, "cell_ua": 34, "row_ma": 2},
            "form": {"width_ns": 600, "pulses": 20, "row_ma": 5},
        },
        "array2": {"set": {"pulses": 3, "row_ma": 0.4}, "reset": {"width_ns": 50}},
    },
    "rate": {
        "array1": {"pulses": 70, "window_s": 0.001},
        "array2": {"pulses": 25, "window_s": 0.002},
    },
}
some_bytes = st.one_of(st.integers(0, 12), st.integers(0, 255), st.integers(0, 2))


class Bench(RuleBasedStateMachine):
    """A board in hostile hands, and a witness beside its chip."""

    CHANGES: ClassVar[dict[str, Any]] = {}
    told: ClassVar[dict[str, int]] = {}
    """What all runs together have seen: the test itself is tested by it."""

    def __init__(self) -> None:
        super().__init__()
        area = SafeArea.of(self.CHANGES)
        self.board = Board(Specimen(seed=1), serial="EMU-1", rng=random.Random(1), area=area)
        self.witness = Witness(
            limits(self.CHANGES), lambda chip: round(self.board.emulated_time_s * 20e6)
        )
        self._watching = self.witness.watching()
        self._watching.__enter__()

    def teardown(self) -> None:
        self._watching.__exit__(None, None, None)
        self._tell("pulses", self.witness.pulses)

    def _tell(self, what: str, count: int = 1) -> None:
        self.told[what] = self.told.get(what, 0) + count

    def do(self, *transactions: Transaction) -> list[Result]:
        results = self.board.execute(transactions)
        if results:
            self._tell(Status(results[-1].status).name)
        return results

    @initialize()
    def begin_powered(self) -> None:
        self.power_up()

    @rule()
    def power_up(self) -> None:
        self.do(write_registers(register("FAULT_CLEAR").address, [WORD]))
        self.do(*(set_supply(channel.index, channel.default_code) for channel in SUPPLIES))

    @rule(index=st.integers(0, 23), code=st.integers(0, 256))
    def set_a_supply(self, index: int, code: int) -> None:
        self.do(set_supply(index, code))

    @rule(code=st.integers(70, 100), index=st.sampled_from([5, 6, 7]))
    def set_a_driving_rail_near_its_limit(self, index: int, code: int) -> None:
        self.do(set_supply(index, code if index != 5 else code + 140))

    @rule(
        address=st.one_of(
            st.sampled_from(DECIDING), st.sampled_from([r.address for r in REGISTERS])
        ),
        word=st.one_of(st.integers(0, WORD), st.integers(0, 0x0F0F_0F0F)),
        mask=st.sampled_from([WORD, 0xFF, 0xFF00, 0xFF_0000, 0xF]),
    )
    def write_a_register(self, address: int, word: int, mask: int) -> None:
        self.do(write_registers(address, [word], mask=mask))

    @rule(widths=st.tuples(*[some_bytes] * 3), counts=st.tuples(*[some_bytes] * 3))
    def set_pulses(self, widths: tuple[int, ...], counts: tuple[int, ...]) -> None:
        for name, values in (("PERIOD", widths), ("NUMBER", counts)):
            word = sum(value << 8 * place for place, value in enumerate(values))
            for array in (1, 2):
                self.do(write_registers(register(f"{name}{array}").address, [word], mask=0xFFFFFF))

    @rule(
        array=st.sampled_from([0, 1]),
        row=st.integers(0, 1023),
        columns=st.one_of(*(st.integers(0, 2**columns - 1) for columns in (1, 6, 20, 100))),
        operation=st.sampled_from([Operation.SET, Operation.RESET, Operation.FORM]),
    )
    def pulse_a_row(self, array: int, row: int, columns: int, operation: Operation) -> None:
        self.do(
            write_registers(0x2C, [array], mask=1),
            write_registers(0x18, [row]),
            write_registers(0x1C, [columns >> shift & WORD for shift in (0, 32, 64, 96)]),
            start(operation),
        )

    @rule(
        array=st.sampled_from([0, 1]),
        kind=st.integers(0, 3),
        seed=st.integers(0, 99),
        density=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    )
    def pulse_a_mask(self, array: int, kind: int, seed: int, density: float) -> None:
        bits = np.random.default_rng(seed).random(156_800 if array else 2000) < density
        self.do(
            write_registers(0x2C, [array], mask=1),
            write_memory(MASK, np.packbits(bits).tobytes()),
            write_registers(register("MASK_KIND").address, [kind, MASK]),
            start(Operation.PULSE_MASK),
        )

    @rule(
        count=st.integers(0, 40),
        layers=st.integers(0, 3),
        scheme=st.integers(0, 1),
        pulses=st.integers(0, 0xFFFF),
        bits=st.sampled_from([0x00, 0x11, 0x47]),
        seed=st.integers(0, 99),
    )
    def learn(
        self, count: int, layers: int, scheme: int, pulses: int, bits: int, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        names = {
            "SAMPLE_ADDRESS": SAMPLES,
            "SAMPLE_STRIDE": 98,
            "BATCH_FIRST": 0,
            "BATCH_COUNT": count,
            "RESULT_ADDRESS": RECORDS,
            "TARGET_ADDRESS": LABELS,
            "TARGET_MODE": 0,
            "LAYERS": layers,
            "SCHEME": scheme,
            "UPDATE_PULSES": pulses,
            "TH": 0,
            "TH1": 0,
            "TARGET_ON": 60,
        }
        self.do(
            write_registers(0, [bits], mask=0x77),
            write_memory(SAMPLES, rng.integers(0, 256, 98 * count, np.uint8).tobytes()),
            write_memory(LABELS, rng.integers(0, 10, count, np.uint8).tobytes()),
        )
        for name, word in names.items():
            self.do(write_registers(register(name).address, [word]))
        self.do(start(Operation.BATCH_TRAINING))

    @rule(
        operation=st.one_of(st.sampled_from(PULSING), st.integers(0, WORD)), times=st.integers(1, 4)
    )
    def start_something(self, operation: int, times: int) -> None:
        for _ in range(times):
            self.do(start(operation))

    @rule(operation=st.sampled_from(PULSING))
    def start_by_register(self, operation: int) -> None:
        self.do(write_registers(register("OPERATION").address, [operation, 8]))

    @rule(array=st.sampled_from([0, 1]), width=st.integers(0, 6), count=st.integers(0, 9))
    def hammer_one_cell(self, array: int, width: int, count: int) -> None:
        number = 2 - array
        self.do(
            write_registers(0x2C, [array], mask=1),
            write_registers(0x18, [0]),
            write_registers(0x1C, [1, 0, 0, 0]),
            write_registers(register(f"PERIOD{number}").address, [width], mask=0xFF),
            write_registers(register(f"NUMBER{number}").address, [count], mask=0xFF),
        )
        for _ in range(12):
            self.do(start(Operation.SET))

    @rule(
        request=st.sampled_from(
            [
                {"advance_s": 0.0005},
                {"restart": True},
                {"seed": 3},
                {"virgin": True},
                {"virgin": False},
                {"faults": ["over_current"]},
                {"faults": ["emergency_stop"]},
            ]
        )
    )
    def use_the_emulator(self, request: dict[str, Any]) -> None:
        self.do(emulator(request))

    @rule(index=st.sampled_from([5, 6, 7]), factor=st.floats(0.9, 1.6))
    def drift_while_something_starts(self, index: int, factor: float) -> None:
        """A generator gives something else than its code says, without being asked."""
        values, name = SupplyRack.values, SUPPLIES[index].name

        def drifted(rack: SupplyRack, *args: Any, **kwargs: Any) -> dict[str, float]:
            real = dict(values(rack, *args, **kwargs))
            return real | {name: real[name] * factor}

        with patch.object(SupplyRack, "values", drifted):
            for operation in (Operation.SET, Operation.RESET, Operation.FORM):
                self.do(start(operation))

    @invariant()
    def no_cell_was_brought_outside_of_the_area(self) -> None:
        assert self.witness.breaches == []

    @invariant()
    def with_a_fault_latched_every_driver_is_off(self) -> None:
        if not self.board.faults:
            return
        self._tell("faults")
        for result in self.board.execute([get_supply(channel.index) for channel in SUPPLIES]):
            reading = supply_reading(result)
            assert (reading.measured, reading.settled) == (0, False)
        assert self.board.execute([start(Operation.SET)])[0].status == Status.HARDWARE_FAULT
        assert self.board.execute([set_supply(6, 80)])[0].status == Status.HARDWARE_FAULT


class TightBench(Bench):
    """The same with limits so tight that every one of them is met often."""

    CHANGES: ClassVar[dict[str, Any]] = TIGHT
    told: ClassVar[dict[str, int]] = {}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("bench", [Bench, TightBench])
def test_no_sequence_of_commands_brings_a_cell_outside_of_its_area(bench: type[Bench]) -> None:
    bench.told.clear()
    run_state_machine_as_test(
        bench,
        settings=settings(
            max_examples=50,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # it was no idle board that kept to its limits
    assert bench.told["pulses"] > 1000
    assert bench.told["INTERLOCK"] > 20
    assert bench.told["HARDWARE_FAULT"] > 5
    assert bench.told["faults"] > 20
