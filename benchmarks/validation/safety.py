"""The safe operating area under hostile commands: what reached a cell, against the limits.

Drives the emulated board by transactions alone and changes nothing of it.
"""

import random
from collections.abc import Iterator
from typing import Final

import numpy as np
from benchmarks.validation.report import Check, Section
from benchmarks.validation.witness import Witness, limits

from starlab_sim import Board, Specimen
from starlab_spec.operations import Operation, PulseKind
from starlab_spec.registers import REGISTERS, register
from starlab_spec.supplies import SUPPLIES
from starlab_spec.wire.transactions import (
    Status,
    Transaction,
    emulator,
    set_supply,
    start,
    write_memory,
    write_registers,
)

COMMANDS: Final = 5000
"""Hostile commands that a board gets."""
SEED: Final = 5
_MASK: Final = 0x10_0000
_PULSING: Final = (
    *(Operation.SET, Operation.RESET, Operation.FORM),
    *(Operation.PULSE_MASK, Operation.BATCH_TRAINING, Operation.BP),
)
_QUANTITIES: Final = {
    "voltage_mv": "voltage of the driving rail, with the margin to trip",
    "width_ns": "width",
    "pulses": "pulses of an operation on a cell",
    "energy_pj": "energy of a pulse at 20 uS",
    "cell_ua": "current of a cell at 20 uS",
    "row_ma": "current of a row at 20 uS a cell",
    "pulses in a window": "pulses on a cell within 0.1 s",
}


def hostile(rng: random.Random) -> list[Transaction]:
    """One command that nobody in their right mind would send."""
    if rng.random() < 0.002:  # one cell, over and over
        row = [write_registers(0x2C, [1], mask=1), write_registers(0x1C, [1, 0, 0, 0])]
        pulses = [write_registers(0x04, [5], mask=0xFF), write_registers(0x08, [255], mask=0xFF)]
        return [*row, *pulses, *[start(Operation.SET)] * 500]
    choice = rng.randrange(8)
    if choice == 0:
        return [set_supply(rng.randrange(22), rng.randrange(256))]
    if choice == 1:  # rails that drive pulses, near their limits
        return [
            set_supply(5, rng.randrange(215, 240)),
            set_supply(6, rng.randrange(75, 102)),
            set_supply(7, rng.randrange(45, 92)),
        ]
    if choice == 2:
        address = rng.choice(REGISTERS).address
        return [write_registers(address, [rng.getrandbits(32)], mask=rng.getrandbits(32))]
    if choice in (3, 4):  # widths and numbers, short ones as often as long ones
        writes = []
        for name in ("PERIOD1", "NUMBER1", "PERIOD2", "NUMBER2"):
            word = sum(rng.getrandbits(rng.randrange(9)) << 8 * place for place in range(3))
            writes.append(write_registers(register(name).address, [word], mask=0xFF_FFFF))
        return writes
    if choice == 5:
        array = rng.randrange(2)
        density = rng.choice((0.001, 0.1, 1.0))
        bits = np.random.default_rng(rng.getrandbits(32)).random(156_800 if array else 2000)
        return [
            write_registers(0x2C, [array], mask=1),
            write_memory(_MASK, np.packbits(bits < density).tobytes()),
            write_registers(register("MASK_KIND").address, [rng.choice(list(PulseKind)), _MASK]),
            start(Operation.PULSE_MASK),
        ]
    columns = rng.getrandbits(rng.choice((1, 20, 100)))
    return [
        write_registers(0x2C, [rng.randrange(2)], mask=1),
        write_registers(0x18, [rng.randrange(400)]),
        write_registers(0x1C, [columns >> shift & 0xFFFF_FFFF for shift in (0, 32, 64, 96)]),
        write_registers(register("BATCH_COUNT").address, [rng.randrange(20)]),
        write_registers(register("LAYERS").address, [rng.randrange(4)]),
        write_registers(register("OPERATION").address, [rng.choice(_PULSING), 8]),
    ]


def sections() -> Iterator[Section]:
    """One section: random commands, and what of them reached cells."""
    rng = random.Random(SEED)
    board = Board(Specimen(seed=SEED), serial="EMU-5", rng=rng)
    witness = Witness(limits(), lambda chip: round(board.emulated_time_s * 20e6))
    statuses: dict[str, int] = {}
    clear = write_registers(register("FAULT_CLEAR").address, [0xF])
    power_up = [clear, *(set_supply(c.index, c.default_code) for c in SUPPLIES)]
    with witness.watching():
        for number in range(COMMANDS):
            if number % 50 == 0:
                board.execute([emulator({"virgin": number % 500 == 0}), *power_up])
            status = Status(board.execute(hostile(rng))[-1].status).name
            statuses[status] = statuses.get(status, 0) + 1
    told = ", ".join(f"{count} {name}" for name, count in sorted(statuses.items()))
    text = f"""\
A board with the shipped limits gets {COMMANDS:,} random commands (seed {SEED}): supplies, raw
registers, masks, row pulses, learning steps. A witness that shares nothing with the firmware's
interlock, and reads `limits.toml` itself, sees every pulse that reaches a cell: {witness.pulses:,}
of them. Each figure is the greatest share of its limit, over both arrays and all kinds of pulses.
What was answered: {told}. The same witness looks on in `tests/sim/test_safe_area.py`, where
hypothesis chooses the commands, also with limits that are much tighter, with rails that drift away
from their codes, and with latched faults.
"""
    checks = [Check("pulses beyond a limit", "limits.toml", len(witness.breaches), high=0)]
    for name, words in _QUANTITIES.items():
        share = max((v for (_, what), v in witness.greatest.items() if what == name), default=0.0)
        note = "low: the interlock was hardly tried" if share < 0.5 else ""
        checks.append(
            Check(f"greatest {words}", "its limit", 100 * share, "%", high=100, note=note)
        )
    yield Section("The safe operating area under hostile commands", text, checks)
