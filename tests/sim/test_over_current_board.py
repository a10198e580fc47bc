"""Learning passes that trip on a board: what is accounted for, latched and told."""

import numpy as np
import pytest
from tests.sim.conftest import Bench
from tests.sim.rising_loads import SAMPLES, TARGETS, scatter

from starlab_sim import Specimen
from starlab_sim.chip import PulseKind
from starlab_sim.effects import Effects
from starlab_spec.operations import TRAINING_RECORD, Activation, Operation
from starlab_spec.registers import register
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire import transactions as wire
from starlab_spec.wire.transactions import Status


def bench_with(limit_ma: float) -> Bench:
    """A board with the samples in memory, ready to learn."""
    specimen = Specimen(seed=1, effects=Effects.read({"current_limit": {"limit_ma": limit_ma}}))
    bench = Bench(specimen)
    scatter(bench.board.chip)
    bench.power_up()
    bench.do(
        wire.write_memory(0x0100_0000, SAMPLES.tobytes()),
        wire.write_memory(0x20_0000, TARGETS.astype(">i4").tobytes()),
        wire.write_memory(0x40_0000, b"\xee" * 12 * TRAINING_RECORD.itemsize),
    )
    bench.write(
        BATCH_COUNT=12,
        TARGET_MODE=1,
        TARGET_ADDRESS=0x20_0000,
        RESULT_ADDRESS=0x40_0000,
        TH=5,
        TH1=1000,
        C1=0,
        ACTIVATION=Activation.NONE,
    )
    return bench


def tripping_limit_ma(scheme: int) -> float:
    """A limit that trips after some samples."""
    for limit_ma in np.linspace(3, 80, 60):
        bench = bench_with(limit_ma)
        bench.write(SCHEME=scheme)
        if bench.board.execute([wire.start(Operation.BATCH_TRAINING)])[0].status == Status.OK:
            break
        if 2 < bench.read("BATCH_DONE") and bench.board.lifetime_pulses:
            return float(limit_ma)
    raise AssertionError("no limit trips after some samples")


@pytest.mark.parametrize("scheme", [0, 1])
def test_a_batch_that_trips_accounts_for_every_pulse_and_latches_the_fault(scheme: int) -> None:
    bench = bench_with(tripping_limit_ma(scheme))
    bench.write(SCHEME=scheme)
    status, message = bench.refusal(wire.start(Operation.BATCH_TRAINING))
    done = bench.read("BATCH_DONE")
    assert 2 < done < 12
    (result,) = bench.do(wire.read_memory(0x40_0000, 12 * TRAINING_RECORD.itemsize))
    records = np.frombuffer(result.data, TRAINING_RECORD)
    pulses = records["pulses"][: done + 1].sum(axis=1)
    assert status is Status.COMPLIANCE
    assert " mA is above the " in message
    assert message.startswith(("VBLset current ", "VSLreset current "))
    tail = f"for sample {done}, after {done} of 12 samples and {pulses[done]} pulses for this one"
    assert message.endswith(tail)
    assert bench.board.lifetime_pulses == pulses.sum()
    assert records[done + 1 :].tobytes().strip(b"\xee") == b""
    assert bench.counter("TRAINING_OPERATIONS") == done
    assert bench.read("PHASE") == (done % 2 if scheme == 0 else 0)
    assert bench.read("FAULTS") == 0b0001
    assert bench.board.is_safe
    again = bench.refusal(wire.start(Operation.BATCH_TRAINING))
    assert again == (Status.HARDWARE_FAULT, "latched: over_current")
    assert bench.board.lifetime_pulses == pulses.sum()


@pytest.mark.parametrize("kind", [PulseKind.SET, PulseKind.RESET])
def test_a_published_training_step_trips_as_well(kind: PulseKind) -> None:
    bench = bench_with(1.0)
    words = {f"TARGET{i}": 100 for i in range(10)}
    kinds = {"left_kind": kind, "right_kind": kind}
    tuning = register("BP_ARRAY2").pack(left_pulses=1, right_pulses=1, **kinds)
    bench.write(TRAINING_INDEX=3, BP_ARRAY1=0, BP_ARRAY2=tuning, **words)
    status, message = bench.refusal(wire.start(Operation.BP))
    rail, plane = ("VBLset", "+") if kind is PulseKind.SET else ("VSLreset", "-")
    assert status is Status.COMPLIANCE
    assert message.startswith(f"{rail} current ")
    limit = f'mA is above the 1 mA limit, in {kind.name} of the "{plane}" cells of array 2'
    assert message.endswith(f"{limit} for sample 3, after 0 of 1 samples and 0 pulses for this one")
    assert bench.board.lifetime_pulses == 0
    assert bench.read("FAULTS") == 0b0001
    assert bench.board.is_safe
    readings = [wire.supply_reading(bench.do(wire.get_supply(c.index))[0]) for c in SUPPLIES]
    assert [c.name for c, told in zip(SUPPLIES, readings, strict=True) if told.fault] == [rail]
